//! The workspace tree: folders, Git folders, libraries, and which notebooks there are.
//!
//! Invariant: a notebook that was listed and has no file is a gap, and a file that no list has is a notebook with a gap.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::ImportError;
use super::access::Access;
use super::artifacts::Artifacts;
use super::book::add_gap;
use super::files::list;
use super::lines::{Line, Spot, failure, object};
use super::listed::{Taker, known};
use crate::manifest::{Entry, Extent};
use crate::resource::{Kind, KindName, LIBRARY, ObjectKey, library_fields};

/// Where the older tool keeps one tree.
struct Place {
    /// What stands before the names of its files.
    prefix: String,
    /// The directory of its notebooks.
    artifacts: String,
}

impl Taker<'_, '_> {
    /// Takes the tree, and the homes that were exported by themselves.
    pub(super) fn tree(&mut self) -> Result<(), ImportError> {
        let mut places = vec![Place {
            prefix: String::new(),
            artifacts: "artifacts".to_owned(),
        }];
        if self.export.has_directory("user_exports") {
            let (files, homes) = list(self.book, self.export, "user_exports")?;
            for name in files {
                let reason = "a file where a user's directory was expected";
                self.book
                    .not_understood(&format!("user_exports/{name}"), reason)?;
            }
            places.extend(homes.into_iter().map(|home| Place {
                prefix: format!("user_exports/{home}/"),
                artifacts: format!("user_exports/{home}/user_artifacts"),
            }));
        }
        for place in &places {
            self.directories(place)?;
            self.libraries_of_tree(place)?;
            self.git_folders(place)?;
            self.notebooks(place)?;
        }
        Ok(())
    }

    fn directories(&mut self, place: &Place) -> Result<(), ImportError> {
        let kind = known("directory");
        let mut access = self.access_of(place, kind, "acl_directories.log")?;
        self.each_path(place, "user_dirs.log", kind, |taker, node, spot| {
            let mut entry = taker.node(kind, &node, &json!({}))?;
            if let Some(reason) = not_entered(&node.path) {
                add_gap(&mut entry, Extent::Subtree, reason.to_owned());
            }
            access.give(&mut entry, &node.path, taker.failures);
            taker.book.note(entry, spot)
        })?;
        if place.prefix.is_empty() && self.book.kinds.contains(kind.name) {
            // The older tool does not list it, and every workspace has it.
            let root = Node {
                path: "/".to_owned(),
                id: Some("0".to_owned()),
            };
            let mut entry = self.node(kind, &root, &json!({}))?;
            let reason = "the older tool does not read the permissions of the root";
            add_gap(&mut entry, Extent::Permissions, reason.to_owned());
            self.book.note(entry, &"the root")?;
        }
        access.conclude(self.book, self.export)
    }

    /// Libraries, with what version 1.2 of the API said of them; what is only there was not listed with its path.
    fn libraries_of_tree(&mut self, place: &Place) -> Result<(), ImportError> {
        let kind = known("workspace-object");
        let mut details: HashMap<String, (Value, Spot)> = HashMap::new();
        let file = format!("{}lib_details.log", place.prefix);
        if matches!(self.export.open(&file), Ok(Some(_))) {
            self.each(&file, kind, |_, status, spot| {
                let id = status["id"].as_str().unwrap_or_default().to_owned();
                details.insert(id, (status, spot.clone()));
                Ok(())
            })?;
        }
        self.each_path(place, "libraries.log", kind, |taker, node, spot| {
            let details = details.remove(node.id.as_deref().unwrap_or_default());
            taker.library(kind, &node, details.map(|(status, _)| status), spot)
        })?;
        let mut left: Vec<_> = details.into_values().collect();
        left.sort_unstable_by_key(|(_, spot)| spot.line);
        for (status, spot) in left {
            let text = |field: &str| status[field].as_str().unwrap_or_default();
            let path = format!("{}/{}", text("folder").trim_end_matches('/'), text("name"));
            match Node::at(path, Some(text("id").to_owned())) {
                Ok(node) => self.library(kind, &node, Some(status), &spot)?,
                Err(reason) => self.book.lost(kind.name, format!("{spot}: {reason}")),
            }
        }
        Ok(())
    }

    fn library(
        &mut self,
        kind: &'static Kind,
        node: &Node,
        status: Option<Value>,
        spot: &Spot,
    ) -> Result<(), ImportError> {
        let mut body = json!({"object_type": LIBRARY});
        let fields = status.and_then(|status| library_fields(&status));
        if let (Some(body), Some(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
        }
        let mut entry = self.node(kind, node, &body)?;
        let reason = "the older tool does not read the files of libraries";
        add_gap(&mut entry, Extent::Content, reason.to_owned());
        self.book.note(entry, spot)
    }

    fn git_folders(&mut self, place: &Place) -> Result<(), ImportError> {
        let kind = known("git-folder");
        let mut access = self.access_of(place, kind, "acl_repos.log")?;
        self.each(
            &format!("{}repos.log", place.prefix),
            kind,
            |taker, item, spot| taker.item(kind, &item, &mut access, spot),
        )?;
        access.conclude(self.book, self.export)
    }

    fn notebooks(&mut self, place: &Place) -> Result<(), ImportError> {
        let kind = known("notebook");
        let mut access = self.access_of(place, kind, "acl_notebooks.log")?;
        let mut artifacts = Artifacts::new(self.export, &place.artifacts);
        self.each_path(place, "user_workspace.log", kind, |taker, node, spot| {
            let key = ObjectKey::new(KindName::known(kind.name), node.path.as_str()).fit(None);
            if !place.prefix.is_empty() && taker.book.has(&key) {
                // A home is a part of what was exported as a whole.
                return Ok(());
            }
            let mut entry = Entry::new(key);
            entry.object_id = node.id;
            artifacts.fill(taker.book, &mut entry, &node.path)?;
            if let Some(reason) = taker.failures.object(kind.name, &node.path) {
                add_gap(&mut entry, Extent::Object, reason);
            }
            access.give(&mut entry, &node.path, taker.failures);
            taker.book.note(entry, spot)
        })?;
        artifacts.leftovers(self.book)?;
        access.conclude(self.book, self.export)
    }

    fn access_of(
        &mut self,
        place: &Place,
        kind: &'static Kind,
        file: &str,
    ) -> Result<Access, ImportError> {
        let file = format!("{}{file}", place.prefix);
        Access::read(self.book, self.export, kind, (file, "path"))
    }

    /// An entry of a node of the tree.
    fn node(
        &mut self,
        kind: &'static Kind,
        node: &Node,
        body: &Value,
    ) -> Result<Entry, ImportError> {
        let mut entry =
            Entry::new(ObjectKey::new(KindName::known(kind.name), node.path.as_str()).fit(None));
        entry.object_id.clone_from(&node.id);
        entry.body = Some(self.book.json(&kind.canonical_body(body.clone()))?);
        Ok(entry)
    }

    /// Calls `take` with every node of a listing.
    fn each_path(
        &mut self,
        place: &Place,
        file: &str,
        kind: &'static Kind,
        mut take: impl FnMut(&mut Self, Node, &Spot) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let file = format!("{}{file}", place.prefix);
        let Some(lines) = self.export.lines(self.book, &file, kind.name) else {
            return Ok(());
        };
        self.book.covers(kind.name);
        for line in lines {
            match Node::read(&line) {
                Ok(node) => take(self, node, &line.spot)?,
                Err(reason) => self
                    .book
                    .lost(kind.name, format!("{}: {reason}", line.spot)),
            }
        }
        Ok(())
    }
}

/// Why the older tool did not look into a folder, if it did not.
fn not_entered(path: &str) -> Option<&'static str> {
    let home = path
        .strip_prefix("/Users/")
        .and_then(|rest| rest.split_once('/'));
    match (path, home) {
        ("/Repos", _) => Some("the older tool does not look into /Repos"),
        (_, Some((_, "Trash"))) => Some("the older tool does not look into Trash"),
        _ => None,
    }
}

/// A node as a listing has it.
struct Node {
    path: String,
    id: Option<String>,
}

impl Node {
    fn read(line: &Line) -> Result<Self, String> {
        let text = line.text.as_ref().map_err(Clone::clone)?;
        // The first versions wrote nothing but the path.
        let (path, id) = match text.starts_with('/') {
            true => (text.trim_end_matches('\r').to_owned(), None),
            false => {
                let item = object(text)?;
                if let Some(reason) = failure(&item) {
                    return Err(reason);
                }
                let path = item["path"].as_str().ok_or("it has no `path`")?;
                let id = match &item["object_id"] {
                    Value::Number(id) => Some(id.to_string()),
                    Value::String(id) => Some(id.clone()),
                    _ => None,
                };
                (path.to_owned(), id)
            }
        };
        Self::at(path, id)
    }

    fn at(path: String, id: Option<String>) -> Result<Self, String> {
        let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
        match path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(is_name))
        {
            true => Ok(Self { path, id }),
            false => Err(format!("`{path}` is no path of a workspace")),
        }
    }
}

//! Which objects of the snapshot are to be restored.
//!
//! Invariant: what was not asked for is restored only as a dependency, and only when dependencies were asked for.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifest::{Entry, Selection, Tree};
use crate::mapping::{Ids, is_at_or_below};
use crate::resource::{ALL, DBFS_SCHEME, Kind, KindName, ObjectKey, Target, dbfs_key};

use super::PlanError;
use super::planner::{entries_of, read_failed, whole_body_of};
use crate::restore::options::Options;

/// What is to be restored.
pub(super) struct Selected<'a> {
    selection: &'a Selection,
    names: &'a [String],
    exactly: Option<&'a BTreeSet<ObjectKey>>,
    needed: BTreeSet<ObjectKey>,
    needed_folders: BTreeSet<String>,
}

impl<'a> Selected<'a> {
    pub(super) fn new(options: &'a Options) -> Result<Self, PlanError> {
        let selection = &options.selection;
        if let Some(unknown) = selection
            .only
            .iter()
            .chain(&selection.skip)
            .find(|name| crate::resource::kind(name).is_none())
        {
            return Err(PlanError::NoSuchKind(unknown.clone()));
        }
        Ok(Self {
            selection,
            names: &options.names,
            exactly: options.exactly.as_ref(),
            needed: BTreeSet::new(),
            needed_folders: BTreeSet::new(),
        })
    }

    /// Whether an object is to be restored.
    pub(super) fn covers(&self, key: &ObjectKey) -> bool {
        self.asked_for(key) || self.needed.contains(key) || self.is_in_needed_folder(key)
    }

    /// Whether anything of a kind may be.
    pub(super) fn covers_kind(&self, kind: &Kind) -> bool {
        let name = KindName::known(kind.name);
        self.selection.covers_kind(&name)
            || self.needed.iter().any(|key| key.kind == name)
            || (kind.node().is_some() && !self.needed_folders.is_empty())
    }

    /// Whether anything in a folder may be.
    pub(super) fn enters(&self, path: &str) -> bool {
        let is_node = |kind: &&&Kind| kind.node().is_some();
        let nodes_asked_for = ALL
            .iter()
            .filter(is_node)
            .any(|kind| self.selection.covers_kind(&KindName::known(kind.name)));
        let is_needed = |key: &ObjectKey| is_at_or_below(&key.name, path);
        (nodes_asked_for && self.selection.enters(path)) || self.needed.iter().any(is_needed)
    }

    /// Adds an object that another one needs.
    pub(super) fn need(&mut self, key: ObjectKey) {
        self.needed.insert(key);
    }

    fn asked_for(&self, key: &ObjectKey) -> bool {
        if let Some(exactly) = self.exactly {
            return exactly.contains(key);
        }
        let is_path = key.name.starts_with('/');
        // Who names paths wants those, and other things only if their kind is named as well.
        let paths_only = !self.selection.include.is_empty() && self.selection.only.is_empty();
        let last = key.name.rsplit('/').next().unwrap_or_default();
        let has_path =
            is_path || crate::resource::kind(key.kind.as_str()).is_some_and(Kind::is_dbfs_file);
        let named = |name: &String| *name == key.name || (has_path && name == last);
        self.selection.covers(key)
            && (is_path || !paths_only)
            && (self.names.is_empty() || self.names.iter().any(named))
    }

    fn is_in_needed_folder(&self, key: &ObjectKey) -> bool {
        let below = |folder: &String| is_at_or_below(&key.name, folder);
        key.name.starts_with('/') && self.needed_folders.iter().any(below)
    }

    /// Adds everything that the selected objects refer to, and what that refers to in turn.
    pub(super) fn add_dependencies(&mut self, snapshot: &Tree, ids: &Ids) -> Result<(), PlanError> {
        let mut waiting = Vec::new();
        for kind in ALL.iter().filter(|kind| !kind.fields.references.is_empty()) {
            for entry in entries_of(snapshot, kind, "snapshot")? {
                if self.covers(&entry.key) {
                    waiting.push((*kind, entry));
                }
            }
        }
        while let Some((kind, entry)) = waiting.pop() {
            for key in self.references_of(snapshot, kind, &entry, ids)? {
                if self.covers(&key) {
                    continue;
                }
                let Some(entry) = snapshot.get(&key).map_err(read_failed("snapshot"))? else {
                    continue;
                };
                let Some(kind) = crate::resource::kind(key.kind.as_str()) else {
                    continue;
                };
                if kind.node() == Some(crate::resource::Node::Directory) {
                    self.needed_folders.insert(key.name.clone());
                }
                self.needed.insert(key);
                waiting.push((kind, entry));
            }
        }
        Ok(())
    }

    fn references_of(
        &self,
        snapshot: &Tree,
        kind: &Kind,
        entry: &Entry,
        ids: &Ids,
    ) -> Result<Vec<ObjectKey>, PlanError> {
        let Some(mut body) = whole_body_of(snapshot, entry, "snapshot")? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        kind.visit_references(&mut body, &mut |reference, value| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            match reference.to {
                Target::Id(kinds) => found.extend(ids.get(kinds, &text).cloned()),
                Target::Path => {
                    let path = text.strip_prefix("/Workspace").unwrap_or(&text).to_owned();
                    let nodes = ALL.iter().filter(|kind| kind.node().is_some());
                    found.extend(nodes.map(|node| {
                        ObjectKey::new(KindName::known(node.name), path.trim_end_matches('/'))
                    }));
                }
                // People come with the rule for those who are missing.
                Target::Principal(_) => {}
            }
        });
        // Jars, scripts and the like are named in many fields, and by nothing but their names.
        texts(&body, &mut |text| {
            let path = text.strip_prefix(DBFS_SCHEME);
            found.extend(path.filter(|path| path.starts_with('/')).map(dbfs_key));
        });
        Ok(found)
    }
}

/// Calls `found` with every text in a value.
fn texts<'v>(value: &'v Value, found: &mut dyn FnMut(&'v str)) {
    match value {
        Value::String(text) => found(text),
        Value::Array(elements) => elements.iter().for_each(|element| texts(element, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

//! A node of the workspace tree as a listing shows it.

use std::collections::HashMap;

use serde_json::Value;

use crate::export::known::{Knowledge, Known, Sighting};
use crate::export::run::reason;
use crate::manifest::Gap;
use crate::resource::{Kind, KindName, Node, ObjectKey, by_object_type, identify};

/// A node that was listed.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kind: &'static Kind,
    pub(super) node: Node,
    pub(super) key: ObjectKey,
    pub(super) object_id: String,
    pub(super) modified_at: Option<i64>,
    pub(super) size: Option<u64>,
    /// The canonical body, as far as the listing gives it.
    pub(super) body: Value,
    pub(super) knowledge: Knowledge,
    /// Its name in an archive could be another object's as well.
    pub(super) is_ambiguous: bool,
    /// What is known to be missing already.
    pub(super) gap: Option<Gap>,
}

/// The objects in the answer to a listing. An empty folder comes as an object without the key.
pub(super) fn listed(mut answer: Value) -> Result<Vec<Value>, String> {
    match answer.get_mut("objects").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        None | Some(Value::Null) if answer.is_object() || answer.is_null() => Ok(Vec::new()),
        _ => Err("the workspace answered something that is not a list of objects".to_owned()),
    }
}

impl Found {
    /// Reads an object of a listing.
    pub(super) fn read(item: &Value) -> Result<Self, String> {
        let object_type = item["object_type"].as_str().unwrap_or_default();
        let is_git_folder = item["directory_info"]["is_git_folder"] == Value::Bool(true);
        let kind = by_object_type(object_type, is_git_folder);
        let Some(node) = kind.node() else {
            return Err(format!("{object_type} is no node of the tree"));
        };
        // What these are, endpoints of their own say; in the listing their ids have the name of every node's.
        let listed_as = match node {
            Node::GitFolder | Node::Experiment => by_object_type("DIRECTORY", false),
            _ => kind,
        };
        let identified = identify(listed_as, item).map_err(|error| reason(&error))?;
        let path = without_alias(&identified.key.name);
        Ok(Self {
            kind,
            node,
            key: ObjectKey::new(KindName::known(kind.name), path),
            object_id: identified.object_id,
            modified_at: item["modified_at"].as_i64(),
            size: item["size"].as_u64(),
            body: identified.body,
            knowledge: Knowledge::default(),
            is_ambiguous: false,
            gap: None,
        })
    }

    /// The root, which no listing shows.
    pub(super) fn root() -> Self {
        let kind = by_object_type("DIRECTORY", false);
        Self {
            kind,
            node: Node::Directory,
            key: ObjectKey::new(KindName::known(kind.name), "/"),
            // Under this id the permissions API knows it.
            object_id: "0".to_owned(),
            modified_at: None,
            size: None,
            body: Value::Object(serde_json::Map::new()),
            knowledge: Knowledge::default(),
            is_ambiguous: false,
            gap: None,
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &str {
        &self.key.name
    }

    /// Whether its content is to be exported.
    pub(super) fn has_content(&self) -> bool {
        matches!(self.node, Node::Notebook | Node::File | Node::Dashboard)
    }

    /// Finds out what is known of it.
    pub(super) fn look_up(&mut self, known: &dyn Known) {
        self.knowledge = known.look_up(&Sighting {
            body: None,
            key: &self.key,
            object_id: &self.object_id,
            modified_at: self.modified_at,
            size: self.size,
        });
    }
}

/// `/Workspace` is another name of the root; answers leave it out, but not all of them always did.
fn without_alias(path: &str) -> &str {
    match path.strip_prefix("/Workspace") {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// The names under which an archive may hold an object; a name that two objects of a folder could have is nobody's.
pub(super) fn member_names(node: Node, language: Option<&str>, name: &str) -> Vec<String> {
    if node != Node::Notebook {
        return vec![name.to_owned()];
    }
    let native: &[&str] = match language {
        Some("PYTHON") => &["py"],
        Some("SQL") => &["sql"],
        Some("SCALA") => &["scala"],
        Some("R") => &["r", "R"],
        _ => &["py", "sql", "scala", "r", "R"],
    };
    let extensions = native.iter().chain(&["ipynb"]);
    extensions
        .map(|extension| format!("{name}.{extension}"))
        .collect()
}

/// Marks the objects of one folder whose names in an archive would not tell them apart.
pub(super) fn mark_ambiguous(folder: &mut [Found]) {
    let names: Vec<Vec<String>> = folder
        .iter()
        .map(|found| {
            if !found.has_content() {
                return Vec::new();
            }
            let name = found.path().rsplit('/').next().unwrap_or_default();
            member_names(found.node, found.body["language"].as_str(), name)
        })
        .collect();
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for name in names.iter().flatten() {
        *owners.entry(name).or_default() += 1;
    }
    for (found, names) in folder.iter_mut().zip(&names) {
        found.is_ambiguous = names.iter().any(|name| owners[name.as_str()] > 1);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(in crate::export::tree) fn notebook(path: &str) -> Found {
        Found::read(
            &json!({"object_type": "NOTEBOOK", "path": path, "object_id": 7, "language": "PYTHON"}),
        )
        .unwrap()
    }

    pub(in crate::export::tree) fn file(path: &str, size: u64) -> Found {
        Found::read(&json!({"object_type": "FILE", "path": path, "object_id": 8, "size": size, "modified_at": 5}))
            .unwrap()
    }

    #[test]
    fn a_listed_node_is_known_by_its_path_without_the_alias_of_the_root() {
        let found = notebook("/Workspace/Users/ana/x");
        assert_eq!(found.key.to_string(), "notebook /Users/ana/x");
        assert_eq!(found.body, json!({"language": "PYTHON"}));
        assert_eq!(notebook("/Workspaces/x").path(), "/Workspaces/x");
    }

    #[test]
    fn a_git_folder_is_one_wherever_it_lies() {
        let directory = json!({"object_type": "DIRECTORY", "path": "/Users/ana/r", "object_id": 3,
            "directory_info": {"is_git_folder": true}});
        let repo = json!({"object_type": "REPO", "path": "/Repos/ana/r", "object_id": 3});
        for item in [directory, repo] {
            let found = Found::read(&item).unwrap();
            assert_eq!(
                (found.kind.name, found.object_id.as_str()),
                ("git-folder", "3")
            );
        }
    }

    #[test]
    fn a_notebook_and_a_file_that_an_archive_would_call_alike_are_ambiguous() {
        let mut folder = [
            notebook("/f/x"),
            file("/f/x.py", 1),
            notebook("/f/y"),
            file("/f/y.txt", 1),
        ];
        mark_ambiguous(&mut folder);
        let marks: Vec<_> = folder.iter().map(|found| found.is_ambiguous).collect();
        assert_eq!(marks, [true, true, false, false]);
    }

    #[test]
    fn a_node_without_an_id_is_refused_with_words() {
        let error = Found::read(&json!({"object_type": "NOTEBOOK", "path": "/x"})).unwrap_err();
        assert_eq!(error, "the workspace listed a notebook without `object_id`");
    }

    #[test]
    fn what_is_no_list_is_not_taken_for_an_empty_folder() {
        assert_eq!(
            listed(json!({"objects": [{"path": "/a"}]})).unwrap().len(),
            1
        );
        for empty in [
            json!({}),
            json!({"objects": []}),
            json!({"objects": null}),
            Value::Null,
        ] {
            assert_eq!(listed(empty.clone()), Ok(Vec::new()), "{empty}");
        }
        for wrong in [
            json!("x"),
            json!([]),
            json!(7),
            json!(false),
            json!({"objects": {}}),
        ] {
            assert!(listed(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn fuzzed_listings_are_refused_or_give_nodes_with_a_body() {
        let good = json!({"objects": [
            {"object_type": "NOTEBOOK", "path": "/a", "object_id": 7, "language": "PYTHON", "modified_at": 1},
            {"object_type": "DIRECTORY", "path": "/d", "object_id": 8, "directory_info": {"is_git_folder": true}},
            {"object_type": "FILE", "path": "/f", "object_id": 9, "size": 12, "resource_id": "9"}]});
        let fuzzed = crate::testing::fuzz("listings", &[good.to_string().into_bytes()], |bytes| {
            let Some(items) = serde_json::from_slice(bytes).ok().map(listed) else {
                return false;
            };
            let nodes = items.unwrap_or_default();
            let nodes: Vec<Found> = nodes
                .iter()
                .filter_map(|item| Found::read(item).ok())
                .collect();
            assert!(nodes.iter().all(|node| node.body.is_object()));
            !nodes.is_empty()
        });
        assert!(fuzzed.accepted > 0);
    }
}

//! The workspace tree: folders, notebooks, files.
//!
//! Invariant: a node knows its parent and a folder its children by name, so a look-up costs the depth of the path and
//! a move costs nothing, whatever lies below.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;
use serde_json::json;

use super::State;
use super::content::{Content, Language};
use crate::sandbox::call::Refusal;

/// The id of the root folder, as the permissions API knows it.
pub(crate) const ROOT: i64 = 0;

/// One object of the tree.
pub(crate) struct Node {
    pub(crate) id: i64,
    pub(crate) parent: i64,
    pub(crate) name: String,
    pub(crate) created_at: i64,
    pub(crate) modified_at: i64,
    pub(crate) kind: NodeKind,
}

/// What a node is.
pub(crate) enum NodeKind {
    /// A folder; a git folder when it mirrors a remote.
    Folder {
        children: BTreeMap<String, i64>,
        is_git: bool,
    },
    Notebook {
        language: Language,
        form: Form,
        content: Content,
    },
    File {
        content: Content,
    },
    /// The materialised file of a dashboard.
    Dashboard {
        resource_id: String,
        content: Content,
    },
    /// A legacy library: listed, nothing more.
    Library,
    /// An experiment of its own; what it is like is kept beside the tree.
    Experiment,
}

/// The format a notebook is native to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Source,
    Jupyter,
}

impl NodeKind {
    /// An empty plain folder.
    pub(crate) fn folder() -> NodeKind {
        NodeKind::Folder {
            children: BTreeMap::new(),
            is_git: false,
        }
    }

    /// A file with these bytes.
    pub(crate) fn file(bytes: impl Into<axum::body::Bytes>) -> NodeKind {
        NodeKind::File {
            content: Content::Kept(bytes.into()),
        }
    }
}

impl Node {
    /// The children of a folder by name; nothing else has any.
    pub(crate) fn children(&self) -> Option<&BTreeMap<String, i64>> {
        match &self.kind {
            NodeKind::Folder { children, .. } => Some(children),
            _ => None,
        }
    }

    /// Whether it is a git folder.
    pub(crate) fn is_git(&self) -> bool {
        matches!(self.kind, NodeKind::Folder { is_git: true, .. })
    }
}

/// All nodes.
pub(crate) struct Tree {
    nodes: HashMap<i64, Node>,
}

impl Default for Tree {
    fn default() -> Tree {
        let root = Node {
            id: ROOT,
            parent: ROOT,
            name: String::new(),
            created_at: 0,
            modified_at: 0,
            kind: NodeKind::folder(),
        };
        Tree {
            nodes: HashMap::from([(ROOT, root)]),
        }
    }
}

impl Tree {
    /// The node with this id.
    pub(crate) fn node(&self, id: i64) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// The node with this id, to change.
    pub(crate) fn node_mut(&mut self, id: i64) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node at a clean path.
    pub(crate) fn find(&self, path: &str) -> Option<&Node> {
        let mut node = self.nodes.get(&ROOT)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            node = self.nodes.get(node.children()?.get(name)?)?;
        }
        Some(node)
    }

    /// The node at a clean path, or the refusal for what is not there.
    pub(crate) fn get(&self, path: &str) -> Result<&Node, Refusal> {
        self.find(path)
            .ok_or_else(|| Refusal::not_found(format!("Path ({path}) doesn't exist.")))
    }

    /// The children of a folder, by name.
    pub(crate) fn children(&self, node: &Node) -> impl Iterator<Item = &Node> {
        let ids = node.children().into_iter().flat_map(BTreeMap::values);
        ids.filter_map(|id| self.nodes.get(id))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The ids from a node's parent up to the root.
    pub(crate) fn ancestors(&self, id: i64) -> Vec<i64> {
        let mut ids = Vec::new();
        let mut at = id;
        while at != ROOT {
            let Some(node) = self.nodes.get(&at) else {
                break;
            };
            at = node.parent;
            ids.push(at);
        }
        ids
    }

    /// The path of a node.
    pub(crate) fn path_of(&self, id: i64) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while at != ROOT {
            let Some(node) = self.nodes.get(&at) else {
                break;
            };
            names.push(node.name.as_str());
            at = node.parent;
        }
        if names.is_empty() {
            return "/".to_string();
        }
        names
            .iter()
            .rev()
            .fold(String::new(), |path, name| path + "/" + name)
    }

    /// Puts a new node into a folder; the name must be free there.
    pub(crate) fn insert(&mut self, parent: i64, name: &str, id: i64, now: i64, kind: NodeKind) {
        let node = Node {
            id,
            parent,
            name: name.to_string(),
            created_at: now,
            modified_at: now,
            kind,
        };
        self.nodes.insert(id, node);
        self.link(parent, name, id);
    }

    /// Takes out a node and everything below it; gives back the ids.
    pub(crate) fn remove(&mut self, id: i64) -> Vec<i64> {
        if let Some((parent, name)) = self
            .nodes
            .get(&id)
            .map(|node| (node.parent, node.name.clone()))
        {
            self.unlink(parent, &name);
        }
        let mut removed = Vec::new();
        let mut left = vec![id];
        while let Some(id) = left.pop() {
            if let Some(node) = self.nodes.remove(&id) {
                left.extend(node.children().into_iter().flat_map(BTreeMap::values));
                removed.push(id);
            }
        }
        removed
    }

    /// Moves a node, keeping its id and everything below it.
    pub(crate) fn relocate(&mut self, id: i64, parent: i64, name: &str) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        let (old_parent, old_name) = (
            node.parent,
            std::mem::replace(&mut node.name, name.to_string()),
        );
        node.parent = parent;
        self.unlink(old_parent, &old_name);
        self.link(parent, name, id);
    }

    fn link(&mut self, parent: i64, name: &str, id: i64) {
        if let Some(NodeKind::Folder { children, .. }) =
            self.nodes.get_mut(&parent).map(|node| &mut node.kind)
        {
            children.insert(name.to_string(), id);
        }
    }

    fn unlink(&mut self, parent: i64, name: &str) {
        if let Some(NodeKind::Folder { children, .. }) =
            self.nodes.get_mut(&parent).map(|node| &mut node.kind)
        {
            children.remove(name);
        }
    }
}

impl State {
    /// Makes a folder and its missing parents; gives back its id.
    pub(crate) fn make_directories(&mut self, path: &str) -> Result<i64, Refusal> {
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let children = self.tree.node(at).and_then(Node::children);
            let Some(children) = children else {
                let message = format!(
                    "Path ({}) already exists and is not a directory.",
                    self.tree.path_of(at)
                );
                return Err(Refusal::exists(message));
            };
            at = match children.get(name) {
                Some(id) => *id,
                None => {
                    let (id, now) = (self.ids.next(), self.clock.now());
                    self.tree.insert(at, name, id, now, NodeKind::folder());
                    id
                }
            };
        }
        match self.tree.node(at).and_then(Node::children) {
            Some(_) => Ok(at),
            None => Err(Refusal::exists(format!(
                "Path ({path}) already exists and is not a directory."
            ))),
        }
    }

    /// Puts an object at a clean path: new under an existing folder, or in place of one of the same type, whose id it
    /// keeps.
    pub(crate) fn put(
        &mut self,
        path: &str,
        kind: NodeKind,
        overwrite: bool,
    ) -> Result<i64, Refusal> {
        let (parent, name) = split_path(path)?;
        let now = self.clock.now();
        if let Some(id) = self.tree.find(path).map(|node| node.id) {
            let exists = || Refusal::exists(format!("Path ({path}) already exists."));
            let node = self.tree.node_mut(id).ok_or_else(exists)?;
            let same_type = std::mem::discriminant(&node.kind) == std::mem::discriminant(&kind);
            if !overwrite || !same_type || node.children().is_some() {
                return Err(exists());
            }
            node.kind = kind;
            node.modified_at = now.max(node.modified_at + 1);
            return Ok(id);
        }
        let missing =
            || Refusal::not_found(format!("The parent folder ({parent}) does not exist."));
        let folder = self.tree.find(parent).ok_or_else(missing)?;
        if folder.children().is_none() {
            return Err(Refusal::invalid(format!(
                "Path ({parent}) is not a directory."
            )));
        }
        let (parent, id) = (folder.id, self.ids.next());
        self.tree.insert(parent, name, id, now, kind);
        Ok(id)
    }

    /// Puts a library at a clean path whose folder exists, made of one file, which goes below `/FileStore/jars`.
    pub(crate) fn upload_library(
        &mut self,
        path: &str,
        library_type: &str,
        file: &str,
        bytes: Bytes,
    ) -> Result<i64, Refusal> {
        let id = self.put(path, NodeKind::Library, true)?;
        let (folder, name) = split_path(path)?;
        let status = json!({"id": id.to_string(), "name": name, "folder": folder, "libType": library_type,
            "files": [file], "attachAllClusters": false, "statuses": []});
        self.uploaded.insert(id, status);
        let now = self.clock.now();
        let put = (self.dbfs).put(&format!("/FileStore/jars/{file}"), bytes, now);
        put.map(|()| id).map_err(Refusal::invalid)
    }

    /// Takes out a node with everything below it and everything said about it.
    pub(crate) fn remove_node(&mut self, id: i64) {
        for id in self.tree.remove(id) {
            self.acls.forget(super::acl::Scope::Node, &id.to_string());
            self.repos.remove(&id);
            self.mlflow.experiments.remove(&id);
        }
    }
}

/// A path as the service keeps it: absolute, without the `/Workspace` alias and without a trailing slash.
pub(crate) fn clean_path(path: &str) -> Result<String, Refusal> {
    if !path.starts_with('/') {
        return Err(Refusal::invalid(format!(
            "Path ({path}) must be an absolute path."
        )));
    }
    let path = match path.strip_prefix("/Workspace") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => path,
    };
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    if names.iter().any(|name| *name == "." || *name == "..") {
        return Err(Refusal::invalid(format!(
            "Path ({path}) must not contain relative parts."
        )));
    }
    Ok(format!("/{}", names.join("/")))
}

/// The parent's path and the name of a clean path.
pub(crate) fn split_path(path: &str) -> Result<(&str, &str), Refusal> {
    match path.rsplit_once('/') {
        Some((parent, name)) if !name.is_empty() => {
            Ok((if parent.is_empty() { "/" } else { parent }, name))
        }
        _ => Err(Refusal::invalid(format!(
            "Path ({path}) cannot be written to."
        ))),
    }
}

//! The DBFS root: folders and files by path, and the files that are being written.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;

/// The whole file system.
#[derive(Default)]
pub(crate) struct Dbfs {
    /// All but the root itself, by path.
    nodes: BTreeMap<String, DbfsNode>,
    /// What mounts lead to, and how that is encrypted, by where they are.
    pub(crate) mounts: BTreeMap<String, (String, String)>,
    /// Files that are being written, by handle.
    pub(crate) open: HashMap<i64, OpenFile>,
}

/// A folder or a file.
#[derive(Debug, Clone)]
pub(crate) struct DbfsNode {
    /// What a file holds; none for a folder.
    pub(crate) bytes: Option<Bytes>,
    pub(crate) modified: i64,
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

impl Dbfs {
    /// What is at a path; the root is a folder of all times.
    pub(crate) fn find(&self, path: &str) -> Option<DbfsNode> {
        let root = DbfsNode {
            bytes: None,
            modified: 0,
        };
        match path {
            "/" => Some(root),
            _ => self.nodes.get(path).cloned(),
        }
    }

    /// What lies in a folder itself, in the order of its names.
    pub(crate) fn children(&self, folder: &str) -> Vec<(&String, &DbfsNode)> {
        let prefix = format!("{}/", folder.trim_end_matches('/'));
        let below = self.nodes.range(prefix.clone()..);
        let below = below.take_while(|(path, _)| path.starts_with(&prefix));
        below
            .filter(|(path, _)| !path[prefix.len()..].contains('/'))
            .collect()
    }

    /// Makes a folder with all above it; the name of a file that stands in the way otherwise.
    pub(crate) fn make_folder(&mut self, path: &str, now: i64) -> Result<(), String> {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
        for end in ends.chain([path.len()]).filter(|end| *end > 1) {
            let node = self.nodes.entry(path[..end].to_owned());
            let node = node.or_insert(DbfsNode {
                bytes: None,
                modified: now,
            });
            if node.bytes.is_some() {
                return Err(path[..end].to_owned());
            }
        }
        Ok(())
    }

    /// Puts a file there, with the folders above it.
    pub(crate) fn put(&mut self, path: &str, bytes: Bytes, now: i64) -> Result<(), String> {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.make_folder(folder, now)?;
        }
        let node = DbfsNode {
            bytes: Some(bytes),
            modified: now,
        };
        self.nodes.insert(path.to_owned(), node);
        Ok(())
    }

    /// Takes away what is at a path and below.
    pub(crate) fn remove(&mut self, path: &str) {
        let prefix = format!("{path}/");
        self.nodes
            .retain(|other, _| other != path && !other.starts_with(&prefix));
    }

    /// Gives what is at a path and below another place.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        let prefix = format!("{from}/");
        let moved: Vec<String> = self
            .nodes
            .keys()
            .filter(|path| *path == from || path.starts_with(&prefix))
            .cloned()
            .collect();
        for path in moved {
            if let Some(node) = self.nodes.remove(&path) {
                self.nodes
                    .insert(format!("{to}{}", &path[from.len()..]), node);
            }
        }
    }
}

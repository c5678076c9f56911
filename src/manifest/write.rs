//! Writing a tree, from the leaves up, in one pass over sorted entries.
//!
//! Invariant: where nodes end depends on the keys alone, so the same entries give the same root whoever writes
//! them, and a node that replaces one of the parent's is found by its first key.

use super::node::{LONGEST_KEY, NodeBuilder};
use super::rows::{Child, push_child, push_entry};
use super::tree::Tree;
use super::{Entry, ManifestError, Root, Totals};
use crate::resource::ObjectKey;
use crate::store::{BlobKind, Writer};

/// Writes all entries, which come sorted by key and each key once. `parent` is the tree that this one mostly
/// repeats: what changed is stored as the difference to it.
pub fn write_tree(
    writer: &Writer,
    entries: impl IntoIterator<Item = Entry>,
    parent: Option<&Tree>,
) -> Result<Root, ManifestError> {
    let mut tree = TreeWriter::new(writer, parent);
    for entry in entries {
        tree.push(&entry)?;
    }
    tree.finish()
}

/// A tree that is being written entry by entry.
pub struct TreeWriter<'a> {
    writer: &'a Writer,
    parent: Option<&'a Tree>,
    levels: Vec<Level>,
    last_key: Vec<u8>,
}

/// The node of a level that is being filled, and what became of those before it.
struct Level {
    node: NodeBuilder,
    totals: Totals,
    finished: u64,
    last: Option<Child>,
}

impl Level {
    const fn new(level: u8) -> Self {
        Self {
            node: NodeBuilder::new(level),
            totals: Totals::ZERO,
            finished: 0,
            last: None,
        }
    }
}

impl<'a> TreeWriter<'a> {
    /// Begins a tree; see [`write_tree`].
    pub fn new(writer: &'a Writer, parent: Option<&'a Tree>) -> Self {
        Self {
            writer,
            parent,
            levels: vec![Level::new(0)],
            last_key: Vec::new(),
        }
    }

    /// Adds the next entry.
    pub fn push(&mut self, entry: &Entry) -> Result<(), ManifestError> {
        let key = key_bytes(&entry.key)?;
        if key <= self.last_key {
            let previous =
                ObjectKey::from_bytes(&self.last_key).unwrap_or_else(|| entry.key.clone());
            return Err(ManifestError::OutOfOrder {
                previous: Box::new(previous),
                next: Box::new(entry.key.clone()),
            });
        }
        let leaf = &mut self.levels[0];
        push_entry(&mut leaf.node, &key, entry);
        leaf.totals.add(&Totals::of(entry));
        self.last_key = key;
        self.end_if_complete(0)
    }

    /// Writes what is left and says where the tree begins.
    pub fn finish(mut self) -> Result<Root, ManifestError> {
        let mut level = 0;
        loop {
            // A tree without entries is one leaf without rows.
            if self.levels[level].node.rows() > 0 || self.levels[level].finished == 0 {
                self.end_node(level)?;
            }
            // The only node of its level needs none above it.
            if let (1, Some(root)) = (self.levels[level].finished, self.levels[level].last) {
                return Ok(Root::new(root.id, level as u8 + 1, root.totals));
            }
            level += 1;
        }
    }

    fn end_if_complete(&mut self, level: usize) -> Result<(), ManifestError> {
        if self.levels[level].node.is_complete() {
            self.end_node(level)?;
        }
        Ok(())
    }

    fn end_node(&mut self, level: usize) -> Result<(), ManifestError> {
        let here = &mut self.levels[level];
        let first_key = here.node.first_key().to_vec();
        let totals = std::mem::take(&mut here.totals);
        let bytes = here.node.finish();
        // The base only saves space: a parent that cannot be read must not stop a new snapshot.
        let base = self
            .parent
            .and_then(|parent| parent.node_at(level as u8, &first_key).ok().flatten());
        let id = self
            .writer
            .put(BlobKind::Node, &bytes, base.as_ref())
            .map_err(ManifestError::WriteNode)?;
        let child = Child { id, totals };
        here.finished += 1;
        here.last = Some(child);
        if self.levels.len() == level + 1 {
            self.levels.push(Level::new(level as u8 + 1));
        }
        let above = &mut self.levels[level + 1];
        push_child(&mut above.node, &first_key, &child);
        above.totals.add(&totals);
        self.end_if_complete(level + 1)
    }
}

/// The bytes of a key that can be written down and read back.
pub(super) fn key_bytes(key: &ObjectKey) -> Result<Vec<u8>, ManifestError> {
    let bytes = key.to_bytes();
    let refused = |why| {
        Err(ManifestError::BadKey {
            key: Box::new(key.clone()),
            why,
        })
    };
    if bytes.len() > LONGEST_KEY {
        return refused("its name is too long");
    }
    if ObjectKey::from_bytes(&bytes).as_ref() != Some(key) {
        return refused("its name contains a zero character");
    }
    Ok(bytes)
}

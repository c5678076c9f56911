//! The sorted sequence of all entries of a snapshot, as a tree of nodes.
//!
//! Invariant: a tree is read-only and a node is read when it is needed; nothing here costs in proportion to the
//! whole unless the whole is asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::cursor::{Cursor, Head};
use super::node::Node;
use super::{Entry, KeyRange, ManifestError, NodeError, Root, Totals};
use crate::resource::{KindName, ObjectKey};
use crate::store::{BlobId, Store};

/// So many nodes make it likely that each part has its share.
const NODES_PER_PART: usize = 8;

/// An open manifest. Cheap to clone.
#[derive(Clone)]
pub struct Tree(Arc<Inner>);

struct Inner {
    store: Store,
    root: Root,
    cache: Mutex<Cache>,
    nodes_read: AtomicU64,
}

impl Tree {
    /// Opens the manifest below `root`.
    pub fn open(store: &Store, root: &Root) -> Result<Self, ManifestError> {
        let tree = Self(Arc::new(Inner {
            store: store.clone(),
            root: root.clone(),
            cache: Mutex::default(),
            nodes_read: AtomicU64::new(0),
        }));
        tree.node(&root.node, tree.top(), b"")?;
        Ok(tree)
    }

    /// Where the tree begins.
    pub fn root(&self) -> &Root {
        &self.0.root
    }

    /// The store that holds the tree and everything its entries refer to.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> Entries {
        self.range(Vec::new())
    }

    /// The entries whose key bytes begin with `prefix`; see [`ObjectKey::to_bytes`].
    pub fn range(&self, prefix: impl Into<Vec<u8>>) -> Entries {
        let prefix = prefix.into();
        self.range_from(prefix.clone(), prefix)
    }

    /// The same from the key bytes `start` on.
    pub fn range_from(&self, start: Vec<u8>, prefix: Vec<u8>) -> Entries {
        Entries {
            start: Some(start),
            cursor: Cursor::new(self.clone()),
            prefix,
            only_uncertain: false,
        }
    }

    /// The entries of a kind, with the one for the kind as a whole when there is one.
    pub fn kind(&self, kind: &KindName) -> Entries {
        self.range(kind_prefix(kind))
    }

    /// The entries that have a gap or were taken over; parts of the tree without any are not visited.
    pub fn uncertain(&self) -> Entries {
        Entries {
            only_uncertain: true,
            ..self.iter()
        }
    }

    /// The entry with this very key.
    pub fn get(&self, key: &ObjectKey) -> Result<Option<Entry>, ManifestError> {
        let bytes = key.to_bytes();
        let mut cursor = Cursor::new(self.clone());
        cursor.seek(&bytes)?;
        match cursor.head()? {
            Some(Head::Entry { node, row }) if node.key(row) == bytes => Ok(Some(cursor.look()?)),
            _ => Ok(None),
        }
    }

    /// How many entries begin with `prefix`, and how much they hold. Reads nodes at the two ends only.
    pub fn totals(&self, prefix: &[u8]) -> Result<Totals, ManifestError> {
        let mut totals = Totals::default();
        let mut cursor = Cursor::new(self.clone());
        cursor.seek(prefix)?;
        loop {
            match cursor.head()? {
                Some(Head::Subtree { first, child, .. }) if first.starts_with(prefix) => {
                    // All keys between two that begin with the prefix do so too.
                    if cursor
                        .end()
                        .map_or(prefix.is_empty(), |end| end.starts_with(prefix))
                    {
                        totals.add(&child.totals);
                        cursor.advance();
                    } else {
                        cursor.descend()?;
                    }
                }
                Some(Head::Entry { node, row }) if node.key(row).starts_with(prefix) => {
                    totals.add(&Totals::of(&cursor.look()?));
                    cursor.advance();
                }
                _ => return Ok(totals),
            }
        }
    }

    /// The totals of every kind there is.
    pub fn kinds(&self) -> Result<BTreeMap<String, Totals>, ManifestError> {
        let mut kinds = BTreeMap::new();
        let mut cursor = Cursor::new(self.clone());
        cursor.seek(b"")?;
        while let Some(Head::Entry { node, row }) = cursor.head()? {
            let key = ObjectKey::from_bytes(node.key(row));
            let Some(key) = key else {
                return Err(self.damaged(NodeError::Malformed("a key is no key")));
            };
            let mut prefix = kind_prefix(&key.kind);
            kinds.insert(key.kind.to_string(), self.totals(&prefix)?);
            // The first key that may follow those of the kind.
            prefix.pop();
            prefix.push(1);
            cursor.seek(&prefix)?;
        }
        Ok(kinds)
    }

    /// At most `count` ranges of keys, in order and about equally wide, that together hold every key there can be. Reads
    /// only nodes near the top.
    pub fn parts(&self, count: usize) -> Result<Vec<KeyRange>, ManifestError> {
        let mut nodes = vec![(self.0.root.node, Vec::new())];
        for level in (1..=self.top()).rev() {
            if nodes.len() >= NODES_PER_PART * count {
                break;
            }
            let mut below = Vec::new();
            for (id, first) in nodes {
                let node = self.node(&id, level, &first)?;
                for row in 0..node.rows() {
                    let child = node.child(row);
                    let child = child.map_err(|source| ManifestError::BadNode { id, source })?;
                    below.push((child.id, node.key(row).to_vec()));
                }
            }
            nodes = below;
        }
        let count = count.clamp(1, nodes.len().max(1));
        let starts = (1..count).map(|part| nodes[part * nodes.len() / count].1.clone());
        let starts: Vec<_> = std::iter::once(Vec::new()).chain(starts).collect();
        let ends = starts.iter().skip(1).cloned().map(Some).chain([None]);
        Ok(starts.iter().cloned().zip(ends).collect())
    }

    /// How many nodes were read from the store so far, for tests of what an operation costs.
    pub fn nodes_read(&self) -> u64 {
        self.0.nodes_read.load(Ordering::Relaxed)
    }

    /// The level of the root.
    pub(super) fn top(&self) -> u8 {
        self.0.root.levels.saturating_sub(1)
    }

    /// The node of `level` whose part of the tree `key` falls into.
    pub(super) fn node_at(&self, level: u8, key: &[u8]) -> Result<Option<BlobId>, ManifestError> {
        let mut id = self.0.root.node;
        let mut first = Vec::new();
        if level > self.top() {
            return Ok(None);
        }
        for above in (level + 1..=self.top()).rev() {
            let node = self.node(&id, above, &first)?;
            let after = node.seek(key);
            let row = if after < node.rows() && node.key(after) == key {
                after
            } else {
                after.saturating_sub(1)
            };
            id = node
                .child(row)
                .map_err(|source| ManifestError::BadNode { id, source })?
                .id;
            first = node.key(row).to_vec();
        }
        Ok(Some(id))
    }

    /// Reads a node that must be of this level and begin with this key (which for the root is empty).
    pub(super) fn node(
        &self,
        id: &BlobId,
        level: u8,
        first: &[u8],
    ) -> Result<Arc<Node>, ManifestError> {
        if let Some(node) = self.cache().get(id) {
            return Ok(node);
        }
        let bytes = self
            .0
            .store
            .read(id)
            .map_err(|source| ManifestError::ReadNode { id: *id, source })?;
        self.0.nodes_read.fetch_add(1, Ordering::Relaxed);
        let bad = |source| ManifestError::BadNode { id: *id, source };
        let node = Node::decode(bytes).map_err(bad)?;
        let begins = first.is_empty() || (node.rows() > 0 && node.key(0) == first);
        if node.level() != level || !begins {
            return Err(bad(NodeError::Malformed(
                "it is not the node that the one above it speaks of",
            )));
        }
        let node = Arc::new(node);
        self.cache().put(*id, &node);
        Ok(node)
    }

    pub(super) fn damaged(&self, source: NodeError) -> ManifestError {
        ManifestError::BadNode {
            id: self.0.root.node,
            source,
        }
    }

    // The cache is valid after every single change to it, so a panic elsewhere cannot have spoilt it.
    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind_prefix(kind: &KindName) -> Vec<u8> {
    ObjectKey::whole_kind(kind.clone()).to_bytes()
}

/// Entries of a tree in the order of their keys. It ends after the first error.
pub struct Entries {
    cursor: Cursor,
    start: Option<Vec<u8>>,
    prefix: Vec<u8>,
    only_uncertain: bool,
}

impl Iterator for Entries {
    type Item = Result<Entry, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step();
        if item.is_err() {
            self.cursor.stop();
        }
        item.transpose()
    }
}

impl Entries {
    fn step(&mut self) -> Result<Option<Entry>, ManifestError> {
        if let Some(start) = self.start.take() {
            // To seek is to descend, which the search for uncertain entries must not do without need.
            if !start.is_empty() {
                self.cursor.seek(&start)?;
            }
        }
        loop {
            match self.cursor.head()? {
                None => return Ok(None),
                Some(Head::Subtree { first, child, .. }) => {
                    if first > self.prefix.as_slice() && !first.starts_with(&self.prefix) {
                        return Ok(None);
                    }
                    if self.only_uncertain && !child.totals.is_uncertain() {
                        self.cursor.advance();
                    } else {
                        self.cursor.descend()?;
                    }
                }
                Some(Head::Entry { node, row }) => {
                    if !node.key(row).starts_with(&self.prefix) {
                        return Ok(None);
                    }
                    let wanted = !self.only_uncertain || self.cursor.is_uncertain()?;
                    let entry = wanted.then(|| self.cursor.look()).transpose()?;
                    self.cursor.advance();
                    if entry.is_some() {
                        return Ok(entry);
                    }
                }
            }
        }
    }
}

/// Nodes that were read lately, in two generations: when the younger one is full it becomes the older one, and what was
/// not asked for since is forgotten.
#[derive(Default)]
struct Cache {
    young: HashMap<BlobId, Arc<Node>>,
    young_bytes: usize,
    old: HashMap<BlobId, Arc<Node>>,
}

/// A few hundred ordinary nodes.
const GENERATION_BYTES: usize = 8 << 20;

impl Cache {
    fn get(&mut self, id: &BlobId) -> Option<Arc<Node>> {
        if let Some(node) = self.young.get(id) {
            return Some(Arc::clone(node));
        }
        let node = self.old.remove(id)?;
        self.put(*id, &node);
        Some(node)
    }

    fn put(&mut self, id: BlobId, node: &Arc<Node>) {
        if self.young_bytes >= GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(id, Arc::clone(node)).is_none() {
            self.young_bytes += node.weight();
        }
    }
}

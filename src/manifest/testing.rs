//! What the tests of this room share.

use chrono::DateTime;

use super::{
    Entry, Extent, Gap, Payload, Root, Surveyed, Tree, mark, snapshots, survey, write_tree,
};
use crate::resource::{KindName, ObjectKey};
use crate::store::{BlobId, BlobKind, Store, Writer};

/// A fresh store, and the directory that goes with it.
pub(super) fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store"), DateTime::UNIX_EPOCH).unwrap();
    (dir, store)
}

/// Makes what a writer wrote visible without committing anything.
pub(super) fn flush(writer: &Writer) {
    writer.stage_pending(b"{}", DateTime::UNIX_EPOCH).unwrap();
}

/// Writes a tree and opens it.
pub(super) fn tree(store: &Store, entries: impl IntoIterator<Item = Entry>) -> Tree {
    Tree::open(store, &write(store, entries, None)).unwrap()
}

pub(super) fn write(
    store: &Store,
    entries: impl IntoIterator<Item = Entry>,
    parent: Option<&Tree>,
) -> Root {
    let writer = store.writer().unwrap();
    let root = write_tree(&writer, entries, parent).unwrap();
    flush(&writer);
    root
}

/// A notebook of which everything follows from its path and a number.
pub(super) fn notebook(path: &str, version: u64) -> Entry {
    let content = format!("{path} {version}");
    Entry {
        object_id: Some((version + 1_000_000).to_string()),
        modified_at: Some(1_700_000_000_000 + version as i64),
        size: Some(content.len() as u64),
        body: Some(Payload::Inline(
            format!(r#"{{"language":"PYTHON","v":{version}}}"#).into_bytes(),
        )),
        content: Some(Payload::Blob {
            id: BlobId::of(content.as_bytes()),
            len: content.len() as u64,
        }),
        ..Entry::new(ObjectKey::new(KindName::known("notebook"), path))
    }
}

pub(super) fn with_gap(entry: Entry, extent: Extent, reason: &str) -> Entry {
    Entry {
        gap: Some(Gap::new(extent, reason)),
        ..entry
    }
}

/// Bytes without any order in them, the same for the same seed.
pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let block =
        |number: u64| *BlobId::of(&[seed.to_le_bytes(), number.to_le_bytes()].concat()).as_bytes();
    (0..).flat_map(block).take(len).collect()
}

/// Copies all snapshots to an empty store, except for these blobs: a store that has lost just them.
pub(crate) fn copy_without(from: &Store, to: &Store, lost: &[BlobId]) {
    for listed in snapshots(from).unwrap().snapshots {
        let writer = to.writer().unwrap();
        let tree = Tree::open(from, &listed.snapshot.root).unwrap();
        let put = &mut |marked: super::Marked| {
            let kind = match marked.is_node {
                true => BlobKind::Node,
                false => BlobKind::Data,
            };
            if !lost.contains(&marked.blob) {
                let bytes = from.read(&marked.blob).unwrap();
                writer.put(kind, &bytes, None).unwrap();
            }
            true
        };
        mark(&tree, put).unwrap();
        let head = from.read_head(&listed.name).unwrap();
        writer.commit(&head, listed.name.time).unwrap();
    }
}

/// The leaf of a tree that has this entry.
pub(crate) fn leaf_with(tree: &Tree, key: &ObjectKey) -> BlobId {
    let mut nodes = Vec::new();
    let mut add = |marked: super::Marked| {
        nodes.extend(marked.is_node.then_some(marked.blob));
        true
    };
    mark(tree, &mut add).unwrap();
    let is_below = |node: &&BlobId| {
        let mut is_found = false;
        survey(tree, &mut |other| other != *node, &mut |found| {
            is_found |= matches!(found, Surveyed::Entry(entry) if entry.key == *key);
        });
        !is_found
    };
    // A node comes before those below it.
    *nodes.iter().rev().find(is_below).unwrap()
}

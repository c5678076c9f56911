//! Unusual trees, and what is refused.

use super::{Model, entries, large_model};
use crate::manifest::testing::{flush, notebook, store, tree, write};
use crate::manifest::*;
use crate::resource::{KindName, ObjectKey};
use crate::store::{BlobId, BlobKind};

#[test]
fn entries_out_of_order_or_twice_are_refused() {
    let (_dir, store) = store();
    let writer = store.writer().unwrap();
    for pair in [["/b", "/a"], ["/a", "/a"]] {
        let entries = pair.map(|path| notebook(path, 1));
        assert!(matches!(
            write_tree(&writer, entries, None),
            Err(ManifestError::OutOfOrder { .. })
        ));
    }
}

#[test]
fn a_name_that_cannot_be_recorded_is_refused_and_named() {
    let (_dir, store) = store();
    let writer = store.writer().unwrap();
    for name in ["a\0b".to_owned(), "x".repeat(70_000)] {
        let error = write_tree(&writer, [notebook(&name, 1)], None).unwrap_err();
        assert!(matches!(error, ManifestError::BadKey { .. }), "{error}");
    }
}

#[test]
fn an_empty_tree_is_a_tree() {
    let (_dir, store) = store();
    let empty = tree(&store, []);
    assert_eq!(empty.root().levels, 1);
    assert_eq!(empty.iter().count(), 0);
    assert!(
        empty
            .get(&ObjectKey::whole_kind(KindName::known("job")))
            .unwrap()
            .is_none()
    );
    let full = tree(&store, [notebook("/a", 1)]);
    assert_eq!(changes(&empty, &full).count(), 1);
    assert_eq!(changes(&empty, &empty).count(), 0);
    assert!(empty.kinds().unwrap().is_empty());
}

#[test]
fn names_chosen_to_end_every_node_still_make_a_tree() {
    // Every one of these names hashes to a boundary, at every level.
    let names = (0u64..)
        .map(|number| format!("/{number}"))
        .filter(|name| {
            let key = ObjectKey::new(KindName::known("notebook"), name.as_str());
            BlobId::of(&key.to_bytes()).as_bytes()[0] == 0
        })
        .take(40);
    let model: Model = names.map(|name| (name, 1)).collect();
    let written: Vec<Entry> = model.keys().map(|name| notebook(name, 1)).collect();
    let (_dir, store) = store();
    let tree = tree(&store, written.clone());
    assert_eq!(tree.root().levels, 7);
    assert_eq!(tree.iter().collect::<Result<Vec<_>, _>>().unwrap(), written);
}

#[test]
fn very_long_names_make_nodes_of_bounded_size() {
    let (_dir, store) = store();
    let written: Vec<Entry> = (0..100)
        .map(|number| notebook(&format!("/{number:03}{}", "x".repeat(60_000)), 1))
        .collect();
    let tree = tree(&store, written.clone());
    assert!(tree.root().levels > 1);
    assert_eq!(tree.iter().collect::<Result<Vec<_>, _>>().unwrap(), written);
}

#[test]
fn attributes_of_a_newer_version_survive_reading_and_writing() {
    let (_dir, store) = store();
    let mut builder = node::NodeBuilder::new(0);
    for path in ["/a", "/b", "/c"] {
        let entry = notebook(path, 1);
        rows::push_entry(&mut builder, &entry.key.to_bytes(), &entry);
        if path != "/b" {
            builder.set(100, column::Layout::Bytes, b"newer");
            builder.set(101, column::Layout::Flag, &[]);
            builder.set(102, column::Layout::Id, &[7; 32]);
            builder.set_number(103, 300);
        }
    }
    let bytes = builder.finish();
    let writer = store.writer().unwrap();
    let id = writer.put(BlobKind::Node, &bytes, None).unwrap();
    flush(&writer);
    let root = Root::new(
        id,
        1,
        Totals {
            entries: 3,
            ..Totals::default()
        },
    );
    let tree = Tree::open(&store, &root).unwrap();
    let read: Vec<Entry> = tree.iter().collect::<Result<_, _>>().unwrap();
    assert!(!read[0].other.is_empty() && read[1].other.is_empty());
    assert_eq!(write(&store, read.clone(), None).node, id);
    let fewer = write(&store, read[1..].to_vec(), None);
    let fewer: Vec<Entry> = Tree::open(&store, &fewer)
        .unwrap()
        .iter()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(fewer, read[1..]);
}

#[test]
fn a_missing_or_foreign_node_is_an_error_that_names_it() {
    let (_dir, store) = store();
    let tree = tree(&store, entries(&large_model(3_000)));
    let root = tree.root().clone();
    let nowhere = Root {
        node: BlobId::of(b"nowhere"),
        ..root.clone()
    };
    assert!(matches!(
        Tree::open(&store, &nowhere),
        Err(ManifestError::ReadNode { .. })
    ));
    let wrong_level = Root {
        levels: root.levels + 1,
        ..root.clone()
    };
    assert!(matches!(
        Tree::open(&store, &wrong_level),
        Err(ManifestError::BadNode { .. })
    ));
    // A node above that promises another first key than its child has.
    let writer = store.writer().unwrap();
    let mut leaf = node::NodeBuilder::new(0);
    rows::push_entry(&mut leaf, b"notebook\0/b", &notebook("/b", 1));
    let id = writer.put(BlobKind::Node, &leaf.finish(), None).unwrap();
    let mut above = node::NodeBuilder::new(1);
    rows::push_child(
        &mut above,
        b"notebook\0/a",
        &rows::Child {
            id,
            totals: Totals::default(),
        },
    );
    let node = writer.put(BlobKind::Node, &above.finish(), None).unwrap();
    flush(&writer);
    let tree = Tree::open(&store, &Root::new(node, 2, Totals::default())).unwrap();
    let mut entries = tree.iter();
    assert!(matches!(
        entries.next(),
        Some(Err(ManifestError::BadNode { .. }))
    ));
    assert!(entries.next().is_none(), "nothing comes after an error");
}

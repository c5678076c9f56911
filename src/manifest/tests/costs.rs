//! What operations on trees cost, counted in nodes and bytes.

use std::collections::BTreeSet;

use super::{Model, entries, large_model};
use crate::manifest::testing::{flush, notebook, store, tree, write};
use crate::manifest::*;
use crate::store::BlobId;

#[test]
fn a_changed_appended_or_removed_entry_rewrites_few_nodes() {
    let (_dir, store) = store();
    let before = large_model(20_000);
    let parent = tree(&store, entries(&before));
    let nodes = |tree: &Tree| {
        let mut nodes = BTreeSet::new();
        mark(tree, &mut |marked| match marked.is_node {
            true => nodes.insert(*marked.blob.as_bytes()),
            false => true,
        })
        .map(|()| nodes)
    };
    // The entries of the model refer to blobs that nobody stored; marking must not need them.
    let known = nodes(&parent).unwrap();
    assert!(known.len() > 40, "{} nodes", known.len());
    let mut edits: Vec<Model> = vec![before.clone(); 3];
    edits[0].insert("/zzz".into(), 1);
    edits[1].remove("/Users/user005/folder05/notebook000005");
    edits[2].insert("/Users/user005/folder05/notebook000005".into(), 99);
    for edit in edits {
        let root = write(&store, entries(&edit), Some(&parent));
        let changed = Tree::open(&store, &root).unwrap();
        let new = nodes(&changed).unwrap().difference(&known).count();
        assert!(
            (1..=5).contains(&new),
            "{new} of {} nodes are new",
            known.len()
        );
    }
}

#[test]
fn a_node_that_was_marked_before_is_not_entered_again() {
    let (_dir, store) = store();
    let mut model = large_model(5_000);
    let a = tree(&store, entries(&model));
    model.insert("/zzz".into(), 1);
    let b = tree(&store, entries(&model));
    let mut seen = BTreeSet::new();
    let mut visit = |tree: &Tree| {
        mark(tree, &mut |marked| seen.insert(*marked.blob.as_bytes())).unwrap();
        tree.nodes_read()
    };
    let first = visit(&a);
    let second = visit(&b);
    assert!(first > 10 && second <= 4, "{first} then {second}");
    assert!(seen.contains(BlobId::of(b"/zzz 1").as_bytes()));
}

#[test]
fn the_cost_of_changes_follows_their_number() {
    let (_dir, store) = store();
    let before = large_model(100_000);
    let entries = |model: &Model| -> Vec<Entry> {
        model
            .iter()
            .map(|(path, version)| notebook(path, *version))
            .collect()
    };
    let a = tree(&store, entries(&before));
    let total = {
        let mut nodes = 0;
        mark(&a, &mut |marked| {
            nodes += u64::from(marked.is_node);
            true
        })
        .unwrap();
        nodes
    };
    let reads = |edit: &dyn Fn(&mut Model)| {
        let mut after = before.clone();
        edit(&mut after);
        let b = Tree::open(&store, &write(&store, entries(&after), Some(&a))).unwrap();
        let a = Tree::open(&store, a.root()).unwrap();
        let found = changes(&a, &b).count() as u64;
        (found, a.nodes_read() + b.nodes_read())
    };
    let paths: Vec<String> = before.keys().cloned().collect();
    let again = Tree::open(&store, a.root()).unwrap();
    assert_eq!(changes(&again, &again).count(), 0);
    assert_eq!(again.nodes_read(), 1, "equal roots are only opened");
    // One percent in one place, and one percent all over.
    let (together, read) = reads(&|model| {
        for path in &paths[50_000..51_000] {
            *model.get_mut(path).unwrap() += 1;
        }
    });
    assert_eq!(together, 1000);
    assert!(
        read <= 40,
        "{read} of {total} nodes for 1,000 changes in one place"
    );
    let (scattered, read) = reads(&|model| {
        for path in paths.iter().step_by(1000) {
            model.remove(path);
        }
    });
    assert_eq!(scattered, 100);
    assert!(
        read <= 2 * (2 * 100 + 4),
        "{read} of {total} nodes for 100 changes all over"
    );
}

#[test]
fn a_changed_snapshot_adds_little_to_the_store() {
    let (_dir, store) = store();
    let before = large_model(20_000);
    let parent = tree(&store, entries(&before));
    let mut after = before.clone();
    for path in before.keys().step_by(100) {
        *after.get_mut(path).unwrap() += 1;
    }
    let writer = store.writer().unwrap();
    write_tree(&writer, entries(&after), Some(&parent)).unwrap();
    flush(&writer);
    let patched = writer.written().stored_bytes;
    assert!(patched < 60_000, "{patched} bytes for 200 changes");
    let again = store.writer().unwrap();
    write_tree(&again, entries(&after), Some(&parent)).unwrap();
    assert_eq!(again.written().blobs, 0, "the same again adds nothing");
}

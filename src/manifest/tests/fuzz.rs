//! Every decoder of the manifest, given thousands of inputs that are good almost everywhere.

use std::path::Path;

use super::*;
use crate::manifest::column::{Layout, Value};
use crate::manifest::node::{Node, NodeBuilder};
use crate::manifest::rows::{push_child, push_entry, split_ids};
use crate::manifest::{Attributes, Snapshot, SnapshotRef, Tree, mark, snapshots};
use crate::store::{BlobId, Store};
use crate::testing::fuzz;

fn golden() -> Store {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manifest/tests/format-1");
    Store::open(&path).unwrap()
}

/// All nodes of the golden store, a leaf with everything that an entry can have, and the upper nodes of a large tree.
fn nodes() -> Vec<Vec<u8>> {
    let mut nodes = vec![leaf_of_everything()];
    let (_dir, store) = crate::manifest::testing::store();
    let large = crate::manifest::testing::tree(&store, entries(&large_model(1_000)));
    let golden = golden();
    let listing = snapshots(&golden).unwrap().snapshots.into_iter();
    let trees = listing.map(|listed| Tree::open(&golden, &listed.snapshot.root).unwrap());
    for tree in trees.chain([large]) {
        let mut add = |marked: crate::manifest::Marked| {
            if marked.is_node {
                nodes.push(tree.store().read(&marked.blob).unwrap().to_vec());
            }
            true
        };
        mark(&tree, &mut add).unwrap();
    }
    assert!(
        nodes.iter().any(|node| node[1] > 0),
        "there are nodes above the leaves"
    );
    nodes
}

fn leaf_of_everything() -> Vec<u8> {
    let mut builder = NodeBuilder::new(0);
    for (number, (path, version)) in large_model(30).iter().enumerate() {
        let mut entry = notebook(path, *version);
        let id = BlobId::of(path.as_bytes());
        let (len, chunks) = (number as u64, vec![id; 1 + number % 3]);
        entry.content = Some(match number % 3 {
            0 => Payload::Listed { id, len, list: id },
            1 => Payload::Chunked { id, len, chunks },
            _ => Payload::Blob { id, len },
        });
        entry.stamp = (number % 4 == 0).then_some(u64::MAX - len);
        entry.carried_over = number % 5 == 0;
        if number % 6 == 0 {
            let reasons = [Extent::Content, Extent::Subtree];
            entry = with_gap(entry, reasons[number / 6 % 2], ["403", ""][number / 6 % 2]);
        }
        let other = [(7, Value::Number(len)), (40, Value::Bytes(b"new".to_vec()))];
        let other = [&other[..], &[(41, Value::Flag), (50, Value::Id([3; 32]))]].concat();
        entry.other = Attributes(other.into_iter().skip(number % 5).collect());
        push_entry(&mut builder, &entry.key.to_bytes(), &entry);
    }
    builder.finish()
}

#[test]
fn fuzzed_nodes_are_refused_or_written_the_same_again() {
    let fuzzed = fuzz("nodes", &nodes(), |bytes| {
        let Ok(node) = Node::decode(bytes.to_vec()) else {
            return false;
        };
        assert!(node.weight() <= 4 * bytes.len() + (4 << 20));
        for row in 0..node.rows() {
            assert!(node.seek(node.key(row)) == row);
        }
        let Some(again) = as_stored(&node) else {
            return false;
        };
        assert_eq!(again, bytes);
        as_meant(&node, bytes);
        true
    });
    assert!(fuzzed.accepted > 0);
}

/// The node built anew from its values.
fn as_stored(node: &Node) -> Option<Vec<u8>> {
    let mut builder = NodeBuilder::new(node.level());
    for row in 0..node.rows() {
        builder.push(node.key(row));
        for (number, layout, bytes) in node.values(row).ok()? {
            builder.set(number, layout, bytes);
        }
    }
    Some(builder.finish())
}

/// What can be understood of it says all that is there: built anew from that it is the same.
fn as_meant(node: &Node, bytes: &[u8]) {
    let mut builder = NodeBuilder::new(node.level());
    for row in 0..node.rows() {
        if node.level() == 0 {
            let Ok(entry) = node.entry(row) else { return };
            push_entry(&mut builder, node.key(row), &entry);
        } else {
            let Ok(child) = node.child(row) else { return };
            push_child(&mut builder, node.key(row), &child);
        }
    }
    // Above the leaves a missing number means the same as a zero, and what is not known there is not kept.
    if node.level() == 0 {
        let again = builder.finish();
        let Ok(same) = Node::decode(again.clone()) else {
            panic!("what was understood is no node");
        };
        let entry = |node: &Node, row| node.entry(row).unwrap();
        assert!((0..node.rows()).all(|row| entry(node, row) == entry(&same, row)));
        assert_eq!(again, bytes, "something was passed over");
    }
}

/// A node with the columns that the bytes ask for, each in its own layout or, rarely, in another.
fn built(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.iter().copied();
    let mut next = || bytes.next().unwrap_or(0);
    let (level, odd, rows) = (next() % 4 / 3, next(), 1 + next() % 6);
    let layout_of = |number: u64| match (number, level) {
        (40, _) => Layout::Flag,
        (number, _) if number == u64::from(odd) => Layout::Number,
        (6, 0) => Layout::Flag,
        (1 | 5 | 8 | 11 | 16 | 19 | 24 | 27, 0) => Layout::Bytes,
        (9 | 12 | 17 | 20 | 25 | 28, 0) | (1, 1) => Layout::Id,
        _ => Layout::Number,
    };
    let mut builder = NodeBuilder::new(level);
    for row in 0..rows {
        builder.push(format!("kind\0name{row}").as_bytes());
        let mut number = 0;
        for _ in 0..next() % 8 {
            number += 1 + u64::from(next() % 6);
            let value = [next() % 8, next(), next()];
            match layout_of(number) {
                Layout::Flag => builder.set(number, Layout::Flag, &[]),
                Layout::Number => builder.set_number(number, value[0].into()),
                Layout::Bytes => {
                    builder.set(number, Layout::Bytes, &[b'x'; 64][..value[1] as usize % 65])
                }
                Layout::Id => builder.set(number, Layout::Id, &[value[2]; 32]),
            }
        }
    }
    builder.finish()
}

#[test]
fn fuzzed_columns_are_refused_or_mean_all_that_they_say() {
    let good: Vec<Vec<u8>> = (0..20)
        .map(|n| crate::manifest::testing::noise(n, 200))
        .collect();
    fuzz("columns", &good, |bytes| {
        let bytes = built(bytes);
        let node = Node::decode(bytes.clone()).unwrap();
        assert_eq!(as_stored(&node).unwrap(), bytes);
        as_meant(&node, &bytes);
        true
    });
}

#[test]
fn a_reason_without_a_gap_is_refused_and_an_empty_one_as_well() {
    for (extent, reason) in [(None, "403"), (Some(2), "")] {
        let mut builder = NodeBuilder::new(0);
        builder.push(b"notebook\0/a");
        if let Some(extent) = extent {
            builder.set_number(4, extent);
        }
        builder.set(5, Layout::Bytes, reason.as_bytes());
        let node = Node::decode(builder.finish()).unwrap();
        assert!(node.entry(0).is_err(), "{reason:?}");
    }
}

#[test]
fn fuzzed_heads_are_refused_or_lose_nothing_when_written_again() {
    let store = golden();
    let heads = store.heads().unwrap();
    let good: Vec<Vec<u8>> = heads
        .iter()
        .map(|head| store.read_head(head).unwrap())
        .collect();
    let fuzzed = fuzz("heads", &good, |bytes| {
        let Ok(head) = Snapshot::parse(bytes) else {
            return false;
        };
        let written = head.to_bytes();
        assert_eq!(Snapshot::parse(&written).unwrap(), head);
        // Whatever it says is still there, known to this version or not.
        let before: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let after: serde_json::Value = serde_json::from_slice(&written).unwrap();
        let fields = before.as_object().unwrap().keys();
        let is_there = |field: &&String| after.get(field.as_str()).is_some();
        let gone: Vec<_> = fields.filter(|field| !is_there(field)).collect();
        let may_go = |field: &&&String| ["unfinished", "repairs"].contains(&field.as_str());
        assert!(gone.iter().all(|field| may_go(&field)), "{gone:?}");
        true
    });
    assert!(fuzzed.accepted > 0);
}

#[test]
fn fuzzed_keys_and_lists_of_chunks_are_refused_or_written_the_same_again() {
    let keys = entries(&large_model(20)).into_iter();
    let good: Vec<Vec<u8>> = keys.map(|entry| entry.key.to_bytes()).collect();
    let fuzzed = fuzz("keys", &good, |bytes| {
        let Some(key) = ObjectKey::from_bytes(bytes) else {
            return false;
        };
        assert_eq!(key.to_bytes(), bytes);
        true
    });
    assert!(fuzzed.accepted > 0);
    let good: Vec<Vec<u8>> = (1..4).map(|n| [7; 32].repeat(n)).collect();
    let fuzzed = fuzz("lists of chunks", &good, |bytes| {
        let Ok(ids) = split_ids(bytes) else {
            return false;
        };
        let again: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
        assert_eq!(again, bytes);
        true
    });
    assert!(fuzzed.accepted > 0);
}

#[test]
fn fuzzed_names_of_snapshots_are_refused_or_understood() {
    let good = [
        "latest",
        "latest~12",
        "0123abcd",
        "2026-03-09",
        "2026-03-09T07:05:04Z",
    ];
    let good = good.map(|text| text.as_bytes().to_vec());
    let fuzzed = fuzz("names of snapshots", &good, |bytes| {
        String::from_utf8_lossy(bytes)
            .parse::<SnapshotRef>()
            .is_ok()
    });
    assert!(fuzzed.accepted > 0);
}

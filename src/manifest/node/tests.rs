//! Nodes, well formed and otherwise.

use super::*;
use crate::manifest::rows::push_entry;
use crate::manifest::testing::{notebook, with_gap};
use crate::manifest::{Entry, Extent, Payload};
use proptest::prelude::*;

fn sample() -> Vec<u8> {
    let chunk = BlobId::of(b"chunk");
    let mut entries: Vec<Entry> = (0..20)
        .map(|number| notebook(&format!("/a/{number:02}"), number))
        .collect();
    entries[3] = with_gap(entries[3].clone(), Extent::Object, "unreadable");
    entries[4].carried_over = true;
    entries[5].content = Some(Payload::Chunked {
        id: chunk,
        len: 9,
        chunks: vec![chunk; 2],
    });
    entries[6].content = Some(Payload::Listed {
        id: chunk,
        len: 9,
        list: chunk,
    });
    entries[7].body = None;
    let mut builder = NodeBuilder::new(0);
    for entry in &entries {
        push_entry(&mut builder, &entry.key.to_bytes(), entry);
    }
    let bytes = builder.finish();
    let node = Node::decode(bytes.clone()).unwrap();
    let read: Vec<Entry> = (0..node.rows())
        .map(|row| node.entry(row).unwrap())
        .collect();
    assert_eq!(read, entries);
    bytes
}

/// Builds the node anew from what was read.
fn again(node: &Node) -> Result<Vec<u8>, NodeError> {
    let mut builder = NodeBuilder::new(node.level());
    for row in 0..node.rows() {
        builder.push(node.key(row));
        for (number, layout, bytes) in node.values(row)? {
            builder.set(number, layout, bytes);
        }
    }
    Ok(builder.finish())
}

/// Whatever is read must write back to the same bytes, and looking at it must not fail badly.
fn examine(bytes: Vec<u8>) {
    let Ok(node) = Node::decode(bytes.clone()) else {
        return;
    };
    if let Ok(again) = again(&node) {
        assert_eq!(again, bytes);
    }
    assert!(node.keys.len() <= MOST_KEY_BYTES + LONGEST_KEY);
    for row in 0..node.rows() {
        assert!(row == 0 || node.key(row - 1) < node.key(row));
        let _ = (node.entry(row), node.child(row), node.is_uncertain(row));
    }
}

proptest! {
    #![proptest_config(crate::testing::cases(1000))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let with_header = [&[FORMAT, 0], &bytes[..]].concat();
        examine(bytes);
        examine(with_header);
    }

    #[test]
    fn a_changed_node_is_refused_or_is_another_node(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sample();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        examine(bytes.clone());
        bytes.truncate(cut.index(bytes.len()));
        examine(bytes);
    }
}

#[test]
fn a_flipped_bit_or_a_missing_end_is_refused_or_is_another_node() {
    let bytes = sample();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        examine(changed);
    }
    for len in 0..bytes.len() {
        examine(bytes[..len].to_vec());
    }
}

#[test]
fn a_node_of_a_newer_format_is_refused_by_name() {
    let mut bytes = sample();
    bytes[0] = 9;
    assert_eq!(Node::decode(bytes).err(), Some(NodeError::Newer(9)));
}

#[test]
fn keys_that_unfold_to_very_many_bytes_are_refused() {
    // Each row takes one byte more, and repeats all that came before.
    let rows = MOST_ROWS;
    let long = LONGEST_KEY - rows;
    let mut bytes = vec![FORMAT, 0];
    push_number(&mut bytes, rows as u64);
    for row in 0..rows {
        push_number(
            &mut bytes,
            if row == 0 { 0 } else { (long + row - 1) as u64 },
        );
    }
    for row in 0..rows {
        push_number(&mut bytes, if row == 0 { long as u64 } else { 1 });
    }
    bytes.resize(bytes.len() + long + rows, b'x');
    assert!(Node::decode(bytes).is_err());
}

#[test]
fn the_bytes_of_a_node_are_for_ever() {
    assert_eq!(
        BlobId::of(&sample()).to_string(),
        "d7c58a674a4fd6edea2d1bafb1cd01503bedafc96573ebbcd1658e191358d5b0",
        "a changed layout needs a new format number"
    );
}

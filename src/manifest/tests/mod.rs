//! Tests of the room as a whole, in a real store.

use std::collections::BTreeMap;

use super::testing::{notebook, with_gap};
use super::{Entry, Extent, Payload, column};
use crate::resource::{KindName, ObjectKey};
use crate::store::BlobId;

mod costs;
mod fuzz;
mod golden;
mod heads;
mod laws;
mod trees;

/// A model of a snapshot: path and version of every object.
type Model = BTreeMap<String, u64>;

fn entries(model: &Model) -> Vec<Entry> {
    let mut entries: Vec<Entry> = model
        .iter()
        .map(|(path, version)| decorate(notebook(path, *version)))
        .collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

/// Makes some entries of other kinds, with ids, gaps and other rare attributes.
fn decorate(mut entry: Entry) -> Entry {
    let mark = BlobId::of(entry.key.name.as_bytes()).as_bytes()[1];
    let name = entry.key.name.clone();
    match mark % 8 {
        0 => entry.key = ObjectKey::with_id(KindName::known("job"), name, mark.to_string()),
        1 => entry = with_gap(entry, Extent::Content, "too large"),
        2 => entry.carried_over = true,
        3 => entry.permissions = Some(Payload::Inline(br#"{"user:ana":"CAN_MANAGE"}"#.to_vec())),
        4 => entry = Entry::new(ObjectKey::new(KindName::read("of-the-future"), name)),
        _ => {}
    }
    entry
}

fn large_model(count: u64) -> Model {
    (0..count)
        .map(|number| {
            (
                format!(
                    "/Users/user{:03}/folder{:02}/notebook{number:06}",
                    number % 97,
                    number % 13
                ),
                number,
            )
        })
        .collect()
}

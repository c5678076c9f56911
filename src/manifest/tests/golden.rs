//! A store with snapshots of format 1: two that a backup made, and one of everything rare. It is never written again,
//! and every later version must read it. The listing beside it is what a reader in another language makes of it too.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::super::{Tree, snapshots};
use super::*;
use crate::report::Silent;
use crate::store::Store;

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/manifest/tests")
        .join(name)
}

fn described(entry: &Entry) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() && value != json!(false) {
            fields.insert(name.to_owned(), value);
        }
    };
    put("kind", json!(entry.key.kind.as_str()));
    put("name", json!(entry.key.name));
    put("id", json!(entry.key.id));
    put("object_id", json!(entry.object_id));
    put("modified_at", json!(entry.modified_at));
    put("size", json!(entry.size));
    put("gap", json!(entry.gap.as_ref().map(|gap| gap.extent)));
    put("reason", json!(entry.gap.as_ref().map(|gap| &gap.reason)));
    put("carried_over", json!(entry.carried_over));
    put("body", json!(entry.body.as_ref().map(kept)));
    put("content", json!(entry.content.as_ref().map(kept)));
    put("permissions", json!(entry.permissions.as_ref().map(kept)));
    let unknown: Map<String, Value> = entry.other.0.iter().map(column).collect();
    put("unknown", json!((!unknown.is_empty()).then_some(unknown)));
    Value::Object(fields)
}

fn kept(payload: &Payload) -> Value {
    let place = match payload {
        Payload::Inline(_) => "leaf",
        Payload::Blob { .. } => "blob",
        Payload::Chunked { .. } => "chunks",
        Payload::Listed { .. } => "list",
    };
    json!({ "hash": payload.digest().to_string(), "in": place, "length": payload.len() })
}

fn column((number, value): &(u64, column::Value)) -> (String, Value) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let value = match value {
        column::Value::Flag => json!(true),
        column::Value::Number(number) => json!(number),
        column::Value::Bytes(bytes) => Value::String(hex(bytes)),
        column::Value::Id(id) => Value::String(hex(id)),
    };
    (number.to_string(), value)
}

#[test]
fn the_first_snapshots_of_format_1_are_still_read() {
    let store = Store::open(&beside("format-1")).unwrap();
    let found = store.verify(&Silent).unwrap();
    assert!(found.is_sound() && found.notes.is_empty(), "{found:?}");
    let listing = snapshots(&store).unwrap();
    assert!(listing.unreadable.is_empty(), "{:?}", listing.unreadable);
    let mut lines = Vec::new();
    for listed in &listing.snapshots {
        let head = store.read_head(&listed.name).unwrap();
        assert_eq!(
            listed.snapshot.to_bytes(),
            head,
            "a head is written as it was"
        );
        let head: Value = serde_json::from_slice(&head).unwrap();
        lines.push(json!({ "snapshot": listed.name.id.to_string(), "head": head }));
        let tree = Tree::open(&store, &listed.snapshot.root).unwrap();
        for entry in tree.iter().map(Result::unwrap) {
            for payload in entry.payloads() {
                let bytes = payload.read(&store).unwrap();
                assert_eq!(BlobId::of(&bytes), payload.digest());
            }
            lines.push(described(&entry));
        }
    }
    let wanted = std::fs::read_to_string(beside("format-1.jsonl")).unwrap();
    let wanted: Vec<&str> = wanted.lines().collect();
    assert_eq!(lines.len(), wanted.len());
    for (line, wanted) in lines.iter().zip(wanted) {
        assert_eq!(line.to_string(), wanted);
    }
}

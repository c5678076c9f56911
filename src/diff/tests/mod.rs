//! What a comparison tells, sentence by sentence.
//!
//! Every change is written as one line; see [`line`].

use std::ops::ControlFlow;

use chrono::DateTime;
use serde_json::{Value, json};

use super::*;
use crate::manifest::{Entry, Extent, Gap, Payload, Selection, Tree, write_tree};
use crate::resource::{KindName, ObjectKey};
use crate::store::Store;

mod changes;
mod gaps;
mod laws;
mod sides;

/// Two sides in one store.
struct Bench {
    _dir: tempfile::TempDir,
    store: Store,
    selections: [Selection; 2],
    workspaces: [&'static str; 2],
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("store"), DateTime::UNIX_EPOCH).unwrap();
        Self {
            _dir: dir,
            store,
            selections: Default::default(),
            workspaces: ["1", "1"],
        }
    }

    fn content(&self, bytes: &[u8]) -> Option<Payload> {
        let writer = self.store.writer().unwrap();
        let payload = Payload::store(&writer, bytes, None).unwrap();
        writer.stage_pending(b"{}", DateTime::UNIX_EPOCH).unwrap();
        Some(payload)
    }

    fn trees<const N: usize>(&self, sides: [Vec<Entry>; N]) -> [Tree; N] {
        let writer = self.store.writer().unwrap();
        let roots = sides.map(|mut entries| {
            entries.sort_by(|a, b| a.key.cmp(&b.key));
            write_tree(&writer, entries, None).unwrap()
        });
        writer.stage_pending(b"{}", DateTime::UNIX_EPOCH).unwrap();
        roots.map(|root| Tree::open(&self.store, &root).unwrap())
    }

    /// What a plain comparison tells, one line per change, and its summary.
    fn tell(&self, before: Vec<Entry>, after: Vec<Entry>) -> (String, Summary) {
        let options = Options {
            details: true,
            ..Options::default()
        };
        self.tell_with(before, after, [None, None], &options)
    }

    fn tell_with(
        &self,
        before: Vec<Entry>,
        after: Vec<Entry>,
        normalise: [Option<&Normalise<'_>>; 2],
        options: &Options<'_>,
    ) -> (String, Summary) {
        let (mut lines, mut keys) = (Vec::new(), Vec::new());
        let trees = self.trees([before, after]);
        let sides: Vec<Side<'_>> = (0..2)
            .map(|side| Side {
                tree: &trees[side],
                selection: &self.selections[side],
                workspace: self.workspaces[side],
                normalise: normalise[side],
            })
            .collect();
        let summary = compare(&sides[0], &sides[1], options, &mut |change| {
            serde_json::to_string(&change).unwrap();
            keys.push(change.key.clone());
            lines.push(line(&change));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(keys.is_sorted(), "{keys:?}");
        (lines.join("\n"), summary)
    }
}

fn line(change: &Change) -> String {
    let mut line = format!("{} {}", change.what.word(), change.key);
    match &change.what {
        What::Moved { from } => line += &format!(" from {from}"),
        What::Unknown { gap, at } => line += &format!(" ({at:?}: {})", gap.reason),
        _ => {}
    }
    let details = &change.details;
    for part in details
        .unknown
        .iter()
        .filter(|_| !matches!(change.what, What::Unknown { .. }))
    {
        line += &format!("; {:?} not known {:?}", part.gap.extent, part.at);
    }
    for text in details.fields.iter().map(ToString::to_string) {
        line += &format!("; {text}");
    }
    for text in details.permissions.iter().map(ToString::to_string) {
        line += &format!("; {text}");
    }
    if let Some(content) = &details.content {
        line += &format!("; {}", content.to_string().trim_end());
    }
    for text in &details.unreadable {
        line += &format!("; {text}");
    }
    line
}

fn json_payload(value: &Value) -> Option<Payload> {
    Some(Payload::Inline(value.to_string().into_bytes()))
}

fn entry(kind: &'static str, name: &str, id: u64) -> Entry {
    Entry {
        object_id: Some(id.to_string()),
        ..Entry::new(ObjectKey::new(KindName::known(kind), name))
    }
}

fn notebook(path: &str, id: u64) -> Entry {
    Entry {
        body: json_payload(&json!({"language": "PYTHON"})),
        ..entry("notebook", path, id)
    }
}

fn folder(path: &str) -> Entry {
    entry("directory", path, 7)
}

fn job(name: &str, id: u64, body: &Value) -> Entry {
    Entry {
        object_id: Some(id.to_string()),
        body: json_payload(body),
        ..Entry::new(ObjectKey::with_id(
            KindName::known("job"),
            name,
            id.to_string(),
        ))
    }
}

fn gap(entry: Entry, extent: Extent, reason: &str) -> Entry {
    Entry {
        gap: Some(Gap::new(extent, reason)),
        ..entry
    }
}

fn carried(entry: Entry) -> Entry {
    Entry {
        carried_over: true,
        ..entry
    }
}

fn whole(kind: &'static str, reason: &str) -> Entry {
    gap(
        Entry::new(ObjectKey::whole_kind(KindName::known(kind))),
        Extent::Kind,
        reason,
    )
}

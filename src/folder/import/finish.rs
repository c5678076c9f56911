//! The end of an import: the manifest, the head, the commit.
//!
//! Invariant: an entry of the parent is dropped only if its folder was listed to the end.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::ImportError;
use super::record::Recorder;
use crate::api::RequestCounts;
use crate::backup::{BackupReport, Counts};
use crate::manifest::{Entry, Extent, ManifestError, Payload, Root, Snapshot, Tree, TreeWriter};
use crate::report::Event;
use crate::store::{Store, Written};

type AllCounts = BTreeMap<String, Counts>;

/// Writes manifest and head, and commits.
pub(super) fn finish(
    recorder: Recorder<'_>,
    head: impl FnOnce(&Tree) -> Result<Snapshot, ManifestError>,
) -> Result<BackupReport, ImportError> {
    let reporter = recorder.reporter;
    reporter.report(Event::PhaseStarted {
        name: "writing the manifest",
    });
    let (root, counts) = match untouched(&recorder)? {
        Some(same) => same,
        None => write(&recorder)?,
    };
    recorder.writer.flush()?;
    let tree = Tree::open(recorder.store, &root)?;
    let snapshot = head(&tree)?;
    let Recorder { writer, parent, .. } = recorder;
    if let Some(parent) = parent {
        writer.rely_on(parent.name);
    }
    let stored = writer.written();
    let bytes = snapshot.to_bytes();
    let id = writer.commit(&bytes, snapshot.time)?;
    reporter.report(Event::PhaseFinished);
    Ok(BackupReport {
        id,
        snapshot,
        counts,
        requests: RequestCounts::default(),
        written: Written {
            stored_bytes: stored.stored_bytes + bytes.len() as u64,
            ..stored
        },
        duration: Duration::ZERO,
    })
}

/// The parent's own tree, if everything is as it was.
fn untouched(recorder: &Recorder<'_>) -> Result<Option<(Root, AllCounts)>, ImportError> {
    let Some(parent) = recorder.parent.filter(|_| recorder.ledger.is_empty()) else {
        return Ok(None);
    };
    let root = parent.tree.root();
    if recorder.known.kept() != root.totals.entries {
        return Ok(None);
    }
    let counts = |unchanged| Counts {
        unchanged,
        ..Counts::default()
    };
    let kinds = parent.tree.kinds()?.into_iter();
    let kinds = kinds.map(|(kind, totals)| (kind, counts(totals.entries)));
    Ok(Some((root.clone(), kinds.collect())))
}

fn write(recorder: &Recorder<'_>) -> Result<(Root, AllCounts), ImportError> {
    let mut merge = Merge {
        store: recorder.store,
        unlisted: &recorder.unlisted,
        tree: TreeWriter::new(&recorder.writer, recorder.parent.map(|parent| &parent.tree)),
        counts: BTreeMap::new(),
    };
    let records = recorder.ledger.sorted();
    let mut records = records
        .filter_map(|(key, record)| Some((key, record.entry()?)))
        .peekable();
    let mut kept = 0;
    let entries = recorder.parent.iter().flat_map(|parent| parent.tree.iter());
    for (row, entry) in entries.enumerate() {
        // Where the parent is damaged was said when it was read first; what it has from here on was read from disk.
        let Ok(entry) = entry else { break };
        let key = entry.key.to_bytes();
        while let Some((_, found)) = records.next_if(|(of, _)| *of < key.as_slice()) {
            merge.recorded(found, None)?;
        }
        if let Some((_, found)) = records.next_if(|(of, _)| *of == key) {
            merge.recorded(found, Some(entry))?;
        } else if recorder.known.is_kept(row) {
            kept += 1;
            merge.counts(&entry).unchanged += 1;
            merge.tree.push(&entry)?;
        } else {
            merge.not_found(entry)?;
        }
    }
    for (_, found) in records {
        merge.recorded(found, None)?;
    }
    if kept != recorder.known.kept() {
        return Err(ImportError::ParentLost);
    }
    Ok((merge.tree.finish()?, merge.counts))
}

struct Merge<'a> {
    store: &'a Store,
    tree: TreeWriter<'a>,
    /// Folders that could not be listed.
    unlisted: &'a HashSet<String>,
    counts: AllCounts,
}

impl Merge<'_> {
    fn recorded(&mut self, mut entry: Entry, before: Option<Entry>) -> Result<(), ImportError> {
        let had_one = before.is_some();
        let is_same = before
            .as_ref()
            .is_some_and(|before| is_same(before, &entry));
        if let (Some(before), Some(Extent::Object)) =
            (before, entry.gap.as_ref().map(|gap| gap.extent))
        {
            let before = before.without_lost(self.store);
            entry.carried_over = before.content.is_some();
            entry.body = before.body;
            entry.content = before.content;
            entry.size = before.size;
            entry.modified_at = before.modified_at;
        }
        let counts = self.counts(&entry);
        if is_same {
            counts.unchanged += 1;
        } else if had_one {
            counts.changed += 1;
        } else {
            counts.new += 1;
        }
        self.tree.push(&entry)?;
        Ok(())
    }

    /// An entry of the parent whose file was not found.
    fn not_found(&mut self, mut entry: Entry) -> Result<(), ImportError> {
        let name = &entry.key.name;
        let slashes = name.match_indices('/').map(|(at, _)| &name[..at]);
        let mut above = slashes.map(|path| if path.is_empty() { "/" } else { path });
        let is_unknown = name != "/" && above.any(|path| self.unlisted.contains(path));
        if is_unknown {
            self.counts(&entry).carried_over += 1;
            entry.carried_over = true;
            self.tree.push(&entry.without_lost(self.store))?;
        } else {
            self.counts(&entry).removed += 1;
        }
        Ok(())
    }

    fn counts(&mut self, entry: &Entry) -> &mut Counts {
        let kind = entry.key.kind.as_str();
        if !self.counts.contains_key(kind) {
            self.counts.insert(kind.to_owned(), Counts::default());
        }
        self.counts.get_mut(kind).expect("it was inserted above")
    }
}

/// Whether nothing but the times of a file differ.
fn is_same(before: &Entry, after: &Entry) -> bool {
    let digest = |payload: &Option<Payload>| payload.as_ref().map(Payload::digest);
    !before.carried_over
        && before.gap == after.gap
        && digest(&before.body) == digest(&after.body)
        && digest(&before.content) == digest(&after.content)
}

//! The end of a backup: the manifest, the head, the commit.
//!
//! The new manifest is the merge of what was recorded with what the parent has: entries that are the same come from there,
//! entries that nobody could look at are taken over, and the others are gone from the workspace.
//!
//! Invariant: an entry of the parent is dropped only if its place in the workspace was looked at.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::iter::Peekable;

use super::recorder::{Recorder, Unknown, whole_kind};
use super::sources::{Sources, hash};
use super::{BackupError, Counts};
use crate::manifest::{
    Entry, Record, Root, Selection, Snapshot, Survey, Surveyed, Tree, TreeWriter,
};
use crate::report::Event;
use crate::resource::{ObjectKey, Source, kind};
use crate::store::{SnapshotId, Written};

/// What a finished backup is.
pub(super) type Finished = (SnapshotId, Snapshot, BTreeMap<String, Counts>, Written);

/// Writes manifest and head, and commits.
pub(super) fn finish(mut recorder: Recorder, requests: u64) -> Result<Finished, BackupError> {
    let reporter = std::sync::Arc::clone(&recorder.task.reporter);
    reporter.report(Event::PhaseStarted {
        name: "writing the manifest",
    });
    for (kind, gap) in &recorder.unknown.kinds {
        recorder.ledger.push(&whole_kind(kind, gap))?;
    }
    let (root, counts) = write(&recorder)?;
    recorder.writer.flush()?;
    let tree = Tree::open(&recorder.task.store, &root)?;
    let mut head = recorder.head(&tree)?;
    head.requests = requests;
    head.duration_ms = u64::try_from(recorder.task.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Recorder {
        task,
        sources,
        writer,
        ..
    } = recorder;
    if let Some(parent) = &sources.parent {
        writer.rely_on(parent.name);
    }
    let stored = writer.written();
    let bytes = head.to_bytes();
    let id = writer.commit(&bytes, head.time)?;
    for name in &sources.pending {
        // Everything in them is in the new snapshot or gone from the workspace. Who may not delete leaves them behind.
        if let Err(error) = task.store.remove_pending(name) {
            task.reporter.report(Event::Detail(&format!(
                "the head of an unfinished backup stays: {error}"
            )));
        }
    }
    reporter.report(Event::PhaseFinished);
    let written = Written {
        stored_bytes: stored.stored_bytes + bytes.len() as u64,
        ..stored
    };
    Ok((id, head, counts, written))
}

fn write(recorder: &Recorder) -> Result<(Root, BTreeMap<String, Counts>), BackupError> {
    let sources = &*recorder.sources;
    let parent = sources.parent.as_ref().map(|parent| &parent.tree);
    let mut merge = Merge {
        tree: TreeWriter::new(&recorder.writer, parent),
        sources,
        selection: &recorder.task.options.selection,
        unknown: &recorder.unknown,
        captured: captured_ids(recorder),
        counts: BTreeMap::new(),
    };
    let mut before = Past::new(sources);
    for (key, record) in recorder.ledger.sorted() {
        while let Some(entry) = before.next_below(key) {
            merge.not_recorded(entry)?;
        }
        let parent = before.take(key);
        merge.recorded(key, record, parent)?;
    }
    while let Some(entry) = before.next() {
        merge.not_recorded(entry)?;
    }
    Ok((merge.tree.finish()?, merge.counts))
}

/// The workspace ids of what was recorded, if anything is to be taken over: what only moved to where it could be read must
/// not be taken over from where it was.
fn captured_ids(recorder: &Recorder) -> HashSet<u64> {
    let unknown = &recorder.unknown;
    if unknown.folders.is_empty() && unknown.kinds.is_empty() {
        return HashSet::new();
    }
    recorder
        .ledger
        .sorted()
        .filter_map(|(_, record)| {
            let entry = record.entry()?;
            Some(hash(&entry.key.kind, &entry.object_id?))
        })
        .collect()
}

struct Merge<'a> {
    tree: TreeWriter<'a>,
    sources: &'a Sources,
    selection: &'a Selection,
    unknown: &'a Unknown,
    captured: HashSet<u64>,
    counts: BTreeMap<String, Counts>,
}

impl Merge<'_> {
    fn recorded(
        &mut self,
        key: &[u8],
        record: Record,
        parent: Option<Entry>,
    ) -> Result<(), BackupError> {
        let had_parent = parent.is_some();
        let (entry, is_same) = match record {
            Record::Entry(entry) => (*entry, false),
            Record::SameAsParent => {
                // It was read before, and its node could not be read now: it is asked for once more.
                let look_up = || self.sources.parent_entry(&ObjectKey::from_bytes(key)?);
                let Some(entry) = parent.or_else(look_up) else {
                    return Err(BackupError::ParentLost);
                };
                (entry, true)
            }
        };
        let counts = self.counts(&entry.key);
        match (is_same, had_parent) {
            // A list that could not be read is no object.
            _ if entry.key.is_whole_kind() => {}
            (true, _) => counts.unchanged += 1,
            (false, true) => counts.changed += 1,
            (false, false) => counts.new += 1,
        }
        self.tree.push(&entry)?;
        Ok(())
    }

    fn not_recorded(&mut self, mut entry: Entry) -> Result<(), BackupError> {
        if !self.selection.covers(&entry.key) {
            return Ok(());
        }
        if self.is_unknown(&entry) {
            self.counts(&entry.key).carried_over += 1;
            // A gap of its own was that of another run.
            entry.carried_over = true;
            self.tree.push(&entry.without_lost(&self.sources.store))?;
        } else if !entry.key.name.is_empty() {
            self.counts(&entry.key).removed += 1;
        }
        Ok(())
    }

    /// Whether nobody could look whether the object is still there.
    fn is_unknown(&self, entry: &Entry) -> bool {
        let key = &entry.key;
        // A list that failed then and did not now is no gap any more.
        if key.is_whole_kind() {
            return kind(key.kind.as_str()).is_none();
        }
        let Some(known) = kind(key.kind.as_str()) else {
            // A newer dbsnap recorded it; this one did not look.
            return true;
        };
        let is_unlisted = match known.source {
            Source::Listed { .. }
            | Source::Metastore(_)
            | Source::Runs
            | Source::Artifacts
            | Source::Mounts
            | Source::Dbfs => self.unknown.kinds.contains_key(known.name),
            Source::Tree(_) => ancestors(&key.name).any(|path| self.unknown.folders.contains(path)),
            Source::Placed { .. } => self.unknown.kinds.contains_key(known.name),
        };
        let moved = |id: &String| self.captured.contains(&hash(&key.kind, id));
        is_unlisted && !entry.object_id.as_ref().is_some_and(moved)
    }

    fn counts(&mut self, key: &ObjectKey) -> &mut Counts {
        self.counts.entry(key.kind.to_string()).or_default()
    }
}

/// The folders that a path lies in.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let inner = path
        .char_indices()
        .filter(|(at, c)| *c == '/' && *at > 0)
        .map(|(at, _)| &path[..at]);
    let root = (path != "/").then_some("/");
    root.into_iter().chain(inner)
}

/// The entries of the parent, in order, as far as they can be read.
struct Past<'a> {
    sources: &'a Sources,
    entries: Option<Peekable<Survey>>,
}

impl<'a> Past<'a> {
    fn new(sources: &'a Sources) -> Self {
        let parent = sources.parent.as_ref();
        Self {
            sources,
            entries: parent.map(|parent| Survey::new(&parent.tree).peekable()),
        }
    }

    fn next(&mut self) -> Option<Entry> {
        self.next_if(|_| true)
    }

    /// The next entry if its key is below `key`.
    fn next_below(&mut self, key: &[u8]) -> Option<Entry> {
        self.next_if(|of| of.to_bytes().as_slice().cmp(key) == Ordering::Less)
    }

    /// The entry with this key, once all below it were taken.
    fn take(&mut self, key: &[u8]) -> Option<Entry> {
        self.next_if(|of| of.to_bytes() == key)
    }

    fn next_if(&mut self, wanted: impl Fn(&ObjectKey) -> bool) -> Option<Entry> {
        let entries = self.entries.as_mut()?;
        let is_next = |surveyed: &Surveyed| match surveyed {
            Surveyed::Entry(entry) => wanted(&entry.key),
            Surveyed::Lost { .. } => true,
        };
        loop {
            match entries.next_if(is_next)? {
                Surveyed::Entry(entry) => return Some(*entry),
                // What the damaged part held was read from the workspace; what could not be read there is lost with it.
                Surveyed::Lost { error, .. } => self.sources.warn(&error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_in_all_folders_above_it() {
        let all = |path| ancestors(path).collect::<Vec<_>>();
        assert_eq!(all("/a/b/c"), ["/", "/a", "/a/b"]);
        assert_eq!(all("/a"), ["/"]);
        assert_eq!(all("/"), [""; 0]);
    }
}

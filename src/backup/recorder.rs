//! From items to entries: the thread that stores what the export finds.
//!
//! Invariant: what could not be read keeps what the parent had of it, and says so.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;

use super::sources::Sources;
use super::{BackupError, Task};
use crate::export::{Blocks, Captured, Item, Part, Sighting};
use crate::manifest::{
    Entry, Extent, Gap, Ledger, ManifestError, Payload, SecretContent, Snapshot, Tree, write_tree,
};
use crate::report::Event;
use crate::resource::{self, ALL, Kind, KindName, ObjectKey, canonical_bytes};
use crate::store::{HeadName, Store, Writer, WriterOptions};

/// How often what was stored is made to survive a kill.
const CHECKPOINT_TIME: Duration = Duration::from_secs(15);
const CHECKPOINT_BYTES: u64 = 32 << 20;

/// A checkpoint lists everything read so far; no more than this part of the time goes into them.
const CHECKPOINT_SHARE: u32 = 20;

/// A backup that is under way.
pub(super) struct Recorder {
    pub(super) task: Task,
    pub(super) sources: Arc<Sources>,
    pub(super) writer: Writer,
    pub(super) ledger: Ledger,
    pub(super) unknown: Unknown,
    checkpoint: Checkpoint,
}

/// What nothing is known about, because it was not listed.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    /// Kinds whose list failed.
    pub(super) kinds: BTreeMap<&'static str, Gap>,
    /// Folders whose listing failed.
    pub(super) folders: HashSet<String>,
}

impl Unknown {
    /// What the user may not be shown.
    fn from_the_start(task: &Task) -> Self {
        let mut unknown = Self::default();
        let Some(why) = task.why_hidden().filter(|_| !task.options.trusts_lists) else {
            return unknown;
        };
        let selection = &task.options.selection;
        let hides = |kind: &&Kind| {
            kind.has_permissions() && selection.covers_kind(&KindName::known(kind.name))
        };
        let gap = |kind: &Kind| (kind.name, Gap::new(Extent::Kind, why.as_str()));
        unknown.kinds = ALL.iter().copied().filter(hides).map(gap).collect();
        unknown
    }
}

struct Checkpoint {
    /// Numbers of the records whose content was read in this run.
    fresh: Vec<u32>,
    is_due: bool,
    written: u64,
    last: Instant,
    took: Duration,
    head: Option<(HeadName, Tree)>,
}

impl Recorder {
    pub(super) fn start(task: Task, sources: Arc<Sources>) -> Result<Self, BackupError> {
        let writer = task.store.writer_with(WriterOptions::SLOW_SOURCE)?;
        let unknown = Unknown::from_the_start(&task);
        Ok(Self {
            task,
            sources,
            writer,
            ledger: Ledger::default(),
            unknown,
            checkpoint: Checkpoint {
                fresh: Vec::new(),
                is_due: false,
                written: 0,
                last: Instant::now(),
                took: Duration::ZERO,
                head: None,
            },
        })
    }

    /// Records everything that comes, until nothing comes any more.
    pub(super) fn record(mut self, mut items: mpsc::Receiver<Item>) -> Result<Self, BackupError> {
        while let Some(item) = items.blocking_recv() {
            match item {
                Item::Object(object) => self.object(*object, None)?,
                Item::Streamed { object, content } => self.streamed(*object, content)?,
                Item::Unlisted { kind, gap } => self.unlisted(kind.name, gap),
            }
            self.checkpoint_if_due()?;
        }
        Ok(self)
    }

    /// Makes what was read survive, for a backup that does not come to its end. Says how many objects that are.
    pub(super) fn leave_checkpoint(mut self) -> Result<u64, BackupError> {
        if self.checkpoint.is_due {
            self.stage()?;
        }
        Ok(self.checkpoint.fresh.len() as u64)
    }

    /// A head with everything that does not depend on how the backup went.
    pub(super) fn head(&self, tree: &Tree) -> Result<Snapshot, ManifestError> {
        let Task {
            workspace, options, ..
        } = &self.task;
        let mut head = Snapshot::of(tree, options.time, workspace.host.as_str())?;
        head.workspace_id = workspace.workspace_id.map(|id| id.to_string());
        head.cloud = Some(workspace.cloud.to_string());
        head.user.clone_from(&workspace.user_name);
        head.parent = self.sources.parent.as_ref().map(|parent| parent.name.id);
        head.selection = options.selection.clone();
        head.tags.clone_from(&options.tags);
        head.hostname.clone_from(&options.hostname);
        head.tool_version.clone_from(&options.tool_version);
        Ok(head)
    }

    fn unlisted(&mut self, kind: &'static str, gap: Gap) {
        let known = self.unknown.kinds.entry(kind);
        known
            .and_modify(|known| {
                *known = known.clone().and(gap.clone());
            })
            .or_insert(gap);
    }

    /// Stores a content that comes in blocks. One that ends too early is a gap.
    fn streamed(&mut self, mut object: Captured, content: Blocks) -> Result<(), BackupError> {
        let parent = self.sources.parent_entry(&object.key);
        let base = parent.as_ref().and_then(|parent| parent.content.as_ref());
        if let (true, Some(base)) = (self.task.options.full, base) {
            // A blob that the store has is not stored again, unless it was found damaged.
            for blob in base.blobs(&self.task.store).unwrap_or_default() {
                let _ = self.task.store.read(&blob);
            }
        }
        let stored = match Payload::store_from(&self.writer, content, base) {
            Ok(payload) => Some(payload),
            Err(ManifestError::ReadSource(error)) => {
                object.content = Part::Unread;
                let gap = Gap::new(Extent::Content, error.to_string());
                object.gap = Some(match object.gap.take() {
                    None => gap,
                    Some(first) => first.and(gap),
                });
                None
            }
            Err(error) => return Err(error.into()),
        };
        self.object(object, stored)
    }

    /// Records an object; `stored` is its content, if that is in the store already.
    fn object(&mut self, object: Captured, stored: Option<Payload>) -> Result<(), BackupError> {
        let parent = self.sources.parent_entry(&object.key);
        let is_fresh = matches!(object.content, Part::Read(_)) || stored.is_some();
        let mut entry = self.entry(object, parent.as_ref())?;
        if stored.is_some() {
            entry.content = stored;
        }
        if matches!(&entry.gap, Some(gap) if gap.extent == Extent::Subtree) {
            self.unknown.folders.insert(entry.key.name.clone());
        }
        let bytes = entry.bytes();
        if parent.as_ref() == Some(&entry) {
            self.ledger.push_same(&entry.key)?;
        } else {
            let number = self.ledger.push(&entry)?;
            if is_fresh {
                self.checkpoint.fresh.push(number);
                self.checkpoint.is_due = true;
            }
        }
        self.task.reporter.report(Event::Done { count: 1, bytes });
        Ok(())
    }

    /// Stores what was read of an object.
    fn entry(&self, object: Captured, parent: Option<&Entry>) -> Result<Entry, BackupError> {
        let mut entry = Entry::new(object.key);
        entry.object_id = object.object_id;
        entry.modified_at = object.modified_at;
        entry.size = object.size;
        entry.gap = object.gap;
        let mut known = None;
        if object.content == Part::Known {
            let body = match &object.body {
                Part::Read(body) => Some(body),
                _ => None,
            };
            known = self.sources.unchanged(&sighting(&entry, body));
            if known.is_none() {
                // It was there when the export asked; somebody takes the store apart meanwhile.
                let reason = "an earlier snapshot had it, and the store has lost it meanwhile";
                entry.gap = Some(Gap::new(Extent::Content, reason));
            }
        }
        let moved = match (parent, &entry.object_id, &object.content) {
            (None, Some(id), Part::Read(_)) => self.sources.elsewhere(&entry.key.kind, id),
            _ => None,
        };
        let base = parent.or(moved.as_ref());
        let mut keep = Keep {
            writer: &self.writer,
            store: &self.task.store,
            is_proving: self.task.options.full,
            any_carried: false,
        };
        entry.body = keep.part(
            object.body.map(|body| canonical_bytes(&body)),
            [known.as_ref(), parent, base].map(|entry| entry?.body.as_ref()),
        )?;
        let content = self.veiled(&entry.key, object.content)?;
        entry.content = keep.part(
            content,
            [known.as_ref(), parent, base].map(|entry| entry?.content.as_ref()),
        )?;
        entry.permissions = keep.part(
            object
                .permissions
                .map(|acl| canonical_bytes(&acl.to_json())),
            [None, parent, base].map(|entry| entry?.permissions.as_ref()),
        )?;
        entry.carried_over = keep.any_carried;
        Ok(entry)
    }

    /// The content as it may be kept: secret values with a salt, so that no hash of them can be tried out.
    fn veiled(&self, key: &ObjectKey, content: Part<Bytes>) -> Result<Part<Bytes>, BackupError> {
        let has_secrets =
            resource::kind(key.kind.as_str()).is_some_and(|kind| kind.secrets().is_some());
        if !has_secrets || !matches!(content, Part::Read(_) | Part::Doubtful(_)) {
            return Ok(content);
        }
        // Only an encrypted store has one, and into no other go secret values, whatever was asked for.
        let salt = self.task.store.salt(&key.to_string());
        let salt = salt.ok_or(BackupError::SecretsNeedKey)?;
        Ok(content.map(|values| {
            let secrets = SecretContent::new(&salt, &values);
            Bytes::from(secrets.expect("exports give texts by name").to_bytes())
        }))
    }

    fn checkpoint_if_due(&mut self) -> Result<(), BackupError> {
        let checkpoint = &self.checkpoint;
        let (since, took) = (checkpoint.last.elapsed(), checkpoint.took);
        let written = self.writer.written().raw_bytes - checkpoint.written;
        let is_time = since >= CHECKPOINT_TIME || written >= CHECKPOINT_BYTES;
        if checkpoint.is_due && is_time && since >= took * CHECKPOINT_SHARE {
            self.stage()?;
        }
        Ok(())
    }

    /// Publishes the head of an unfinished snapshot that has everything read so far, in place of the last one.
    fn stage(&mut self) -> Result<(), BackupError> {
        let began = Instant::now();
        let records = self.ledger.sorted_of(self.checkpoint.fresh.clone());
        let entries = records.filter_map(|(_, record)| record.entry());
        let last = self.checkpoint.head.as_ref();
        let root = write_tree(&self.writer, entries, last.map(|(_, tree)| tree))?;
        self.writer.flush()?;
        let tree = Tree::open(&self.task.store, &root)?;
        let head = self.head(&tree)?.unfinished();
        let name = self
            .writer
            .stage_pending(&head.to_bytes(), self.task.options.time)?;
        if let Some((last, _)) = self.checkpoint.head.replace((name, tree))
            && last != name
        {
            self.task.store.remove_pending(&last)?;
        }
        self.checkpoint.is_due = false;
        self.checkpoint.written = self.writer.written().raw_bytes;
        self.checkpoint.took = began.elapsed();
        self.checkpoint.last = Instant::now();
        Ok(())
    }
}

/// Decides what is kept of the parts of one object.
struct Keep<'a> {
    writer: &'a Writer,
    store: &'a Store,
    /// What is there already is read back, because everything is read anew.
    is_proving: bool,
    any_carried: bool,
}

impl Keep<'_> {
    /// What becomes of a part. Where it is known it is as `known` has it; where it could not be read, as `parent` had it,
    /// unless the store has lost that; where it was read it is stored, as a difference to `base` if that is smaller.
    fn part<B: AsRef<[u8]>>(
        &mut self,
        part: Part<B>,
        [known, parent, base]: [Option<&Payload>; 3],
    ) -> Result<Option<Payload>, ManifestError> {
        let parent = parent.filter(|payload| {
            matches!(part, Part::Unread | Part::Doubtful(_)) && payload.is_stored(self.store)
        });
        Ok(match part {
            Part::Absent => None,
            Part::Known => known.cloned(),
            Part::Unread | Part::Doubtful(_) if parent.is_some() => {
                self.any_carried = true;
                parent.cloned()
            }
            Part::Unread => None,
            Part::Read(bytes) | Part::Doubtful(bytes) => {
                let stored = Payload::store(self.writer, bytes.as_ref(), base)?;
                // A blob that the store has is not stored again, be it damaged; one found damaged counts as gone. What
                // this run has just written cannot be read back yet either, and is not written twice.
                match self.is_proving && stored.read(self.store).is_err() {
                    true => Some(Payload::store(self.writer, bytes.as_ref(), base)?),
                    false => Some(stored),
                }
            }
        })
    }
}

fn sighting<'a>(entry: &'a Entry, body: Option<&'a Value>) -> Sighting<'a> {
    Sighting {
        body,
        key: &entry.key,
        object_id: entry.object_id.as_deref().unwrap_or_default(),
        modified_at: entry.modified_at,
        size: entry.size,
    }
}

/// The entry that stands for a kind whose list failed.
pub(super) fn whole_kind(kind: &'static str, gap: &Gap) -> Entry {
    let mut entry = Entry::new(ObjectKey::whole_kind(KindName::known(kind)));
    entry.gap = Some(gap.clone());
    entry
}

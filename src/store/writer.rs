//! Writing blobs and committing heads.
//!
//! Invariant: a head gets its name only after everything it can refer to is on disk and the look of the safety
//! protocol has found nothing missing; a writer that is dropped before leaves the store as readable as it was.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};

use super::error::StoreError;
use super::frame::{Encoded, MAX_BLOBS, MAX_DEPTH, MAX_RAW, encode_patch};
use super::id::{BlobId, BlobKind, FileId, SnapshotId};
use super::layout::{HeadName, PENDING, SNAPSHOTS};
use super::look::{self, Look};
use super::pipeline::{Batch, Pipeline, Shared};
use super::{Store, history, lock, merge};

/// The deepest chain of patches a writer makes.
const PATCH_DEPTH: u8 = 8;
/// The longest blob that a patch is made for or from.
const PATCH_LEN: usize = 4 << 20;
/// What a patch costs besides its payload and header: its base in the directory, and a frame of its own.
const PATCH_OVERHEAD: usize = 40;
/// A commit that takes longer than this by the store's clock, between its intent and its end, is given up.
pub(super) const PATIENCE: TimeDelta = TimeDelta::days(1);
/// Level 6 takes a sixth of a second for so much. Almost every run but the first is shorter.
const BULK_BYTES: u64 = 16 << 20;
const FRAME_BYTES: usize = 512 << 10;
/// How often a commit repairs what is being pruned under its feet.
const LOOKS: usize = 8;

/// How a writer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// The zstd level, as long as there is little: 3 is quick, 6 a tenth smaller, and 9 hardly smaller than that.
    pub level: i32,
    /// The level after so many bytes that it is the processor which everybody waits for.
    pub bulk_level: i32,
    /// A frame of several blobs is cut before it would exceed this size. Larger ones are smaller together, and it takes
    /// longer to read one blob.
    pub frame_bytes: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            level: 6,
            bulk_level: 3,
            frame_bytes: FRAME_BYTES,
        }
    }
}

impl WriterOptions {
    /// For sources that are slower than compression, however much comes from them.
    pub const SLOW_SOURCE: Self = Self {
        level: 6,
        bulk_level: 6,
        frame_bytes: FRAME_BYTES,
    };

    /// The level at which to go on after `raw_bytes` were put.
    fn level_after(&self, raw_bytes: u64) -> i32 {
        match raw_bytes < BULK_BYTES {
            true => self.level,
            false => self.bulk_level,
        }
    }
}

/// How much a writer has added to the store; what was there already does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// New blobs.
    pub blobs: u64,
    /// Their length.
    pub raw_bytes: u64,
    /// What they and everything about them take on disk.
    pub stored_bytes: u64,
}

/// Adds blobs to a store, and then a head that refers to them. May be used by several threads at once.
pub struct Writer {
    store: Store,
    options: WriterOptions,
    shared: Arc<Shared>,
    pipeline: Pipeline,
    /// Held shared while a blob is put, exclusively by a flush: a flush has all blobs put before it.
    putting: RwLock<()>,
    data: Mutex<Batch>,
    nodes: Mutex<Batch>,
    /// Packs that are about to go. Nothing new may rely on them.
    condemned: RwLock<HashSet<FileId>>,
    parents: Mutex<Vec<HeadName>>,
    staged: Mutex<Vec<HeadName>>,
    blobs: AtomicU64,
    raw_bytes: AtomicU64,
}

impl Writer {
    pub(super) fn start(store: Store, options: WriterOptions) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared::new(Arc::clone(&store.0)));
        Ok(Self {
            options,
            pipeline: Pipeline::start(Arc::clone(&shared))?,
            condemned: RwLock::new(look::condemned(store.files())?),
            store,
            shared,
            putting: RwLock::default(),
            data: Mutex::default(),
            nodes: Mutex::default(),
            parents: Mutex::default(),
            staged: Mutex::default(),
            blobs: AtomicU64::new(0),
            raw_bytes: AtomicU64::new(0),
        })
    }

    /// Adds a blob unless the store has it, and returns its id.
    ///
    /// `base` is an older version of the same thing, if there is one: when the blob is much like it, only the
    /// difference is stored. A base that is not in the store, or unreadable, is as good as none.
    pub fn put(
        &self,
        kind: BlobKind,
        bytes: &[u8],
        base: Option<&BlobId>,
    ) -> Result<BlobId, StoreError> {
        if bytes.len() > MAX_RAW as usize {
            return Err(StoreError::BlobTooLarge {
                len: bytes.len() as u64,
            });
        }
        let _putting = self.putting.read().unwrap_or_else(PoisonError::into_inner);
        self.shared.check()?;
        let id = kind.id_of(bytes);
        if lock(&self.shared.unindexed).contains(&id) {
            return Ok(id);
        }
        if let Some(pack) = self.usable(&id)? {
            lock(&self.shared.relied).insert(pack);
            return Ok(id);
        }
        if !lock(&self.shared.unindexed).insert(id) {
            return Ok(id);
        }
        let len = u32::try_from(bytes.len()).expect("MAX_RAW bounds it");
        match base.and_then(|base| self.patch(bytes, *base)) {
            Some(frame) => self.pipeline.append(kind, frame, (id, len))?,
            None => self.add_to_batch(kind, bytes, (id, len))?,
        }
        self.blobs.fetch_add(1, Ordering::Relaxed);
        self.raw_bytes
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(id)
    }

    /// Whether the store has the blob where it stays, or this writer has put it. If so, what will be committed relies on
    /// it, and the blob need not be put.
    pub fn reuse(&self, id: &BlobId) -> Result<bool, StoreError> {
        if lock(&self.shared.unindexed).contains(id) {
            return Ok(true);
        }
        let pack = self.usable(id)?;
        let mut relied = lock(&self.shared.relied);
        Ok(pack.map(|pack| relied.insert(pack)).is_some())
    }

    /// Says that what will be committed reuses nodes of another snapshot, which therefore must still be there then.
    pub fn rely_on(&self, parent: HeadName) {
        lock(&self.parents).push(parent);
    }

    /// Makes everything put so far permanent and records a head for it that is not a snapshot yet.
    ///
    /// A run that is killed afterwards finds it among [`Store::pending`]; a commit of this writer removes it.
    pub fn stage_pending(&self, head: &[u8], time: DateTime<Utc>) -> Result<HeadName, StoreError> {
        self.flush()?;
        let name = HeadName::new(time, SnapshotId::of(head));
        self.remove_old_intent(&name)?;
        self.publish(PENDING, &name, head)?;
        lock(&self.staged).push(name);
        Ok(name)
    }

    /// Removes an intent of the same name that a run before has left, so that the new one is as young as it should be: an
    /// old one protects nobody. That of another run of today stays, which may be about to commit by it.
    fn remove_old_intent(&self, name: &HeadName) -> Result<(), StoreError> {
        let files = self.store.files();
        let file = format!("{PENDING}/{name}");
        // A damaged one has a date as well.
        let left = files.list(PENDING)?.into_iter();
        if let Some(left) = left.into_iter().find(|left| left.name == file)
            && left.modified <= files.now()? - PATIENCE
        {
            files.remove(&file)?;
        }
        Ok(())
    }

    /// Makes everything put so far permanent, and then the snapshot with this head.
    ///
    /// Committing the same head again is harmless. After an error there is no snapshot, unless making its name durable
    /// was what failed; then it may be there, and is whole.
    pub fn commit(self, head: &[u8], time: DateTime<Utc>) -> Result<SnapshotId, StoreError> {
        let name = self.stage_pending(head, time)?;
        let staged = self.store.files().now()?;
        let mut looks = 0;
        while let Look::Condemned(packs) =
            look::look(&self.store, &self.shared, &lock(&self.parents))?
        {
            looks += 1;
            if looks == LOOKS {
                return Err(StoreError::PackPruned(packs[0]));
            }
            self.write_anew(packs)?;
            self.stage_pending(head, time)?;
        }
        // A prune takes an intent for abandoned after a month. Whoever slept for long must not rely on an old look.
        if self.store.files().now()? - staged > PATIENCE {
            return Err(StoreError::Overdue);
        }
        if self.store.below().is_none() {
            history::note_commit(self.store.files(), &name)?;
        }
        self.publish(SNAPSHOTS, &name, head)?;
        for staged in lock(&self.staged).iter() {
            // Who may not delete leaves the intents behind, where they are redundant.
            let _ = self.store.remove_pending(staged);
        }
        // The snapshot is there; an index in more pieces than necessary is no reason to say that it is not.
        let _ = merge::merge(&self.store);
        Ok(name.id)
    }

    /// What the writer has added so far.
    pub fn written(&self) -> Written {
        Written {
            blobs: self.blobs.load(Ordering::Relaxed),
            raw_bytes: self.raw_bytes.load(Ordering::Relaxed),
            stored_bytes: self.shared.stored_bytes.load(Ordering::Relaxed),
        }
    }

    /// Says that these packs are about to be condemned: nothing may rely on them.
    pub(super) fn avoid(&self, packs: impl Iterator<Item = FileId>) {
        let condemned = self.condemned.write();
        condemned
            .unwrap_or_else(PoisonError::into_inner)
            .extend(packs);
    }

    /// Adds another copy of a blob, that lies below no patch.
    pub(super) fn move_in(
        &self,
        kind: BlobKind,
        id: BlobId,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let len = u32::try_from(bytes.len()).expect("MAX_RAW bounds every blob");
        self.shared.check()?;
        self.add_to_batch(kind, bytes, (id, len))
    }

    /// Adds another copy of a blob in a frame of its own, as it is.
    pub(super) fn move_frame(
        &self,
        kind: BlobKind,
        frame: Encoded,
        blob: (BlobId, u32),
    ) -> Result<(), StoreError> {
        self.shared.check()?;
        self.pipeline.append(kind, frame, blob)
    }

    /// A pack that has the blob and stays.
    fn usable(&self, id: &BlobId) -> Result<Option<FileId>, StoreError> {
        let condemned = self
            .condemned
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        self.store.0.usable(id, |pack| !condemned.contains(pack))
    }

    fn add_to_batch(
        &self,
        kind: BlobKind,
        bytes: &[u8],
        blob: (BlobId, u32),
    ) -> Result<(), StoreError> {
        if bytes.len() >= self.options.frame_bytes {
            let raw = bytes.to_vec();
            let blobs = vec![blob];
            return self.compress(kind, Batch { raw, blobs });
        }
        let mut batch = lock(self.batch(kind));
        if batch.raw.len() + bytes.len() > self.options.frame_bytes
            || batch.blobs.len() == MAX_BLOBS
        {
            self.compress(kind, std::mem::take(&mut *batch))?;
        }
        if batch.raw.capacity() == 0 {
            batch.raw.reserve(self.options.frame_bytes);
        }
        batch.raw.extend_from_slice(bytes);
        batch.blobs.push(blob);
        Ok(())
    }

    fn compress(&self, kind: BlobKind, batch: Batch) -> Result<(), StoreError> {
        self.pipeline.compress(kind, batch, self.level())
    }

    fn level(&self) -> i32 {
        let raw_bytes = self.raw_bytes.load(Ordering::Relaxed);
        self.options.level_after(raw_bytes)
    }

    /// The blob as a patch, if that is worth it.
    fn patch(&self, bytes: &[u8], base_id: BlobId) -> Option<Encoded> {
        if bytes.len() > PATCH_LEN || self.usable(&base_id).ok()?.is_none() {
            return None;
        }
        let store = &self.store.0;
        let read = |id: &BlobId| store.reader.read_below(&**store, id, MAX_DEPTH + 1).ok();
        let mut base = read(&base_id)?;
        let mut base_id = base_id;
        if base.header().depth >= PATCH_DEPTH {
            // The chain is long enough: the next one begins at its root.
            while let Some(below) = base.header().base {
                base = read(&below)?;
                base_id = below;
            }
        }
        if base.len() > PATCH_LEN {
            return None;
        }
        let level = self.level();
        let depth = base.header().depth + 1;
        let patch = encode_patch(level, bytes, (base_id, &base), depth).ok()?;
        let cost = patch.bytes.len() + PATCH_OVERHEAD;
        // Hardly anything compresses this well alone, so that there is no need to try.
        let obvious = cost <= bytes.len() / 64;
        (obvious || cost <= zstd::bulk::compress(bytes, level).ok()?.len() / 2).then_some(patch)
    }

    /// Makes everything put so far permanent, and readable through the store.
    pub fn flush(&self) -> Result<(), StoreError> {
        let _all = self.putting.write().unwrap_or_else(PoisonError::into_inner);
        self.shared.check()?;
        for kind in [BlobKind::Data, BlobKind::Node] {
            let batch = std::mem::take(&mut *lock(self.batch(kind)));
            if !batch.blobs.is_empty() {
                self.compress(kind, batch)?;
            }
        }
        self.pipeline.flush()
    }

    fn publish(&self, dir: &str, name: &HeadName, head: &[u8]) -> Result<(), StoreError> {
        self.store.files().put(&format!("{dir}/{name}"), head)?;
        self.shared
            .stored_bytes
            .fetch_add(head.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Stores all blobs of condemned packs again, which are readable until they are swept.
    fn write_anew(&self, packs: Vec<FileId>) -> Result<(), StoreError> {
        let condemned = look::condemned(self.store.files())?;
        *self
            .condemned
            .write()
            .unwrap_or_else(PoisonError::into_inner) = condemned;
        for pack in packs {
            look::for_each_blob(&self.store, &pack, |kind, bytes| {
                self.put(kind, &bytes, None).map(drop)
            })?;
            lock(&self.shared.relied).remove(&pack);
        }
        Ok(())
    }

    fn batch(&self, kind: BlobKind) -> &Mutex<Batch> {
        match kind {
            BlobKind::Data => &self.data,
            BlobKind::Node => &self.nodes,
        }
    }
}

//! The threads of a writer: frames go in, are compressed in parallel, and end in packs in the order they came.
//!
//! Invariant: every queue is bounded, so that a slow disk slows whoever writes instead of filling memory.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::backend::Files;
use super::error::{IoContext, StoreError};
use super::frame::{Encoded, Encoder};
use super::id::{BlobId, BlobKind, FileId};
use super::index::{IndexedPack, Segment, SegmentData};
use super::pack::PackBuilder;
use super::{Inner, lock, random};

/// A segment is written when so many blobs are in packs that no segment names.
const SEGMENT_BLOBS: usize = 200_000;
const MAX_COMPRESSORS: usize = 8;

/// Blobs that shall become one frame.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) raw: Vec<u8>,
    pub(super) blobs: Vec<(BlobId, u32)>,
}

/// What a writer and its threads share.
pub(super) struct Shared {
    pub(super) store: Arc<Inner>,
    /// Blobs that were put and that the store does not know of yet.
    pub(super) unindexed: Mutex<HashSet<BlobId>>,
    /// Packs that must be there when the writer commits, its own included.
    pub(super) relied: Mutex<HashSet<FileId>>,
    pub(super) stored_bytes: AtomicU64,
    failed: AtomicBool,
    failure: Mutex<Option<StoreError>>,
}

impl Shared {
    pub(super) fn new(store: Arc<Inner>) -> Self {
        Self {
            store,
            unindexed: Mutex::default(),
            relied: Mutex::default(),
            stored_bytes: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Fails if a thread has failed: with its error the first time, without the cause after that.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(lock(&self.failure)
                .take()
                .unwrap_or(StoreError::WriterFailed));
        }
        Ok(())
    }

    fn fail(&self, error: StoreError) {
        lock(&self.failure).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }
}

/// The running threads. Dropping it without a flush leaves what is complete and removes what is not.
pub(super) struct Pipeline {
    shared: Arc<Shared>,
    work: Option<SyncSender<Work>>,
    tickets: Option<SyncSender<Ticket>>,
    threads: Vec<JoinHandle<()>>,
}

struct Work {
    kind: BlobKind,
    batch: Batch,
    level: i32,
    done: SyncSender<io::Result<Packable>>,
}

struct Packable {
    kind: BlobKind,
    frame: Encoded,
    blobs: Vec<(BlobId, u32)>,
}

/// What the pack thread has to do, in this order.
enum Ticket {
    Await(Receiver<io::Result<Packable>>),
    Append(Packable),
    Flush(SyncSender<()>),
}

impl Pipeline {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let compressors =
            thread::available_parallelism().map_or(1, |n| n.get().min(MAX_COMPRESSORS));
        let (work, to_do) = sync_channel(compressors);
        let (tickets, in_order) = sync_channel(2 * compressors + 2);
        let mut pipeline = Self {
            shared: Arc::clone(&shared),
            work: Some(work),
            tickets: Some(tickets),
            threads: Vec::new(),
        };
        let to_do = Arc::new(Mutex::new(to_do));
        for _ in 0..compressors {
            let root = pipeline.shared.store.files.root();
            let encoder = Encoder::new().when("set up compression for", root)?;
            let to_do = Arc::clone(&to_do);
            pipeline.spawn("compress", move || compress(&to_do, encoder))?;
        }
        pipeline.spawn("pack", move || Packer::new(shared).run(&in_order))?;
        Ok(pipeline)
    }

    /// Takes a batch that shall be compressed to a frame, at this zstd level.
    pub(super) fn compress(
        &self,
        kind: BlobKind,
        batch: Batch,
        level: i32,
    ) -> Result<(), StoreError> {
        let (done, result) = sync_channel(1);
        let work = self.work.as_ref().ok_or(StoreError::WriterFailed)?;
        // Work before ticket: the pack thread waits only for work that the compressors have got.
        let item = Work {
            kind,
            batch,
            level,
            done,
        };
        work.send(item).map_err(|_| StoreError::WriterFailed)?;
        self.ticket(Ticket::Await(result))
    }

    /// Takes a frame that is compressed already.
    pub(super) fn append(
        &self,
        kind: BlobKind,
        frame: Encoded,
        blob: (BlobId, u32),
    ) -> Result<(), StoreError> {
        self.ticket(Ticket::Append(Packable {
            kind,
            frame,
            blobs: vec![blob],
        }))
    }

    /// Returns when everything that was taken is in packs and in the index.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let (done, flushed) = sync_channel(1);
        self.ticket(Ticket::Flush(done))?;
        let result = flushed.recv().map_err(|_| StoreError::WriterFailed);
        self.shared.check().and(result)
    }

    fn ticket(&self, ticket: Ticket) -> Result<(), StoreError> {
        let tickets = self.tickets.as_ref().ok_or(StoreError::WriterFailed)?;
        tickets.send(ticket).map_err(|_| StoreError::WriterFailed)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = thread::Builder::new()
            .name(format!("store-{name}"))
            .spawn(run);
        self.threads
            .push(thread.when("start a thread to write to", self.shared.store.files.root())?);
        Ok(())
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.work = None;
        self.tickets = None;
        for thread in self.threads.drain(..) {
            // A panic was reported by the thread itself; whoever flushes learns that it is gone.
            let _ = thread.join();
        }
    }
}

fn compress(to_do: &Mutex<Receiver<Work>>, mut encoder: Encoder) {
    loop {
        let next = lock(to_do).recv();
        let Ok(Work {
            kind,
            batch,
            level,
            done,
        }) = next
        else {
            return;
        };
        let count = u16::try_from(batch.blobs.len()).expect("batches are cut at MAX_BLOBS");
        let result = encoder.encode(level, &batch.raw, count);
        // Nobody waits for it when the writer was dropped.
        let _ = done.send(result.map(|frame| Packable {
            kind,
            frame,
            blobs: batch.blobs,
        }));
    }
}

/// Writes packs and index segments.
struct Packer {
    shared: Arc<Shared>,
    data: Option<PackBuilder>,
    nodes: Option<PackBuilder>,
    segment: SegmentData,
}

impl Packer {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            data: None,
            nodes: None,
            segment: SegmentData::default(),
        }
    }

    fn run(mut self, tickets: &Receiver<Ticket>) {
        while let Ok(ticket) = tickets.recv() {
            // After a failure tickets are only taken, so that nobody waits for ever.
            let failed = self.shared.failed.load(Ordering::Acquire);
            let result = match ticket {
                Ticket::Await(result) => match result.recv() {
                    Ok(Ok(packable)) if !failed => self.append(packable),
                    Ok(Err(error)) => Err(error).when("compress blobs for", self.files().root()),
                    Ok(Ok(_)) => Ok(()),
                    Err(_) => Err(StoreError::WriterFailed),
                },
                Ticket::Append(packable) if !failed => self.append(packable),
                Ticket::Append(_) => Ok(()),
                Ticket::Flush(done) => {
                    let result = if failed { Ok(()) } else { self.flush() };
                    if let Err(error) = result {
                        self.shared.fail(error);
                    }
                    let _ = done.send(());
                    Ok(())
                }
            };
            if let Err(error) = result {
                self.shared.fail(error);
            }
        }
    }

    fn append(&mut self, Packable { kind, frame, blobs }: Packable) -> Result<(), StoreError> {
        let store = Arc::clone(&self.shared.store);
        let pack = match self.open(kind) {
            Some(pack) => pack,
            free => {
                let mut nonce = [0; 16];
                random(&mut nonce, store.files.root())?;
                free.insert(PackBuilder::new(kind, nonce))
            }
        };
        pack.push(&frame, &blobs);
        let full = pack.is_full();
        self.shared
            .stored_bytes
            .fetch_add(frame.bytes.len() as u64, Ordering::Relaxed);
        if full { self.finish(kind) } else { Ok(()) }
    }

    fn finish(&mut self, kind: BlobKind) -> Result<(), StoreError> {
        let Some(builder) = self.open(kind).take() else {
            return Ok(());
        };
        let pack = builder.finish(self.files())?;
        let overhead = u64::from(pack.size) - pack.directory.stored_len();
        self.shared
            .stored_bytes
            .fetch_add(overhead, Ordering::Relaxed);
        lock(&self.shared.relied).insert(pack.id);
        let indexed = IndexedPack {
            id: pack.id,
            size: pack.size,
            kind,
        };
        self.segment.add(indexed, pack.directory.spots());
        if self.segment.entries.len() >= SEGMENT_BLOBS {
            self.publish()
        } else {
            Ok(())
        }
    }

    fn publish(&mut self) -> Result<(), StoreError> {
        if self.segment.packs.is_empty() {
            return Ok(());
        }
        let mut data = std::mem::take(&mut self.segment);
        let (name, len) = data.publish(self.files(), 0)?;
        self.shared
            .stored_bytes
            .fetch_add(len as u64, Ordering::Relaxed);
        let segment = Segment::open(self.files(), &name)?;
        let mut view = self
            .shared
            .store
            .view
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        view.add(Some(name), segment);
        drop(view);
        // Only now: a blob is always either here or in the view.
        let mut unindexed = lock(&self.shared.unindexed);
        for entry in &data.entries {
            unindexed.remove(&entry.id);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.finish(BlobKind::Data)?;
        self.finish(BlobKind::Node)?;
        self.publish()
    }

    fn open(&mut self, kind: BlobKind) -> &mut Option<PackBuilder> {
        match kind {
            BlobKind::Data => &mut self.data,
            BlobKind::Node => &mut self.nodes,
        }
    }

    fn files(&self) -> &Files {
        &self.shared.store.files
    }
}

//! Files that are read in blocks, wherever they are: the DBFS, or what runs have written.
//!
//! Files that fit into memory are read side by side, the others one after the other, with many of their blocks under way:
//! what is in memory is bounded however long a file is.
//!
//! Invariant: what is sent as the content of a file is what it held at one time. A file that was changed while it was read
//! is read once more, if it is short, and is a gap otherwise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{Stream, iter};
use serde_json::Value;
use tokio::sync::mpsc;

use super::item::{Block, Blocks, Captured, Item, Memory, Part};
use super::known::Sighting;
use super::run::{Run, reason};
use crate::api::{ApiError, ErrorKind};
use crate::manifest::{Extent, Gap};
use crate::report::Event;
use crate::resource::{ObjectKey, leave_out};

/// Up to here a file is held in memory as a whole.
pub(super) const MOST_IN_MEMORY: u64 = 8 << 20;

/// Blocks of one file that are asked for at the same time.
const BLOCKS_AT_ONCE: usize = 8;

/// Blocks of a streamed file that wait to be stored.
const BLOCKS_WAITING: usize = 8;

/// So often a file is read that is being changed.
const ATTEMPTS: u32 = 3;

/// A file as it was listed.
#[derive(Clone, Debug)]
pub(super) struct File<P> {
    pub(super) key: ObjectKey,
    pub(super) object_id: String,
    pub(super) size: u64,
    pub(super) modified_at: Option<i64>,
    pub(super) body: Value,
    /// Where it is read.
    pub(super) place: P,
}

/// Where files are.
pub(super) trait Remote {
    /// What says where one file is.
    type Place: Clone;

    /// How much of a file is asked for at once.
    fn block_len(&self, place: &Self::Place) -> u64;

    /// So many bytes of a file; that there are others, or not as many, is a change.
    async fn block(&self, place: &Self::Place, begin: u64, len: u64) -> Result<Bytes, Failure>;

    /// The file as it is now.
    async fn now(&self, file: &File<Self::Place>) -> Result<File<Self::Place>, Failure>;
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is not there any more.
    Gone,
    /// It is another one by now.
    Changed,
    Failed(String),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Failure::Gone,
            _ => Failure::Failed(reason(&error)),
        }
    }
}

impl Failure {
    fn reason(self) -> String {
        match self {
            Failure::Gone => "it disappeared while it was being read".to_owned(),
            Failure::Changed => "it was being written while it was read".to_owned(),
            Failure::Failed(reason) => reason,
        }
    }
}

/// Reads files and sends them on.
pub(super) struct Reader<'a, R: Remote> {
    pub(super) run: &'a Run<'a>,
    pub(super) remote: R,
    /// Of longer files only that they are there is sent.
    pub(super) longest: Option<u64>,
    /// Files that are read in the end, one after the other.
    large: Mutex<Vec<File<R::Place>>>,
    left_out: AtomicU64,
}

impl<'a, R: Remote> Reader<'a, R> {
    pub(super) fn new(run: &'a Run<'a>, remote: R, longest: Option<u64>) -> Self {
        Self {
            run,
            remote,
            longest,
            large: Mutex::default(),
            left_out: AtomicU64::new(0),
        }
    }

    /// Sends a file on, or keeps it for later.
    pub(super) async fn file(&self, file: File<R::Place>) {
        if self.leaves_out(file.size) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            let mut object = object(&file);
            object.body = Part::Read(leave_out(file.body, file.size, file.modified_at));
            return self.run.send(object).await;
        }
        if self.is_known(&file) {
            let mut object = object(&file);
            object.body = Part::Known;
            object.content = Part::Known;
            return self.run.send(object).await;
        }
        if file.size > MOST_IN_MEMORY {
            let mut large = self.large.lock().unwrap_or_else(PoisonError::into_inner);
            large.push(file);
            return;
        }
        self.whole(file).await;
    }

    /// Sends on what was kept for later.
    pub(super) async fn finish(&self) {
        let large = std::mem::take(&mut *self.large.lock().unwrap_or_else(PoisonError::into_inner));
        for file in large {
            self.stream(file).await;
        }
        let left_out = self.left_out.load(Ordering::Relaxed);
        if let (1.., Some(longest)) = (left_out, self.longest) {
            let text = format!(
                "of {left_out} files longer than {longest} bytes only that they are there is kept"
            );
            self.run.reporter.report(Event::Warning(&text));
        }
    }

    /// Reads one file into memory, as it is now, unless it is too long.
    pub(super) async fn one(&self, file: &File<R::Place>) -> Result<(Bytes, Memory), String> {
        let file = match self.remote.now(file).await {
            Err(Failure::Gone) => return Err("it is not there".to_owned()),
            file => file.map_err(Failure::reason)?,
        };
        if self.leaves_out(file.size) {
            let size = file.size;
            return Err(format!(
                "its {size} bytes are more than are read of such a file"
            ));
        }
        let memory = self.run.memory(file.size).await;
        let bytes = self.bytes(&file).await.map_err(Failure::reason)?;
        Ok((bytes, memory))
    }

    /// Whether the content of a file of this length is left out.
    pub(super) fn leaves_out(&self, size: u64) -> bool {
        self.longest.is_some_and(|longest| size > longest)
    }

    /// Sends on that the content of a file is unknown.
    pub(super) async fn unread(&self, file: &File<R::Place>, failure: Failure) {
        if let Failure::Gone = failure {
            return self.run.gone(&file.key);
        }
        let mut object = object(file);
        object.body = Part::Read(file.body.clone());
        object.content = Part::Unread;
        object.add_gap(Gap::new(Extent::Content, failure.reason()));
        self.run.send(object).await;
    }

    fn is_known(&self, file: &File<R::Place>) -> bool {
        let sighting = Sighting {
            key: &file.key,
            object_id: &file.object_id,
            modified_at: file.modified_at,
            size: Some(file.size),
            body: None,
        };
        self.run.known.look_up(&sighting).is_unchanged
    }

    /// Reads a file into memory and sends it on.
    async fn whole(&self, mut file: File<R::Place>) {
        let memory = self.run.memory(file.size).await;
        for _ in 0..ATTEMPTS {
            match self.bytes(&file).await {
                Ok(bytes) => {
                    let mut object = object(&file);
                    object.body = Part::Read(file.body);
                    object.content = Part::Read(bytes);
                    object.memory = Some(memory);
                    return self.run.send(object).await;
                }
                Err(Failure::Changed) => {}
                Err(other) => return self.unread(&file, other).await,
            }
            match self.remote.now(&file).await {
                // What it grew to may be more than it has memory for.
                Ok(now) if now.size > file.size.max(self.remote.block_len(&file.place)) => break,
                Ok(now) => file = now,
                Err(other) => return self.unread(&file, other).await,
            }
        }
        self.unread(&file, Failure::Changed).await;
    }

    /// Reads a file that is too long for memory, block by block, as fast as they are stored.
    pub(super) async fn stream(&self, file: File<R::Place>) {
        let (sender, blocks) = mpsc::channel(BLOCKS_WAITING);
        let mut object = object(&file);
        object.body = Part::Read(file.body.clone());
        let item = Item::Streamed {
            object: Box::new(object),
            content: Blocks::new(blocks),
        };
        self.run.send_item(item).await;
        let end = match self.send_blocks(&file, &sender).await {
            Ok(true) => match self.is_as_listed(&file).await {
                Ok(()) => Block::End,
                Err(failure) => Block::Failed(failure.reason()),
            },
            // Whoever stores them has stopped, and says why.
            Ok(false) => return,
            Err(failure) => Block::Failed(failure.reason()),
        };
        let _ = sender.send(end).await;
    }

    /// Sends all blocks of a file; whether somebody took them. None is under way any more when it is done: a request that is
    /// not waited for would keep its place among those that may be, and the next might wait for that place for ever.
    async fn send_blocks(
        &self,
        file: &File<R::Place>,
        sender: &mpsc::Sender<Block>,
    ) -> Result<bool, Failure> {
        let mut blocks = std::pin::pin!(self.blocks(file));
        while let Some(block) = blocks.next().await {
            if sender.send(Block::Bytes(block?)).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All bytes of a file.
    async fn bytes(&self, file: &File<R::Place>) -> Result<Bytes, Failure> {
        let mut bytes = BytesMut::with_capacity(usize::try_from(file.size).unwrap_or_default());
        let mut blocks = std::pin::pin!(self.blocks(file));
        while let Some(block) = blocks.next().await {
            bytes.extend_from_slice(&block?);
        }
        // One block is of one moment, and several need not be.
        if file.size > self.remote.block_len(&file.place) {
            self.is_as_listed(file).await?;
        }
        Ok(bytes.freeze())
    }

    fn blocks(&self, file: &File<R::Place>) -> impl Stream<Item = Result<Bytes, Failure>> {
        let block = self.remote.block_len(&file.place);
        let of = move |number: u64| {
            let begin = number * block;
            self.remote
                .block(&file.place, begin, block.min(file.size - begin))
        };
        iter((0..file.size.div_ceil(block)).map(of)).buffered(BLOCKS_AT_ONCE)
    }

    /// Makes sure that a file is still the one that was listed.
    async fn is_as_listed(&self, file: &File<R::Place>) -> Result<(), Failure> {
        let now = self.remote.now(file).await?;
        match now.size == file.size && now.modified_at == file.modified_at {
            true => Ok(()),
            false => Err(Failure::Changed),
        }
    }
}

fn object<P>(file: &File<P>) -> Captured {
    let mut object = Captured::new(file.key.clone(), Some(file.object_id.clone()));
    object.modified_at = file.modified_at;
    object.size = Some(file.size);
    object
}

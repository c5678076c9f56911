//! What is in a file: blocks of at most a megabyte, each asked for by where it begins.
//!
//! Invariant: what is sent as the content of a file is what it held at one time. A file that was changed while it was read
//! is read once more, if it is short, and is a gap otherwise.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{Stream, iter};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Engine, File, object};
use crate::api::{ApiError, ErrorKind};
use crate::export::item::{Block, Blocks, Item, Memory, Part};
use crate::export::run::reason;

/// The service gives no more at once.
const BLOCK: u64 = 1 << 20;

/// Blocks of one file that are asked for at the same time.
const BLOCKS_AT_ONCE: usize = 8;

/// Blocks of a streamed file that wait to be stored.
const BLOCKS_WAITING: usize = 8;

/// So often a file is read that is being changed.
const ATTEMPTS: u32 = 3;

/// Why a file was not read.
#[derive(Debug)]
enum Failure {
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

impl Engine<'_> {
    /// Reads a file into memory and sends it on.
    pub(super) async fn whole(&self, mut file: File) {
        let memory = self.run.memory(file.size).await;
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            match self.bytes(&file).await {
                Ok(bytes) => {
                    let mut object = object(&file);
                    object.body = Part::Read(file.body);
                    object.content = Part::Read(bytes);
                    object.memory = Some(memory);
                    return self.run.send(object).await;
                }
                Err(Failure::Gone) => return self.run.gone(&file.key),
                Err(Failure::Changed) => failure = Some(Failure::Changed),
                Err(other) => return self.unread(&file, other.reason()).await,
            }
            match self.status(&file).await {
                // What it grew to may be more than it has memory for.
                Ok(now) if now.size > file.size.max(BLOCK) => break,
                Ok(now) => file = now,
                Err(Failure::Gone) => return self.run.gone(&file.key),
                Err(other) => return self.unread(&file, other.reason()).await,
            }
        }
        let failure = failure.unwrap_or(Failure::Changed);
        self.unread(&file, failure.reason()).await;
    }

    /// Reads a file that is too long for memory, block by block, as fast as they are stored.
    pub(super) async fn stream(&self, file: File) {
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
        file: &File,
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
    async fn bytes(&self, file: &File) -> Result<Bytes, Failure> {
        let mut bytes = BytesMut::with_capacity(usize::try_from(file.size).unwrap_or_default());
        let mut blocks = std::pin::pin!(self.blocks(file));
        while let Some(block) = blocks.next().await {
            bytes.extend_from_slice(&block?);
        }
        // One block is of one moment, and several need not be.
        if file.size > BLOCK {
            self.is_as_listed(file).await?;
        }
        Ok(bytes.freeze())
    }

    fn blocks(&self, file: &File) -> impl Stream<Item = Result<Bytes, Failure>> {
        let count = file.size.div_ceil(BLOCK);
        let of = move |number: u64| {
            let begin = number * BLOCK;
            self.block(file, begin, BLOCK.min(file.size - begin))
        };
        iter((0..count).map(of)).buffered(BLOCKS_AT_ONCE)
    }

    async fn block(&self, file: &File, begin: u64, len: u64) -> Result<Bytes, Failure> {
        let (begin, asked) = (begin.to_string(), BLOCK.to_string());
        let query = [
            ("path", file.path.as_str()),
            ("offset", begin.as_str()),
            ("length", asked.as_str()),
        ];
        let answer = self.run.get("/api/2.0/dbfs/read", &query).await?;
        let text = answer["data"].as_str().unwrap_or_default();
        let bytes = STANDARD.decode(text).map_err(|error| {
            Failure::Failed(format!(
                "the answer to dbfs/read was not understood: {error}"
            ))
        })?;
        // More than there was, or less: a block is asked for whole, so that a file that grew shows.
        match bytes.len() as u64 == len {
            true => Ok(Bytes::from(bytes)),
            false => Err(Failure::Changed),
        }
    }

    /// Makes sure that a file is still the one that was listed.
    async fn is_as_listed(&self, file: &File) -> Result<(), Failure> {
        let now = self.status(file).await?;
        match now.size == file.size && now.modified_at == file.modified_at {
            true => Ok(()),
            false => Err(Failure::Changed),
        }
    }

    async fn status(&self, file: &File) -> Result<File, Failure> {
        self.status_at(&file.path).await
    }

    async fn status_at(&self, path: &str) -> Result<File, Failure> {
        let query = [("path", path)];
        let answer: Value = self.run.get("/api/2.0/dbfs/get-status", &query).await?;
        let is_file = !answer["is_dir"].as_bool().unwrap_or_default();
        let now = self.understood(path, &answer).filter(|_| is_file);
        now.ok_or(Failure::Gone)
    }

    /// Reads the file at a path, if it is no longer than this.
    pub(super) async fn one(&self, path: &str, longest: u64) -> Result<(Bytes, Memory), String> {
        let file = match self.status_at(path).await {
            Err(Failure::Gone) => return Err("it is not there".to_owned()),
            file => file.map_err(Failure::reason)?,
        };
        if file.size > longest {
            return Err(format!(
                "its {} bytes are more than are read of such a file",
                file.size
            ));
        }
        let memory = self.run.memory(file.size).await;
        let bytes = self.bytes(&file).await.map_err(Failure::reason)?;
        Ok((bytes, memory))
    }
}

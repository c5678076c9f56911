//! What an export finds, as values.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::manifest::Gap;
use crate::resource::{Acl, Kind, ObjectKey};

/// Something an export found, or could not find out.
#[derive(Debug)]
pub enum Item {
    /// An object, with everything that could be read of it.
    Object(Box<Captured>),
    /// An object whose content comes in blocks, because it may be longer than memory.
    Streamed {
        /// The object, with everything else.
        object: Box<Captured>,
        /// Its content.
        content: Blocks,
    },
    /// The list of a kind could not be read, or not to its end: what else there is of the kind is unknown.
    Unlisted {
        /// The kind.
        kind: &'static Kind,
        /// Why.
        gap: Gap,
    },
}

/// One object as the workspace has it.
pub struct Captured {
    /// What it is called.
    pub key: ObjectKey,
    /// The workspace's id of it.
    pub object_id: Option<String>,
    /// When it was last modified, in milliseconds since 1970.
    pub modified_at: Option<i64>,
    /// The size the listing gave.
    pub size: Option<u64>,
    /// Its canonical body.
    pub body: Part<Value>,
    /// The bytes of a notebook or file.
    pub content: Part<Bytes>,
    /// Who may do what with it.
    pub permissions: Part<Acl>,
    /// What could not be read.
    pub gap: Option<Gap>,
    /// The share of the export's memory that the object takes until it is dropped.
    pub(super) memory: Option<Memory>,
}

/// A piece of a content that comes in blocks.
#[derive(Debug)]
pub enum Block {
    /// The next bytes.
    Bytes(Bytes),
    /// There are no more, and all of them are of one and the same content.
    End,
    /// The rest could not be read; why.
    Failed(String),
}

/// A content that comes in blocks, to be read where waiting holds up nobody. Reading it ends in an error unless all of it
/// came.
#[derive(Debug)]
pub struct Blocks {
    blocks: mpsc::Receiver<Block>,
    rest: Bytes,
    is_whole: bool,
}

impl Blocks {
    pub(super) fn new(blocks: mpsc::Receiver<Block>) -> Self {
        Self {
            blocks,
            rest: Bytes::new(),
            is_whole: false,
        }
    }
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !self.is_whole {
            match self.blocks.blocking_recv() {
                Some(Block::Bytes(bytes)) => self.rest = bytes,
                Some(Block::End) => self.is_whole = true,
                Some(Block::Failed(reason)) => return Err(io::Error::other(reason)),
                // Whoever read it was stopped.
                None => return Err(io::Error::other("it was not read to its end")),
            }
        }
        let len = buffer.len().min(self.rest.len());
        buffer[..len].copy_from_slice(&self.rest.split_to(len));
        Ok(len)
    }
}

/// A share of the memory that an export may fill; given back when the last holder drops it.
#[derive(Clone)]
pub(super) struct Memory(
    #[expect(dead_code, reason = "held for the sake of being dropped")] Arc<OwnedSemaphorePermit>,
);

impl Memory {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(permit))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// A part of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<T> {
    /// Objects of the kind have no such part.
    Absent,
    /// As it was read.
    Read(T),
    /// As it was read, but it may lack something, as the object's gap says: worth keeping only if nothing better is known.
    Doubtful(T),
    /// Not read, because [`Known`](super::Known) has it as it is.
    Known,
    /// It could not be read; the object's gap says why.
    Unread,
}

impl<T> Part<T> {
    /// The same with something else for what was read.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Part<U> {
        match self {
            Part::Absent => Part::Absent,
            Part::Read(value) => Part::Read(change(value)),
            Part::Doubtful(value) => Part::Doubtful(change(value)),
            Part::Known => Part::Known,
            Part::Unread => Part::Unread,
        }
    }
}

/// What there is of it, and not the content itself: it may be secret.
impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.content.clone().map(|content| content.len());
        f.debug_struct("Captured")
            .field("key", &self.key)
            .field("object_id", &self.object_id)
            .field("body", &self.body)
            .field("content_len", &content)
            .field("permissions", &self.permissions)
            .field("gap", &self.gap)
            .finish_non_exhaustive()
    }
}

impl Captured {
    /// An object of which nothing was read yet.
    pub(super) fn new(key: ObjectKey, object_id: Option<String>) -> Self {
        Self {
            key,
            object_id,
            modified_at: None,
            size: None,
            body: Part::Absent,
            content: Part::Absent,
            permissions: Part::Absent,
            gap: None,
            memory: None,
        }
    }

    /// Adds a gap to the one there may be. Of several the widest extent is kept, with all the reasons.
    pub(super) fn add_gap(&mut self, gap: Gap) {
        self.gap = Some(match self.gap.take() {
            None => gap,
            Some(first) => first.and(gap),
        });
    }
}

//! Files of the DBFS, written in blocks.
//!
//! Invariant: a file is touched only after all that is to be in it was read from the store and found whole; one that could
//! not be written to its end is not left behind where there was none.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::{Carried, Failure, Run, chain};
use crate::api::{ApiError, ErrorKind, Repeat};
use crate::manifest::{ManifestError, Payload};
use crate::report::Event;
use crate::resource::{dbfs_path, is_empty_folder};
use crate::restore::plan::Step;
use crate::store::Store;

/// The service takes no more at once.
const BLOCK: usize = 1 << 20;

/// Blocks that wait to be sent.
const WAITING: usize = 4;

/// So often a file is begun anew when an answer was lost.
const ATTEMPTS: u32 = 3;

/// Where a file is written.
pub(super) enum Destination {
    /// To this path of the DBFS.
    Dbfs(String),
    /// To where the tracking service has the files of a run. There is all of a file or nothing.
    Run { id: String, path: String },
}

/// Why a file was not written.
pub(super) struct Broken {
    pub(super) reason: String,
    /// Whether to begin anew may help.
    pub(super) is_passing: bool,
    /// Whether a part of it may be there.
    pub(super) is_begun: bool,
}

impl Broken {
    pub(super) fn by(error: &ApiError, is_begun: bool) -> Self {
        let is_lost = error.answer_may_be_lost();
        Self {
            reason: chain(error),
            is_passing: is_lost || (is_begun && error.kind() == ErrorKind::NotFound),
            is_begun: is_begun || is_lost,
        }
    }

    pub(super) fn lasting(reason: String) -> Self {
        Self {
            reason,
            is_passing: false,
            is_begun: true,
        }
    }
}

impl Run<'_> {
    /// Writes a file of the DBFS.
    pub(super) async fn write_dbfs_file(&self, step: &Step) -> Result<Carried, Failure> {
        let path = dbfs_path(&step.target);
        if is_empty_folder(&self.body(step)) {
            // One that is there already is as good.
            let body = json!({"path": path});
            let made = self.tell_dbfs("mkdirs", &body, Repeat::Safe);
            made.await.map_err(|error| chain(&error))?;
            self.made(step, "")?;
            return Ok(Carried::default());
        }
        self.write_file(step, &Destination::Dbfs(path.to_owned()))
            .await
    }

    /// Writes a file.
    pub(super) async fn write_file(
        &self,
        step: &Step,
        to: &Destination,
    ) -> Result<Carried, Failure> {
        let content = step.content.clone().unwrap_or(Payload::Inline(Vec::new()));
        let makes = step.action.makes();
        self.prove(&content).await?;
        if makes {
            self.begin(step)?;
        }
        let mut is_begun = false;
        for attempt in 1.. {
            // It was not there before the restore: what the first attempt left is ours.
            let overwrite = !makes || is_begun;
            let put = match to {
                Destination::Dbfs(path) => self.put_file(path, &content, overwrite).await,
                Destination::Run { id, path } => self.put_artifact(id, path, &content).await,
            };
            let Err(broken) = put else {
                break;
            };
            is_begun |= broken.is_begun;
            if broken.is_passing && attempt < ATTEMPTS {
                continue;
            }
            if let Destination::Dbfs(path) = to
                && makes
                && is_begun
            {
                self.remove_file(path).await;
            }
            return Err(broken.reason);
        }
        if makes {
            self.made(step, "")?;
        }
        Ok(Carried::default())
    }

    /// Reads all of a content once, so that a damaged one breaks nothing that is there.
    async fn prove(&self, content: &Payload) -> Result<(), Failure> {
        let (store, content) = (self.apply.snapshot.store().clone(), content.clone());
        let proved = spawn_blocking(move || content.write_to(&store, &mut io::sink()));
        joined(proved.await).map_err(|error| chain(&error))
    }

    async fn put_file(&self, path: &str, content: &Payload, overwrite: bool) -> Result<(), Broken> {
        let store = self.apply.snapshot.store().clone();
        if content.len() <= BLOCK as u64 {
            let content = content.clone();
            let bytes = joined(spawn_blocking(move || content.read(&store)).await);
            let bytes = bytes.map_err(|error| Broken::lasting(chain(&error)))?;
            let contents = STANDARD.encode(bytes);
            let body = json!({"path": path, "contents": contents, "overwrite": overwrite});
            let sent = self.tell_dbfs("put", &body, repeat(overwrite)).await;
            return sent.map(drop).map_err(|error| Broken::by(&error, false));
        }
        let body = json!({"path": path, "overwrite": overwrite});
        let made = self.tell_dbfs("create", &body, repeat(overwrite)).await;
        let made = made.map_err(|error| Broken::by(&error, false))?;
        let handle = &made["handle"];
        let sent = self.send_blocks(store, handle, content).await;
        let body = json!({"handle": handle});
        let closed = self.tell_dbfs("close", &body, Repeat::Unsafe).await;
        let closed = closed.map_err(|error| Broken::by(&error, true));
        sent?;
        closed?;
        self.is_whole(path, content.len()).await
    }

    /// Sends a content block by block: one that is sent twice would be in the file twice.
    async fn send_blocks(
        &self,
        store: Store,
        handle: &Value,
        content: &Payload,
    ) -> Result<(), Broken> {
        let (mut blocks, reading) = cut(store, content.clone());
        while let Some(block) = blocks.recv().await {
            let body = json!({"handle": handle, "data": STANDARD.encode(&block)});
            let sent = self.tell_dbfs("add-block", &body, Repeat::Unsafe).await;
            sent.map_err(|error| Broken::by(&error, true))?;
        }
        joined(reading.await).map_err(|error| Broken::lasting(chain(&error)))
    }

    /// Makes sure that a file has the length it is to have.
    async fn is_whole(&self, path: &str, len: u64) -> Result<(), Broken> {
        let client = self.apply.client;
        let query = [("path", path)];
        let status = client.get("/api/2.0/dbfs/get-status", &query);
        let status = status.await.map_err(|error| Broken::by(&error, true))?;
        match status["file_size"].as_u64() {
            Some(is) if is == len => Ok(()),
            is => Err(Broken {
                reason: format!("it has {is:?} bytes after {len} were written"),
                is_passing: true,
                is_begun: true,
            }),
        }
    }

    /// Takes away what is there of a file that could not be written to its end.
    async fn remove_file(&self, path: &str) {
        let body = json!({"path": path, "recursive": false});
        if let Err(error) = self.tell_dbfs("delete", &body, Repeat::Safe).await
            && error.kind() != ErrorKind::NotFound
        {
            let text = format!(
                "a part of dbfs:{path} is left in the target: {}",
                chain(&error)
            );
            self.apply.reporter.report(Event::Warning(&text));
        }
    }

    async fn tell_dbfs(&self, what: &str, body: &Value, repeat: Repeat) -> Result<Value, ApiError> {
        let path = format!("/api/2.0/dbfs/{what}");
        self.apply.client.post(&path, body, repeat).await
    }
}

/// Reads a content in blocks, on a thread of its own.
pub(super) fn cut(
    store: Store,
    content: Payload,
) -> (mpsc::Receiver<Bytes>, JoinHandle<Result<(), ManifestError>>) {
    let (sender, blocks) = mpsc::channel(WAITING);
    let reading = spawn_blocking(move || {
        let mut cutter = Cutter::new(sender);
        content.write_to(&store, &mut cutter)?;
        cutter.flush().map_err(ManifestError::WriteTarget)
    });
    (blocks, reading)
}

/// A write that may find what it wrote itself must not be sent twice.
const fn repeat(overwrite: bool) -> Repeat {
    match overwrite {
        true => Repeat::Safe,
        false => Repeat::Unsafe,
    }
}

/// What a task of its own brought. It is never cancelled, and a panic in it is a panic here.
pub(super) fn joined<T>(result: Result<T, JoinError>) -> T {
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Cuts what is written to it into blocks.
struct Cutter {
    blocks: mpsc::Sender<Bytes>,
    next: Vec<u8>,
}

impl Cutter {
    fn new(blocks: mpsc::Sender<Bytes>) -> Self {
        Self {
            blocks,
            next: Vec::with_capacity(BLOCK),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let block = std::mem::replace(&mut self.next, Vec::with_capacity(BLOCK));
        let sent = self.blocks.blocking_send(Bytes::from(block));
        sent.map_err(|_| io::Error::other("nobody takes the blocks any more"))
    }
}

impl Write for Cutter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(BLOCK - self.next.len());
        self.next.extend_from_slice(&bytes[..len]);
        if self.next.len() == BLOCK {
            self.send()?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.next.is_empty() {
            true => Ok(()),
            false => self.send(),
        }
    }
}

//! The engine for the files of the DBFS root: a walk over the selected folders, and reads in blocks.
//!
//! - `walk`: which files there are. `read`: what is in them.
//!
//! Files that fit into memory are read side by side, the others one after the other, with many of their blocks under way:
//! what is in memory is bounded however long a file is. Where mounts lead to is data of others: the walk does not enter
//! them.
//!
//! Invariant: a file that was listed is sent, whole, or with the reason why its content is not; if any folder could not be
//! listed, it is said that there may be more.

mod read;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join;
use serde_json::Value;
use tokio::sync::mpsc;

use super::item::{Captured, Memory, Part};
use super::known::Sighting;
use super::run::{Run, stream};
use crate::manifest::{DbfsFiles, Extent, Gap};
use crate::resource::{ALL, Kind, ObjectKey, leave_out};

/// Files in work at the same time; how many requests are really sent, the client decides.
const AT_ONCE: usize = 32;

/// Up to here a file is held in memory as a whole.
const MOST_IN_MEMORY: u64 = 8 << 20;

/// Exports all selected files.
pub(super) async fn export(run: &Run<'_>) {
    let kind = ALL.iter().copied().find(|kind| kind.is_dbfs_file());
    let (Some(files), Some(kind)) = (run.selection.dbfs.as_ref(), kind) else {
        return;
    };
    let engine = Engine {
        run,
        kind,
        files,
        large: Mutex::default(),
    };
    let (found, queue) = mpsc::channel(AT_ONCE);
    let walking = engine.walk(found);
    let reading = stream(queue).for_each_concurrent(AT_ONCE, |file| engine.file(file));
    join(walking, reading).await;
    let large = std::mem::take(&mut *engine.large.lock().unwrap_or_else(PoisonError::into_inner));
    for file in large {
        engine.stream(file).await;
    }
}

/// The longest file that is read for something else in the workspace.
const LONGEST_ONE: u64 = 64 << 20;

/// Reads one file that something in the workspace is made of.
pub(super) async fn one(run: &Run<'_>, path: &str) -> Result<(Bytes, Memory), String> {
    let kind = ALL.iter().copied().find(|kind| kind.is_dbfs_file());
    let engine = Engine {
        run,
        kind: kind.ok_or("files of the DBFS are unknown")?,
        files: &DbfsFiles::default(),
        large: Mutex::default(),
    };
    engine.one(path, LONGEST_ONE).await
}

struct Engine<'a> {
    run: &'a Run<'a>,
    kind: &'static Kind,
    files: &'a DbfsFiles,
    /// Files that are read in the end, one after the other.
    large: Mutex<Vec<File>>,
}

/// A file as the listing shows it.
#[derive(Clone, Debug)]
struct File {
    key: ObjectKey,
    path: String,
    size: u64,
    modified_at: Option<i64>,
    body: Value,
}

impl Engine<'_> {
    /// Sends a file on, or keeps it for later.
    async fn file(&self, file: File) {
        let limit = self.files.max_file_size;
        if limit.is_some_and(|limit| file.size > limit) {
            let mut object = object(&file);
            object.body = Part::Read(leave_out(file.size, file.modified_at));
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

    fn is_known(&self, file: &File) -> bool {
        let sighting = Sighting {
            key: &file.key,
            object_id: &file.path,
            modified_at: file.modified_at,
            size: Some(file.size),
            body: None,
        };
        self.run.known.look_up(&sighting).is_unchanged
    }

    /// Sends on that the content of a file is unknown.
    async fn unread(&self, file: &File, reason: String) {
        let mut object = object(file);
        object.body = Part::Read(file.body.clone());
        object.content = Part::Unread;
        object.add_gap(Gap::new(Extent::Content, reason));
        self.run.send(object).await;
    }
}

fn object(file: &File) -> Captured {
    let mut object = Captured::new(file.key.clone(), Some(file.path.clone()));
    object.modified_at = file.modified_at;
    object.size = Some(file.size);
    object
}

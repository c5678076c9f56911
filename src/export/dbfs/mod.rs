//! The engine for the files of the DBFS root: a walk over the selected folders, and reads in blocks.
//!
//! - `walk`: which files there are. `read`: what is in them.
//!
//! Where mounts lead to is data of others: the walk does not enter them.
//!
//! Invariant: a file that was listed is sent, whole, or with the reason why its content is not; if any folder could not be
//! listed, it is said that there may be more.

mod read;
#[cfg(test)]
mod tests;
mod walk;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join;
use serde_json::Value;
use tokio::sync::mpsc;

pub(super) use self::read::Root;
use super::files::{File, Reader};
use super::item::Memory;
use super::run::{Run, stream};
use crate::manifest::DbfsFiles;
use crate::resource::{ALL, Kind, dbfs_key};

/// Files in work at the same time; how many requests are really sent, the client decides.
const AT_ONCE: usize = 32;

/// Exports all selected files.
pub(super) async fn export(run: &Run<'_>) {
    let kind = ALL.iter().copied().find(|kind| kind.is_dbfs_file());
    let (Some(files), Some(kind)) = (run.selection.dbfs.as_ref(), kind) else {
        return;
    };
    let engine = Engine { run, kind, files };
    let reader = Reader::new(run, Root { run }, files.max_file_size);
    let (found, queue) = mpsc::channel(AT_ONCE);
    let walking = engine.walk(found);
    let reading = stream(queue).for_each_concurrent(AT_ONCE, |file| reader.file(file));
    join(walking, reading).await;
    reader.finish().await;
}

/// The longest file that is read for something else in the workspace.
const LONGEST_ONE: u64 = 64 << 20;

/// Reads one file that something in the workspace is made of.
pub(super) async fn one(run: &Run<'_>, path: &str) -> Result<(Bytes, Memory), String> {
    let file = File {
        key: dbfs_key(path),
        object_id: path.to_owned(),
        size: 0,
        modified_at: None,
        body: Value::Null,
        place: path.to_owned(),
    };
    let reader = Reader::new(run, Root { run }, Some(LONGEST_ONE));
    reader.one(&file).await
}

struct Engine<'a> {
    run: &'a Run<'a>,
    kind: &'static Kind,
    files: &'a DbfsFiles,
}

//! Taking a snapshot: what an export finds is stored, listed in a manifest and committed.
//!
//! - `sources`: what earlier snapshots and unfinished runs know already.
//! - `recorder`: the one seam between reading (async) and storing (a thread of its own): items become entries.
//! - `finish`: the manifest and its head.
//!
//! Invariant: the head is written last, and only after an export that came to its end. Whatever ends a backup earlier
//! leaves a checkpoint behind, from which the next one goes on.

mod error;
mod finish;
mod recorder;
mod sources;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

pub use error::BackupError;

use crate::api::{Client, RequestCounts, WorkspaceInfo};
use crate::export::{self, ExportError};
use crate::manifest::{Selection, Snapshot};
use crate::report::{Event, Reporter};
use crate::sql::Place;
use crate::store::{SnapshotId, Store, Written};
use recorder::Recorder;
use sources::Sources;

/// Items on their way from the export to the store. Their contents are bounded by the export itself.
const QUEUE: usize = 512;

/// How a backup is taken.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// When it was begun.
    pub time: DateTime<Utc>,
    /// The machine that takes it.
    pub hostname: String,
    /// The version of dbsnap that takes it.
    pub tool_version: String,
    /// What is to be read.
    pub selection: Selection,
    /// Reads everything anew, even what looks unchanged.
    pub full: bool,
    /// What runs statements that read the Hive metastore, if that is selected. Whoever made it closes it.
    pub metastore: Option<Arc<Place>>,
    /// Words to attach to the snapshot.
    pub tags: Vec<String>,
    /// Takes lists for whole that leave out what the user has no permission on: for a restore, which can do nothing to that.
    pub trusts_lists: bool,
    /// Asks the backup to stop as soon as it becomes true.
    pub stop: watch::Receiver<bool>,
}

impl BackupOptions {
    /// A backup of everything, begun at `time`, that nothing stops.
    pub fn new(time: DateTime<Utc>) -> Self {
        Self {
            time,
            hostname: String::new(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            selection: Selection::default(),
            full: false,
            metastore: None,
            tags: Vec::new(),
            trusts_lists: false,
            stop: watch::channel(false).1,
        }
    }
}

/// What a backup has done.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// The new snapshot.
    pub id: SnapshotId,
    /// Its head.
    pub snapshot: Snapshot,
    /// What became of the objects of every kind since the parent.
    pub counts: BTreeMap<String, Counts>,
    /// Requests made for it.
    pub requests: RequestCounts,
    /// What it added to the store.
    pub written: Written,
    /// How long it took.
    pub duration: Duration,
}

/// What became of objects since the parent snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// There for the first time under their name.
    pub new: u64,
    /// Something of them changed, be it only what could not be read this time.
    pub changed: u64,
    /// Exactly as they were.
    pub unchanged: u64,
    /// Not there any more.
    pub removed: u64,
    /// Unknown this time, and kept as the parent had them.
    pub carried_over: u64,
}

impl Counts {
    /// The objects that the snapshot has.
    pub const fn objects(&self) -> u64 {
        self.new + self.changed + self.unchanged + self.carried_over
    }
}

/// Takes a snapshot of a workspace.
pub async fn run(
    client: &Client,
    store: &Store,
    options: BackupOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<BackupReport, BackupError> {
    let began = Instant::now();
    if options.selection.secret_values && !store.is_encrypted() {
        return Err(BackupError::SecretsNeedKey);
    }
    let requests = client.requests_made();
    let workspace = client.workspace().await.map_err(BackupError::Workspace)?;
    let task = Task {
        store: store.clone(),
        workspace,
        options,
        reporter: Arc::clone(reporter),
        began,
    };
    if let Some(why) = task.why_hidden().filter(|_| task.options.trusts_lists) {
        reporter.report(Event::Warning(&why));
    }
    reporter.report(Event::PhaseStarted {
        name: "reading the workspace",
    });
    let recorder = task.read(client).await;
    reporter.report(Event::PhaseFinished);
    let recorder = recorder?;
    let requests = since(client.requests_made(), requests);
    let count = requests.requests;
    let (id, snapshot, counts, written) = blocking(move || finish::finish(recorder, count)).await?;
    Ok(BackupReport {
        id,
        snapshot,
        counts,
        requests,
        written,
        duration: began.elapsed(),
    })
}

/// Takes a snapshot into a temporary store that is layered over `store`, which stays as it is: the workspace as it is now,
/// to be compared or planned with. The snapshot goes with the returned store.
pub async fn capture(
    client: &Client,
    store: &Store,
    options: BackupOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<(Store, BackupReport), BackupError> {
    let (under, now) = (store.clone(), options.time);
    let scratch = blocking(move || Store::scratch(&under, now)).await?;
    let report = run(client, &scratch, options, reporter).await?;
    Ok((scratch, report))
}

/// What a backup knows from its beginning.
struct Task {
    store: Store,
    workspace: WorkspaceInfo,
    options: BackupOptions,
    reporter: Arc<dyn Reporter>,
    began: Instant,
}

impl Task {
    /// Why lists may leave objects out. The API says of none that it did.
    fn why_hidden(&self) -> Option<String> {
        let user = &self.workspace.user_name;
        (!self.workspace.is_admin).then(|| {
            format!(
                "{user} is not in the group admins of this workspace, and is shown only what that user has a permission on"
            )
        })
    }

    /// Reads the workspace into a recorder.
    async fn read(self, client: &Client) -> Result<Recorder, BackupError> {
        let (selection, stop) = (self.options.selection.clone(), self.options.stop.clone());
        let (reporter, metastore) = (Arc::clone(&self.reporter), self.options.metastore.clone());
        let (task, sources) = blocking(move || {
            let sources = Sources::open(&self)?;
            Ok::<_, BackupError>((self, Arc::new(sources)))
        })
        .await?;
        let (sender, items) = mpsc::channel(QUEUE);
        let known = Arc::clone(&sources);
        let recording = spawn_blocking(move || Recorder::start(task, sources)?.record(items));
        let request = export::Request {
            client,
            selection: &selection,
            known: &*known,
            metastore: metastore.as_deref(),
            reporter: &*reporter,
        };
        let exported = export::run(request, sender, stop).await;
        // An abandoned export says less than the one who abandoned it.
        let recorder = joined(recording.await)?;
        match exported {
            Ok(()) => Ok(recorder),
            Err(error) => {
                let stored = blocking(move || recorder.leave_checkpoint()).await?;
                Err(match error {
                    ExportError::Stopped => BackupError::Interrupted { stored },
                    error => BackupError::Export(error),
                })
            }
        }
    }
}

/// Runs what waits for disks and processors where it holds up nobody.
async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, BackupError>
where
    T: Send + 'static,
    E: Send + 'static,
    BackupError: From<E>,
{
    joined(spawn_blocking(work).await)
}

fn joined<T, E>(result: Result<Result<T, E>, tokio::task::JoinError>) -> Result<T, BackupError>
where
    BackupError: From<E>,
{
    match result {
        Ok(result) => Ok(result?),
        // Blocking work is never cancelled: it panicked.
        Err(error) => resume_unwind(error.into_panic()),
    }
}

fn since(now: RequestCounts, before: RequestCounts) -> RequestCounts {
    let family = |(name, count): (&'static str, u64)| {
        let count = count - before.by_family.get(name).copied().unwrap_or_default();
        (count > 0).then_some((name, count))
    };
    RequestCounts {
        requests: now.requests - before.requests,
        repeats: now.repeats - before.repeats,
        throttled: now.throttled - before.throttled,
        bytes_sent: now.bytes_sent - before.bytes_sent,
        bytes_received: now.bytes_received - before.bytes_received,
        by_family: now.by_family.into_iter().filter_map(family).collect(),
    }
}

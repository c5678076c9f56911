//! One export from beginning to end: what its engines share, and what ends it early.
//!
//! Invariant: a failure that would make everything a gap (credentials no longer accepted, the workspace out of reach)
//! ends the export; the engine that meets it never goes on to say that some object could not be read.

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::{Either, join_all, join3, select};
use futures_util::stream::{Stream, poll_fn};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use super::item::{Captured, Item, Memory};
use super::known::Known;
use super::{dbfs, listed, metastore, mounts, runs, tree};
use crate::api::{ApiError, Client, ErrorKind, Phase};
use crate::manifest::Selection;
pub(super) use crate::report::chain as reason;
use crate::report::{Event, Reporter};
use crate::resource::{ALL, KindName, ObjectKey, Source};
use crate::sql::Place;

/// How much content may be under way between workspace and store.
const MEMORY: usize = 96 << 20;
const MEMORY_UNIT: usize = 1 << 10;

/// After so many calls in a row that found nobody at the other end (each tried several times) the workspace is out of
/// reach.
const MOST_UNREACHED: u32 = 6;

/// What is to be exported.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The workspace.
    pub client: &'a Client,
    /// Which objects.
    pub selection: &'a Selection,
    /// What need not be read again.
    pub known: &'a dyn Known,
    /// What runs statements that read the Hive metastore.
    pub metastore: Option<&'a Place>,
    /// Who hears of it.
    pub reporter: &'a dyn Reporter,
}

/// Why an export ended before its end.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The credentials were refused, after a refresh where there is one.
    #[error("the workspace does not accept the credentials (any more)")]
    Unauthenticated(#[source] ApiError),
    /// Nobody answers.
    #[error("the workspace is out of reach")]
    Unreachable(#[source] ApiError),
    /// It was asked to stop.
    #[error("the export was interrupted")]
    Stopped,
    /// Nobody takes the items any more; whoever did knows why.
    #[error("the export was abandoned")]
    Abandoned,
}

/// Exports everything selected into `items`. Ends early when `stop` becomes true.
pub async fn run(
    request: Request<'_>,
    items: mpsc::Sender<Item>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ExportError> {
    let run = Run::new(request, items);
    let engines = pin!(run.engines());
    let stopped = pin!(async {
        // A sender that is gone will never ask to stop.
        if stop.wait_for(|stop| *stop).await.is_err() {
            pending::<()>().await;
        }
    });
    let failed = pin!(run.failed.notified());
    match select(engines, select(failed, stopped)).await {
        Either::Left(_) => Ok(()),
        Either::Right((Either::Left(_), _)) => Err(run.take_failure()),
        Either::Right((Either::Right(_), _)) => Err(ExportError::Stopped),
    }
}

/// What the engines of one export share.
pub(super) struct Run<'a> {
    pub(super) client: &'a Client,
    pub(super) selection: &'a Selection,
    pub(super) known: &'a dyn Known,
    pub(super) metastore: Option<&'a Place>,
    pub(super) reporter: &'a dyn Reporter,
    items: mpsc::Sender<Item>,
    memory: Arc<Semaphore>,
    failure: Mutex<Option<ExportError>>,
    failed: Notify,
    unreached: AtomicU32,
    /// Where there are mounts, as far as that was asked.
    mounts: Mutex<Vec<String>>,
    /// The types of objects about whose permissions there is nothing to ask, since the workspace has none.
    without_acls: Mutex<BTreeSet<&'static str>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(request: Request<'a>, items: mpsc::Sender<Item>) -> Self {
        Self {
            client: request.client,
            selection: request.selection,
            known: request.known,
            metastore: request.metastore,
            reporter: request.reporter,
            items,
            memory: Arc::new(Semaphore::new(MEMORY / MEMORY_UNIT)),
            failure: Mutex::default(),
            failed: Notify::new(),
            unreached: AtomicU32::new(0),
            mounts: Mutex::default(),
            without_acls: Mutex::default(),
        }
    }

    /// Whether the workspace has said that objects of this type have no permissions.
    pub(super) fn is_without_acls(&self, object_type: &str) -> bool {
        let without = self.without_acls.lock();
        let without = without.unwrap_or_else(PoisonError::into_inner);
        without.contains(object_type)
    }

    /// Takes note that objects of this type have no permissions, and says so once.
    pub(super) fn note_without_acls(&self, object_type: &'static str, error: &ApiError) {
        let without = self.without_acls.lock();
        let mut without = without.unwrap_or_else(PoisonError::into_inner);
        if without.insert(object_type) {
            self.reporter.report(Event::Warning(&format!(
                "this workspace has no permissions of {object_type}, and there are none in the snapshot: {}",
                error.message()
            )));
        }
    }

    async fn engines(&self) {
        let selected = |name| self.selection.covers_kind(&KindName::known(name));
        let mut lists = Vec::new();
        let (mut any_node, mut any_table, mut any_run) = (false, false, false);
        let (mut any_file, mut any_mount) = (false, false);
        for kind in ALL.iter().copied().filter(|kind| selected(kind.name)) {
            match &kind.source {
                // A home holds nothing but nodes of the tree.
                Source::Listed { .. } if self.selection.home.is_some() => {}
                Source::Listed { .. } | Source::Placed { .. } => {
                    lists.push(listed::export(self, kind));
                }
                Source::Tree(_) => any_node = true,
                Source::Runs | Source::Artifacts => any_run = true,
                Source::Metastore(_) => any_table = self.selection.home.is_none(),
                Source::Mounts => any_mount = self.selection.home.is_none(),
                Source::Dbfs => any_file = self.selection.home.is_none(),
            }
        }
        let tree = async {
            if any_node {
                tree::export(self).await;
            }
        };
        let metastore = async {
            if any_table {
                metastore::export(self).await;
            }
        };
        let runs = async {
            if any_run {
                runs::export(self).await;
            }
        };
        // Where the mounts are is to be known before the files around them are walked over.
        let files = async {
            let is_told = any_mount && mounts::export(self).await;
            if any_file && !is_told {
                mounts::recall(self);
            }
            if any_file {
                dbfs::export(self).await;
            }
        };
        join3(join_all(lists), tree, join3(metastore, runs, files)).await;
    }

    /// Reads JSON.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ApiError> {
        self.checked(self.client.get(path, query)).await
    }

    /// Reads bytes.
    pub(super) async fn download(
        &self,
        path: &str,
        query: &[(&str, &str)],
        longest: u64,
    ) -> Result<Bytes, ApiError> {
        self.checked(self.client.download(path, query, longest))
            .await
    }

    /// Makes a call; one that ends the export never returns.
    pub(super) async fn checked<T>(
        &self,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        match call.await {
            Err(error) if error.kind() == ErrorKind::Unauthenticated => {
                self.fail(ExportError::Unauthenticated(error)).await
            }
            Err(error) if found_nobody(&error) => {
                if self.unreached.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_UNREACHED {
                    return self.fail(ExportError::Unreachable(error)).await;
                }
                Err(error)
            }
            answer => {
                self.unreached.store(0, Ordering::Relaxed);
                answer
            }
        }
    }

    /// Sends an object on.
    pub(super) async fn send(&self, mut object: Captured) {
        // No manifest can hold everything in a name, and one such name must not cost the others their backup.
        object.key = object.key.fit(object.object_id.as_deref());
        self.send_item(Item::Object(Box::new(object))).await;
    }

    /// Sends an item on.
    pub(super) async fn send_item(&self, item: Item) {
        if self.items.send(item).await.is_err() {
            self.fail(ExportError::Abandoned).await
        }
    }

    /// Waits until there is memory for so many bytes. More than all there is means all there is.
    pub(super) async fn memory(&self, bytes: u64) -> Memory {
        let units = usize::try_from(bytes).unwrap_or(MEMORY) / MEMORY_UNIT + 1;
        let units =
            u32::try_from(units.min(MEMORY / MEMORY_UNIT)).expect("all memory is few units");
        let permit = Arc::clone(&self.memory).acquire_many_owned(units).await;
        Memory::new(permit.expect("the semaphore is never closed"))
    }

    /// Remembers where there are mounts.
    pub(super) fn know_mounts(&self, points: Vec<String>) {
        *self.mounts.lock().unwrap_or_else(PoisonError::into_inner) = points;
    }

    /// Whether there is surely a mount at a path.
    pub(super) fn is_mounted(&self, path: &str) -> bool {
        self.any_mount(|point| point == path)
    }

    /// Whether a path is surely that of a mount or leads into one.
    pub(super) fn is_in_mount(&self, path: &str) -> bool {
        let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        self.any_mount(|point| path.strip_prefix(point).is_some_and(is_below))
    }

    /// The root itself is one of those that every workspace has, and none to turn back at.
    fn any_mount(&self, is_it: impl Fn(&str) -> bool) -> bool {
        let mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut points = mounts.iter().map(|point| point.trim_end_matches('/'));
        points.any(|point| !point.is_empty() && is_it(point))
    }

    /// Tells that there is more to do.
    pub(super) fn expect(&self, more: usize) {
        self.reporter.report(Event::Expected { more: more as u64 });
    }

    /// Tells that an object was there when it was listed and is not any more.
    pub(super) fn gone(&self, key: &ObjectKey) {
        self.reporter.report(Event::Detail(&format!(
            "{key} disappeared while the workspace was being read"
        )));
        self.reporter.report(Event::Done { count: 1, bytes: 0 });
    }

    /// Ends the export. Never returns: the future it is called in is dropped.
    async fn fail<T>(&self, error: ExportError) -> T {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        self.failed.notify_one();
        pending().await
    }

    fn take_failure(&self) -> ExportError {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().unwrap_or(ExportError::Abandoned)
    }
}

fn found_nobody(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::Transport {
            phase: Phase::Connecting,
            ..
        }
    )
}

/// A number, which services write as a text at times, for it may be too long for JavaScript.
pub(super) fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The items of a channel as a stream.
pub(super) fn stream<T>(mut receiver: mpsc::Receiver<T>) -> impl Stream<Item = T> {
    poll_fn(move |context| receiver.poll_recv(context))
}

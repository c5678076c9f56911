//! Backups of the sandbox.

mod dbfs;
mod gaps;
mod heal;
mod libraries;
mod metastore;
mod mounts;
mod reuse;
mod secrets;
mod whole;

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::{BackupError, BackupOptions, BackupReport, run};
use crate::api::{Client, ClientOptions, Config, Rates, RetryPolicy};
use crate::manifest::{Entry, Selection, Tree};
use crate::report::{Event, Reporter};
use crate::resource::{KindName, ObjectKey};
use crate::sandbox::{Options, Running, Sample, Sandbox};
use crate::store::Store;

/// A workspace, a client of it and a store.
struct Bench {
    running: Running,
    client: Client,
    store: Store,
    heard: Arc<Heard>,
    time: Mutex<DateTime<Utc>>,
    _dir: TempDir,
}

/// Remembers warnings and details.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn report(&self, event: Event<'_>) {
        if let Event::Warning(text) | Event::Detail(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}

impl Heard {
    fn any(&self, part: &str) -> bool {
        self.0
            .lock()
            .unwrap()
            .iter()
            .any(|text| text.contains(part))
    }
}

impl Bench {
    async fn start(options: Options) -> Self {
        let running = Sandbox::start(options).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let time = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let store = Store::create(&dir.path().join("store"), time).unwrap();
        Self {
            client: client(&running.url, running.token.reveal()),
            running,
            store,
            heard: Arc::default(),
            time: Mutex::new(time),
            _dir: dir,
        }
    }

    /// With the hand-made workspace that has one of everything.
    async fn small() -> Self {
        Self::start(Options {
            sample: Sample::Small,
            ..Options::default()
        })
        .await
    }

    async fn empty() -> Self {
        Self::start(Options::default()).await
    }

    /// The options of the next backup, a minute after the last.
    fn options(&self) -> BackupOptions {
        let mut time = self.time.lock().unwrap();
        *time += TimeDelta::minutes(1);
        BackupOptions::new(*time)
    }

    async fn backup(&self) -> BackupReport {
        self.try_backup(self.options()).await.unwrap()
    }

    async fn try_backup(&self, options: BackupOptions) -> Result<BackupReport, BackupError> {
        self.running.workspace.forget_requests();
        let heard: Arc<dyn Reporter> = self.heard.clone();
        run(&self.client, &self.store, options, &heard).await
    }

    /// How many requests of the last backup went to endpoints with this in their name.
    fn requests(&self, part: &str) -> u64 {
        self.running.workspace.requests().to(part)
    }
}

fn client(url: &str, token: &str) -> Client {
    narrow_client(url, token, 32)
}

/// A client that makes at most so many requests at once.
fn narrow_client(url: &str, token: &str, at_once: usize) -> Client {
    let mut options = ClientOptions::new(Config::with_token(url, token).unwrap());
    options.rates = Rates::off();
    options.retry = RetryPolicy::quick();
    options.max_concurrency = at_once;
    Client::new(options).unwrap()
}

fn tree(store: &Store, report: &BackupReport) -> Tree {
    Tree::open(store, &report.snapshot.root).unwrap()
}

fn entries(store: &Store, report: &BackupReport) -> Vec<Entry> {
    tree(store, report).iter().map(Result::unwrap).collect()
}

fn entry(store: &Store, report: &BackupReport, kind: &'static str, name: &str) -> Option<Entry> {
    let key = ObjectKey::new(KindName::known(kind), name);
    tree(store, report).get(&key).unwrap()
}

fn content(store: &Store, report: &BackupReport, kind: &'static str, name: &str) -> Vec<u8> {
    let entry = entry(store, report, kind, name).unwrap();
    entry.content.unwrap().read(store).unwrap().into()
}

/// The gaps of a snapshot, spelt out.
fn gaps(report: &BackupReport) -> Vec<String> {
    let gaps = report.snapshot.gaps.first.iter();
    gaps.map(|gap| {
        format!(
            "{} {}: {:?}: {}",
            gap.kind, gap.name, gap.extent, gap.reason
        )
    })
    .collect()
}

fn only(kinds: &[&str]) -> Selection {
    Selection {
        only: kinds.iter().map(ToString::to_string).collect(),
        ..Selection::default()
    }
}

//! Restores between sandboxes.

mod artifacts;
mod conflicts;
mod dbfs;
mod faults;
mod history;
mod law;
mod libraries;
mod metastore;
mod mlflow;
mod mounts;
mod people;
mod runs;
mod safety;
mod secrets;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tempfile::TempDir;

use super::{Options, Outcome, Plan, RestoreReport, Source, Task, journal_path, run};
use crate::api::{Client, ClientOptions, Cloud, Config, Rates, RetryPolicy};
use crate::backup::{self, BackupError, BackupOptions};
use crate::compare::Comparable;
use crate::diff::{self, Side};
use crate::manifest::{DbfsFiles, Selection, Tree};
use crate::mapping::Mapping;
use crate::report::{Reporter, Silent};
use crate::resource::Grantee;
use crate::sandbox::{self, Running, Sample, Sandbox, Workspace};
use crate::store::{Identity, LineSeal, Lock, NewSlot, Store};

/// Two workspaces and a store.
struct Bench {
    from: Place,
    to: Place,
    store: Store,
    time: Mutex<DateTime<Utc>>,
    dir: TempDir,
}

/// A workspace with a client of it.
struct Place {
    running: Running,
    client: Client,
    caller: Grantee,
    id: String,
}

impl Place {
    async fn start(sample: Sample, seed: u64) -> Self {
        let running = Sandbox::start(sandbox::Options {
            sample,
            seed,
            workspace_id: 1_000_000 + seed,
            ..sandbox::Options::default()
        })
        .await
        .unwrap();
        let client = client(&running);
        let info = client.workspace().await.unwrap();
        Self {
            running,
            client,
            caller: Grantee::User(info.user_name),
            id: info.workspace_id.unwrap().to_string(),
        }
    }

    fn workspace(&self) -> &Workspace {
        &self.running.workspace
    }
}

impl Bench {
    /// With a store that anybody can read, and so without secret values.
    async fn plain(sample: Sample) -> Self {
        let bench = Self::new(sample).await;
        let path = bench.dir.path().join("plain");
        let store = Store::create(&path, *bench.time.lock().unwrap());
        Self {
            store: store.unwrap(),
            ..bench
        }
    }

    async fn new(sample: Sample) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let time = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Self {
            from: Place::start(sample, 1).await,
            to: Place::start(Sample::Empty, 2).await,
            store: encrypted(&dir.path().join("store"), time),
            time: Mutex::new(time),
            dir,
        }
    }

    /// What is there now, in a store that does not last.
    async fn capture(&self, place: &Place, selection: &Selection) -> Result<Source, BackupError> {
        let reporter: Arc<dyn Reporter> = Arc::new(Silent);
        let options = self.options(selection);
        let (store, report) =
            backup::capture(&place.client, &self.store, options, &reporter).await?;
        Ok(Source {
            store,
            id: report.id,
            snapshot: report.snapshot,
        })
    }

    async fn backup(&self) -> Source {
        self.backup_of(&self.from).await
    }

    async fn backup_of(&self, place: &Place) -> Source {
        let selection = Selection {
            secret_values: self.store.is_encrypted(),
            dbfs: Some(DbfsFiles::default()),
            ..Selection::default()
        };
        self.backup_with(place, &selection).await
    }

    async fn backup_with(&self, place: &Place, selection: &Selection) -> Source {
        let reporter: Arc<dyn Reporter> = Arc::new(Silent);
        let options = self.options(selection);
        let report = backup::run(&place.client, &self.store, options, &reporter).await;
        let report = report.unwrap();
        Source {
            store: self.store.clone(),
            id: report.id,
            snapshot: report.snapshot,
        }
    }

    /// Every capture is taken a minute after the one before.
    fn options(&self, selection: &Selection) -> BackupOptions {
        let mut time = self.time.lock().unwrap();
        *time += TimeDelta::minutes(1);
        BackupOptions {
            selection: selection.clone(),
            ..BackupOptions::new(*time)
        }
    }

    async fn restore(&self, source: &Source, options: &Options) -> RestoreReport {
        self.try_restore(source, options, false, |_| true).await
    }

    async fn plan(&self, source: &Source, options: &Options) -> Plan {
        self.try_restore(source, options, true, |_| true).await.plan
    }

    async fn try_restore(
        &self,
        source: &Source,
        options: &Options,
        dry_run: bool,
        confirm: impl FnOnce(&Plan) -> bool,
    ) -> RestoreReport {
        let journal = journal_path(
            self.dir.path(),
            &LineSeal::default(),
            &source.id,
            &self.to.id,
        );
        let task = self.task(source, options, &journal, dry_run);
        let capture = async |selection: &Selection| self.capture(&self.to, selection).await;
        run(task, capture, confirm).await.unwrap()
    }

    fn task<'a>(
        &'a self,
        source: &'a Source,
        options: &'a Options,
        journal: &'a Path,
        dry_run: bool,
    ) -> Task<'a> {
        Task {
            source,
            client: &self.to.client,
            metastore: None,
            caller: &self.to.caller,
            options,
            journal,
            safety: Some(&self.store),
            workspace: &self.to.id,
            dry_run,
            concurrency: 8,
            settle: Duration::ZERO,
            reporter: &Silent,
        }
    }

    /// Everything that differs between a snapshot and the target as it is now.
    async fn differences(&self, source: &Source, mapping: &Mapping) -> Vec<String> {
        let everything = Selection {
            secret_values: self.store.is_encrypted(),
            dbfs: Some(DbfsFiles::default()),
            ..Selection::default()
        };
        let now = self.capture(&self.to, &everything).await.unwrap();
        self.differences_to(source, &now, mapping).await
    }

    /// What a diff of two snapshots of one workspace tells, as far as both set out to read it.
    fn told(&self, before: &Source, after: &Source) -> Vec<String> {
        let trees = [before, after].map(|one| Tree::open(&one.store, &one.snapshot.root).unwrap());
        let of = |at: usize, selection| Side {
            tree: &trees[at],
            selection,
            workspace: "w",
            normalise: None,
        };
        let sides = (
            of(0, &before.snapshot.selection),
            of(1, &after.snapshot.selection),
        );
        let mut told = Vec::new();
        let options = diff::Options::default();
        diff::compare(&sides.0, &sides.1, &options, &mut |change| {
            told.push(serde_json::to_value(&change).unwrap().to_string());
            ControlFlow::Continue(())
        })
        .unwrap();
        told
    }

    /// Everything that differs between two snapshots.
    async fn differences_to(
        &self,
        source: &Source,
        now: &Source,
        mapping: &Mapping,
    ) -> Vec<String> {
        let left = Tree::open(&source.store, &source.snapshot.root).unwrap();
        let right = Tree::open(&now.store, &now.snapshot.root).unwrap();
        let comparable = Comparable::new(&left, &right, mapping).unwrap();
        let everything = Selection {
            secret_values: self.store.is_encrypted(),
            ..Selection::all()
        };
        let side = |tree, workspace, normalise| Side {
            tree,
            selection: &everything,
            workspace,
            normalise: Some(normalise),
        };
        let normalise_left = |key: &_, aspect, value| comparable.normalise_left(key, aspect, value);
        let normalise_right =
            |key: &_, aspect, value| comparable.normalise_right(key, aspect, value);
        let rename = |key: &_| comparable.rename(key);
        let options = diff::Options {
            rename: Some(&rename),
            details: true,
            ..diff::Options::default()
        };
        let mut found = Vec::new();
        diff::compare(
            &side(&left, "left", &normalise_left),
            &side(&right, "right", &normalise_right),
            &options,
            &mut |change| {
                let change = serde_json::to_value(&change).unwrap();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let values = change["details"]["content"]["changed"].as_array();
                let values = values.into_iter().flatten();
                let values = values.map(|value| format!(" value of {}", text(&value["name"])));
                let fields = ["fields", "permissions"].map(|part| {
                    let list = change["details"][part].as_array().into_iter().flatten();
                    let name =
                        |one: &Value| format!(" {}{}", text(&one["path"]), text(&one["principal"]));
                    list.map(name).collect::<String>()
                });
                let (kind, name) = (&change["object"]["kind"], &change["object"]["name"]);
                let what = text(&change["change"]);
                found.push(format!(
                    "{what} {} {}:{}{}",
                    text(kind),
                    text(name),
                    fields.concat(),
                    values.collect::<String>()
                ));
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        found
    }
}

/// A store that takes secret values.
fn encrypted(path: &Path, time: DateTime<Utc>) -> Store {
    let slot = NewSlot {
        label: "test".parse().unwrap(),
        lock: Lock::Recipient(Identity::generate().recipient()),
    };
    Store::create_encrypted(path, time, &[slot]).unwrap()
}

fn options() -> Options {
    Options::new(Cloud::Aws)
}

fn client(running: &Running) -> Client {
    let config = Config::with_token(&running.url, running.token.reveal()).unwrap();
    let mut options = ClientOptions::new(config);
    options.rates = Rates::off();
    options.retry = RetryPolicy::quick();
    Client::new(options).unwrap()
}

/// The failures of a restore, for messages.
fn failures(report: &RestoreReport) -> Vec<String> {
    let failures = report.failures();
    failures
        .map(|(step, outcome)| {
            let what = match &outcome.outcome {
                Outcome::Failed(reason) => format!("failed: {reason}"),
                Outcome::Skipped(reason) => format!("skipped: {reason}"),
                Outcome::Done | Outcome::NotNeeded => String::new(),
            };
            format!(
                "{} {}: {what} {:?}",
                step.kind, step.target, outcome.problems
            )
        })
        .collect()
}

/// The steps of a plan that are not simply made or unchanged.
fn odd_steps(plan: &Plan) -> Vec<String> {
    use super::Action;
    let odd = |step: &&super::Step| !matches!(step.action, Action::Create | Action::Unchanged);
    let steps = plan.steps.iter().filter(odd);
    steps
        .map(|step| {
            let differences: Vec<_> = step.differences.iter().map(|change| &change.path).collect();
            format!(
                "{:?} {} {}: {} {differences:?}",
                step.action, step.kind, step.target, step.reason
            )
        })
        .collect()
}

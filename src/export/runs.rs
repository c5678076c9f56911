//! The engine for runs of experiments: searches for runs that began in the window, some experiments at a time.
//!
//! Invariant: a page of experiments and a few pages of runs are in memory, however many there are; what stays of a run that
//! was sent is a hash of its name.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::{Value, json};

use super::artifacts::{Artifacts, Author};
use super::history;
use super::item::{Captured, Item, Part};
use super::listed::{listing, unlisted};
use super::run::{Run, number, reason};
use crate::api::{ApiError, Repeat};
use crate::manifest::{Extent, Gap, Runs};
use crate::resource::{ALL, Kind, KindName, Listing, ObjectKey, Source, identify};

/// Experiments that one search is about: searches are few a second, and most experiments have few runs.
const EXPERIMENTS: usize = 50;
/// Runs in a page.
const PAGE: usize = 1000;
/// Searches under way at once.
const AT_ONCE: usize = 3;
/// Runs of one search whose metrics and files are read at once.
const RUNS_AT_ONCE: usize = 4;

/// Exports all runs in the window of the selection, and the files they have written.
pub(super) async fn export(run: &Run<'_>) {
    let experiments = crate::resource::kind("experiment").and_then(Kind::listing);
    let runs = ALL.iter().find(|kind| matches!(kind.source, Source::Runs));
    let (Some(window), Some(experiments), Some(kind)) = (&run.selection.runs, experiments, runs)
    else {
        return;
    };
    let engine = Engine {
        run,
        kind,
        window,
        is_told: run.selection.covers_kind(&KindName::known(kind.name)),
        artifacts: Artifacts::new(run),
        seen: Mutex::default(),
    };
    engine.search_all(experiments).await;
    if let Some(artifacts) = &engine.artifacts {
        artifacts.finish().await;
    }
}

impl Engine<'_> {
    /// Searches page by page of experiments.
    async fn search_all(&self, experiments: &'static Listing) {
        let mut pages = self.run.client.pages(listing(experiments));
        loop {
            let page = match self.run.checked(pages.next()).await {
                Ok(Some(page)) => page,
                Ok(None) => return,
                Err(error) => return self.unlisted(&error).await,
            };
            let experiments: Vec<Experiment> = page.iter().filter_map(Experiment::read).collect();
            let enters = |one: &&Experiment| self.run.selection.enters(&one.name);
            let wanted: Vec<&Experiment> = experiments.iter().filter(enters).collect();
            let searches = wanted.chunks(EXPERIMENTS);
            iter(searches)
                .for_each_concurrent(AT_ONCE, |experiments| self.search(experiments))
                .await;
        }
    }
}

struct Experiment {
    id: String,
    name: String,
}

impl Experiment {
    fn read(item: &Value) -> Option<Self> {
        let text = |field: &str| item[field].as_str().map(str::to_owned);
        Some(Self {
            id: text("experiment_id")?,
            name: text("name")?,
        })
    }
}

struct Engine<'a> {
    run: &'a Run<'a>,
    kind: &'static Kind,
    window: &'a Runs,
    /// Whether the runs themselves are selected, and not only their files.
    is_told: bool,
    artifacts: Option<Artifacts<'a>>,
    seen: Mutex<HashSet<[u64; 2]>>,
}

/// A run that was found.
struct Found {
    author: Author,
    /// What is sent of it, and about how much memory that takes; none if only its files are selected.
    object: Option<(Captured, u64)>,
}

impl Engine<'_> {
    /// Reads all runs of some experiments.
    async fn search(&self, experiments: &[&Experiment]) {
        let ids: Vec<&str> = experiments.iter().map(|one| one.id.as_str()).collect();
        let mut body =
            json!({"experiment_ids": ids, "max_results": PAGE, "run_view_type": "ACTIVE_ONLY"});
        if let Some(since) = self.window.since {
            let since = since.timestamp_millis();
            body["filter"] = json!(format!("attributes.start_time >= {since}"));
        }
        let mut tokens = HashSet::new();
        loop {
            let mut page = match self.page(&body).await {
                Ok(page) => page,
                Err(error) => return self.unlisted(&error).await,
            };
            let runs = match page["runs"].take() {
                Value::Array(runs) => runs,
                Value::Null => Vec::new(),
                _ => {
                    return self
                        .gap("the workspace answered something that is not a list of runs")
                        .await;
                }
            };
            let mut found = Vec::new();
            for item in runs {
                found.extend(self.found(item, experiments).await);
            }
            iter(found)
                .for_each_concurrent(RUNS_AT_ONCE, |found| self.tell(found))
                .await;
            match page["next_page_token"].as_str() {
                None | Some("") => return,
                Some(token) if tokens.insert(token.to_owned()) => body["page_token"] = json!(token),
                Some(_) => return self.gap("the pages of runs go in circles").await,
            }
        }
    }

    async fn page(&self, body: &Value) -> Result<Value, ApiError> {
        let client = self.run.client;
        let call = client.post("/api/2.0/mlflow/runs/search", body, Repeat::Safe);
        self.run.checked(call).await
    }

    /// A run under its name. None if it was met before.
    async fn found(&self, mut item: Value, experiments: &[&Experiment]) -> Option<Found> {
        let experiment = item["info"]["experiment_id"].as_str();
        let experiment = experiments
            .iter()
            .find(|one| Some(one.id.as_str()) == experiment);
        let (Some(experiment), Some(id)) = (experiment, item["info"]["run_id"].as_str()) else {
            self.gap("the workspace listed a run without run_id or experiment_id")
                .await;
            return None;
        };
        let id = id.to_owned();
        // A run whose beginning is not known began with time itself.
        let began = number(&item["info"]["start_time"]).unwrap_or_default();
        let logged = self.kind.restore.logged();
        let origin = logged.and_then(|of| of.origin_of(&item));
        let origin = origin.unwrap_or_else(|| id.clone());
        let name = Runs::name(&experiment.name, began, &origin);
        let mut key = ObjectKey::new(KindName::known(self.kind.name), name.clone());
        if !self.is_new(&id) {
            return None;
        }
        // A restored run beside the one it was made from.
        let is_namesake = !self.is_new(&name);
        let author = Author {
            name: name.clone(),
            id: id.clone(),
            is_namesake,
            uri: item["info"]["artifact_uri"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        };
        if !self.is_told || !self.run.selection.covers(&key) {
            return Some(Found {
                author,
                object: None,
            });
        }
        if is_namesake {
            key = ObjectKey::with_id(key.kind, name.clone(), &id);
        }
        self.run.expect(1);
        let len = length(&item);
        item["name"] = json!(name);
        item["run_id"] = json!(id);
        let mut object = Captured::new(key, Some(id));
        match identify(self.kind, &item) {
            Ok(identified) => object.body = Part::Read(identified.body),
            Err(error) => {
                object.body = Part::Unread;
                object.add_gap(Gap::new(Extent::Object, reason(&error)));
            }
        }
        Some(Found {
            author,
            object: Some((object, len)),
        })
    }

    /// Sends on a run, with what it has measured and written.
    async fn tell(&self, found: Found) {
        if let Some((mut object, len)) = found.object {
            if self.window.metric_history {
                history::add(self.run, &mut object).await;
            }
            let history = match &object.content {
                Part::Read(lines) => lines.len() as u64,
                _ => 0,
            };
            object.memory = Some(self.run.memory(len + history).await);
            self.run.send(object).await;
        }
        if let Some(artifacts) = &self.artifacts {
            artifacts.of_run(&found.author).await;
        }
    }

    /// Whether this is met for the first time. 128 bits: no two ids or names ever meet.
    fn is_new(&self, text: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert([0, 1].map(|salt| hash(salt, text)))
    }

    async fn gap(&self, reason: &str) {
        for kind in self.kinds() {
            let gap = Gap::new(Extent::Kind, reason);
            self.run.send_item(Item::Unlisted { kind, gap }).await;
        }
    }

    async fn unlisted(&self, error: &ApiError) {
        for kind in self.kinds() {
            unlisted(self.run, kind, error).await;
        }
    }

    /// What is unknown where runs are.
    fn kinds(&self) -> impl Iterator<Item = &'static Kind> {
        let runs = self.is_told.then_some(self.kind);
        let files = self.artifacts.as_ref().map(|artifacts| artifacts.kind);
        runs.into_iter().chain(files)
    }
}

fn hash(salt: u8, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (salt, text).hash(&mut hasher);
    hasher.finish()
}

/// About how much memory a run takes.
fn length(item: &Value) -> u64 {
    match item {
        Value::String(text) => text.len() as u64 + 32,
        Value::Array(elements) => elements.iter().map(length).sum::<u64>() + 32,
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() as u64 + 64 + length(value))
            .sum(),
        _ => 32,
    }
}

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

use super::item::{Captured, Item, Part};
use super::listed::{listing, unlisted};
use super::run::{Run, reason};
use crate::api::{ApiError, Repeat};
use crate::manifest::{Extent, Gap, Runs};
use crate::resource::{Kind, KindName, ObjectKey, identify};

/// Experiments that one search is about: searches are few a second, and most experiments have few runs.
const EXPERIMENTS: usize = 50;
/// Runs in a page.
const PAGE: usize = 1000;
/// Searches under way at once.
const AT_ONCE: usize = 3;

/// Exports all runs in the window of the selection.
pub(super) async fn export(run: &Run<'_>, kind: &'static Kind) {
    let experiments = crate::resource::kind("experiment").and_then(Kind::listing);
    let (Some(window), Some(experiments)) = (&run.selection.runs, experiments) else {
        return;
    };
    let engine = Engine {
        run,
        kind,
        window,
        seen: Mutex::default(),
    };
    let mut pages = run.client.pages(listing(experiments));
    loop {
        let page = match run.checked(pages.next()).await {
            Ok(Some(page)) => page,
            Ok(None) => return,
            Err(error) => return unlisted(run, kind, &error).await,
        };
        let experiments: Vec<Experiment> = page.iter().filter_map(Experiment::read).collect();
        let enters = |one: &&Experiment| run.selection.enters(&one.name);
        let wanted: Vec<&Experiment> = experiments.iter().filter(enters).collect();
        let searches = wanted.chunks(EXPERIMENTS);
        iter(searches)
            .for_each_concurrent(AT_ONCE, |experiments| engine.search(experiments))
            .await;
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
    seen: Mutex<HashSet<[u64; 2]>>,
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
                Err(error) => return unlisted(self.run, self.kind, &error).await,
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
            for item in runs {
                self.tell(item, experiments).await;
            }
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

    /// Sends a run on, under its name.
    async fn tell(&self, mut item: Value, experiments: &[&Experiment]) {
        let experiment = item["info"]["experiment_id"].as_str();
        let experiment = experiments
            .iter()
            .find(|one| Some(one.id.as_str()) == experiment);
        let (Some(experiment), Some(id)) = (experiment, item["info"]["run_id"].as_str()) else {
            return self
                .gap("the workspace listed a run without run_id or experiment_id")
                .await;
        };
        let id = id.to_owned();
        // A run whose beginning is not known began with time itself.
        let began = &item["info"]["start_time"];
        let began = began.as_i64().or_else(|| began.as_str()?.parse().ok());
        let began = began.unwrap_or_default();
        let logged = self.kind.restore.logged();
        let origin = logged.and_then(|of| of.origin_of(&item));
        let origin = origin.unwrap_or_else(|| id.clone());
        let name = Runs::name(&experiment.name, began, &origin);
        let mut key = ObjectKey::new(KindName::known(self.kind.name), name.clone());
        if !self.is_new(&id) || !self.run.selection.covers(&key) {
            return;
        }
        if !self.is_new(&name) {
            // A restored run beside the one it was made from.
            key = ObjectKey::with_id(key.kind, name.clone(), &id);
        }
        self.run.expect(1);
        let memory = self.run.memory(length(&item)).await;
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
        object.memory = Some(memory);
        self.run.send(object).await;
    }

    /// Whether this is met for the first time. 128 bits: no two ids or names ever meet.
    fn is_new(&self, text: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert([0, 1].map(|salt| hash(salt, text)))
    }

    async fn gap(&self, reason: &str) {
        let gap = Gap::new(Extent::Kind, reason);
        let kind = self.kind;
        self.run.send_item(Item::Unlisted { kind, gap }).await;
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

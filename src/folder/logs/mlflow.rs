//! Experiments, and the runs of them, which the older tool keeps in a database of its own.
//!
//! Invariant: what the older tool left out of a run or of a list is said of that run or of the kind.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::ImportError;
use super::book::add_gap;
use super::lines::Spot;
use super::listed::{Taker, known};
use super::runs::{Database, FILE, JOURNAL};
use crate::manifest::{Entry, Extent, Runs};
use crate::resource::{KindName, ObjectKey, identify};

const EXPERIMENTS: &str = "mlflow_experiments.log";

/// What no run in the database has.
const LEFT_OUT: &str =
    "the older tool keeps neither the inputs of a run nor the step and time of a metric";

/// Of runs as a whole.
const A_WINDOW: &str = "the older tool reads only runs that began within a window, the last thirty days unless it is told \
                        another, and does not write down which";

/// What came of the experiments in the list, by their ids: their names, and none of those that were deleted.
pub(super) type Experiments = HashMap<String, Option<String>>;

/// Experiments that a full page of the service has.
const PAGE: usize = 1000;

impl Taker<'_, '_> {
    /// Takes experiments and runs.
    pub(super) fn mlflow(&mut self) -> Result<(), ImportError> {
        let experiments = self.experiments()?;
        self.runs(&experiments)
    }

    fn experiments(&mut self) -> Result<Experiments, ImportError> {
        let kind = known("experiment");
        let acl = ("mlflow_experiments_acls.log", "name");
        let mut access = self.access(kind, Some(acl))?;
        let mut experiments = Experiments::new();
        self.each(EXPERIMENTS, kind, |taker, mut item, spot| {
            let is_deleted = item["lifecycle_stage"] == "deleted";
            if let Some(id) = item["experiment_id"].as_str() {
                let name = item["name"].as_str().filter(|_| !is_deleted);
                experiments.insert(id.to_owned(), name.map(str::to_owned));
            }
            if is_deleted {
                return Ok(());
            }
            let tags = listed(&item["tags"]);
            item["tags"] = tags;
            taker.item(kind, &item, &mut access, spot)
        })?;
        let deleted = experiments.values().filter(|name| name.is_none()).count();
        if deleted > 0 {
            let words =
                format!("{EXPERIMENTS}: {deleted} deleted experiments are no part of a snapshot");
            self.book.remark(&words);
        }
        if !experiments.is_empty() && experiments.len().is_multiple_of(PAGE) {
            let reason = format!(
                "the older tool reads one page of experiments, and {} may be just one",
                experiments.len()
            );
            self.book.lost(kind.name, reason);
        }
        access.conclude(self.book, self.export)?;
        Ok(experiments)
    }

    fn runs(&mut self, experiments: &Experiments) -> Result<(), ImportError> {
        let kind = known("run");
        let database = match Database::open(self.export) {
            Ok(None) => return Ok(()),
            Ok(Some(database)) => database,
            Err(reason) => {
                self.book.lost(kind.name, format!("{FILE}: {reason}"));
                return Ok(());
            }
        };
        self.book.covers(kind.name);
        self.book.lost(kind.name, A_WINDOW);
        if database.was_being_written {
            let reason = format!("{JOURNAL} is there, as when {FILE} was being written");
            self.book.lost(kind.name, reason);
        }
        let mut of_deleted = 0_u64;
        let read = database.each(|row, run| {
            let spot = Spot {
                file: format!("{FILE} row"),
                line: row,
            };
            let taken = run.and_then(|run| self.run(run, experiments));
            match taken {
                Ok(Taken::Entry(entry)) => self.book.note(*entry, &spot),
                Ok(Taken::OfDeleted) => {
                    of_deleted += 1;
                    Ok(())
                }
                Ok(Taken::Failed(error)) => Err(error),
                Err(reason) => {
                    self.book
                        .lost(kind.name, format!("{FILE} row {row}: {reason}"));
                    Ok(())
                }
            }
        })?;
        if let Err(reason) = read {
            self.book.lost(kind.name, format!("{FILE}: {reason}"));
        }
        if of_deleted > 0 {
            let words = format!(
                "{FILE}: {of_deleted} runs of deleted experiments are no part of a snapshot"
            );
            self.book.remark(&words);
        }
        Ok(())
    }

    /// What becomes of a run.
    fn run(&self, run: Value, experiments: &Experiments) -> Result<Taken, String> {
        let kind = known("run");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let experiment = text(&run["info"]["experiment_id"]).ok_or("it has no `experiment_id`")?;
        let id = text(&run["info"]["run_id"]).ok_or("it has no `run_id`")?;
        let experiment = match experiments.get(&experiment) {
            Some(Some(name)) => name,
            Some(None) => return Ok(Taken::OfDeleted),
            None => {
                return Err(format!(
                    "{EXPERIMENTS} does not have its experiment {experiment}"
                ));
            }
        };
        let mut item = as_searched(run);
        let began = item["info"]["start_time"].as_i64().unwrap_or_default();
        let origin = kind.restore.logged().and_then(|of| of.origin_of(&item));
        let name = Runs::name(experiment, began, &origin.unwrap_or_else(|| id.clone()));
        item["name"] = json!(name);
        item["run_id"] = json!(id);
        let mut key = ObjectKey::new(KindName::known(kind.name), name.as_str()).fit(Some(&id));
        if self.book.has(&key) {
            // A restored run beside the one it was made from.
            key = ObjectKey::with_id(key.kind, name, &id).fit(Some(&id));
        }
        let identified = identify(kind, &item).map_err(|error| error.to_string())?;
        let mut entry = Entry::new(key);
        entry.object_id = Some(id);
        match self.book.json(&identified.body) {
            Ok(body) => entry.body = Some(body),
            Err(error) => return Ok(Taken::Failed(error)),
        }
        add_gap(&mut entry, Extent::Object, LEFT_OUT.to_owned());
        Ok(Taken::Entry(Box::new(entry)))
    }
}

enum Taken {
    Entry(Box<Entry>),
    OfDeleted,
    /// The store does not take it.
    Failed(ImportError),
}

/// A run as a search of the workspace shows it.
fn as_searched(mut run: Value) -> Value {
    let data: Map<String, Value> = ["metrics", "params", "tags"]
        .into_iter()
        .map(|part| (part.to_owned(), listed(&run[part])))
        .collect();
    json!({"info": run["info"].take(), "data": data})
}

/// Names and values as the list of pairs that the service makes of them.
fn listed(map: &Value) -> Value {
    match map {
        Value::Object(map) => {
            let pairs = map.iter();
            pairs
                .map(|(key, value)| json!({"key": key, "value": value}))
                .collect()
        }
        list => list.clone(),
    }
}

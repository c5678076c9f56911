//! Experiments and registered models.
//!
//! Invariant: an experiment has the id of the node it is, or of the notebook it belongs to; the node says what it is called.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::State;
use crate::sandbox::call::Object;

/// Tags by their keys.
pub(crate) type Tags = BTreeMap<String, String>;

/// What machine learning left behind.
#[derive(Default)]
pub(crate) struct Mlflow {
    pub(crate) experiments: BTreeMap<i64, Experiment>,
    pub(crate) runs: BTreeMap<String, MlflowRun>,
    pub(crate) models: BTreeMap<String, Model>,
    /// The ids of all models.
    pub(crate) model_ids: BTreeSet<String>,
}

/// An experiment.
pub(crate) struct Experiment {
    pub(crate) tags: Tags,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) artifact_location: String,
    /// What it was called when it was deleted.
    pub(crate) deleted: Option<String>,
}

/// A run of an experiment.
pub(crate) struct MlflowRun {
    pub(crate) id: String,
    pub(crate) experiment: i64,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) start_time: i64,
    pub(crate) end_time: Option<i64>,
    pub(crate) tags: Tags,
    pub(crate) params: Tags,
    /// All values of each.
    pub(crate) metrics: BTreeMap<String, Vec<Object>>,
    pub(crate) inputs: Vec<Value>,
    /// Where its files are.
    pub(crate) artifact_uri: String,
    pub(crate) is_deleted: bool,
}

/// A registered model.
pub(crate) struct Model {
    pub(crate) id: String,
    pub(crate) description: Option<String>,
    pub(crate) tags: Tags,
    pub(crate) owner: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) versions: BTreeMap<u64, ModelVersion>,
    /// The number of the last version there ever was.
    pub(crate) last: u64,
}

/// A version of a registered model.
pub(crate) struct ModelVersion {
    pub(crate) source: String,
    pub(crate) run_id: String,
    pub(crate) description: String,
    pub(crate) stage: &'static str,
    pub(crate) tags: Tags,
    pub(crate) owner: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

impl State {
    /// What an experiment is called.
    pub(crate) fn experiment_name(&self, id: i64) -> String {
        let deleted = self.mlflow.experiments.get(&id);
        let deleted = deleted.and_then(|experiment| experiment.deleted.clone());
        deleted.unwrap_or_else(|| self.tree.path_of(id))
    }
}

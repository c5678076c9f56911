//! What a restore will do, step by step, before it does anything.
//!
//! Invariant: a plan is data. Making it writes nothing and asks the workspace nothing; it reads two manifests, and the
//! same manifests, options and earlier runs give the same plan. It leaves nothing to decide to who carries it out.

mod acl;
mod draft;
mod files;
mod identity;
mod judge;
mod listed;
mod matching;
mod metastore;
mod mounts;
mod nodes;
mod order;
mod planner;
mod present;
mod remap;
mod rights;
mod rounds;
mod secrets;
mod select;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::diff::FieldChange;

use super::options::{MissingUsers, OnConflict};
use crate::manifest::{ManifestError, Payload};
use crate::mapping::Mapping;
use crate::resource::{Kind, ObjectKey};

pub use matching::Memory;
pub use planner::{Inputs, Side, plan};
pub(super) use present::is_nothing;

/// The version of a plan's JSON.
const FORMAT: u32 = 1;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A manifest could not be read.
    #[error("failed to read the {side}")]
    Read {
        /// Which of the two.
        side: &'static str,
        /// Why not.
        source: ManifestError,
    },
    /// A body in a manifest is no JSON.
    #[error("failed to read the body of {what}")]
    Body {
        /// Whose body.
        what: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Who is in the target could not be found out.
    #[error(
        "failed to find out who is in the target, because its {kind} objects could not be listed: {reason}"
    )]
    TargetUnknown {
        /// The kind.
        kind: &'static str,
        /// Why its listing failed.
        reason: String,
    },
    /// Users are missing, and that was said to be an end to it.
    #[error("{} of the snapshot are not in the target: {}", count(.0.len(), "user"), .0.join(", "))]
    MissingUsers(
        /// Their names, as the target would call them.
        Vec<String>,
    ),
    /// A kind was asked for that does not exist.
    #[error("there is no kind `{0}`")]
    NoSuchKind(String),
}

fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Everything a restore will do, in order.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The version of this form.
    pub format: u32,
    /// What was asked about users who are missing.
    pub missing_users: MissingUsers,
    /// What was asked about objects that differ.
    pub on_conflict: OnConflict,
    /// First the objects.
    pub steps: Vec<Step>,
    /// Then what had to be left out of them to break cycles.
    pub completions: Vec<Completion>,
    /// At last the permissions.
    pub permissions: Vec<PermissionStep>,
    /// Who is called how in the target.
    #[serde(skip)]
    pub mapping: Mapping,
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is made.
    Create,
    /// It is there and becomes what the snapshot says.
    Update,
    /// It is made in the archive, because its owner is gone.
    Archived,
    /// It is as the snapshot says.
    Unchanged,
    /// It is there and differs, and is left as it is.
    Conflict,
    /// It is not restored.
    Skipped,
}

impl Action {
    /// Whether a new object comes into being.
    pub const fn makes(self) -> bool {
        matches!(self, Action::Create | Action::Archived)
    }

    /// Whether the workspace is changed.
    pub const fn writes(self) -> bool {
        self.makes() || matches!(self, Action::Update)
    }
}

/// What becomes of one object.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What becomes of it.
    pub action: Action,
    /// Its kind.
    pub kind: &'static str,
    /// What the snapshot calls it; empty for a folder that only has to be there, and for a kind as a whole.
    pub name: String,
    /// Its id in the snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_id: Option<String>,
    /// What the target calls it, or will.
    pub target: String,
    /// Its id in the target, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// Why this becomes of it.
    pub reason: String,
    /// Where snapshot and target differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<FieldChange>,
    /// What is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What of it is not restored whatever becomes of the rest, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Principals it names who have no name in the target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmapped: Vec<String>,
    /// Steps of one stage do not wait for each other.
    pub stage: u32,
    /// Steps without which this one cannot be done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<usize>,
    /// What is written, with `${kind id}` for ids that are still to come. None: the object itself is not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// What is there in fields with calls of their own, and is taken away, by the name of the field.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub takes: Map<String, Value>,
    /// The content that is written.
    #[serde(skip)]
    pub content: Option<Payload>,
    /// The names of the secret values in it that are written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// An earlier run of the same restore made it and did not finish it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_resumed: bool,
    /// What the target itself calls the object that is there.
    #[serde(skip)]
    pub there: Option<ObjectKey>,
    /// Objects of the same name that are in the target: none of them is the one that is made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Whether an earlier run that was killed had begun to make it: its request may have arrived after the target was read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
}

impl Step {
    /// The kind's description.
    pub fn kind(&self) -> &'static Kind {
        crate::resource::kind(self.kind).expect("steps are made from the registry")
    }

    /// By what a run remembers the object: its path in the target, else its id in the snapshot.
    pub fn handle(&self) -> String {
        match (&self.old_id, self.kind().node()) {
            (Some(id), None) => id.clone(),
            _ => self.target.clone(),
        }
    }
}

/// The rest of an object that had to be made in part.
#[derive(Clone, Debug, Serialize)]
pub struct Completion {
    /// The object's step.
    pub step: usize,
    /// The whole body.
    pub body: Value,
    /// Steps without which this cannot be done.
    pub needs: Vec<usize>,
}

/// The permissions that an object gets.
#[derive(Clone, Debug, Serialize)]
pub struct PermissionStep {
    /// The object's step.
    pub step: usize,
    /// All direct entries, in the form of a snapshot.
    pub entries: Value,
    /// Those it has in the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub had: Option<Value>,
    /// Who has an entry in the snapshot and no name in the target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// Steps of one stage do not wait for each other.
    pub stage: u64,
    /// Whether a refusal is no failure: the service keeps the entries of a home's owner to itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_be_refused: bool,
}

/// What a plan comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many objects of each kind get which action.
    pub kinds: BTreeMap<&'static str, BTreeMap<Action, usize>>,
    /// The same over all kinds.
    pub total: BTreeMap<Action, usize>,
    /// How many objects get other permissions.
    pub permissions: usize,
    /// Everybody who has no name in the target.
    pub unmapped: Vec<String>,
}

impl Plan {
    /// What the plan comes to.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary {
            permissions: self.permissions.len(),
            ..Summary::default()
        };
        for step in &self.steps {
            *summary.total.entry(step.action).or_default() += 1;
            let of_kind = summary.kinds.entry(step.kind).or_default();
            *of_kind.entry(step.action).or_default() += 1;
        }
        let in_steps = self.steps.iter().flat_map(|step| &step.unmapped);
        let in_permissions = self.permissions.iter().flat_map(|step| &step.dropped);
        summary.unmapped = in_steps.chain(in_permissions).cloned().collect();
        summary.unmapped.sort_unstable();
        summary.unmapped.dedup();
        summary
    }

    /// Whether carrying it out would change anything.
    pub fn changes_anything(&self) -> bool {
        self.steps.iter().any(|step| step.action.writes())
    }

    /// Whether something that was asked for will not be as the snapshot says.
    pub fn leaves_something(&self) -> bool {
        let left = |step: &Step| {
            matches!(step.action, Action::Conflict | Action::Skipped) || !step.lost.is_empty()
        };
        self.steps.iter().any(left) || !self.summary().unmapped.is_empty()
    }

    /// The objects that differ, when that was said to be an end to it.
    pub fn forbidden_conflicts(&self) -> impl Iterator<Item = &Step> {
        let forbidden = self.on_conflict == OnConflict::Fail;
        let steps = self.steps.iter();
        steps.filter(move |step| forbidden && step.action == Action::Conflict)
    }
}

/// The mark that stands for the id of an object that is still to be made.
pub(super) fn placeholder(kind: &str, old_id: &str) -> String {
    format!("${{{kind} {old_id}}}")
}

/// The kind and old id that a mark stands for.
pub(super) fn parse_placeholder(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("${")?.strip_suffix('}')?.split_once(' ')
}

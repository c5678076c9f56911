//! Which snapshots stay, and why.
//!
//! [`decide`] weighs the snapshots of a store against a [`Policy`]. Every workspace is weighed alone, and in it every
//! selection: a backup of the jobs does not stand for one of everything. What restores captured before they wrote is
//! another [`Series`] still.
//!
//! Two times are known of a snapshot: what its writer claims, and when the store got it. As long as they agree, the
//! claim counts. Where they do not, somebody's clock was wrong, or somebody wants to push real snapshots out with
//! made-up ones, or the store was copied without the times of its files. Nothing here can tell these apart. So such a
//! workspace is weighed three times: only the snapshots whose times agree, as if there were no others; all, by the
//! store's time where they differ; all, by what is claimed. What any of the three keeps stays. So made-up times push
//! nothing out, and a copied store keeps what it kept before.
//!
//! A damaged snapshot and what a repair made of it stand for one: only the latter is weighed, and both stay or go.
//!
//! Invariant: pure, and in doubt it keeps. The order of the candidates does not matter, another rule never forgets
//! more, and the newest snapshot of a workspace and its newest complete one stay, whatever the policy says. So does the newest
//! complete snapshot of every selection, until a newer complete one has all that it has: what was taken without the metastore,
//! the files of the DBFS, runs, mounts or the values of secrets never pushes out the last one that was taken with them.

mod policy;
mod span;
#[cfg(test)]
mod tests;
mod weigh;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::manifest::{Listed, Selection};
use crate::store::{HeadName, SnapshotId};

pub use policy::{KEEP_TAG, NoRules, Period, Policy, SAFETY_WITHIN};
pub use span::{ParseSpanError, Span};

/// A claim may be older than what the store says by as much as a backup may take.
const LONGEST_BACKUP: TimeDelta = TimeDelta::days(1);
/// A claim may be newer by as much as two clocks may differ.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// A snapshot, as far as retention looks at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its name in the store, with the time that its writer claims.
    pub name: HeadName,
    /// When the store got it.
    pub stored: DateTime<Utc>,
    /// What tells workspaces apart.
    pub workspace: String,
    /// The host of the workspace.
    pub host: String,
    /// What was asked for.
    pub selection: Selection,
    /// Nothing is missing.
    pub complete: bool,
    /// The words attached to it.
    pub tags: Vec<String>,
    /// It is what a restore captured before it wrote.
    pub safety: bool,
    /// The damaged snapshot that it is what was left of, whose time it bears.
    pub repairs: Option<SnapshotId>,
    /// It is damaged, and this one is what was left of it. The two stand for one snapshot, and neither for a complete one.
    pub repaired_as: Option<SnapshotId>,
}

/// Snapshots that stand for each other.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// What tells workspaces apart.
    pub workspace: &'a str,
    /// The host of the workspace, as its newest snapshot has it.
    pub host: &'a str,
    /// What was asked for; nothing for the safety snapshots of restores, each of which has its own selection.
    pub selection: Option<&'a Selection>,
    /// What becomes of the snapshots, oldest first.
    pub decisions: Vec<Decision<'a>>,
}

/// What becomes of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<'a> {
    /// The snapshot.
    pub snapshot: &'a Candidate,
    /// Everything that keeps it. When there is nothing, it is forgotten.
    pub reasons: BTreeSet<Reason>,
}

/// Why a snapshot is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It has the tag [`KEEP_TAG`].
    Protected,
    /// Its id is one of those that are held.
    Held,
    /// It has this tag.
    Tag(String),
    /// It is the newest complete one.
    NewestComplete,
    /// It is the newest one.
    Newest,
    /// It stands for one of the newest periods.
    Counted {
        /// What kind of period.
        period: Period,
        /// Which one.
        which: String,
    },
    /// It is not older than this.
    Within(Span),
    /// It is a safety snapshot and not older than this.
    SafetyWithin(Span),
    /// It is damaged and this one is what was left of it, or the other way round; and that one stays.
    With(SnapshotId),
}

/// Decides which snapshots stay.
pub fn decide<'a>(
    candidates: &'a [Candidate],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Vec<Series<'a>>, NoRules> {
    if !policy.has_rules() {
        return Err(NoRules);
    }
    let mut decided = Vec::new();
    for mut workspace in series(candidates) {
        weigh::workspace(&mut workspace, policy, now);
        decided.append(&mut workspace);
    }
    Ok(decided)
}

/// Says which of the chosen snapshots should not be forgotten, although somebody named them: those that are protected,
/// and those of which no other complete snapshot would remain that holds as much.
pub fn objections(
    candidates: &[Candidate],
    chosen: &BTreeSet<HeadName>,
) -> Vec<(HeadName, Reason)> {
    let (going, staying): (Vec<_>, Vec<_>) = candidates
        .iter()
        .partition(|snapshot| chosen.contains(&snapshot.name));
    let mut objections: Vec<_> = going
        .iter()
        .filter_map(|snapshot| Some((snapshot.name, objection(snapshot, &staying)?)))
        .collect();
    objections.sort();
    objections
}

fn objection(snapshot: &Candidate, staying: &[&Candidate]) -> Option<Reason> {
    let makes_up = |other: &&&Candidate| {
        let has_all = (other.complete || !snapshot.complete)
            && !other.safety
            && other.repaired_as.is_none()
            && (other.selection.of_series()).includes(&snapshot.selection.of_series());
        // What was captured before a restore was there to go back, and stands for nothing.
        other.workspace == snapshot.workspace && (snapshot.safety || has_all)
    };
    if snapshot.is_protected() {
        Some(Reason::Protected)
    } else if staying.iter().any(|other| makes_up(&other)) {
        None
    } else if snapshot.complete {
        Some(Reason::NewestComplete)
    } else {
        Some(Reason::Newest)
    }
}

impl Candidate {
    /// A snapshot of a store.
    pub fn new(listed: &Listed, stored: DateTime<Utc>, safety: bool) -> Self {
        let Listed { name, snapshot } = listed;
        Self {
            name: *name,
            stored,
            workspace: snapshot.workspace().to_owned(),
            host: snapshot.host.clone(),
            selection: snapshot.selection.clone(),
            complete: snapshot.complete,
            tags: snapshot.tags.clone(),
            safety,
            repairs: snapshot.repairs,
            repaired_as: None,
        }
    }

    /// Whether the time that the writer claims agrees with the time at which the store got the snapshot. A repair may come
    /// at any time after that: it is partial, and so pushes out nothing complete.
    pub fn is_credible(&self) -> bool {
        let age = self.stored.signed_duration_since(self.name.time);
        let is_late_repair = self.repairs.is_some() && !self.complete;
        -CLOCKS_DIFFER <= age && (age <= LONGEST_BACKUP || is_late_repair)
    }

    fn is_protected(&self) -> bool {
        self.tags.iter().any(|tag| tag == KEEP_TAG)
    }

    /// The time to go by: the claim, if it is credible.
    fn time(&self) -> DateTime<Utc> {
        match self.is_credible() {
            true => self.name.time,
            false => self.stored,
        }
    }
}

impl Decision<'_> {
    /// Whether the snapshot stays.
    pub fn is_kept(&self) -> bool {
        !self.reasons.is_empty()
    }
}

impl Series<'_> {
    /// Whether it is made of what restores captured before they wrote.
    pub fn is_safety(&self) -> bool {
        self.selection.is_none()
    }
}

/// Prints it as a word or a few.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected => write!(f, "tag {KEEP_TAG}"),
            Self::Held => f.write_str("held by id"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::NewestComplete => f.write_str("newest complete"),
            Self::Newest => f.write_str("newest"),
            Self::Counted { period, which } if which.is_empty() => write!(f, "{period}"),
            Self::Counted { period, which } => write!(f, "{period} {which}"),
            Self::Within(span) | Self::SafetyWithin(span) => write!(f, "within {span}"),
            Self::With(other) => write!(f, "with {other:.8}"),
        }
    }
}

/// The snapshots by workspace and, in it, by series; nothing is decided yet.
fn series(candidates: &[Candidate]) -> Vec<Vec<Series<'_>>> {
    let mut sorted: Vec<&Candidate> = candidates.iter().collect();
    sorted.sort_by_key(|snapshot| age(snapshot, snapshot.time()));
    let mut workspaces: BTreeMap<&str, BTreeMap<_, Series<'_>>> = BTreeMap::new();
    for snapshot in sorted {
        let selection = (!snapshot.safety).then_some(&snapshot.selection);
        // Everything first, then the parts, then what restores captured.
        let spelled = selection.map(|selection| {
            let selection = selection.of_series();
            serde_json::to_string(&selection).expect("a selection has text keys only")
        });
        let is_part = selection.is_some_and(|selection| !selection.is_everything());
        let key = (snapshot.safety, is_part, spelled);
        let workspace = workspaces.entry(&snapshot.workspace).or_default();
        let series = workspace.entry(key).or_insert_with(|| Series {
            workspace: &snapshot.workspace,
            host: &snapshot.host,
            selection,
            decisions: Vec::new(),
        });
        series.host = &snapshot.host;
        series.selection = selection;
        series.decisions.push(Decision {
            snapshot,
            reasons: BTreeSet::new(),
        });
    }
    let workspaces = workspaces.into_values();
    workspaces
        .map(|workspace| workspace.into_values().collect())
        .collect()
}

/// What snapshots are sorted by. Of two that were taken at the same time one is the newer, always the same.
type Age = (DateTime<Utc>, DateTime<Utc>, SnapshotId);

fn age(snapshot: &Candidate, time: DateTime<Utc>) -> Age {
    (time, snapshot.name.time, snapshot.name.id)
}

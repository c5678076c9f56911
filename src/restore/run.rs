//! A restore from beginning to end: capture the target, plan, ask, apply.
//!
//! Invariant: before anything is written, what is there has been captured, and the plan has been agreed to.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::apply::{Apply, Outcome, StepOutcome, apply};
use super::journal::{Claim, Earlier, Header, Journal, JournalError, Line};
use super::keep::{KeepError, keep};
use super::options::{MissingUsers, OnConflict, Options};
use super::plan::{Inputs, Plan, PlanError, Side, plan};
use super::scope::scope;
use crate::api::Client;
use crate::manifest::{Artifacts, DbfsFiles, ManifestError, Runs, Selection, Snapshot, Tree};
use crate::mapping::Mapping;
use crate::report::{Event, Reporter};
use crate::resource::Grantee;
use crate::sql::Place;
use crate::store::{BlobId, LineSeal, SnapshotId, Store};

/// Why a restore did not take place, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError<E: std::error::Error + 'static> {
    /// The target could not be read.
    #[error("failed to find out what is in the target")]
    Capture(#[source] E),
    /// A manifest could not be opened.
    #[error("failed to open the {side}")]
    Open {
        /// Which one.
        side: &'static str,
        /// Why not.
        source: ManifestError,
    },
    /// What is in the target could not be kept, and so nothing was written to it.
    #[error("failed to keep what is in the target as a snapshot")]
    Keep(#[source] KeepError),
    /// There is no plan.
    #[error("failed to plan the restore")]
    Plan(#[source] PlanError),
    /// The journal could not be used; nothing was written that it does not know of.
    #[error("failed to keep the journal of the restore")]
    Journal(#[source] JournalError),
}

/// A snapshot and where it is.
#[derive(Clone, Debug)]
pub struct Source {
    /// The store.
    pub store: Store,
    /// Its id.
    pub id: SnapshotId,
    /// Its head.
    pub snapshot: Snapshot,
}

/// What is restored, and into what.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// What is restored.
    pub source: &'a Source,
    /// Into what.
    pub client: &'a Client,
    /// What runs statements in it.
    pub metastore: Option<&'a Place>,
    /// Who restores, as the target knows them.
    pub caller: &'a Grantee,
    /// How.
    pub options: &'a Options,
    /// Where it is written down; see [`journal_path`].
    pub journal: &'a Path,
    /// The store that keeps what is there before anything is written; none does without, and without an undo.
    pub safety: Option<&'a Store>,
    /// The target workspace, as its snapshots call it.
    pub workspace: &'a str,
    /// Only plans.
    pub dry_run: bool,
    /// How many steps are under way at once.
    pub concurrency: usize,
    /// How long someone who was just made may be unknown to the permissions.
    pub settle: Duration,
    /// Who hears of it.
    pub reporter: &'a dyn Reporter,
}

/// What became of a restore.
#[derive(Clone, Debug, Serialize)]
pub struct RestoreReport {
    /// What was planned.
    pub plan: Plan,
    /// What became of each step; empty if nothing was carried out.
    pub outcomes: Vec<StepOutcome>,
    /// The snapshot of what was there before, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety: Option<String>,
    /// Whether the plan was carried out, as far as it could be.
    pub was_applied: bool,
    /// Whether something is not as the snapshot says: left alone, failed, or gone wrong in part.
    pub is_partial: bool,
}

impl RestoreReport {
    /// The steps that failed or were skipped because of that.
    pub fn failures(&self) -> impl Iterator<Item = (&super::Step, &StepOutcome)> {
        let pairs = self.plan.steps.iter().zip(&self.outcomes);
        pairs.filter(|(_, outcome)| !outcome.is_fine())
    }

    /// How many steps were carried out.
    pub fn done(&self) -> usize {
        let is_done = |outcome: &&StepOutcome| outcome.outcome == Outcome::Done;
        self.outcomes.iter().filter(is_done).count()
    }
}

/// Restores a snapshot.
///
/// `capture` reads the target, into a store that need not last: what is to last is kept in [`Task::safety`], once `confirm`
/// has seen the plan and agreed to it. Until then nothing is written anywhere.
pub async fn run<E: std::error::Error + 'static>(
    task: Task<'_>,
    capture: impl AsyncFnOnce(&Selection) -> Result<Source, E>,
    confirm: impl FnOnce(&Plan) -> bool,
) -> Result<RestoreReport, RestoreError<E>> {
    let mut selection = Selection {
        // Whether a value is the one that the snapshot has shows only if it is read.
        secret_values: task.source.snapshot.selection.secret_values,
        // What the target has of the same window, with all files if the snapshot has any, however long.
        runs: task
            .source
            .snapshot
            .selection
            .runs
            .clone()
            .map(|runs| Runs {
                artifacts: runs.artifacts.map(|_| Artifacts::default()),
                ..runs
            }),
        ..scope(task.options)
    };
    if !task.source.snapshot.has_metastore() {
        // To look at it would be to start a warehouse or a cluster for nothing.
        selection.metastore = None;
    }
    selection.mounts &= task.source.snapshot.selection.mounts;
    // Only where the snapshot has any, and all of what is there, however long: what is written over is kept before.
    selection.dbfs = match &task.source.snapshot.selection.dbfs {
        Some(files) => selection.dbfs.map(|asked_for| DbfsFiles {
            paths: match asked_for.paths.is_empty() {
                true => files.paths.clone(),
                false => asked_for.paths,
            },
            max_file_size: None,
        }),
        None => None,
    };
    // Held from before the target is read: what another restore writes meanwhile would be made twice.
    let (claim, earlier) = claim(task).map_err(RestoreError::Journal)?;
    let target = capture(&selection).await.map_err(RestoreError::Capture)?;
    let unfinished: BTreeSet<(String, String)> = earlier
        .unfinished()
        .map(|(kind, handle)| (kind.to_owned(), handle.to_owned()))
        .collect();
    let snapshot = open(task.source, "snapshot")?;
    let plan = make_plan(task, &snapshot, &target, &selection, earlier).await?;
    let mut report = RestoreReport {
        is_partial: plan.leaves_something(),
        plan,
        outcomes: Vec::new(),
        safety: None,
        was_applied: false,
    };
    let is_forbidden = report.plan.forbidden_conflicts().next().is_some();
    let Some(claim) = claim.filter(|_| !is_forbidden) else {
        return Ok(report);
    };
    let changes_anything = report.plan.changes_anything();
    if !changes_anything && unfinished.is_empty() {
        report.was_applied = true;
        return Ok(report);
    }
    if changes_anything && !confirm(&report.plan) {
        return Ok(report);
    }
    carry_out(task, claim, &snapshot, target, &unfinished, &mut report).await?;
    report.was_applied = true;
    report.is_partial |= !report.outcomes.iter().all(StepOutcome::is_fine);
    Ok(report)
}

/// Where the journal of a restore is kept beside a local store.
pub fn journal_path(
    store: &Path,
    seal: &LineSeal,
    snapshot: &SnapshotId,
    workspace: &str,
) -> std::path::PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    let workspace: String = workspace
        .trim_start_matches("https://")
        .chars()
        .map(|c| if is_plain(c) { c } else { '_' })
        .collect();
    let name = seal.name(format!("{snapshot:.12}-{workspace}"));
    store.join("restores").join(format!("{name}.jsonl"))
}

/// What taking a restore back comes to.
#[derive(Clone, Debug)]
pub struct Undo {
    /// The snapshot of what was there before.
    pub safety: String,
    /// How it is restored.
    pub options: Options,
    /// What the restore made, as kind, name and id: an undo deletes nothing.
    pub remains: Vec<(String, String, String)>,
}

/// What has to be restored to take back what a restore did: one task for each snapshot it took, the latest first.
/// Each is run with [`run`] and the snapshot of its name. [`Earlier::beyond_undo`] tells what cannot be taken back.
pub fn undo(earlier: &Earlier, options: &Options) -> Vec<Undo> {
    let remains: Vec<_> = earlier
        .made()
        .map(|(kind, name, id)| (kind.to_owned(), name.to_owned(), id.to_owned()))
        .collect();
    let kept = earlier.safety.iter().enumerate();
    let kept = kept.filter_map(|(index, safety)| Some((index, safety.as_ref()?)));
    let tasks = kept.map(|(index, safety)| {
        let changed = earlier.changed.iter().filter(|(_, at)| **at == index);
        Undo {
            safety: safety.clone(),
            options: Options {
                exactly: Some(changed.map(|(key, _)| key.clone()).collect()),
                on_conflict: OnConflict::Overwrite,
                keep_schedules: true,
                missing_users: MissingUsers::Archive,
                mapping: Mapping::default(),
                target_path: None,
                with_dependencies: false,
                ..options.clone()
            },
            remains: remains.clone(),
        }
    });
    let has_work = |undo: &Undo| {
        undo.options
            .exactly
            .as_ref()
            .is_some_and(|keys| !keys.is_empty())
    };
    let mut tasks: Vec<_> = tasks.filter(has_work).collect();
    tasks.reverse();
    tasks
}

async fn make_plan<E: std::error::Error + 'static>(
    task: Task<'_>,
    snapshot: &Tree,
    target: &Source,
    selection: &Selection,
    earlier: Earlier,
) -> Result<Plan, RestoreError<E>> {
    let target_tree = open(target, "target")?;
    let (ours, theirs) = (snapshot.clone(), target_tree);
    let (from, to) = (task.source.snapshot.clone(), target.snapshot.clone());
    let (options, caller) = (task.options.clone(), task.caller.clone());
    let selection = selection.clone();
    // Reading two manifests is work for the disk and the processor.
    let planned = tokio::task::spawn_blocking(move || {
        let from_workspace = from.workspace().to_owned();
        let to_workspace = match from.is_same_workspace(&to) {
            true => from_workspace.clone(),
            false => to.workspace().to_owned(),
        };
        plan(&Inputs {
            snapshot: Side {
                tree: &ours,
                selection: &from.selection,
                workspace: &from_workspace,
            },
            target: Side {
                tree: &theirs,
                selection: &selection,
                workspace: &to_workspace,
            },
            caller: &caller,
            options: &options,
            earlier: &earlier,
        })
    });
    match planned.await {
        Ok(plan) => plan.map_err(RestoreError::Plan),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Does what was agreed to: keeps what is there, writes down what is going to be done, and does it.
async fn carry_out<E: std::error::Error + 'static>(
    task: Task<'_>,
    claim: Claim,
    snapshot: &Tree,
    target: Source,
    unfinished: &BTreeSet<(String, String)>,
    report: &mut RestoreReport,
) -> Result<(), RestoreError<E>> {
    let journal = begin(task, claim).map_err(RestoreError::Journal)?;
    if report.plan.changes_anything() {
        let safety = match task.safety {
            Some(store) => Some(safety(target, store).await.map_err(RestoreError::Keep)?),
            None => None,
        };
        report.safety = safety.map(|id| id.to_string());
        announce(&journal, report).map_err(RestoreError::Journal)?;
    }
    let steps = report.plan.steps.iter();
    let planned: BTreeSet<_> = steps
        .map(|step| (step.kind.to_owned(), step.handle()))
        .collect();
    let carry_out = Apply {
        client: task.client,
        caller: task.caller,
        metastore: task.metastore,
        plan: &report.plan,
        snapshot,
        journal: &journal,
        may_finish: unfinished.is_subset(&planned),
        reporter: task.reporter,
        concurrency: task.concurrency,
        settle: task.settle,
    };
    report.outcomes = apply(carry_out).await.map_err(RestoreError::Journal)?;
    Ok(())
}

/// Takes hold of the journal, or only looks into it if nothing is going to be written.
fn claim(task: Task<'_>) -> Result<(Option<Claim>, Earlier), JournalError> {
    let header = Header::new(task.source.id.to_string(), task.workspace);
    let seal = task.source.store.line_seal();
    if task.dry_run {
        let earlier = Journal::look(task.journal, &header, &seal)?;
        return Ok((None, earlier.unwrap_or_default()));
    }
    let (claim, earlier) = Claim::new(task.journal, &header, &seal)?;
    Ok((Some(claim), earlier))
}

fn begin(task: Task<'_>, claim: Claim) -> Result<Journal, JournalError> {
    let journal = claim.begin()?;
    if !journal.is_locked() {
        task.reporter.report(Event::Warning(&format!(
            "the file system of {} has no locks: nothing keeps another restore of the same snapshot from making \
             everything a second time",
            journal.path().display()
        )));
    }
    Ok(journal)
}

/// Keeps what is there. Copying waits for the disk, and nothing else goes on meanwhile.
async fn safety(target: Source, store: &Store) -> Result<SnapshotId, KeepError> {
    let store = store.clone();
    let kept = tokio::task::spawn_blocking(move || keep(&target, &store));
    kept.await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Writes down what is going to be done, and where to go back to.
fn announce(journal: &Journal, report: &RestoreReport) -> Result<(), JournalError> {
    let text = serde_json::to_vec(&report.plan).expect("a plan has text keys only");
    let plan = BlobId::of(&text).to_string();
    let snapshot = report.safety.clone();
    journal.write(&Line::Run { plan }, false)?;
    journal.write(&Line::Safety { snapshot }, true)
}

fn open<E: std::error::Error + 'static>(
    source: &Source,
    side: &'static str,
) -> Result<Tree, RestoreError<E>> {
    Tree::open(&source.store, &source.snapshot.root)
        .map_err(|source| RestoreError::Open { side, source })
}

//! Pausing the jobs of a workspace, and letting exactly those run again that ran.
//!
//! `memory` is the file that says what ran; `parts` is what a job starts by (a schedule, a trigger, running all the time),
//! which is what the table of kinds says must be kept quiet; `run` makes the calls.
//!
//! Invariant: nothing is paused before it is remembered, durably, that it ran; and what was paused before stays paused.

mod memory;
mod parts;
mod run;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

pub use memory::MemoryError;

use crate::api::{ApiError, Client};
use crate::export::listing;
use crate::report::Reporter;
use crate::resource::{Kind, Source, kind};
use crate::store::LineSeal;
use memory::Memory;
use parts::{name_of, parts, running};
use run::{Found, Run};

/// What a workspace is paused with.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The workspace.
    pub client: &'a Client,
    /// The file that remembers; see [`memory_path`].
    pub memory: &'a Path,
    /// What seals its lines.
    pub seal: &'a LineSeal,
    /// Which workspace it is, so that no other is changed by what the file says.
    pub workspace: &'a str,
    /// Only tells what would be done.
    pub dry_run: bool,
    /// Who hears of it.
    pub reporter: &'a dyn Reporter,
}

/// What was done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PauseReport {
    /// Every job that was, or would be, paused or let run again; in the order of their names.
    pub jobs: Vec<JobReport>,
    /// How many jobs that could start by themselves were left as they are: paused by somebody else, or running already.
    pub left: usize,
}

impl PauseReport {
    /// Whether all is as it was asked for.
    pub fn is_whole(&self) -> bool {
        let mut jobs = self.jobs.iter();
        jobs.all(|job| matches!(job.outcome, JobOutcome::Planned | JobOutcome::Done))
    }
}

/// What became of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobReport {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// By what it starts: `schedule`, `trigger`, `continuous`.
    pub starts_by: Vec<String>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: JobOutcome,
}

/// What became of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "kebab-case")]
pub enum JobOutcome {
    /// It would be done.
    Planned,
    /// It was done.
    Done,
    /// The job, or what it started by, is not there any more: nothing can run again.
    Gone(String),
    /// It could not be done, and is tried again by the next run.
    Failed(String),
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum PauseError {
    /// The jobs could not be listed.
    #[error("failed to list the jobs")]
    List(#[source] ApiError),
    /// What ran could not be remembered or recalled; nothing was changed that is not remembered.
    #[error("failed to remember which jobs ran")]
    Memory(#[from] MemoryError),
}

/// Where a local store has the files that remember what ran; one is empty once everything runs again.
pub fn memories(store: &Path) -> PathBuf {
    store.join("paused")
}

/// Where it is remembered what ran, beside a local store.
pub fn memory_path(store: &Path, seal: &LineSeal, workspace: &str) -> PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    let workspace = workspace.trim_start_matches("https://").chars();
    let name: String = workspace
        .map(|c| if is_plain(c) { c } else { '_' })
        .collect();
    let name = seal.name(format!("paused {name}")).replace(' ', "-");
    memories(store).join(format!("{name}.jsonl"))
}

/// Pauses every job that would start by itself, and remembers which those are.
pub async fn pause(task: Task<'_>) -> Result<PauseReport, PauseError> {
    let kind = jobs();
    let Source::Listed { list, .. } = &kind.source else {
        return Ok(PauseReport::default());
    };
    let memory = Memory::open(task.memory, task.seal, task.workspace, task.dry_run)?;
    let listed = task.client.list(listing(list)).await;
    let listed = listed.map_err(PauseError::List)?;
    let starts = |job: &&Value| !parts(kind, &job["settings"]).is_empty();
    let runs = |job: &&Value| !running(kind, &job["settings"]).is_empty();
    let (running, left): (Vec<_>, Vec<_>) = listed.iter().filter(starts).partition(runs);
    let found = running.into_iter().map(|job| Found {
        id: job["job_id"].to_string(),
        name: name_of(&job["settings"]),
    });
    let found: Vec<_> = found.collect();
    let run = Run::new(task, kind, memory, "pausing jobs");
    let all = run.each(&found, |job| run.pause(job)).await?;
    Ok(report(all, left.len()))
}

/// Lets every job run again that [`pause`] paused, by what it started by then. What somebody set going meanwhile is left
/// alone, and so is a schedule that was changed, but for being paused.
pub async fn unpause(task: Task<'_>) -> Result<PauseReport, PauseError> {
    let memory = Memory::open(task.memory, task.seal, task.workspace, task.dry_run)?;
    let found = memory.jobs().map(|(id, job)| Found {
        id: id.clone(),
        name: job.name.clone(),
    });
    let found: Vec<_> = found.collect();
    let run = Run::new(task, jobs(), memory, "letting jobs run again");
    let all = run.each(&found, |job| run.unpause(job)).await?;
    Ok(report(all, 0))
}

/// The jobs with which something was or would be done, and how many were left.
fn report(all: Vec<JobReport>, left: usize) -> PauseReport {
    let is_left = |job: &JobReport| {
        let is_fine = matches!(job.outcome, JobOutcome::Planned | JobOutcome::Done);
        job.starts_by.is_empty() && is_fine
    };
    let (alone, jobs): (Vec<_>, Vec<_>) = all.into_iter().partition(is_left);
    PauseReport {
        jobs,
        left: left + alone.len(),
    }
}

fn jobs() -> &'static Kind {
    kind("job").expect("jobs are in the registry")
}

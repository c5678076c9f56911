//! Pausing the jobs of a workspace, and letting exactly those run again that ran.
//!
//! `memory` is the file that says what ran. What a job starts by (a schedule, a trigger, running all the time) is what the
//! table of kinds says must be kept quiet.
//!
//! Invariant: nothing is paused before it is remembered, durably, that it ran; and what was paused before stays paused.

mod memory;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub use memory::MemoryError;

use crate::api::{ApiError, Client, ErrorKind, Repeat};
use crate::export::listing;
use crate::report::{Event, Reporter, chain};
use crate::resource::{Kind, Source, kind};
use crate::store::LineSeal;
use memory::{Line, Memory, Said};

/// Jobs that are changed at the same time.
const AT_ONCE: usize = 8;

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

/// A job that is to be changed.
struct Found {
    id: String,
    name: String,
}

struct Run<'a> {
    task: Task<'a>,
    kind: &'static Kind,
    memory: Memory,
    phase: &'static str,
    /// Why the memory could not be written: nothing more may be done then.
    broken: Mutex<Option<MemoryError>>,
}

/// What a job said of each part it starts by.
type Parts = BTreeMap<String, Said>;

impl<'a> Run<'a> {
    fn new(task: Task<'a>, kind: &'static Kind, memory: Memory, phase: &'static str) -> Self {
        Self {
            task,
            kind,
            memory,
            phase,
            broken: Mutex::default(),
        }
    }

    /// Does something with each job, several at a time; the reports come in the order of names.
    async fn each<'f, F>(
        &self,
        found: &'f [Found],
        work: impl Fn(&'f Found) -> F,
    ) -> Result<Vec<JobReport>, PauseError>
    where
        F: Future<Output = (Vec<String>, JobOutcome)>,
    {
        let reporter = self.task.reporter;
        reporter.report(Event::PhaseStarted { name: self.phase });
        let more = found.len() as u64;
        reporter.report(Event::Expected { more });
        let works = iter(found).map(|job| {
            let work = work(job);
            async move {
                let (starts_by, outcome) = work.await;
                reporter.report(Event::Done { count: 1, bytes: 0 });
                JobReport {
                    name: job.name.clone(),
                    id: job.id.clone(),
                    starts_by,
                    outcome,
                }
            }
        });
        let mut reports: Vec<_> = works.buffer_unordered(AT_ONCE).collect().await;
        reporter.report(Event::PhaseFinished);
        let broken = self.broken.lock();
        match broken.unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error.into()),
            None => {
                reports.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
                Ok(reports)
            }
        }
    }

    async fn pause(&self, job: &Found) -> (Vec<String>, JobOutcome) {
        let settings = match self.settings(&job.id).await {
            Ok(Some(settings)) => settings,
            Ok(None) => return (Vec::new(), JobOutcome::Done),
            Err(error) => return (Vec::new(), JobOutcome::Failed(chain(&error))),
        };
        // The list may be older than a change that somebody made.
        let said = running(self.kind, &settings);
        let starts_by: Vec<String> = said.keys().cloned().collect();
        if self.task.dry_run {
            return (starts_by, JobOutcome::Planned);
        }
        if said.is_empty() {
            return (starts_by, JobOutcome::Done);
        }
        let mut quiet = settings.clone();
        self.kind.quieten(&mut quiet);
        let line = Line::Paused {
            job: job.id.clone(),
            name: job.name.clone(),
            said,
        };
        if let Err(outcome) = self.remember(&line) {
            return (starts_by, outcome);
        }
        let outcome = match self.update(&job.id, &quiet, &starts_by).await {
            Ok(()) => JobOutcome::Done,
            Err(error) => {
                // What was surely not paused must not be let run by an unpause, should somebody pause it meanwhile.
                if !error.answer_may_be_lost() && !self.memory.knew(&job.id) {
                    let back = Line::Back {
                        job: job.id.clone(),
                    };
                    let _ = self.remember(&back);
                }
                JobOutcome::Failed(chain(&error))
            }
        };
        (starts_by, outcome)
    }

    async fn unpause(&self, job: &Found) -> (Vec<String>, JobOutcome) {
        let remembered = self.memory.said(&job.id);
        let settings = match self.settings(&job.id).await {
            Ok(Some(settings)) => settings,
            Ok(None) => {
                return self.forget(job, remembered, "the job is not there any more");
            }
            Err(error) => {
                let names = remembered.into_keys().collect();
                return (names, JobOutcome::Failed(chain(&error)));
            }
        };
        let there = parts(self.kind, &settings);
        let runs = running(self.kind, &settings);
        let (mut set, mut lost) = (settings.clone(), Vec::new());
        let mut paused = Vec::new();
        for (part, said) in &remembered {
            if !there.contains_key(part) {
                lost.push(part.clone());
            } else if !runs.contains_key(part) {
                put_back(self.kind, &mut set, part, said.as_ref());
                paused.push(part.clone());
            }
        }
        if self.task.dry_run {
            return (paused, JobOutcome::Planned);
        }
        if !paused.is_empty()
            && let Err(error) = self.update(&job.id, &set, &paused).await
        {
            return (paused, JobOutcome::Failed(chain(&error)));
        }
        if !lost.is_empty() {
            let why = format!("it has no {} any more", lost.join(" and no "));
            let remembered = remembered.into_iter();
            let remembered = remembered.filter(|(part, _)| lost.contains(part)).collect();
            return self.forget(job, remembered, &why);
        }
        let back = Line::Back {
            job: job.id.clone(),
        };
        match self.remember(&back) {
            Ok(()) => (paused, JobOutcome::Done),
            Err(outcome) => (paused, outcome),
        }
    }

    /// Gives up what cannot run again, and says so.
    fn forget(&self, job: &Found, remembered: Parts, why: &str) -> (Vec<String>, JobOutcome) {
        let names = remembered.into_keys().collect();
        let back = Line::Back {
            job: job.id.clone(),
        };
        let outcome = match self.task.dry_run {
            true => Ok(()),
            false => self.remember(&back),
        };
        let gone = || JobOutcome::Gone(why.to_owned());
        (names, outcome.map_or_else(|outcome| outcome, |()| gone()))
    }

    fn remember(&self, line: &Line) -> Result<(), JobOutcome> {
        self.memory.write(line).map_err(|error| {
            let reason = chain(&error);
            let broken = self.broken.lock();
            broken
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(error);
            JobOutcome::Failed(reason)
        })
    }

    /// The settings of a job as they are now; none if there is no such job.
    async fn settings(&self, id: &str) -> Result<Option<Value>, ApiError> {
        let query = [("job_id", id)];
        match self.task.client.get("/api/2.2/jobs/get", &query).await {
            Ok(mut job) => Ok(Some(job["settings"].take())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends these parts of the settings, each whole: the service puts them in the place of what is there.
    async fn update(&self, id: &str, settings: &Value, parts: &[String]) -> Result<(), ApiError> {
        let part = |part: &String| (part.clone(), settings[part].clone());
        let new: Map<String, Value> = parts.iter().map(part).collect();
        let body = json!({"job_id": self.kind.id.to_json(id), "new_settings": new});
        let client = self.task.client;
        let sent = client.post("/api/2.2/jobs/update", &body, Repeat::Safe);
        sent.await.map(drop)
    }
}

/// What a job starts by, with what it says of being paused.
fn parts(kind: &Kind, settings: &Value) -> Parts {
    let mut parts = Parts::new();
    for quiet in kind.fields.quiet {
        let (part, _) = place(quiet.at);
        for said in quiet.said(settings) {
            parts.insert(part.to_owned(), said);
        }
    }
    // What is there in name only starts nothing.
    parts.retain(|part, _| settings[part].is_object());
    parts
}

/// The parts that are not paused: what says nothing runs as well.
fn running(kind: &Kind, settings: &Value) -> Parts {
    let mut parts = parts(kind, settings);
    for quiet in kind.fields.quiet {
        let (part, _) = place(quiet.at);
        if parts.get(part) == Some(&Some(quiet.value.to_json())) {
            parts.remove(part);
        }
    }
    parts
}

fn put_back(kind: &Kind, settings: &mut Value, part: &str, said: Option<&Value>) {
    let mut quiets = kind.fields.quiet.iter().map(|quiet| place(quiet.at));
    let Some((_, field)) = quiets.find(|(of, _)| *of == part) else {
        return;
    };
    if let Some(object) = settings[part].as_object_mut() {
        match said {
            Some(said) => drop(object.insert(field.to_owned(), said.clone())),
            None => drop(object.remove(field)),
        }
    }
}

fn place(at: &'static str) -> (&'static str, &'static str) {
    at.split_once('.').unwrap_or((at, ""))
}

fn name_of(settings: &Value) -> String {
    let name = settings["name"].as_str();
    name.unwrap_or_default().to_owned()
}

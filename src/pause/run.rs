//! The calls that pause jobs and let them run again, some at the same time.
//!
//! Invariant: nothing is changed that is not remembered; once that fails nothing more is.

use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::{Map, Value, json};

use super::memory::{Line, Memory, MemoryError};
use super::parts::{Parts, parts, put_back, running};
use super::{JobOutcome, JobReport, PauseError, Task};
use crate::api::{ApiError, ErrorKind, Repeat};
use crate::report::{Event, chain};
use crate::resource::Kind;

/// Jobs that are changed at the same time.
const AT_ONCE: usize = 8;

/// A job that is to be changed.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) name: String,
}

pub(super) struct Run<'a> {
    task: Task<'a>,
    pub(super) kind: &'static Kind,
    pub(super) memory: Memory,
    phase: &'static str,
    /// Why the memory could not be written: nothing more may be done then.
    broken: Mutex<Option<MemoryError>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        task: Task<'a>,
        kind: &'static Kind,
        memory: Memory,
        phase: &'static str,
    ) -> Self {
        Self {
            task,
            kind,
            memory,
            phase,
            broken: Mutex::default(),
        }
    }

    /// Does something with each job, several at a time; the reports come in the order of names.
    pub(super) async fn each<'f, F>(
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

    pub(super) async fn pause(&self, job: &Found) -> (Vec<String>, JobOutcome) {
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

    pub(super) async fn unpause(&self, job: &Found) -> (Vec<String>, JobOutcome) {
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

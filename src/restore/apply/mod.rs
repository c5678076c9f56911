//! Carrying out a plan.
//!
//! Invariant: makes no choices. A step that fails is reported, what needs it is skipped with the reason, and everything
//! else goes on. What cannot be done twice is in the journal before it is done.

mod artifacts;
mod calls;
mod dbfs;
mod late;
mod logged;
mod lookup;
mod mounts;
mod nodes;
mod permissions;
mod secrets;
mod sql;
mod versions;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde::Serialize;

use self::late::Late;
use super::journal::{Journal, JournalError, Line};
use super::plan::{Plan, Step};
use crate::api::Client;
use crate::manifest::Tree;
use crate::report::{Event, Reporter, chain};
use crate::resource::{Grantee, Kind, Node, Restore};
use crate::sql::Place;

/// What a plan is carried out with.
#[derive(Clone, Copy)]
pub struct Apply<'a> {
    /// The workspace.
    pub client: &'a Client,
    /// What runs statements in it.
    pub metastore: Option<&'a Place>,
    /// What is to be done.
    pub plan: &'a Plan,
    /// Who restores.
    pub caller: &'a Grantee,
    /// Where the contents are.
    pub snapshot: &'a Tree,
    /// Where it is written down.
    pub journal: &'a Journal,
    /// Whether everything that earlier runs began is part of this plan.
    pub may_finish: bool,
    /// Who hears of it.
    pub reporter: &'a dyn Reporter,
    /// How many steps are under way at once; the client has its own limit of requests.
    pub concurrency: usize,
    /// How long someone who was just made may be unknown to the permissions.
    pub settle: Duration,
}

/// What became of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// There was nothing to do.
    #[default]
    NotNeeded,
    /// It was done.
    Done,
    /// It could not be done.
    Failed(String),
    /// It was not tried.
    Skipped(String),
}

/// What became of a step, with everything that was not quite right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StepOutcome {
    /// What became of it.
    pub outcome: Outcome,
    /// The id the object got or had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What failed after the object itself was made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

impl StepOutcome {
    /// Whether everything is as it was planned.
    pub fn is_fine(&self) -> bool {
        let is_done = matches!(self.outcome, Outcome::NotNeeded | Outcome::Done);
        is_done && self.problems.is_empty()
    }
}

/// Carries out a plan. The outcomes are those of the plan's steps, in their order.
pub async fn apply(apply: Apply<'_>) -> Result<Vec<StepOutcome>, JournalError> {
    let run = Run {
        apply,
        outcomes: Mutex::new(vec![StepOutcome::default(); apply.plan.steps.len()]),
        late: Mutex::default(),
        broken: Mutex::default(),
    };
    run.objects().await?;
    run.completions().await?;
    run.permissions().await?;
    run.conclude()?;
    let outcomes = run.outcomes.into_inner();
    Ok(outcomes.unwrap_or_else(PoisonError::into_inner))
}

/// One run of a plan.
struct Run<'a> {
    apply: Apply<'a>,
    outcomes: Mutex<Vec<StepOutcome>>,
    late: Mutex<Late>,
    /// Why the journal could not be written: nothing more may be done then.
    broken: Mutex<Option<JournalError>>,
}

/// Why a step was not done.
type Failure = String;

impl Run<'_> {
    async fn objects(&self) -> Result<(), JournalError> {
        let steps = &self.apply.plan.steps;
        let writes = steps.iter().filter(|step| step.action.writes()).count();
        self.start("restore objects", writes);
        let mut begin = 0;
        let mut waiting = Vec::new();
        while begin < steps.len() {
            let stage = steps[begin].stage;
            let length = steps[begin..].iter().take_while(|step| step.stage == stage);
            let end = begin + length.count();
            // Two of a name are made one after the other, or a lost answer could be taken for the other's.
            let mut groups: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
            for (index, step) in steps.iter().enumerate().take(end).skip(begin) {
                if step.action.writes() {
                    groups
                        .entry((step.kind, &step.target))
                        .or_default()
                        .push(index);
                }
            }
            iter(groups.into_values())
                .for_each_concurrent(self.apply.concurrency, |group| async move {
                    for index in group {
                        self.step(index).await;
                    }
                })
                .await;
            self.check()?;
            waiting.extend(begin..end);
            // What the next stage makes may be what is missing.
            if !steps.get(end).is_some_and(sql::may_need_others) {
                self.again(std::mem::take(&mut waiting)).await?;
            }
            begin = end;
        }
        self.apply.reporter.report(Event::PhaseFinished);
        Ok(())
    }

    /// Tries again what may have failed only because it needs others of these steps, as long as that helps any.
    async fn again(&self, steps: Vec<usize>) -> Result<(), JournalError> {
        let mut waiting = self.worth_another_try(&steps);
        loop {
            iter(&waiting)
                .for_each_concurrent(self.apply.concurrency, |index| self.attempt(*index))
                .await;
            self.check()?;
            let left = self.worth_another_try(&waiting);
            if left.len() == waiting.len() {
                break;
            }
            waiting = left;
        }
        for index in waiting {
            let outcome = self.outcomes()[index].clone();
            self.tell(&self.apply.plan.steps[index], &outcome);
        }
        Ok(())
    }

    async fn step(&self, index: usize) {
        if self.is_broken() {
            return;
        }
        self.attempt(index).await;
        // What may be tried again is told in the end.
        if self.worth_another_try(&[index]).is_empty() {
            let outcome = self.outcomes()[index].clone();
            self.tell(&self.apply.plan.steps[index], &outcome);
        }
        let done = Event::Done { count: 1, bytes: 0 };
        self.apply.reporter.report(done);
    }

    async fn attempt(&self, index: usize) {
        let step = &self.apply.plan.steps[index];
        let outcome = match self.missing_need(&step.needs) {
            Some(reason) => StepOutcome {
                outcome: Outcome::Skipped(reason),
                ..StepOutcome::default()
            },
            None => match self.carry_out(step).await {
                Ok(Carried { id, problems }) => StepOutcome {
                    outcome: Outcome::Done,
                    id: id.or_else(|| step.target_id.clone()),
                    problems,
                },
                Err(reason) => StepOutcome {
                    outcome: Outcome::Failed(reason),
                    ..StepOutcome::default()
                },
            },
        };
        self.outcomes()[index] = outcome;
    }

    async fn carry_out(&self, step: &Step) -> Result<Carried, Failure> {
        let kind = step.kind();
        if let Some(there) = step.there.clone().filter(|_| !step.is_resumed) {
            let line = Line::Change {
                kind: there.kind.to_string(),
                name: there.name,
                id: there.id,
            };
            self.write(kind, &line)?;
        }
        if !step.action.makes() && step.body.is_none() && step.content.is_none() {
            // Only its permissions change, and those come later.
            return Ok(Carried::default());
        }
        match &kind.restore {
            Restore::Tree(Node::Directory) => self.make_folder(step).await,
            Restore::Tree(_) => self.write_node(step).await,
            Restore::Rest(rest) if step.action.makes() => self.create(step, rest).await,
            Restore::Rest(rest) => self.update(step, rest).await,
            Restore::Secrets(secrets) => self.secrets(step, secrets).await,
            Restore::Logged(logged) => self.logged(step, logged).await,
            Restore::Versioned(versioned) => self.versioned(step, versioned).await,
            Restore::Sql => self.run_statements(step).await,
            Restore::Mount => self.make_mount(step).await,
            Restore::Dbfs => self.write_dbfs_file(step).await,
            Restore::Artifact => self.write_artifact(step).await,
            Restore::RecordOnly { why } => Err((*why).to_owned()),
        }
    }

    async fn completions(&self) -> Result<(), JournalError> {
        let completions = iter(&self.apply.plan.completions);
        completions
            .for_each_concurrent(self.apply.concurrency, |completion| async move {
                let step = &self.apply.plan.steps[completion.step];
                let problem = match self.missing_need(&completion.needs) {
                    Some(reason) => Some(reason),
                    None => self.complete(step, completion).await.err(),
                };
                if let Some(problem) = problem {
                    self.add_problem(completion.step, format!("not completed: {problem}"));
                }
            })
            .await;
        self.check()
    }

    /// Writes down what needs no further attention.
    fn conclude(&self) -> Result<(), JournalError> {
        let outcomes = self.outcomes();
        if self.apply.may_finish && outcomes.iter().all(StepOutcome::is_fine) {
            return self.apply.journal.write(&Line::Finished, true);
        }
        for (step, outcome) in self.apply.plan.steps.iter().zip(outcomes.iter()) {
            if outcome.is_fine() && (step.action.makes() || step.is_resumed) {
                let line = Line::Done {
                    kind: step.kind.to_owned(),
                    handle: step.handle(),
                };
                self.apply.journal.write(&line, false)?;
            }
        }
        Ok(())
    }

    /// Why a step that needs these cannot be done.
    fn missing_need(&self, needs: &[usize]) -> Option<String> {
        let outcomes = self.outcomes();
        let missing = needs
            .iter()
            .find(|need| outcomes[**need].outcome != Outcome::Done)?;
        let step = &self.apply.plan.steps[*missing];
        Some(format!(
            "it needs {} {}, which could not be made",
            step.kind, step.target
        ))
    }

    /// Remembers that something is about to be made.
    fn begin(&self, step: &Step) -> Result<(), Failure> {
        let line = Line::Begin {
            kind: step.kind.to_owned(),
            handle: step.handle(),
            name: step.target.clone(),
            before: step.before.clone(),
        };
        self.write(step.kind(), &line)
    }

    /// Remembers that it was made. The id of a node is not known yet, and not needed: its path tells it.
    fn made(&self, step: &Step, id: &str) -> Result<(), Failure> {
        let line = Line::Made {
            kind: step.kind.to_owned(),
            handle: step.handle(),
            name: step.target.clone(),
            id: id.to_owned(),
        };
        if let Some(old) = &step.old_id
            && !id.is_empty()
        {
            self.late().learn(step.kind, old, id);
        }
        self.write(step.kind(), &line)
    }

    fn write(&self, kind: &Kind, line: &Line) -> Result<(), Failure> {
        let is_durable = kind.restore.rest().is_some() || matches!(kind.restore, Restore::Sql);
        self.apply.journal.write(line, is_durable).map_err(|error| {
            let reason = chain(&error);
            let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
            broken.get_or_insert(error);
            reason
        })
    }

    fn check(&self) -> Result<(), JournalError> {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.take().map_or(Ok(()), Err)
    }

    fn is_broken(&self) -> bool {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.is_some()
    }

    fn tell(&self, step: &Step, outcome: &StepOutcome) {
        let name = format!("{} {}", step.kind, step.target);
        if let Outcome::Failed(reason) | Outcome::Skipped(reason) = &outcome.outcome {
            let text = format!("{name} was not restored: {reason}");
            self.apply.reporter.report(Event::Warning(&text));
        }
        for problem in &outcome.problems {
            let text = format!("{name}: {problem}");
            self.apply.reporter.report(Event::Warning(&text));
        }
    }

    fn add_problem(&self, step: usize, problem: String) {
        let of = &self.apply.plan.steps[step];
        let text = format!("{} {}: {problem}", of.kind, of.target);
        self.apply.reporter.report(Event::Warning(&text));
        self.outcomes()[step].problems.push(problem);
    }

    fn start(&self, name: &str, count: usize) {
        self.apply.reporter.report(Event::PhaseStarted { name });
        let more = count as u64;
        self.apply.reporter.report(Event::Expected { more });
    }

    fn late(&self) -> MutexGuard<'_, Late> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcomes(&self) -> MutexGuard<'_, Vec<StepOutcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a step brought.
#[derive(Default)]
struct Carried {
    /// The object's id, if it is known already.
    id: Option<String>,
    /// What failed after the object itself was made.
    problems: Vec<String>,
}

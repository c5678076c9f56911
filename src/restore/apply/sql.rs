//! Objects of the metastore, which SQL statements make and change.
//!
//! Invariant: runs the statements of the plan and no others.

use serde_json::Value;

use super::{Carried, Failure, Outcome, Run, chain};
use crate::resource::hive::{self, Securable, Sql};
use crate::resource::{Acl, Restore};
use crate::restore::plan::{PermissionStep, Step};
use crate::sql::{Place, SqlError, Statement};

/// So often a statement is run whose answer was lost.
const ATTEMPTS: u32 = 3;

impl Run<'_> {
    /// Runs the statements of a step.
    pub(super) async fn run_statements(&self, step: &Step) -> Result<Carried, Failure> {
        let place = self.place()?;
        let kind = step.kind();
        let body = match &step.body {
            Some(body) => self.late().body(kind, body.clone()),
            None => Value::Null,
        };
        let statements: Vec<Sql> = serde_json::from_value(body["statements"].clone())
            .map_err(|error| format!("the plan holds no statements: {error}"))?;
        if step.action.makes() {
            self.begin(step)?;
        }
        for statement in statements {
            let statement = Statement::new(statement.sql).within(statement.database);
            run(place, &statement, step.action.makes()).await?;
        }
        if step.action.makes() {
            self.made(step, &step.target)?;
        }
        let mut carried = Carried::default();
        let owner = body["owner"].as_str();
        let owner = owner.zip(kind.securable());
        let owner = owner.and_then(|(owner, of)| hive::owner(of, &step.target, owner));
        if let Some(statement) = owner
            && let Err(reason) = run(place, &Statement::new(statement), false).await
        {
            carried
                .problems
                .push(format!("its owner was not set: {reason}"));
        }
        Ok(carried)
    }

    /// Gives and takes privileges.
    pub(super) async fn set_privileges(
        &self,
        step: &Step,
        permission: &PermissionStep,
        securable: Securable,
    ) {
        let acl = |entries: Option<&Value>| entries.and_then(Acl::from_json).unwrap_or_default();
        let wanted = self.late().acl(&acl(Some(&permission.entries)));
        let had = acl(permission.had.as_ref());
        for (who, statement) in hive::grant_statements(securable, &step.target, &had, &wanted) {
            let result = match self.place() {
                Ok(place) => run(place, &Statement::new(statement), false).await,
                Err(reason) => Err(reason),
            };
            if let Err(reason) = result {
                let problem = format!("the privileges of {who} are not as they were: {reason}");
                self.add_problem(permission.step, problem);
            }
        }
    }

    /// Of these steps, those that failed and may succeed once others have.
    pub(super) fn worth_another_try(&self, steps: &[usize]) -> Vec<usize> {
        let outcomes = self.outcomes();
        let is_waiting = |index: &&usize| {
            may_need_others(&self.apply.plan.steps[**index])
                && matches!(outcomes[**index].outcome, Outcome::Failed(_))
        };
        steps.iter().filter(is_waiting).copied().collect()
    }

    pub(super) fn place(&self) -> Result<&Place, Failure> {
        self.apply
            .metastore
            .ok_or_else(|| "there is no warehouse and no cluster to run statements on".to_owned())
    }
}

/// Whether a step may need others of its kind, or of the other: views and functions need each other either way, and in which
/// order they are planned is but a guess.
pub(super) fn may_need_others(step: &Step) -> bool {
    let kind = step.kind();
    let of = [Some(Securable::View), Some(Securable::Function)];
    matches!(kind.restore, Restore::Sql) && of.contains(&kind.securable())
}

/// Runs a statement. One whose answer was lost is run again, and a thing that is there by then was made by the first run.
async fn run(place: &Place, statement: &Statement, makes: bool) -> Result<(), Failure> {
    let mut was_lost = false;
    for attempt in 1.. {
        match place.run(statement).await {
            Ok(_) => break,
            Err(SqlError::Failed(words)) if was_lost && makes && is_there(&words) => break,
            Err(error) if error.may_be_done() && attempt < ATTEMPTS => was_lost = true,
            Err(error) => return Err(chain(&error)),
        }
    }
    Ok(())
}

fn is_there(words: &str) -> bool {
    let words = words.to_lowercase();
    words.contains("already_exists") || words.contains("already exists")
}

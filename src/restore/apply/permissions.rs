//! Permissions, after everything is in its place.
//!
//! Invariant: an object gets the planned entries or fewer, never others; who is dropped is reported.

use futures_util::StreamExt;
use futures_util::stream::iter;

use super::{Outcome, Run, chain};
use crate::api::encode::segment;
use crate::api::{ApiError, ErrorKind};
use crate::export::permission_id;
use crate::report::Event;
use crate::resource::{Acl, Grantee, Restore};
use crate::restore::journal::JournalError;
use crate::restore::plan::{PermissionStep, Step};

/// So often is asked whether someone is known by now.
const ATTEMPTS: u32 = 4;

impl Run<'_> {
    pub(super) async fn permissions(&self) -> Result<(), JournalError> {
        let steps = &self.apply.plan.permissions;
        self.start("restore permissions", steps.len());
        let mut begin = 0;
        while begin < steps.len() {
            let stage = steps[begin].stage;
            let length = steps[begin..].iter().take_while(|step| step.stage == stage);
            let end = begin + length.count();
            iter(&steps[begin..end])
                .for_each_concurrent(self.apply.concurrency, |step| async move {
                    self.permission(step).await;
                    let done = Event::Done { count: 1, bytes: 0 };
                    self.apply.reporter.report(done);
                })
                .await;
            begin = end;
        }
        self.apply.reporter.report(Event::PhaseFinished);
        self.check()
    }

    async fn permission(&self, permission: &PermissionStep) {
        let step = &self.apply.plan.steps[permission.step];
        if self.outcomes()[permission.step].outcome != Outcome::Done {
            return;
        }
        if let Some(securable) = step.kind().securable() {
            return self.set_privileges(step, permission, securable).await;
        }
        match self.set(step, permission).await {
            Ok(dropped) => {
                for who in dropped {
                    let problem =
                        format!("{who} got no permission: the workspace does not know them");
                    self.add_problem(permission.step, problem);
                }
            }
            Err(error) if permission.may_be_refused && is_refusal(&error) => {
                let name = &step.target;
                let text = format!("the workspace keeps the permissions of {name} to itself");
                self.apply.reporter.report(Event::Detail(&text));
            }
            Err(error) => {
                let problem = format!("its permissions were not set: {}", chain(&error));
                self.add_problem(permission.step, problem);
            }
        }
    }

    /// Sets permissions; returns who is unknown to the service and was left out.
    async fn set(
        &self,
        step: &Step,
        permission: &PermissionStep,
    ) -> Result<Vec<Grantee>, ApiError> {
        let kind = step.kind();
        let (Some(object_type), Some(acl)) =
            (kind.permissions, Acl::from_json(&permission.entries))
        else {
            return Ok(Vec::new());
        };
        let mut acl = self.late().acl(&acl);
        let Some(id) = self.object_id(step, permission.step).await? else {
            return Ok(Vec::new());
        };
        let id = match kind.permission_id() {
            Some(call) => permission_id(self.apply.client, call, &id).await?,
            None => id,
        };
        let path = format!("/api/2.0/permissions/{object_type}/{}", segment(&id));
        let mut dropped = Vec::new();
        let mut attempts = 0;
        loop {
            let error = match self.apply.client.put(&path, &acl.to_request()).await {
                Ok(_) => return Ok(dropped),
                Err(error) => error,
            };
            let Some(unknown) = unknown_grantee(&error, &acl) else {
                return Err(error);
            };
            attempts += 1;
            if attempts < ATTEMPTS && self.has_made(&unknown) {
                // Someone who was just made becomes known to the permissions a little later.
                self.apply.reporter.report(Event::Detail(&format!(
                    "waiting until the permissions know {unknown}"
                )));
                tokio::time::sleep(self.apply.settle * attempts).await;
                continue;
            }
            attempts = 0;
            acl.0.remove(&unknown);
            dropped.push(unknown);
        }
    }

    /// The id by which the permissions of an object are known.
    async fn object_id(&self, step: &Step, index: usize) -> Result<Option<String>, ApiError> {
        let known = self.outcomes()[index].id.clone();
        // Whether a node keeps its id when it is written over is not promised.
        let is_written = step.action.makes() || step.content.is_some();
        match (&step.kind().restore, known) {
            (Restore::Tree(_), Some(id)) if !is_written => Ok(Some(id)),
            (Restore::Tree(_), _) => {
                let path = self.late().path(&step.target);
                let node = self.node_at(&path).await?;
                Ok(node.map(|(id, _)| id))
            }
            (_, known) => Ok(known),
        }
    }

    /// Whether this run has made them. (Service principals are known by an id that no step has in its name.)
    pub(super) fn has_made(&self, who: &Grantee) -> bool {
        let outcomes = self.outcomes();
        let is_them = |name: &str| match who {
            Grantee::ServicePrincipal(_) => true,
            Grantee::User(_) | Grantee::Group(_) => name.eq_ignore_ascii_case(who.name()),
        };
        let mut made = self.apply.plan.steps.iter().zip(outcomes.iter());
        made.any(|(step, outcome)| {
            step.action.makes()
                && outcome.outcome == Outcome::Done
                && step.kind().fields.principal.is_some()
                && is_them(&step.target)
        })
    }
}

/// Who of the list the service says it does not know.
fn unknown_grantee(error: &ApiError, acl: &Acl) -> Option<Grantee> {
    let may_be = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::BadRequest);
    let message = error.message();
    let speaks_of = |who: &&Grantee| message.contains(who.name());
    let said = message.contains("does not exist") || message.contains("not found");
    (may_be && said)
        .then(|| {
            acl.0
                .keys()
                .filter(speaks_of)
                .max_by_key(|who| who.name().len())
        })
        .flatten()
        .cloned()
}

fn is_refusal(error: &ApiError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::BadRequest | ErrorKind::NotFound
    )
}

//! The steps of databases, tables, functions and views, which are made by SQL statements.
//!
//! Invariant: the statements of a step are decided here; none of them drops a table or touches its data.

use serde_json::{Value, json};

use super::draft::Draft;
use super::judge::{self, body_differences};
use super::planner::{Planner, body_of, id_of};
use super::{Action, PlanError};
use crate::manifest::Entry;
use crate::resource::hive::{self, Securable, Sql};
use crate::resource::{Kind, KindName, ObjectKey};

/// What servers show in place of a value that they take for a secret.
const REDACTED: &str = "(redacted)";

impl Planner<'_> {
    /// Whether statements can be run in the target at all.
    pub(super) fn runs_statements(&self, kind: &Kind) -> bool {
        let name = KindName::known(kind.name);
        self.inputs.target.selection.covers_kind(&name)
    }

    /// Whether the target says who may do what with objects of the metastore.
    fn has_table_acls(&self) -> bool {
        let kind = KindName::known("metastore-securable");
        let found = self
            .inputs
            .target
            .tree
            .get(&ObjectKey::new(kind, "catalog"));
        found.is_ok_and(|entry| entry.is_some_and(|entry| entry.permissions.is_some()))
    }

    /// The step of an object that is made.
    pub(super) fn make_by_sql(
        &self,
        kind: &Kind,
        securable: Securable,
        mut draft: Draft,
        wanted: Value,
    ) -> Result<Draft, PlanError> {
        let statements = match hive::create(securable, &draft.step.target, &wanted) {
            Ok(statements) => statements,
            Err(reason) => return Ok(draft.skip(reason)),
        };
        say_what_is_lost(securable, &mut draft, &wanted);
        let body = self.body_of_step(&statements, &wanted, None);
        let made = draft.make(body, "is not in the target");
        self.grants(kind, made, None)
    }

    /// What becomes of an object that is there.
    pub(super) fn compare_by_sql(
        &self,
        kind: &Kind,
        securable: Securable,
        mut draft: Draft,
        mut wanted: Value,
        there: &Entry,
    ) -> Result<Draft, PlanError> {
        let (is_ours, on_conflict) = (draft.step.is_resumed, self.inputs.options.on_conflict);
        let unknown = judge::unknown(there);
        let Some(mut present) = body_of(self.inputs.target.tree, there, "target")? else {
            let unknown = unknown.unwrap_or_else(|| "it has no body".to_owned());
            (draft.step.action, draft.step.reason) =
                judge::decide(&[], Some(&unknown), is_ours, on_conflict);
            return Ok(draft);
        };
        // Without table ACLs, and where the owner has no name in the target, it stays whose it is.
        if !self.has_table_acls() || wanted.get("owner").is_none() {
            remove_owner(&mut wanted);
            remove_owner(&mut present);
        }
        let differences = body_differences(kind, &present, &wanted);
        let in_owner = |path: &str| path == "owner";
        let is_changed = differences.iter().any(|change| !in_owner(&change.path));
        let is_written = !differences.is_empty();
        draft.step.differences = differences;
        let mut draft = self.grants(kind, draft, Some(there))?;
        (draft.step.action, draft.step.reason) = judge::decide(
            &draft.step.differences,
            unknown.as_deref(),
            is_ours,
            on_conflict,
        );
        if draft.step.action != Action::Update {
            draft.permissions = None;
            return Ok(draft);
        }
        let statements = match is_changed {
            true => hive::change(securable, &draft.step.target, &present, &wanted),
            false => Ok(Vec::new()),
        };
        match statements {
            Ok(statements) if is_written => {
                draft.step.body = Some(self.body_of_step(&statements, &wanted, Some(&present)));
            }
            Ok(_) => {}
            Err(reason) => {
                draft.permissions = None;
                draft.step.action = Action::Conflict;
                draft.step.reason = reason;
            }
        }
        Ok(draft)
    }

    /// What the target is told: statements, and to whom the object is given.
    fn body_of_step(&self, statements: &[Sql], wanted: &Value, present: Option<&Value>) -> Value {
        let mut body = json!({"statements": statements});
        let owner = wanted["owner"].as_str().filter(|_| self.has_table_acls());
        // Whoever makes something owns it.
        let had = match present {
            Some(present) => present["owner"].as_str(),
            None => Some(self.inputs.caller.name()),
        };
        if let Some(owner) = owner.filter(|owner| had != Some(owner)) {
            body["owner"] = json!(owner);
        }
        body
    }

    fn grants(
        &self,
        kind: &Kind,
        mut draft: Draft,
        there: Option<&Entry>,
    ) -> Result<Draft, PlanError> {
        if self.has_table_acls() {
            return self.permissions_of(kind, draft, there);
        }
        if draft.entry.permissions.is_some() {
            let lost = "its grants: there are no table ACLs in the target";
            draft.step.lost.push(lost.to_owned());
        }
        Ok(draft)
    }

    /// Why an object of the metastore is not made; none if it can be.
    pub(super) fn why_not_by_sql(&self, kind: &Kind, entry: &Entry) -> Option<String> {
        kind.securable()?;
        if !self.runs_statements(kind) {
            let why = "no warehouse and no cluster was named to make it with (--warehouse, --cluster-name, --launch-cluster)";
            return Some(why.to_owned());
        }
        let why = match kind.securable()? {
            Securable::Top => "there are no table ACLs",
            _ => "it is built in, and no statement makes it",
        };
        let is_built_in = kind.is_built_in(&entry.key.name);
        is_built_in.then(|| format!("{} is not in the target: {why}", id_of(entry)))
    }
}

fn remove_owner(body: &mut Value) {
    if let Some(body) = body.as_object_mut() {
        body.remove("owner");
    }
}

/// Says what of an object no statement brings back.
fn say_what_is_lost(securable: Securable, draft: &mut Draft, body: &Value) {
    let step = &mut draft.step;
    match securable {
        Securable::Table if body["type"] == "MANAGED" => {
            step.notes
                .push("made empty: its data is not part of the snapshot".to_owned());
        }
        Securable::Table => {
            let at = body["location"].as_str().unwrap_or("its location");
            step.notes.push(format!(
                "its data is not part of the snapshot; it is looked for at {at}"
            ));
        }
        Securable::Function if body.get("class").is_some() => {
            let note =
                "no statement shows which files its class came with: they must be on the cluster";
            step.notes.push(note.to_owned());
        }
        _ => {}
    }
    if body.to_string().contains(REDACTED) {
        step.lost
            .push("options that the server takes for secrets and does not show".to_owned());
    }
}

//! What becomes of objects that are in the target already.
//!
//! Invariant: an object that is as it is to be is left alone, and one that is unknown too.

use serde_json::{Map, Value};

use super::draft::Draft;
use super::judge::{self, body_differences, content_difference};
use super::planner::{Planner, body_of, id_of};
use super::secrets::There;
use super::{Action, PlanError, Step};
use crate::manifest::Entry;
use crate::resource::{Kind, Manner, Rest};

impl Planner<'_> {
    /// What becomes of an object that is in the target.
    pub(super) fn compare(
        &self,
        kind: &'static Kind,
        mut draft: Draft,
        mut wanted: Value,
        there: &Entry,
        is_ours: bool,
    ) -> Result<Draft, PlanError> {
        draft.step.target_id = Some(id_of(there).to_owned());
        draft.step.is_resumed = is_ours;
        draft.step.there = Some(there.key.clone());
        let on_conflict = self.inputs.options.on_conflict;
        let rest = match (kind.restore.rest(), kind.securable()) {
            (Some(rest), _) => rest,
            (_, Some(securable)) => {
                return self.compare_by_sql(kind, securable, draft, wanted, there);
            }
            _ => return Ok(draft),
        };
        let unknown = judge::unknown(there);
        let Some(present) = body_of(self.inputs.target.tree, there, "target")? else {
            let unknown = unknown.unwrap_or_else(|| "it has no body".to_owned());
            (draft.step.action, draft.step.reason) =
                judge::decide(&[], Some(&unknown), is_ours, on_conflict);
            return Ok(draft);
        };
        if kind.is_built_in(&there.key.name) {
            judge::keep_what_is_there(kind, &mut wanted, &present);
        }
        self.quieten(kind, &mut draft.step, &mut wanted, Some(&present));
        let at = There {
            entry: there,
            body: &present,
        };
        self.secrets_of(kind, &mut draft, &mut wanted, Some(at))?;
        self.versions_of(kind, &mut draft.step, &mut wanted, Some(&present));
        rest.keep_what_stays(&present, &mut wanted, &mut draft.step.lost);
        let mut in_body = body_differences(kind, &present, &wanted);
        if let (Some(logged), Some(mut history)) = (
            kind.restore.logged(),
            content_difference(Some(there), &draft.entry),
        ) {
            history.path = format!("{}.history", logged.history);
            in_body.push(history);
            draft.step.content.clone_from(&draft.entry.content);
        }
        let is_possible =
            rest.update.is_some() || in_body.iter().all(|change| rest.is_extra(&change.path));
        // What an earlier run may not have come to is done again.
        let is_unfinished = is_ours && !rest.after_create.is_empty();
        let is_written = !in_body.is_empty() || is_unfinished;
        draft.step.differences.splice(0..0, in_body);
        let mut draft = self.permissions_of(kind, draft, Some(there))?;
        (draft.step.action, draft.step.reason) = judge::decide(
            &draft.step.differences,
            unknown.as_deref(),
            is_ours,
            on_conflict,
        );
        if draft.step.action == Action::Unchanged && is_unfinished {
            draft.step.action = Action::Update;
        }
        if draft.step.action != Action::Update {
            return Ok(Self::unwritten(draft));
        }
        // What has a call of its own can be written wherever the object comes from.
        let touches_object = (draft.step.differences.iter())
            .any(|change| !change.path.starts_with("permissions.") && !rest.is_extra(&change.path));
        if let Some(rule) = &kind.fields.elsewhere
            && touches_object
            && (kind.is_made_elsewhere(&wanted) || kind.is_made_elsewhere(&present))
        {
            return Ok(draft.skip(rule.why));
        }
        if !is_possible {
            draft = Self::unwritten(draft);
            draft.step.action = Action::Conflict;
            draft.step.reason = format!("differs, and the API cannot change a {}", kind.name);
        } else if is_written {
            draft.step.takes = rest.too_much(&present, &wanted);
            draft.step.body = Some(wanted);
        }
        Ok(draft)
    }

    /// Takes back what only an update would write.
    fn unwritten(mut draft: Draft) -> Draft {
        draft.permissions = None;
        draft.step.content = None;
        draft.step.values.clear();
        draft
    }

    /// Keeps what is restored from starting on its own, and says so.
    pub(super) fn quieten(
        &self,
        kind: &Kind,
        step: &mut Step,
        wanted: &mut Value,
        there: Option<&Value>,
    ) {
        if !self.inputs.options.keep_schedules && judge::quieten(kind, wanted, there) {
            let note = "will not start on its own until it is told to".to_owned();
            if !step.notes.contains(&note) {
                step.notes.push(note);
            }
        }
    }
}

impl Rest {
    /// Whether a field has a call of its own.
    pub(in crate::restore) fn is_extra(&self, path: &str) -> bool {
        let is_of = |field: &str| {
            let rest = path.strip_prefix(field);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
        };
        self.extras.iter().any(|extra| is_of(extra.field))
    }

    /// Leaves in place what is there and no call takes away: elements of lists that the snapshot does not have. Says so.
    fn keep_what_stays(&self, there: &Value, wanted: &mut Value, lost: &mut Vec<String>) {
        for extra in self.extras.iter().filter(|extra| extra.away.is_none()) {
            let (Manner::Elements { key }, Some(present)) =
                (extra.manner, there[extra.field].as_array())
            else {
                continue;
            };
            let is_wanted = |element: &&Value| {
                let wanted = wanted[extra.field].as_array().into_iter().flatten();
                wanted.into_iter().any(|other| other[key] == element[key])
            };
            let (_, stay): (Vec<_>, Vec<_>) = present.iter().partition(is_wanted);
            let stay: Vec<Value> = stay.into_iter().cloned().collect();
            for element in &stay {
                lost.push(format!(
                    "{} {} of the target stays: the API does not take it away",
                    extra.field, element[key]
                ));
            }
            if !stay.is_empty() {
                match wanted[extra.field].as_array_mut() {
                    Some(elements) => elements.extend(stay),
                    None => wanted[extra.field] = Value::from(stay),
                }
            }
        }
    }

    /// What is there in fields with calls of their own and is not to be, as far as there is a call that takes it away.
    fn too_much(&self, there: &Value, wanted: &Value) -> Map<String, Value> {
        let mut takes = Map::new();
        for extra in self.extras.iter().filter(|extra| extra.away.is_some()) {
            let (there, wanted) = (&there[extra.field], &wanted[extra.field]);
            let more = match (there.as_array(), wanted.as_array()) {
                (Some(there), Some(wanted)) => {
                    let is_wanted = |element: &&Value| match extra.manner {
                        Manner::Whole | Manner::Apart => wanted.contains(element),
                        // One by the same name is written over.
                        Manner::Elements { key } => {
                            wanted.iter().any(|other| other[key] == element[key])
                        }
                    };
                    let more = there.iter().filter(|element| !is_wanted(element));
                    Value::from(more.cloned().collect::<Vec<_>>())
                }
                _ if wanted.is_null() => there.clone(),
                _ => Value::Null,
            };
            if !is_nothing(&more) {
                takes.insert(extra.field.to_owned(), more);
            }
        }
        takes
    }
}

/// Whether a field with a call of its own says that nothing is to be done for it.
pub(in crate::restore) fn is_nothing(value: &Value) -> bool {
    value.is_null()
        || *value == Value::Bool(false)
        || value.as_str() == Some("")
        || value.as_array().is_some_and(Vec::is_empty)
}

//! What becomes of secret values, and of access lists that are part of an object.
//!
//! Invariant: a value is compared and named, never shown; an element that the snapshot does not know keeps what it has, and
//! what cannot be brought back is said.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::PlanError;
use super::draft::Draft;
use super::planner::{Planner, body_of, read_failed};
use crate::diff::{Edit, FieldChange};
use crate::manifest::{Entry, SecretContent, Tree};
use crate::resource::{Kind, Restore, Secrets};

/// An object of the target.
pub(super) struct There<'a> {
    pub(super) entry: &'a Entry,
    pub(super) body: &'a Value,
}

impl Planner<'_> {
    /// Adds to a draft which values are written, and keeps in `wanted` what is not the snapshot's to change.
    pub(super) fn secrets_of(
        &self,
        kind: &'static Kind,
        draft: &mut Draft,
        wanted: &mut Value,
        there: Option<There<'_>>,
    ) -> Result<(), PlanError> {
        let (Restore::Secrets(secrets), Some(values)) = (&kind.restore, kind.secrets()) else {
            return Ok(());
        };
        self.access_of(secrets, draft, wanted, there.as_ref())?;
        if !(values.are_here)(wanted) {
            return Ok(());
        }
        let stored = content_of(self.inputs.snapshot.tree, &draft.entry, "snapshot")?;
        if draft.entry.content.is_some() && stored.is_none() {
            let lost = "what is stored of its values is damaged".to_owned();
            draft.step.lost.push(lost);
        }
        let present = match &there {
            Some(there) => content_of(self.inputs.target.tree, there.entry, "target")?,
            None => None,
        };
        let name_of = |element: &Value| element[values.element].as_str().map(str::to_owned);
        let elements = |body: &Value| -> Vec<Value> {
            let list = body[secrets.elements].as_array();
            list.cloned().unwrap_or_default()
        };
        let old = there.as_ref().map(|there| elements(there.body));
        let old = old.unwrap_or_default();
        let had: BTreeSet<String> = old.iter().filter_map(name_of).collect();
        let (mut kept, mut by_hand) = (Vec::new(), Vec::new());
        for element in elements(wanted) {
            let Some(name) = name_of(&element) else {
                continue;
            };
            let is_there = had.contains(&name);
            let is_stored = stored
                .as_ref()
                .is_some_and(|stored| stored.expose(&name).is_some());
            match (is_stored, is_there) {
                (true, _) => {
                    if let Some(change) = difference(stored.as_ref(), present.as_ref(), &name) {
                        draft.step.values.push(name);
                        if is_there {
                            draft.step.differences.push(change);
                        }
                    }
                }
                (false, false) => {
                    by_hand.push(name);
                    continue;
                }
                // Within a workspace the time tells whether the value is still the one of the snapshot.
                (false, true) if self.same_workspace() && !old.contains(&element) => {
                    by_hand.push(name);
                }
                (false, true) => {}
            }
            kept.push(element);
        }
        let known: BTreeSet<String> = elements(wanted).iter().filter_map(name_of).collect();
        let is_more =
            |element: &&Value| name_of(element).is_some_and(|name| !known.contains(&name));
        kept.extend(old.iter().filter(is_more).cloned());
        wanted[secrets.elements] = Value::from(kept);
        kind.sort_unordered(wanted);
        let more: Vec<_> = had.difference(&known).cloned().collect();
        if !more.is_empty() {
            let note = format!("keeps what the snapshot does not know: {}", more.join(", "));
            draft.step.notes.push(note);
        }
        if !by_hand.is_empty() {
            let lost = format!(
                "values that are not in the snapshot must be set by hand: {}",
                by_hand.join(", ")
            );
            draft.step.lost.push(lost);
        }
        if !draft.step.values.is_empty() {
            draft.step.content.clone_from(&draft.entry.content);
        }
        Ok(())
    }

    /// Sees to it that an access list that is unknown is not changed, and that somebody can manage the object.
    fn access_of(
        &self,
        secrets: &Secrets,
        draft: &mut Draft,
        wanted: &mut Value,
        there: Option<&There<'_>>,
    ) -> Result<(), PlanError> {
        let snapshot = body_of(self.inputs.snapshot.tree, &draft.entry, "snapshot")?;
        let snapshot = snapshot.unwrap_or_default();
        for field in [secrets.access, secrets.elements] {
            if !snapshot[field].is_array() {
                draft
                    .step
                    .lost
                    .push(format!("its {field} are not in the snapshot"));
                if let Some(there) = there {
                    wanted[field] = there.body[field].clone();
                }
            }
        }
        let (level, manager) = secrets.manager;
        let manages = |list: &Value| {
            let mut entries = list.as_array().into_iter().flatten();
            entries.any(|entry| entry[level] == json!(manager))
        };
        let was_known = snapshot[secrets.access].is_array();
        if was_known && wanted[secrets.access].is_null() {
            wanted[secrets.access] = json!([]);
        }
        if was_known && manages(&snapshot[secrets.access]) && !manages(&wanted[secrets.access]) {
            let caller = self.inputs.caller.name();
            if let Some(entries) = wanted[secrets.access].as_array_mut() {
                entries.retain(|entry| entry[secrets.principal] != json!(caller));
                entries.push(json!({secrets.principal: caller, level: manager}));
            }
            let note = format!("nobody who managed it is in the target: {caller} does");
            draft.step.notes.push(note);
        }
        Ok(())
    }
}

/// How two values differ, by their fingerprints; none if they do not.
fn difference(
    stored: Option<&SecretContent>,
    present: Option<&SecretContent>,
    name: &str,
) -> Option<FieldChange> {
    let stored = stored?;
    if present.is_some_and(|present| present.agrees(stored, name)) {
        return None;
    }
    let print = |of: &SecretContent| Value::from(stored.fingerprint(name, of));
    Some(FieldChange {
        path: format!("values[{name}]"),
        edit: Edit::Changed {
            before: present.map_or(Value::Null, print),
            after: print(stored),
        },
    })
}

fn content_of(
    tree: &Tree,
    entry: &Entry,
    side: &'static str,
) -> Result<Option<SecretContent>, PlanError> {
    let Some(payload) = &entry.content else {
        return Ok(None);
    };
    let bytes = payload.read(tree.store()).map_err(read_failed(side))?;
    Ok(SecretContent::parse(&bytes))
}

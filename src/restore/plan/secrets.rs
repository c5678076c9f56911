//! What becomes of secret values, and of access lists that are part of an object.
//!
//! Invariant: a value is compared and named, never shown; an element that the snapshot does not know keeps what it has, and
//! what cannot be brought back is said.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::PlanError;
use super::draft::Draft;
use super::planner::{Planner, whole_body_of};
use crate::diff::{Edit, FieldChange};
use crate::manifest::{Entry, SecretContent, Tree};
use crate::resource::{FieldPath, Kind, Restore, Secrets};

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
        let stored = content_of(self.inputs.snapshot.tree, &draft.entry);
        if draft.entry.content.is_some() && stored.is_none() {
            let lost = "what is stored of its values is damaged".to_owned();
            draft.step.lost.push(lost);
        }
        let present = there.as_ref();
        let present = present.and_then(|there| content_of(self.inputs.target.tree, there.entry));
        let elements = |body: &Value| -> Vec<Value> {
            let list = body[secrets.elements].as_array();
            list.cloned().unwrap_or_default()
        };
        let values = Values {
            name_at: values.element,
            stored: stored.as_ref(),
            present: present.as_ref(),
            there: there.map(|there| elements(there.body)).unwrap_or_default(),
            same_workspace: self.same_workspace(),
        };
        let sorted = values.sort_out(elements(wanted));
        wanted[secrets.elements] = Value::from(sorted.kept);
        kind.sort_unordered(wanted);
        let step = &mut draft.step;
        if !sorted.unknown.is_empty() {
            let unknown = sorted.unknown.join(", ");
            let note = format!("keeps what the snapshot does not know: {unknown}");
            step.notes.push(note);
        }
        if !sorted.by_hand.is_empty() {
            let by_hand = sorted.by_hand.join(", ");
            let lost =
                format!("values that are not in the snapshot must be set by hand: {by_hand}");
            step.lost.push(lost);
        }
        if !sorted.written.is_empty() {
            step.content.clone_from(&draft.entry.content);
        }
        step.differences.extend(sorted.differences);
        step.values = sorted.written;
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
        let snapshot = whole_body_of(self.inputs.snapshot.tree, &draft.entry, "snapshot")?;
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

/// The values of one object, on both sides.
struct Values<'a> {
    /// The field of an element that names it.
    name_at: FieldPath,
    /// The values that the snapshot has.
    stored: Option<&'a SecretContent>,
    /// Those that were read in the target.
    present: Option<&'a SecretContent>,
    /// The elements that the target has.
    there: Vec<Value>,
    same_workspace: bool,
}

/// What becomes of them.
#[derive(Default)]
struct Sorted {
    /// The elements that the object is to have.
    kept: Vec<Value>,
    /// The names of those whose values are written.
    written: Vec<String>,
    /// How values that are there differ.
    differences: Vec<FieldChange>,
    /// The names of those whose values must be set by hand.
    by_hand: Vec<String>,
    /// The names of those that only the target has.
    unknown: Vec<String>,
}

impl Values<'_> {
    fn sort_out(&self, wanted: Vec<Value>) -> Sorted {
        let names = |elements: &[Value]| -> BTreeSet<String> {
            let names = elements.iter().filter_map(|element| self.name(element));
            names.collect()
        };
        let (had, known) = (names(&self.there), names(&wanted));
        let mut sorted = Sorted::default();
        for element in wanted {
            let Some(name) = self.name(&element) else {
                continue;
            };
            let is_there = had.contains(&name);
            let stored = self.stored.filter(|stored| stored.expose(&name).is_some());
            match (stored, is_there) {
                (Some(stored), _) => {
                    if let Some(change) = difference(stored, self.present, &name) {
                        sorted.differences.extend(is_there.then_some(change));
                        sorted.written.push(name);
                    }
                }
                (None, false) => {
                    sorted.by_hand.push(name);
                    continue;
                }
                // Within a workspace the time tells whether the value is still the one of the snapshot.
                (None, true) if self.same_workspace && !self.there.contains(&element) => {
                    sorted.by_hand.push(name);
                }
                (None, true) => {}
            }
            sorted.kept.push(element);
        }
        let is_more = |element: &&Value| {
            let name = self.name(element);
            name.is_some_and(|name| !known.contains(&name))
        };
        sorted
            .kept
            .extend(self.there.iter().filter(is_more).cloned());
        sorted.unknown = had.difference(&known).cloned().collect();
        sorted
    }

    fn name(&self, element: &Value) -> Option<String> {
        element[self.name_at].as_str().map(str::to_owned)
    }
}

/// How two values differ, by their fingerprints; none if they do not.
fn difference(
    stored: &SecretContent,
    present: Option<&SecretContent>,
    name: &str,
) -> Option<FieldChange> {
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

/// The values of an object; none if there are none, or the store does not give them back whole: that must not keep
/// others from coming back.
fn content_of(tree: &Tree, entry: &Entry) -> Option<SecretContent> {
    let bytes = entry.content.as_ref()?.read(tree.store()).ok()?;
    SecretContent::parse(&bytes)
}

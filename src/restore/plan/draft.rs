//! A step before it has its place in the plan.

use serde_json::{Map, Value};

use super::planner::id_of;
use super::{Action, PermissionStep, Step};
use crate::manifest::{Entry, Extent};
use crate::resource::Kind;

/// A step before it has its place.
pub(super) struct Draft {
    pub(super) step: Step,
    /// The snapshot's entry.
    pub(super) entry: Entry,
    /// Objects still to be made whose ids it uses.
    pub(super) uses: Vec<(String, String)>,
    /// The whole body with what it uses, if only a part is made at first.
    pub(super) rest: Option<(Value, Vec<(String, String)>)>,
    /// Its permissions.
    pub(super) permissions: Option<PermissionStep>,
}

impl Draft {
    /// A step about which nothing is decided yet.
    pub(super) fn new(kind: &'static Kind, entry: &Entry) -> Self {
        let mut notes = Vec::new();
        if entry.carried_over {
            let why = entry.gap.as_ref().map_or("", |gap| gap.reason.as_str());
            let note = "taken from an older snapshot, because this one could not read it";
            notes.push(match why {
                "" => note.to_owned(),
                _ => format!("{note}: {why}"),
            });
        }
        if let Some(gap) = entry
            .gap
            .as_ref()
            .filter(|gap| gap.extent == Extent::Subtree)
        {
            notes.push(format!(
                "what lies below is not in the snapshot: {}",
                gap.reason
            ));
        }
        Self {
            step: Step {
                action: Action::Skipped,
                kind: kind.name,
                name: entry.key.name.clone(),
                old_id: Some(id_of(entry).to_owned()),
                target: entry.key.name.clone(),
                target_id: None,
                reason: String::new(),
                differences: Vec::new(),
                notes,
                lost: Vec::new(),
                unmapped: Vec::new(),
                stage: 0,
                needs: Vec::new(),
                body: None,
                takes: Map::new(),
                content: None,
                values: Vec::new(),
                is_resumed: false,
                there: None,
                before: Vec::new(),
                in_doubt: false,
            },
            entry: entry.clone(),
            uses: Vec::new(),
            rest: None,
            permissions: None,
        }
    }

    pub(super) fn skip(mut self, reason: impl Into<String>) -> Self {
        self.step.action = Action::Skipped;
        self.step.reason = reason.into();
        self.step.body = None;
        self.permissions = None;
        self
    }

    pub(super) fn unchanged(mut self, target_id: &str) -> Self {
        self.step.action = Action::Unchanged;
        self.step.reason = "is as the snapshot says".to_owned();
        self.step.target_id = Some(target_id.to_owned());
        self
    }

    pub(super) fn make(mut self, body: Value, reason: &str) -> Self {
        self.step.action = Action::Create;
        self.step.reason = reason.to_owned();
        self.step.body = Some(body);
        self
    }
}

/// Why an object cannot be restored from a snapshot that does not have it.
pub(super) fn not_in_the_snapshot(entry: &Entry) -> String {
    match &entry.gap {
        Some(gap) => format!("is not in the snapshot: {}", gap.reason),
        None => "is not in the snapshot".to_owned(),
    }
}

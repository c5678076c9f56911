//! The steps of mounts: made where the cluster itself may use the storage, and told exactly, to be made by hand, elsewhere.
//!
//! Invariant: a mount that is there is never taken away: what reads through it would lose its data.

use serde_json::Value;

use super::draft::{Draft, not_in_the_snapshot};
use super::judge::{self, body_differences};
use super::planner::{DAMAGED, Planner, body_of, id_of, read_failed};
use super::{Action, PlanError};
use crate::manifest::Entry;
use crate::resource::{Kind, KindName, dbfs_path, is_made_by_identity};

impl Planner<'_> {
    /// The step of a mount.
    pub(super) fn mount(&self, kind: &'static Kind, entry: &Entry) -> Result<Draft, PlanError> {
        let mut draft = Draft::new(kind, entry);
        let wanted = match body_of(self.inputs.snapshot.tree, entry, "snapshot") {
            Err(PlanError::Read { .. }) => return Ok(draft.skip(DAMAGED)),
            body => match body? {
                Some(body) => body,
                None => return Ok(draft.skip(not_in_the_snapshot(entry))),
            },
        };
        let by_hand = by_hand(dbfs_path(&entry.key.name), &wanted);
        let name = KindName::known(kind.name);
        if !self.inputs.target.selection.covers_kind(&name) {
            let why = "no cluster was named that could tell whether it is there (--cluster-name)";
            return Ok(draft.skip(format!("{why}; if it is not, {by_hand}")));
        }
        let there = self.inputs.target.tree.get(&entry.key);
        let Some(there) = there.map_err(read_failed("target"))? else {
            if let Some(reason) = self.gaps.of_kind(kind) {
                let why =
                    format!("whether the target has it is unknown ({reason}); if not, {by_hand}");
                return Ok(draft.skip(why));
            }
            return Ok(match is_made_by_identity(&wanted) {
                true => {
                    let note = "made by the cluster, whose instance profile or service account must be allowed to use it";
                    draft.step.notes.push(note.to_owned());
                    draft.make(wanted, "is not in the target")
                }
                false => draft.skip(by_hand),
            });
        };
        draft.step.target_id = Some(id_of(&there).to_owned());
        draft.step.there = Some(there.key.clone());
        let present = body_of(self.inputs.target.tree, &there, "target")?.unwrap_or_default();
        draft.step.differences = body_differences(kind, &present, &wanted);
        let unknown = judge::unknown(&there);
        let on_conflict = crate::restore::options::OnConflict::Skip;
        (draft.step.action, draft.step.reason) = judge::decide(
            &draft.step.differences,
            unknown.as_deref(),
            false,
            on_conflict,
        );
        if draft.step.action == Action::Conflict {
            let by_hand = format!("; an administrator unmounts it first, and then {by_hand}");
            draft.step.reason.push_str(&by_hand);
        }
        Ok(draft)
    }
}

/// What an administrator has to do for a mount to be there.
fn by_hand(point: &str, wanted: &Value) -> String {
    let text = |value: &Value| Value::from(value.as_str().unwrap_or_default()).to_string();
    let (source, point) = (text(&wanted["source"]), Value::from(point).to_string());
    let mut call = format!("dbutils.fs.mount(source={source}, mount_point={point}");
    if let Some(kind) = wanted["encryption_type"].as_str() {
        call.push_str(&format!(", encryption_type={}", Value::from(kind)));
    }
    match is_made_by_identity(wanted) {
        true => format!("it is mounted by hand, on a cluster that may use the storage: {call})"),
        false => format!(
            "it is mounted by hand, with the credential that no snapshot has (best from dbutils.secrets.get): \
             {call}, extra_configs={{...}})"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_to_be_done_by_hand_can_be_pasted() {
        let said = by_hand(
            "/mnt/x",
            &json!({"source": "wasbs://c@a/", "withheld": ["y"]}),
        );
        assert!(
            said.ends_with(r#"dbutils.fs.mount(source="wasbs://c@a/", mount_point="/mnt/x", extra_configs={...})"#),
            "{said}"
        );
        let said = by_hand(
            "/mnt/x",
            &json!({"source": "s3a://b", "encryption_type": "sse-s3"}),
        );
        assert!(
            said.ends_with(r#"mount_point="/mnt/x", encryption_type="sse-s3")"#),
            "{said}"
        );
    }
}

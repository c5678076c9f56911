//! Adding to a step what the object's permissions are to be.
//!
//! Invariant: what is not known, in the snapshot or in the target, is not changed.

use super::draft::Draft;
use super::planner::{Planner, read_failed};
use super::{PermissionStep, PlanError, acl, judge};
use crate::manifest::{Entry, Tree};
use crate::mapping::home_of;
use crate::resource::{Acl, Grantee, Kind, Node};

impl Planner<'_> {
    /// Adds what an object's permissions are to be.
    pub(super) fn permissions_of(
        &self,
        kind: &Kind,
        mut draft: Draft,
        there: Option<&Entry>,
    ) -> Result<Draft, PlanError> {
        if !kind.has_permissions() {
            return Ok(draft);
        }
        let direct = match acl_of(self.inputs.snapshot.tree, &draft.entry, "snapshot") {
            Err(PlanError::Read { .. }) => {
                let lost = "its permissions are damaged in the store";
                draft.step.lost.push(lost.to_owned());
                return Ok(draft);
            }
            direct => direct?,
        };
        let Some(direct) = direct else {
            if let Some(gap) = &draft.entry.gap {
                let reason = &gap.reason;
                let lost = format!("its permissions are not in the snapshot: {reason}");
                draft.step.lost.push(lost);
            }
            return Ok(draft);
        };
        let caller = self.inputs.caller;
        let had = match there {
            Some(there) => acl_of(self.inputs.target.tree, there, "target")?,
            None => None,
        };
        // An owner that the snapshot does not know of is left in peace, and so is an object that has none.
        let heir = match &had {
            Some(had) => had.owner(),
            None => Some(caller),
        };
        let target = &draft.step.target;
        let present = (heir, had.as_ref());
        let (wanted, dropped) = acl::wanted(kind, target, &direct, &self.mapping, present);
        let dropped: Vec<String> = dropped.iter().map(Grantee::to_string).collect();
        draft.step.unmapped.extend(dropped.iter().cloned());
        if let Some(had) = &had {
            let differences = judge::acl_differences(had, &wanted);
            if differences.is_empty() {
                return Ok(draft);
            }
            draft.step.differences.extend(differences);
        } else if there.is_some() {
            let note = "its permissions in the target are unknown and left as they are".to_owned();
            draft.step.notes.push(note);
            return Ok(draft);
        }
        let wanted = acl::with_owner(kind, wanted, caller);
        let step = PermissionStep {
            step: 0,
            stage: rank(kind, &wanted, caller, &draft.step.target),
            entries: wanted.to_json(),
            had: had.map(|had| had.to_json()),
            dropped,
            may_be_refused: is_home(&draft.step.target),
        };
        draft.permissions = Some(step);
        Ok(draft)
    }
}

fn acl_of(tree: &Tree, entry: &Entry, side: &'static str) -> Result<Option<Acl>, PlanError> {
    let Some(payload) = &entry.permissions else {
        return Ok(None);
    };
    let bytes = payload.read(tree.store()).map_err(read_failed(side))?;
    let value = serde_json::from_slice(&bytes).map_err(|source| PlanError::Body {
        what: format!("the permissions of {}", entry.key),
        source,
    })?;
    Ok(Acl::from_json(&value))
}

/// Permissions that take rights from the caller come last; among those, deep paths first.
fn rank(kind: &Kind, wanted: &Acl, caller: &Grantee, path: &str) -> u64 {
    let depth = path.matches('/').count().min(1000) as u64;
    let is_folder = kind.node() == Some(Node::Directory);
    match (acl::shuts_out(wanted, caller), is_folder) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 2000 - depth,
    }
}

fn is_home(path: &str) -> bool {
    matches!(home_of(path), Some((_, _, "")))
}

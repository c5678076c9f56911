//! Whether an object of the target is as it is to be, and what becomes of it if not.
//!
//! Invariant: pure; only what could be sent is compared, and what is unknown is never overwritten.

use serde_json::Value;

use super::Action;
use crate::diff::{Edit, FieldChange, field_changes};
use crate::manifest::{Entry, Extent};
use crate::resource::{Acl, Kind, visit};
use crate::restore::options::OnConflict;

/// How two bodies differ in what the API takes.
pub(super) fn body_differences(kind: &Kind, there: &Value, wanted: &Value) -> Vec<FieldChange> {
    let sent = |body: &Value| match kind.request {
        Some(request) => request(body.clone()),
        None => body.clone(),
    };
    let (mut there, mut wanted) = (sent(there), sent(wanted));
    kind.sort_unordered(&mut there);
    kind.sort_unordered(&mut wanted);
    field_changes(&there, &wanted)
}

/// How two access lists differ.
pub(super) fn acl_differences(there: &Acl, wanted: &Acl) -> Vec<FieldChange> {
    let mut changes = field_changes(&there.to_json(), &wanted.to_json());
    for change in &mut changes {
        change.path = format!("permissions.{}", change.path);
    }
    changes
}

/// How two contents differ: only that they do.
pub(super) fn content_difference(there: Option<&Entry>, wanted: &Entry) -> Option<FieldChange> {
    let digest = |entry: &Entry| entry.content.as_ref().map(|content| content.digest());
    let (before, after) = (there.and_then(digest)?, digest(wanted)?);
    let edit = Edit::Changed {
        before: Value::from(format!("{before:.12}")),
        after: Value::from(format!("{after:.12}")),
    };
    (before != after).then(|| FieldChange {
        path: "content".to_owned(),
        edit,
    })
}

/// Why an entry of the target does not tell what the object is like now.
pub(super) fn unknown(entry: &Entry) -> Option<String> {
    match &entry.gap {
        Some(gap) if gap.extent == Extent::Permissions || gap.extent == Extent::Subtree => None,
        Some(gap) => Some(gap.reason.clone()),
        None => entry
            .carried_over
            .then(|| "its folder or its kind could not be listed".to_owned()),
    }
}

/// What becomes of an object that is there.
pub(super) fn decide(
    differences: &[FieldChange],
    unknown: Option<&str>,
    is_ours: bool,
    on_conflict: OnConflict,
) -> (Action, String) {
    if let Some(reason) = unknown {
        let reason = format!("what the target has could not be read: {reason}");
        return (Action::Conflict, reason);
    }
    if differences.is_empty() {
        return (Action::Unchanged, "is as the snapshot says".to_owned());
    }
    if is_ours {
        let reason = "an earlier run of this restore began it".to_owned();
        return (Action::Update, reason);
    }
    match on_conflict {
        OnConflict::Overwrite => (Action::Update, "differs and is overwritten".to_owned()),
        OnConflict::Skip | OnConflict::Fail => {
            let reason = "differs from the snapshot and is left as it is".to_owned();
            (Action::Conflict, reason)
        }
    }
}

/// Keeps an object from starting on its own. What is there and does as the snapshot says may go on.
pub(super) fn quieten(kind: &Kind, wanted: &mut Value, there: Option<&Value>) -> bool {
    let before = wanted.clone();
    for quiet in kind.fields.quiet {
        let does = |there| quiet.said(there) == quiet.said(&before);
        if !there.is_some_and(does) {
            quiet.apply(wanted);
        }
    }
    *wanted != before
}

/// Of a built-in object's lists nothing is taken away.
pub(super) fn keep_what_is_there(kind: &Kind, wanted: &mut Value, there: &Value) {
    for list in kind.fields.unordered {
        let mut present = Vec::new();
        visit(there, list, &mut |value| {
            present.extend(value.as_array().into_iter().flatten().cloned());
        });
        if present.is_empty() {
            continue;
        }
        if let Some(object) = wanted.as_object_mut() {
            // The lists of built-in objects are fields of the body itself.
            let wanted = object
                .entry(*list)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Some(elements) = wanted.as_array_mut() {
                present.retain(|element| !elements.contains(element));
                elements.extend(present);
            }
        }
    }
    kind.sort_unordered(wanted);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind;
    use serde_json::json;

    #[test]
    fn what_runs_already_as_the_snapshot_says_may_go_on_and_anything_else_is_paused() {
        let job = kind("job").unwrap();
        let running = json!({"name": "j", "schedule": {"pause_status": "UNPAUSED"}});
        let paused = json!({"name": "j", "schedule": {"pause_status": "PAUSED"}});
        let mut wanted = running.clone();
        assert!(!quieten(job, &mut wanted, Some(&running)));
        assert_eq!(wanted, running);
        // A schedule that says nothing runs as well.
        let unsaid = json!({"name": "j", "schedule": {}});
        for there in [None, Some(&paused), Some(&json!({"name": "j"}))] {
            for snapshot in [&running, &unsaid] {
                let mut wanted = snapshot.clone();
                assert!(quieten(job, &mut wanted, there));
                assert_eq!(wanted, paused);
            }
        }
        let mut wanted = unsaid.clone();
        assert!(!quieten(job, &mut wanted, Some(&unsaid)));
        assert_eq!(wanted, unsaid);
    }

    #[test]
    fn members_of_a_built_in_group_are_only_added() {
        let mut wanted = json!({"displayName": "admins", "members": [{"value": "2"}]});
        let there = json!({"displayName": "admins", "members": [{"value": "1"}, {"value": "2"}]});
        keep_what_is_there(kind("group").unwrap(), &mut wanted, &there);
        assert_eq!(wanted, there);
    }

    #[test]
    fn what_cannot_be_sent_is_no_difference() {
        let kind = kind("git-folder").unwrap();
        let at = |commit: &str| json!({"url": "u", "branch": "main", "head_commit_id": commit});
        assert_eq!(body_differences(kind, &at("1"), &at("2")), []);
    }

    #[test]
    fn the_unknown_is_never_overwritten() {
        let (action, reason) = decide(&[], Some("403"), true, OnConflict::Overwrite);
        assert_eq!(action, Action::Conflict);
        assert_eq!(reason, "what the target has could not be read: 403");
    }
}

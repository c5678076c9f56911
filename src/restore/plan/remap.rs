//! From a body of the snapshot to the body the target is to have.
//!
//! Invariant: pure; what was left out or replaced is said in the notes, and nothing becomes wider by it.

use serde_json::Value;

use crate::mapping::Mapping;
use crate::resource::{
    FieldPath, Kind, Linked, Principal, Reference, Target, WhenMissing, visit_mut,
};

/// What references mean in the target.
pub(super) struct Context<'a> {
    /// Who is called how there.
    pub(super) mapping: &'a Mapping,
    /// The target's id for an old id of one of some kinds: a real one, or a placeholder for one to come.
    pub(super) ids: &'a dyn Fn(&[&str], &str) -> Option<String>,
    /// What an old id is called, for notes.
    pub(super) describe: &'a dyn Fn(&[&str], &str) -> String,
    /// Who restores.
    pub(super) caller: &'a str,
    /// What takes the place of a cluster that is gone.
    pub(super) new_cluster: &'a Value,
}

/// A body as the target is to have it.
#[derive(Debug, PartialEq)]
pub(super) struct Remapped {
    pub(super) body: Value,
    /// What was left out or replaced, for people.
    pub(super) notes: Vec<String>,
    /// Principals that were left out.
    pub(super) unmapped: Vec<String>,
}

/// Rewrites every reference of a body. References for which `later` is true are left out with the element of the list
/// that they stand in: they close a cycle, and are added when everything has been made.
pub(super) fn remap(
    kind: &Kind,
    mut body: Value,
    context: &Context<'_>,
    later: &dyn Fn(&[&str], &str) -> bool,
) -> Remapped {
    let (mut notes, mut unmapped) = (Vec::new(), Vec::new());
    let keys_before = linked_keys(kind, &mut body);
    let ids = |kinds: &[&str], old: &str| match later(kinds, old) {
        true => None,
        false => (context.ids)(kinds, old),
    };
    context
        .mapping
        .rewrite_or(kind, &mut body, &ids, &mut |reference, value| {
            let old = plain(value);
            if let Target::Id(kinds) = reference.to
                && later(kinds, &old)
            {
                *value = Value::from(ELEMENT);
                return;
            }
            if let Target::Principal(_) = reference.to {
                unmapped.push(old.clone());
            }
            notes.push(replace(kind, reference, value, &old, context));
        });
    sweep(&mut body, context.new_cluster);
    for (linked, before) in kind.fields.linked.iter().zip(&keys_before) {
        unlink(linked, &mut body, before);
    }
    kind.sort_unordered(&mut body);
    notes.sort_unstable();
    notes.dedup();
    unmapped.sort_unstable();
    unmapped.dedup();
    Remapped {
        body,
        notes,
        unmapped,
    }
}

/// Marks a reference to nothing for what becomes of it, and says so.
fn replace(
    kind: &Kind,
    reference: &Reference,
    value: &mut Value,
    old: &str,
    context: &Context<'_>,
) -> String {
    let FieldAndName { field, name } = FieldAndName::of(reference, old, context);
    match kind.when_missing(reference) {
        WhenMissing::LeaveOut => {
            *value = Value::from(LEAVE_OUT);
            format!("{field} left out: {name} is not in the target")
        }
        WhenMissing::Keep => format!("{field} kept although {name} is not in the target"),
        WhenMissing::LeaveOutElement => {
            *value = Value::from(ELEMENT);
            format!("the part with {field} left out: {name} is not in the target")
        }
        WhenMissing::NewCluster(instead) => {
            *value = Value::from(format!("{CLUSTER}{instead}"));
            format!("{field}: {name} is not in the target, a default job cluster takes its place")
        }
        WhenMissing::Caller => {
            *value = Value::from(context.caller);
            let caller = context.caller;
            format!("{field}: {name} is not in the target, {caller} takes the place")
        }
    }
}

struct FieldAndName {
    field: FieldPath,
    name: String,
}

impl FieldAndName {
    fn of(reference: &Reference, old: &str, context: &Context<'_>) -> Self {
        let name = match reference.to {
            Target::Id(kinds) => (context.describe)(kinds, old),
            Target::Principal(Principal::Group) => format!("group {old}"),
            Target::Principal(Principal::ServicePrincipal) => format!("service principal {old}"),
            Target::Principal(_) => format!("user {old}"),
            Target::Path => old.to_owned(),
        };
        Self {
            field: reference.at,
            name,
        }
    }
}

// No text of a workspace begins with a NUL character, so these marks cannot be taken for one.
const LEAVE_OUT: &str = "\0left out";
const ELEMENT: &str = "\0element left out";
const CLUSTER: &str = "\0default cluster at ";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Goes,
    TakesElement,
}

/// Carries out what the marks say. What is empty only because of that goes as well.
fn sweep(value: &mut Value, new_cluster: &Value) -> Fate {
    match value {
        Value::String(text) if text == LEAVE_OUT => Fate::Goes,
        Value::String(text) if text == ELEMENT => Fate::TakesElement,
        Value::Array(elements) => {
            let before = elements.len();
            elements.retain_mut(|element| sweep(element, new_cluster) == Fate::Stays);
            match elements.is_empty() && before > 0 {
                true => Fate::Goes,
                false => Fate::Stays,
            }
        }
        Value::Object(fields) => {
            let before = fields.len();
            let mut fate = Fate::Stays;
            let mut instead = None;
            fields.retain(|_, field| {
                if let Some(name) = field.as_str().and_then(|text| text.strip_prefix(CLUSTER)) {
                    instead = Some(name.to_owned());
                    return false;
                }
                let of_field = sweep(field, new_cluster);
                if of_field == Fate::TakesElement {
                    fate = Fate::TakesElement;
                }
                of_field == Fate::Stays
            });
            if let Some(name) = instead {
                fields.insert(name, new_cluster.clone());
            }
            match fate == Fate::Stays && fields.is_empty() && before > 0 {
                true => Fate::Goes,
                false => fate,
            }
        }
        _ => Fate::Stays,
    }
}

fn linked_keys(kind: &Kind, body: &mut Value) -> Vec<Vec<Value>> {
    let keys = |linked: &Linked| {
        let mut keys = Vec::new();
        visit_mut(body, linked.list, &mut |list| {
            let elements = list.as_array().into_iter().flatten();
            keys.extend(elements.map(|element| element[linked.key].clone()));
        });
        keys
    };
    kind.fields.linked.iter().map(keys).collect()
}

/// Removes the links to elements that were there before and are gone.
fn unlink(linked: &Linked, body: &mut Value, before: &[Value]) {
    visit_mut(body, linked.list, &mut |list| {
        let Some(elements) = list.as_array_mut() else {
            return;
        };
        let left: Vec<Value> = elements
            .iter()
            .map(|element| element[linked.key].clone())
            .collect();
        for element in elements.iter_mut().filter_map(Value::as_object_mut) {
            let Some(Value::Array(links)) = element.get_mut(linked.links) else {
                continue;
            };
            links.retain(|link| {
                let key = &link[linked.key];
                left.contains(key) || !before.contains(key)
            });
            if links.is_empty() {
                element.remove(linked.links);
            }
        }
    });
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Known;
    use crate::resource::kind;
    use serde_json::json;

    fn remapped(kind_name: &str, body: Value, later: &[&str]) -> Remapped {
        let mut mapping = Mapping::default();
        mapping.restrict_to(Known::default());
        let context = Context {
            mapping: &mapping,
            ids: &|_, old| old.strip_prefix("known-").map(|id| format!("new-{id}")),
            describe: &|kinds, old| format!("{} {old}", kinds[0]),
            caller: "me@x",
            new_cluster: &json!({"num_workers": 1}),
        };
        remap(kind(kind_name).unwrap(), body, &context, &|_, old| {
            later.contains(&old)
        })
    }

    #[test]
    fn a_task_whose_cluster_is_gone_gets_the_default_cluster_and_the_plan_says_so() {
        let body = json!({"name": "j", "tasks": [
            {"task_key": "a", "existing_cluster_id": "gone"},
            {"task_key": "b", "existing_cluster_id": "known-1"}]});
        let Remapped { body, notes, .. } = remapped("job", body, &[]);
        assert_eq!(
            body,
            json!({"name": "j", "tasks": [
                {"task_key": "a", "new_cluster": {"num_workers": 1}},
                {"task_key": "b", "existing_cluster_id": "new-1"}]})
        );
        assert_eq!(
            notes,
            [
                "existing_cluster_id: cluster gone is not in the target, a default job cluster takes its place"
            ]
        );
    }

    #[test]
    fn a_task_that_closes_a_cycle_goes_with_the_links_to_it() {
        let body = json!({"tasks": [
            {"task_key": "a", "run_job_task": {"job_id": 7}},
            {"task_key": "b", "depends_on": [{"task_key": "a"}]},
            {"task_key": "c", "depends_on": [{"task_key": "a"}, {"task_key": "b"}]}]});
        let Remapped { body, notes, .. } = remapped("job", body, &["7"]);
        assert_eq!(
            body,
            json!({"tasks": [{"task_key": "b"}, {"task_key": "c", "depends_on": [{"task_key": "b"}]}]})
        );
        assert_eq!(notes, Vec::<String>::new());
    }

    #[test]
    fn who_is_gone_is_left_out_with_what_is_empty_without_them() {
        let body = json!({"run_as": {"user_name": "left@x"}, "tasks": [{"task_key": "q",
            "sql_task": {"alert": {"subscriptions": [{"user_name": "left@x"}]}, "warehouse_id": "w"}}],
            "email_notifications": {"on_failure": ["left@x"]}});
        let remapped = remapped("job", body, &[]);
        assert_eq!(
            remapped.body,
            json!({"tasks": [{"task_key": "q", "sql_task": {"warehouse_id": "w"}}],
                "email_notifications": {"on_failure": ["left@x"]}})
        );
        assert_eq!(remapped.unmapped, ["left@x"]);
    }

    #[test]
    fn a_policy_keeps_a_pool_that_is_gone_for_without_it_any_would_do() {
        let definition = "{\"instance_pool_id\":{\"type\":\"fixed\",\"value\":\"gone\"}}";
        let remapped = remapped(
            "cluster-policy",
            json!({"name": "p", "definition": definition}),
            &[],
        );
        assert_eq!(remapped.body["definition"], json!(definition));
        assert_eq!(
            remapped.notes,
            ["instance_pool_id.value kept although instance-pool gone is not in the target"]
        );
    }

    #[test]
    fn a_cluster_of_someone_gone_becomes_the_callers_and_members_who_are_gone_are_left_out() {
        let cluster = remapped("cluster", json!({"single_user_name": "left@x"}), &[]);
        assert_eq!(cluster.body, json!({"single_user_name": "me@x"}));
        let group =
            json!({"displayName": "g", "members": [{"value": "gone"}, {"value": "known-2"}]});
        assert_eq!(
            remapped("group", group, &[]).body,
            json!({"displayName": "g", "members": [{"value": "new-2"}]})
        );
        let emptied = json!({"displayName": "g", "members": [{"value": "gone"}]});
        assert_eq!(
            remapped("group", emptied, &[]).body,
            json!({"displayName": "g"})
        );
    }
}

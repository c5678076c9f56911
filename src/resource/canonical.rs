//! The canonical form: the same object gives the same bytes, however and whenever it was listed.

use serde_json::Value;
use thiserror::Error;

use super::field::{remove, visit, visit_mut};
use super::{Kind, KindName, ObjectKey};

/// What an item of a list turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Identified {
    /// What it is called.
    pub key: ObjectKey,
    /// The workspace's id.
    pub object_id: String,
    /// Its canonical body.
    pub body: Value,
}

/// An item that cannot be told apart from others.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the workspace listed a {kind} without `{field}`")]
pub struct CanonicalError {
    /// The kind listed.
    pub kind: &'static str,
    /// The field it needs.
    pub field: &'static str,
}

/// Finds out what a listed item is called and reduces it to its canonical body.
pub fn identify(kind: &'static Kind, item: &Value) -> Result<Identified, CanonicalError> {
    let missing = |field| CanonicalError {
        kind: kind.name,
        field,
    };
    let object_id = text_at(item, kind.id.at).ok_or(missing(kind.id.at))?;
    // A job may have no name; the service shows such a one as "Untitled" and keeps the field empty.
    let name = match text_at(item, kind.naming.at) {
        Some(name) => name,
        None if !kind.naming.unique => String::new(),
        None => return Err(missing(kind.naming.at)),
    };
    let kind_name = KindName::known(kind.name);
    let key = if kind.naming.unique {
        ObjectKey::new(kind_name, name)
    } else {
        ObjectKey::with_id(kind_name, name, &object_id)
    };
    let parts = kind.body.split('.').filter(|part| !part.is_empty());
    let body = parts.fold(item, |value, part| &value[part]);
    if !body.is_object() && !body.is_null() {
        return Err(missing(kind.body));
    }
    Ok(Identified {
        key,
        object_id,
        body: kind.canonical_body(body.clone()),
    })
}

/// The bytes of a canonical body: compact JSON with sorted keys.
pub fn canonical_bytes(body: &Value) -> Vec<u8> {
    // `serde_json` keeps objects in a `BTreeMap` unless a dependency asks for insertion order; a test below would notice.
    body.to_string().into_bytes()
}

impl Kind {
    /// Applies the kind's rules: drops what is noise, lets the kind have its word, sorts what has no order.
    pub fn canonical_body(&self, mut body: Value) -> Value {
        for rule in self.fields.dropped {
            remove(&mut body, rule.at);
        }
        if let Some(prepare) = self.prepare {
            body = prepare(body);
        }
        self.sort_unordered(&mut body);
        body
    }

    /// Whether a body is that of an object which comes to be elsewhere: nothing here makes it, or says who may do what.
    pub fn is_made_elsewhere(&self, body: &Value) -> bool {
        let mut is_elsewhere = false;
        if let Some(rule) = &self.fields.elsewhere {
            visit(body, rule.at, &mut |value| {
                is_elsewhere |= *value == Value::Bool(true);
            });
        }
        is_elsewhere
    }

    /// Sorts the lists whose order means nothing, inner ones first. Needed again after references were rewritten.
    pub fn sort_unordered(&self, body: &mut Value) {
        for path in self.fields.unordered {
            visit_mut(body, path, &mut |value| {
                if let Some(elements) = value.as_array_mut() {
                    elements
                        .sort_by_cached_key(|element| (natural_key(element), element.to_string()));
                }
            });
        }
    }
}

/// What an element of a list is called, where elements have a name: so that a change within one does not move it.
fn natural_key(element: &Value) -> String {
    let names = [
        "task_key",
        "job_cluster_key",
        "environment_key",
        "key",
        "value",
    ];
    names
        .iter()
        .find_map(|name| element[name].as_str())
        .unwrap_or_default()
        .to_owned()
}

fn text_at(item: &Value, path: &str) -> Option<String> {
    let value = path.split('.').fold(item, |value, part| &value[part]);
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fuzz;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_whatever_features_other_crates_turn_on() {
        let body: Value =
            serde_json::from_str(r#"{"b": 1, "a": {"z": 9007199254740993, "y": [2, 1]}}"#).unwrap();
        assert_eq!(
            canonical_bytes(&body),
            br#"{"a":{"y":[2,1],"z":9007199254740993},"b":1}"#
        );
    }

    #[test]
    fn a_job_is_named_by_name_and_id_and_reduced_to_its_settings() {
        let job = super::super::kind("job").unwrap();
        let item = json!({"job_id": 9007199254740993_i64, "creator_user_name": "ana@example.com", "settings": {
            "name": "nightly", "format": "MULTI_TASK", "tasks": [
                {"task_key": "b", "depends_on": [{"task_key": "z"}, {"task_key": "a"}]}, {"task_key": "a"}]}});
        let identified = identify(job, &item).unwrap();
        assert_eq!(
            identified.key.to_string(),
            "job nightly (id 9007199254740993)"
        );
        assert_eq!(
            identified.body,
            json!({"name": "nightly", "tasks": [
                {"task_key": "a"}, {"depends_on": [{"task_key": "a"}, {"task_key": "z"}], "task_key": "b"}]})
        );
    }

    #[test]
    fn a_body_that_is_no_object_is_refused_by_name_of_the_field() {
        let job = super::super::kind("job").unwrap();
        for settings in [json!("x"), json!(7), json!([{"tasks": []}]), json!(true)] {
            let error = identify(job, &json!({"job_id": 1, "settings": settings})).unwrap_err();
            assert_eq!(error.field, "settings");
        }
        assert!(identify(job, &json!({"job_id": 1})).is_ok());
    }

    #[test]
    fn an_item_without_an_id_is_refused_by_name_of_the_field() {
        let user = super::super::kind("user").unwrap();
        let error = identify(user, &json!({"userName": "ana@example.com"})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the workspace listed a user without `id`"
        );
    }

    #[test]
    fn fuzzed_items_of_every_kind_are_refused_or_have_a_key_and_a_body_that_stays() {
        let good = json!({"id": "1", "object_id": 7, "job_id": 9, "path": "/a", "userName": "ana", "displayName": "d",
            "cluster_id": "c", "cluster_name": "n", "instance_pool_id": "p", "instance_pool_name": "pn", "name": "x",
            "policy_id": "q", "script_id": "s", "instance_profile_arn": "arn:aws:iam::1:instance-profile/x",
            "applicationId": "00000000-0000-0000-0000-000000000001", "object_type": "NOTEBOOK", "language": "PYTHON",
            "members": [{"value": "2"}, {"value": "1"}], "entitlements": [{"value": "x"}],
            "settings": {"name": "nightly", "tasks": [{"task_key": "b", "depends_on": [{"task_key": "a"}]}, {}],
                "format": "MULTI_TASK", "max_concurrent_runs": 1, "job_clusters": [{"job_cluster_key": "k"}]}});
        let fuzzed = fuzz("items", &[good.to_string().into_bytes()], |bytes| {
            let Ok(item) = serde_json::from_slice::<Value>(bytes) else {
                return false;
            };
            let mut is_taken = false;
            for kind in super::super::ALL {
                let Ok(identified) = identify(kind, &item) else {
                    continue;
                };
                let key = identified.key.fit(Some(&identified.object_id));
                assert_eq!(
                    ObjectKey::from_bytes(&key.to_bytes()),
                    Some(key),
                    "{}",
                    kind.name
                );
                let again = kind.canonical_body(identified.body.clone());
                assert_eq!(again, identified.body, "{}", kind.name);
                is_taken = true;
            }
            let acl = crate::resource::Acl::from_answer(&item);
            assert_eq!(crate::resource::Acl::from_json(&acl.to_json()), Some(acl));
            is_taken
        });
        assert!(fuzzed.accepted > 0);
    }
}

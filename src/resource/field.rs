//! Field paths: where in a JSON document something stands.
//!
//! `a.b` is a field, `a[*]` every element of a list, `a.*` every field of an object, and `a<json>` steps into a string that
//! itself holds JSON (cluster policies are stored that way). A path that meets a document of another shape matches
//! nothing; it is never an error.

use serde_json::Value;

/// A path as the kinds' tables write it.
pub type FieldPath = &'static str;

#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Field(&'a str),
    EachElement,
    EachField,
    EncodedJson,
}

/// Calls `found` on every value at `path`, in document order.
pub fn visit(document: &Value, path: &str, found: &mut dyn FnMut(&Value)) {
    // Reading is rare (plans, tests) and bodies are small: one walker serves both.
    visit_mut(&mut document.clone(), path, &mut |value| found(value));
}

/// Calls `change` on every value at `path`, in document order; encoded JSON is written back when it was changed.
pub fn visit_mut(document: &mut Value, path: &str, change: &mut dyn FnMut(&mut Value)) {
    walk(document, &steps(path), change);
}

/// The path of the object that a field stands in, and the field's name there.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// Takes the field at `path` out of its object, in every object that has it.
pub(super) fn remove(document: &mut Value, path: &str) {
    let (parent, name) = split(path);
    visit_mut(document, parent, &mut |value| {
        if let Some(object) = value.as_object_mut() {
            if name == "*" {
                object.clear();
            } else {
                object.remove(name);
            }
        }
    });
}

fn walk(value: &mut Value, steps: &[Step<'_>], change: &mut dyn FnMut(&mut Value)) {
    let Some((step, rest)) = steps.split_first() else {
        return change(value);
    };
    match (step, value) {
        (Step::Field(name), Value::Object(object)) => {
            if let Some(next) = object.get_mut(*name) {
                walk(next, rest, change);
            }
        }
        (Step::EachField, Value::Object(object)) => object
            .values_mut()
            .for_each(|next| walk(next, rest, change)),
        (Step::EachElement, Value::Array(elements)) => elements
            .iter_mut()
            .for_each(|next| walk(next, rest, change)),
        (Step::EncodedJson, Value::String(text)) => {
            if let Ok(mut inner) = serde_json::from_str::<Value>(text) {
                let before = inner.clone();
                walk(&mut inner, rest, change);
                if inner != before {
                    *text = inner.to_string();
                }
            }
        }
        _ => {}
    }
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let name_end = part.find(['[', '<']).unwrap_or(part.len());
        match &part[..name_end] {
            "" => {}
            "*" => steps.push(Step::EachField),
            name => steps.push(Step::Field(name)),
        }
        let mut suffix = &part[name_end..];
        while !suffix.is_empty() {
            if let Some(rest) = suffix.strip_prefix("[*]") {
                steps.push(Step::EachElement);
                suffix = rest;
            } else if let Some(rest) = suffix.strip_prefix("<json>") {
                steps.push(Step::EncodedJson);
                suffix = rest;
            } else {
                break;
            }
        }
    }
    steps
}

/// Whether `path` is written in the language above; the registry's test asks for every path of every table.
#[cfg(test)]
pub(super) fn is_well_formed(path: &str) -> bool {
    path.split('.').all(|part| {
        let name_end = part.find(['[', '<']).unwrap_or(part.len());
        let (name, suffix) = part.split_at(name_end);
        let plain = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_*-$".contains(c));
        plain && suffix.replace("[*]", "").replace("<json>", "").is_empty() && !part.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(document: &Value, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        visit(document, path, &mut |value| all.push(value.clone()));
        all
    }

    #[test]
    fn fields_elements_and_wildcards_are_followed() {
        let document = json!({"tasks": [{"a": {"b": 1}}, {"a": {"b": 2}}, {"c": 3}], "on": {"x": [4], "y": [5, 6]}});
        assert_eq!(found(&document, "tasks[*].a.b"), [json!(1), json!(2)]);
        assert_eq!(found(&document, "on.*[*]"), [json!(4), json!(5), json!(6)]);
        assert_eq!(found(&document, ""), std::slice::from_ref(&document));
    }

    #[test]
    fn a_document_of_another_shape_matches_nothing() {
        for path in ["a.b", "a[*]", "a<json>.b", "a.*"] {
            assert_eq!(found(&json!({"a": 7}), path), Vec::<Value>::new(), "{path}");
            assert_eq!(found(&json!([1]), path), Vec::<Value>::new(), "{path}");
        }
    }

    #[test]
    fn json_inside_a_string_is_changed_in_place_and_left_alone_when_nothing_changes() {
        let mut document = json!({"definition": "{ \"pool\": {\"value\": \"old\"} }"});
        let untouched = document.clone();
        visit_mut(&mut document, "definition<json>.pool.value", &mut |_| {});
        assert_eq!(document, untouched);
        visit_mut(&mut document, "definition<json>.pool.value", &mut |value| {
            *value = json!("new")
        });
        assert_eq!(
            document,
            json!({"definition": "{\"pool\":{\"value\":\"new\"}}"})
        );
    }

    #[test]
    fn removing_reaches_every_object_of_a_list() {
        let mut document =
            json!({"members": [{"value": 1, "display": "x"}, {"value": 2}], "display": "kept"});
        remove(&mut document, "members[*].display");
        assert_eq!(
            document,
            json!({"members": [{"value": 1}, {"value": 2}], "display": "kept"})
        );
        remove(&mut document, "display");
        assert_eq!(document, json!({"members": [{"value": 1}, {"value": 2}]}));
    }
}

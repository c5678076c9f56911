//! The lists that every object of a kind has of its own, and the secret values of their elements.
//!
//! Invariant: a value leaves here as content only, and only when the selection asks for values.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::Value;

use super::item::{Captured, Part};
use super::known::Sighting;
use super::listed::{listing, text_at};
use super::run::{Run, reason};
use crate::api::{self, ApiError, ErrorKind};
use crate::manifest::{Extent, Gap};
use crate::resource::{Inner, Kind, SecretValues, visit};

/// Values of one object that are read at the same time.
const AT_ONCE: usize = 8;

/// What the lists of one object say.
pub(super) type Lists = Vec<(&'static Inner, Result<Value, ApiError>)>;

/// Reads all lists of an object, to their ends.
pub(super) async fn lists(run: &Run<'_>, kind: &'static Kind, id: &str) -> Lists {
    let mut lists = Vec::new();
    for inner in kind.inner() {
        let query = query(inner, id);
        let list = api::Listing {
            query: query
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect(),
            ..listing(&inner.list)
        };
        let answer = run.checked(run.client.list(list)).await;
        let answer = match (answer, inner.without_feature) {
            (Err(error), Some(instead)) if error.kind() == ErrorKind::FeatureDisabled => {
                Ok(instead())
            }
            (answer, _) => answer.map(Value::from),
        };
        lists.push((inner, answer));
    }
    lists
}

/// The query that lists what an object has of its own.
pub fn query(inner: &'static Inner, id: &str) -> Vec<(&'static str, String)> {
    with(inner.list.query, id, "")
}

/// Reads the secret values of an object, whose other parts have been read.
pub(super) async fn secrets(run: &Run<'_>, kind: &'static Kind, object: &mut Captured) {
    let (Some(secrets), true) = (kind.secrets(), run.selection.secret_values) else {
        return;
    };
    // Who may read values may not be allowed to see who else may: what is known of the object will do.
    let (Part::Read(body) | Part::Doubtful(body)) = &object.body else {
        // The gap that the body has says already that everything is unknown.
        object.content = Part::Unread;
        return;
    };
    if !(secrets.are_here)(body) {
        return;
    }
    if !lists_elements(kind, body) {
        object.content = Part::Unread;
        return;
    }
    let id = object.object_id.clone().unwrap_or_default();
    let sighting = Sighting {
        key: &object.key,
        object_id: &id,
        modified_at: None,
        size: None,
        body: Some(body),
    };
    if run.known.look_up(&sighting).is_unchanged {
        object.content = Part::Known;
        return;
    }
    let names = names(kind, secrets, body);
    let reads = iter(&names).map(|name| read(run, secrets, &id, name));
    let read: Vec<_> = reads.buffered(AT_ONCE).collect().await;
    let mut values = BTreeMap::new();
    let mut unread = Vec::new();
    for (name, value) in names.iter().zip(read) {
        match value {
            Ok(value) => drop(values.insert(name, value)),
            Err(reason) => unread.push(format!("{name}: {reason}")),
        }
    }
    let bytes = Bytes::from(serde_json::to_vec(&values).expect("texts are always JSON"));
    object.memory = Some(run.memory(bytes.len() as u64).await);
    object.content = match (unread.first(), values.is_empty()) {
        (None, _) => Part::Read(bytes),
        (Some(_), true) => Part::Unread,
        (Some(_), false) => Part::Doubtful(bytes),
    };
    if let Some(first) = unread.first() {
        let count = unread.len();
        let text = format!(
            "{count} of {} values could not be read: {first}",
            names.len()
        );
        object.add_gap(Gap::new(Extent::Content, text));
    }
}

/// Whether the list of the elements with values could be read.
fn lists_elements(kind: &'static Kind, body: &Value) -> bool {
    let mut inner = kind.inner().iter().filter(|inner| inner.secrets.is_some());
    inner.all(|inner| body[inner.field].is_array())
}

/// The names of the elements that have values.
fn names(kind: &'static Kind, secrets: &SecretValues, body: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for inner in kind.inner().iter().filter(|inner| inner.secrets.is_some()) {
        visit(body, inner.field, &mut |list| {
            let elements = list.as_array().into_iter().flatten();
            names.extend(elements.filter_map(|element| text_at(element, secrets.element)));
        });
    }
    names
}

async fn read(
    run: &Run<'_>,
    secrets: &SecretValues,
    id: &str,
    name: &str,
) -> Result<String, String> {
    let query = with(secrets.query, id, name);
    let query: Vec<(&str, &str)> = query
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let answer = run.get(secrets.path, &query).await;
    let answer = answer.map_err(|error| reason(&error))?;
    // What else the answer says may be the value in another form: it is not repeated.
    text_at(&answer, secrets.value).ok_or_else(|| "the answer has no value".to_owned())
}

/// A query with the object's id and an element's name in their places.
fn with(
    query: &'static [(&'static str, &'static str)],
    id: &str,
    element: &str,
) -> Vec<(&'static str, String)> {
    let fill = |text: &str| match text {
        "{id}" => id.to_owned(),
        "{element}" => element.to_owned(),
        other => other.replace("{quoted id}", &quoted(id)),
    };
    query
        .iter()
        .map(|(name, value)| (*name, fill(value)))
        .collect()
}

/// A text in quotes that are not in it. A filter knows no other way; one with both kinds in it is refused by the service.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') { '"' } else { '\'' };
    format!("{quote}{text}{quote}")
}

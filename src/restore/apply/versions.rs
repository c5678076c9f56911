//! Objects with versions, whose numbers the service gives.
//!
//! Invariant: before anything is made it is looked up what there is, so that no version is made twice.

use serde_json::{Map, Value, json};

use super::{Carried, Failure, Run, chain};
use crate::api::{self, Repeat};
use crate::export::{inner_query, listing};
use crate::resource::{Call, Kind, Versioned};
use crate::restore::plan::{Step, is_nothing};

impl Run<'_> {
    /// Makes or changes an object, and its versions.
    pub(super) async fn versioned(
        &self,
        step: &Step,
        versioned: &'static Versioned,
    ) -> Result<Carried, Failure> {
        let mut carried = match step.action.makes() {
            true => self.create(step, &versioned.rest).await?,
            false => self.update(step, &versioned.rest).await?,
        };
        let body = self.body(step);
        let Some(wanted) = body[versioned.list].as_array() else {
            return Ok(carried);
        };
        let id = carried.id.clone().unwrap_or_default();
        let there = match self.versions_there(step.kind(), versioned, &id).await {
            Ok(there) => there,
            Err(problem) => {
                let problem = format!("its versions are unknown, and none was made: {problem}");
                carried.problems.push(problem);
                return Ok(carried);
            }
        };
        for version in wanted {
            let number = version[versioned.number].as_str().unwrap_or_default();
            let is_it = |other: &&Value| other[versioned.number] == *number;
            let there = there.iter().find(is_it);
            let made = self
                .version(step.kind(), versioned, &id, version, there)
                .await;
            if let Err(problem) = made {
                let problem = format!("version {number} is not as it was: {problem}");
                carried.problems.push(problem);
                // The next one would get its number.
                break;
            }
        }
        Ok(carried)
    }

    /// Makes one version, or gives the one that is there what it is to have.
    async fn version(
        &self,
        kind: &'static Kind,
        versioned: &'static Versioned,
        id: &str,
        wanted: &Value,
        there: Option<&Value>,
    ) -> Result<(), Failure> {
        let there = match there {
            Some(there) => there.clone(),
            None => self.make_version(kind, versioned, id, wanted).await?,
        };
        for (call, body) in changes(versioned, &there, wanted) {
            let sent = self.call(kind, call, Some(id), body, Repeat::Safe);
            sent.await.map_err(|error| chain(&error))?;
        }
        Ok(())
    }

    /// Makes a version, and looks which number it got.
    async fn make_version(
        &self,
        kind: &'static Kind,
        versioned: &'static Versioned,
        id: &str,
        wanted: &Value,
    ) -> Result<Value, Failure> {
        let (call, at) = &versioned.create;
        let mut sent = Map::new();
        for field in versioned.fixed.iter().chain(&[versioned.update.1, "tags"]) {
            if !is_nothing(&wanted[*field]) {
                sent.insert((*field).to_owned(), wanted[*field].clone());
            }
        }
        let sent = self.call(kind, call, Some(id), Value::Object(sent), Repeat::Unsafe);
        let answer = sent.await.map_err(|error| chain(&error))?;
        let made = answer[*at].clone();
        match made[versioned.number] == wanted[versioned.number] {
            true => Ok(made),
            false => Err(format!(
                "the service gave it the number {}",
                made[versioned.number]
            )),
        }
    }

    /// The versions as the service lists them.
    async fn versions_there(
        &self,
        kind: &'static Kind,
        versioned: &'static Versioned,
        id: &str,
    ) -> Result<Vec<Value>, Failure> {
        let mut inner = kind.inner().iter();
        let Some(inner) = inner.find(|inner| inner.field == versioned.list) else {
            return Ok(Vec::new());
        };
        let query = inner_query(inner, id);
        let list = api::Listing {
            query: query
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect(),
            ..listing(&inner.list)
        };
        let found = self.apply.client.list(list).await;
        found.map_err(|error| chain(&error))
    }
}

/// The calls that make of a version what it is to be.
fn changes<'a>(versioned: &'a Versioned, there: &Value, wanted: &Value) -> Vec<(&'a Call, Value)> {
    let number = &wanted[versioned.number];
    let with_number = |mut body: Value| {
        body[versioned.number] = number.clone();
        body
    };
    let text =
        |version: &Value, field: &str| version[field].as_str().unwrap_or_default().to_owned();
    let mut calls = Vec::new();
    let (update, words) = &versioned.update;
    if text(there, words) != text(wanted, words) {
        calls.push((update, with_number(json!({*words: text(wanted, words)}))));
    }
    let tags = |version: &Value| version["tags"].as_array().cloned().unwrap_or_default();
    let (has, wants) = (tags(there), tags(wanted));
    let (set, unset) = &versioned.tags;
    for tag in has
        .iter()
        .filter(|tag| wants.iter().all(|other| other["key"] != tag["key"]))
    {
        calls.push((unset, with_number(json!({"key": tag["key"]}))));
    }
    for tag in wants.iter().filter(|tag| !has.contains(tag)) {
        calls.push((set, with_number(tag.clone())));
    }
    let (transition, stage, to) = &versioned.stage;
    if there[*stage] != wanted[*stage] && !is_nothing(&wanted[*stage]) {
        let body = json!({*to: wanted[*stage], "archive_existing_versions": false});
        calls.push((transition, with_number(body)));
    }
    calls
}

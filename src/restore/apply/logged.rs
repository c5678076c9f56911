//! Objects of which much is logged once they are there: runs.
//!
//! Invariant: what is logged twice is there once, so that a run that was interrupted is logged anew from its beginning.

use serde_json::{Map, Value, json};

use tokio::task::spawn_blocking;

use super::calls::to_request;
use super::dbfs::joined;
use super::{Carried, Failure, Run, chain};
use crate::api::{ApiError, Repeat};
use crate::manifest::Runs;
use crate::resource::Logged;
use crate::restore::plan::{Step, is_nothing};

impl Run<'_> {
    /// Makes a run if it is not there, and logs all it is to have.
    pub(super) async fn logged(
        &self,
        step: &Step,
        logged: &'static Logged,
    ) -> Result<Carried, Failure> {
        let kind = step.kind();
        let body = to_request(kind, &self.body(step));
        let id = match (step.action.makes(), &step.target_id) {
            (false, Some(id)) => id.clone(),
            _ => {
                let mut sent = part(&body, logged.with_create);
                let origin = Runs::id_in(&step.name).unwrap_or_default();
                sent.insert(
                    "tags".to_owned(),
                    json!([{"key": logged.origin, "value": origin}]),
                );
                self.begin(step)?;
                let sent = Value::Object(sent);
                let id = self.create_once(step, kind, &logged.rest, sent).await?;
                self.made(step, &id)?;
                id
            }
        };
        let mut problems = Vec::new();
        let mut calls = Vec::new();
        let history = self.history(step).await?;
        for (list, most) in logged.lists {
            let elements = match &history {
                Some(history) if *list == logged.history => history,
                _ => body[*list].as_array().map_or(&[][..], Vec::as_slice),
            };
            let batches = elements.chunks(*most);
            calls.extend(batches.map(|batch| (*list, &logged.log, json!({*list: batch}))));
        }
        let inputs = &body["inputs"]["dataset_inputs"];
        if !is_nothing(inputs) {
            calls.push(("inputs", &logged.inputs, json!({"datasets": inputs})));
        }
        let end = Value::Object(part(&body, logged.with_end));
        calls.push(("its end", &logged.end, end));
        for (what, call, body) in calls {
            let sent = self.call(kind, call, Some(&id), body, Repeat::Safe);
            if let Err(error) = sent.await {
                problems.push(format!("{what} were not logged: {}", chain(&error)));
            }
        }
        let id = Some(id);
        Ok(Carried { id, problems })
    }

    /// What the content of a step lists.
    async fn history(&self, step: &Step) -> Result<Option<Vec<Value>>, Failure> {
        let Some(content) = step.content.clone() else {
            return Ok(None);
        };
        let store = self.apply.snapshot.store().clone();
        let bytes = joined(spawn_blocking(move || content.read(&store)).await);
        let bytes = bytes.map_err(|error| format!("read its history: {}", chain(&error)))?;
        let lines = serde_json::Deserializer::from_slice(&bytes).into_iter();
        let history: Result<Vec<Value>, _> = lines.collect();
        history
            .map(Some)
            .map_err(|error| format!("read its history: {error}"))
    }

    /// The run that a step was making, if it was made: it says in a tag what it was made from.
    pub(super) async fn run_made(
        &self,
        step: &Step,
        logged: &'static Logged,
    ) -> Result<Option<(String, Value)>, ApiError> {
        let body = self.body(step);
        let began = &body["start_time"];
        let search = json!({
            "experiment_ids": [body["experiment_id"]], "max_results": 1000,
            "filter": format!("attributes.start_time = {began}"),
        });
        let client = self.apply.client;
        let found = client.post("/api/2.0/mlflow/runs/search", &search, Repeat::Safe);
        let found = found.await?;
        let origin = Runs::id_in(&step.name).unwrap_or_default();
        let is_it = |run: &&Value| {
            let mut tags = run["data"]["tags"].as_array().into_iter().flatten();
            tags.any(|tag| tag["key"] == *logged.origin && tag["value"] == *origin)
        };
        let runs = found["runs"].as_array().into_iter().flatten();
        Ok(runs.into_iter().find(is_it).and_then(|run| {
            let id = run["info"]["run_id"].as_str()?;
            Some((id.to_owned(), run.clone()))
        }))
    }
}

/// Some fields of a body.
fn part(body: &Value, fields: &[&str]) -> Map<String, Value> {
    let field = |name: &&str| Some(((*name).to_owned(), body.get(*name)?.clone()));
    fields.iter().filter_map(field).collect()
}

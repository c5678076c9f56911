//! Nodes of the workspace tree: folders, notebooks and files.
//!
//! Invariant: what is there is written over only when the plan says so.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Carried, Failure, Run, chain};
use crate::api::encode;
use crate::api::{ApiError, Method, Repeat};
use crate::manifest::ManifestError;
use crate::resource::Node;
use crate::restore::plan::Step;

/// `import` takes no more; larger ones go another way.
const LONGEST_IMPORT: usize = 10 << 20;

/// So often a write is tried anew when the answer was lost and nothing is there.
const ATTEMPTS: u32 = 3;

impl Run<'_> {
    /// Makes a folder. One that is there already is fine.
    pub(super) async fn make_folder(&self, step: &Step) -> Result<Carried, Failure> {
        self.begin(step)?;
        let path = self.late().path(&step.target);
        let body = json!({"path": path});
        let client = self.apply.client;
        client
            .post("/api/2.0/workspace/mkdirs", &body, Repeat::Safe)
            .await
            .map_err(|error| chain(&error))?;
        self.made(step, "")?;
        Ok(Carried::default())
    }

    /// Writes a notebook or file.
    pub(super) async fn write_node(&self, step: &Step) -> Result<Carried, Failure> {
        let bytes = self.content(step).await.map_err(|error| chain(&error))?;
        let path = self.late().path(&step.target);
        let overwrite = !step.action.makes();
        if !overwrite {
            self.begin(step)?;
        }
        let mut problems = Vec::new();
        for attempt in 1.. {
            let Err(error) = self.import(step, &path, &bytes, overwrite).await else {
                break;
            };
            if !error.answer_may_be_lost() {
                return Err(chain(&error));
            }
            // It was not there before the restore: if it is there now, it is ours.
            let there = self.node_at(&path).await.map_err(|error| chain(&error))?;
            if there.is_some() && !overwrite {
                break;
            }
            if attempt == ATTEMPTS {
                return Err(chain(&error));
            }
        }
        if bytes.len() > LONGEST_IMPORT
            && let Some(problem) = self.wrong_type(step, &path).await
        {
            problems.push(problem);
        }
        if !overwrite {
            self.made(step, "")?;
        }
        Ok(Carried { id: None, problems })
    }

    pub(super) async fn content(&self, step: &Step) -> Result<Bytes, ManifestError> {
        let Some(content) = step.content.clone() else {
            return Ok(Bytes::new());
        };
        let store = self.apply.snapshot.store().clone();
        let read = tokio::task::spawn_blocking(move || content.read(&store));
        // The task is never cancelled, and a panic in it is a panic here.
        match read.await {
            Ok(bytes) => bytes,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn import(
        &self,
        step: &Step,
        path: &str,
        bytes: &Bytes,
        overwrite: bool,
    ) -> Result<Value, ApiError> {
        let body = step.body.as_ref().unwrap_or(&Value::Null);
        let client = self.apply.client;
        let repeat = match overwrite {
            true => Repeat::Safe,
            false => Repeat::Unsafe,
        };
        if bytes.len() > LONGEST_IMPORT {
            let with_extension = format!("{path}{}", extension(step, body));
            let to = encode::path(&with_extension);
            let to = format!("/api/2.0/workspace-files/import-file{to}");
            let query = [("overwrite", if overwrite { "true" } else { "false" })];
            return client
                .upload(Method::POST, &to, &query, bytes.clone(), repeat)
                .await;
        }
        let mut request =
            json!({"path": path, "overwrite": overwrite, "content": STANDARD.encode(bytes)});
        match step.kind().node() {
            Some(Node::Notebook) => {
                let format = body["format"].as_str().unwrap_or("SOURCE");
                request["format"] = json!(format);
                if format == "SOURCE" {
                    request["language"] = body["language"].clone();
                }
            }
            // Anything but RAW would make a notebook of a file that looks like one.
            _ => request["format"] = json!("RAW"),
        }
        client
            .post("/api/2.0/workspace/import", &request, repeat)
            .await
    }

    /// The way for large objects tells notebooks from files by itself, and may be wrong.
    async fn wrong_type(&self, step: &Step, path: &str) -> Option<String> {
        let wanted = match step.kind().node() {
            Some(Node::Notebook) => "NOTEBOOK",
            _ => "FILE",
        };
        match self.node_at(path).await {
            Ok(Some((_, node))) if node["object_type"] == json!(wanted) => None,
            Ok(_) => Some(format!(
                "it is larger than 10 MB, and the workspace did not take it as a {}",
                step.kind
            )),
            Err(error) => Some(chain(&error)),
        }
    }
}

/// By which the way for large objects recognises a notebook.
fn extension(step: &Step, body: &Value) -> &'static str {
    if step.kind().node() != Some(Node::Notebook) {
        return "";
    }
    match (body["format"].as_str(), body["language"].as_str()) {
        (Some("JUPYTER"), _) => ".ipynb",
        (_, Some("SQL")) => ".sql",
        (_, Some("SCALA")) => ".scala",
        (_, Some("R")) => ".r",
        _ => ".py",
    }
}

//! Files of runs, written to where the target has the files of the run.
//!
//! Invariant: where that is, the target says when it has made the run; nothing is written to a place that another workspace
//! named.

use std::io;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use serde_json::json;

use super::dbfs::{Broken, Destination, cut, joined};
use super::{Carried, Failure, Run, chain};
use crate::api::{ApiError, LONGEST_SIGNED, Repeat, Signed};
use crate::manifest::Payload;
use crate::resource::ArtifactPlace;
use crate::restore::plan::Step;

impl Run<'_> {
    /// Writes a file of a run.
    pub(super) async fn write_artifact(&self, step: &Step) -> Result<Carried, Failure> {
        let body = self.body(step);
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (id, path) = (text("run_id"), text("path"));
        let client = self.apply.client;
        let query = [("run_id", id.as_str())];
        let run = client.get("/api/2.0/mlflow/runs/get", &query).await;
        let run = run.map_err(|error| chain(&error))?;
        let uri = run["run"]["info"]["artifact_uri"]
            .as_str()
            .unwrap_or_default();
        let to = match ArtifactPlace::of(uri) {
            ArtifactPlace::Tracking => Destination::Run { id, path },
            ArtifactPlace::Dbfs(root) => Destination::Dbfs(format!("{root}/{path}")),
            ArtifactPlace::Elsewhere => {
                return Err(format!(
                    "the target keeps files of this run in {uri}, which it does not give out"
                ));
            }
        };
        self.write_file(step, &to).await
    }

    /// Writes a file to the address that the service signs for it.
    pub(super) async fn put_artifact(
        &self,
        id: &str,
        path: &str,
        content: &Payload,
    ) -> Result<(), Broken> {
        if content.len() > LONGEST_SIGNED {
            let text = "it is longer than the 5 GiB that the storage of a cloud takes in one piece";
            return Err(Broken::lasting(text.to_owned()));
        }
        let signed = self.address(id, path).await?;
        let store = self.apply.snapshot.store().clone();
        let (mut blocks, reading) = cut(store, content.clone());
        let blocks = poll_fn(move |context| blocks.poll_recv(context)).map(io::Result::Ok);
        let client = self.apply.client;
        let sent = client.write_signed(&signed, content.len(), blocks).await;
        let read = joined(reading.await);
        sent.map_err(|error| Broken {
            is_passing: error.answer_may_be_lost() || is_worth_more(&error),
            ..Broken::by(&error, false)
        })?;
        read.map_err(|error| Broken::lasting(chain(&error)))
    }

    async fn address(&self, id: &str, path: &str) -> Result<Signed, Broken> {
        let client = self.apply.client;
        let body = json!({"run_id": id, "path": [path]});
        let what = "/api/2.0/mlflow/artifacts/credentials-for-write";
        let answer = client.post(what, &body, Repeat::Safe).await;
        let answer = answer.map_err(|error| Broken::by(&error, false))?;
        Signed::from_json(&answer["credential_infos"][0]).ok_or_else(|| {
            let text = "the service signed no address of a kind that is known";
            Broken::lasting(text.to_owned())
        })
    }
}

/// Whether a storage that refused something may take it the next time: addresses end, and clouds ask to slow down.
fn is_worth_more(error: &ApiError) -> bool {
    matches!(error.status(), None | Some(400 | 401 | 403 | 429 | 500..))
}

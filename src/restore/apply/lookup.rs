//! Finding out whether something was made although the answer was lost.
//!
//! Invariant: an object that was there before the restore is never taken for the one that was being made.

use serde_json::Value;

use super::Run;
use crate::api::{ApiError, ErrorKind};
use crate::export::listing;
use crate::resource::{Kind, identify};
use crate::restore::plan::Step;

impl Run<'_> {
    /// The object that a step was making, with its id, if it was made.
    pub(super) async fn look_up(
        &self,
        step: &Step,
        kind: &'static Kind,
    ) -> Result<Option<(String, Value)>, ApiError> {
        if let Some(logged) = kind.restore.logged() {
            return self.run_made(step, logged).await;
        }
        let Some(list) = kind.listing() else {
            return self.node_at(&step.target).await;
        };
        let items = self.apply.client.list(listing(list)).await?;
        let found = items.into_iter().find_map(|item| {
            let found = identify(kind, &item).ok()?;
            let is_named = match kind.fields.principal {
                Some(_) => found.key.name.eq_ignore_ascii_case(&step.target),
                None => found.key.name == step.target,
            };
            let is_new = !step.before.contains(&found.object_id)
                && !self.late().is_taken(kind.name, &found.object_id);
            (is_named && is_new).then_some((found.object_id, item))
        });
        Ok(found)
    }

    /// The node at a path, with its id; none if there is none.
    pub(super) async fn node_at(&self, path: &str) -> Result<Option<(String, Value)>, ApiError> {
        let query = [("path", path)];
        let asked = self
            .apply
            .client
            .get("/api/2.0/workspace/get-status", &query);
        match asked.await {
            Ok(node) => Ok(node["object_id"].as_i64().map(|id| (id.to_string(), node))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

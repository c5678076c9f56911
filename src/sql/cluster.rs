//! The cluster that an execution context runs on.
//!
//! Invariant: a cluster that was started here is stopped here, one that was made here is removed, and no other is touched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::pace::Pace;
use super::{SqlError, launch, pick};
use crate::api::{Client, ErrorKind, Listing, Paging, Repeat};
use crate::report::{Event, Reporter};

/// How long a cluster may take to start.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// A cluster.
pub(super) struct Cluster {
    client: Client,
    pub(super) id: String,
    name: String,
    was_started: AtomicBool,
    was_made: AtomicBool,
    reporter: Arc<dyn Reporter>,
}

impl Cluster {
    /// The cluster of this name or id.
    pub(super) async fn find(
        client: &Client,
        wanted: &str,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self, SqlError> {
        let listing = Listing {
            path: "/api/2.1/clusters/list",
            query: vec![
                ("filter_by.cluster_sources", "UI"),
                ("filter_by.cluster_sources", "API"),
            ],
            items_key: "clusters",
            id_key: Some("cluster_id"),
            paging: Paging::PageToken {
                size: Some(("page_size", 100)),
            },
        };
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
        let all = client.list(listing).await?;
        let all = all
            .iter()
            .map(|item| (text(item, "cluster_id"), text(item, "cluster_name")));
        Ok(Self {
            id: pick("cluster", wanted, all.collect())?,
            name: wanted.to_owned(),
            client: client.clone(),
            was_started: AtomicBool::new(false),
            was_made: AtomicBool::new(false),
            reporter: Arc::clone(reporter),
        })
    }

    /// A new cluster, small, and only for statements.
    pub(super) async fn launch(
        client: &Client,
        profile: Option<&str>,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self, SqlError> {
        let with = profile.map(|profile| format!(" with instance profile {profile}"));
        let with = with.unwrap_or_default();
        let text = format!("launching a cluster `{}`{with}", launch::NAME);
        reporter.report(Event::Detail(&text));
        Ok(Self {
            id: launch::launch(client, profile).await?,
            name: launch::NAME.to_owned(),
            client: client.clone(),
            // It starts by itself.
            was_started: AtomicBool::new(true),
            was_made: AtomicBool::new(true),
            reporter: Arc::clone(reporter),
        })
    }

    /// Waits until the cluster runs; starts it if it does not.
    pub(super) async fn make_ready(&self) -> Result<(), SqlError> {
        let mut pace = Pace::new(PATIENCE);
        loop {
            let query = [("cluster_id", self.id.as_str())];
            let cluster = self.client.get("/api/2.1/clusters/get", &query).await?;
            match cluster["state"].as_str().unwrap_or_default() {
                "RUNNING" | "RESIZING" => return Ok(()),
                "TERMINATED" if self.was_started.load(Ordering::Relaxed) => {
                    let why = &cluster["termination_reason"]["code"];
                    return Err(SqlError::NoPlace(format!(
                        "cluster `{}` was started and ended at once: {}",
                        self.name,
                        why.as_str().unwrap_or("no reason given")
                    )));
                }
                "TERMINATED" => self.start().await?,
                "PENDING" | "RESTARTING" | "TERMINATING" => {}
                state => {
                    return Err(SqlError::NoPlace(format!(
                        "cluster `{}` is in state {state}",
                        self.name
                    )));
                }
            }
            pace.wait(&format!("cluster `{}`", self.name)).await?;
        }
    }

    async fn start(&self) -> Result<(), SqlError> {
        self.say(&format!("starting cluster `{}`", self.name));
        self.was_started.store(true, Ordering::Relaxed);
        let body = json!({"cluster_id": self.id});
        let path = "/api/2.1/clusters/start";
        match self.client.post(path, &body, Repeat::Unsafe).await {
            Ok(_) => Ok(()),
            // Somebody else was quicker: then it is theirs.
            Err(error) if error.error_code() == "INVALID_STATE" && !error.answer_may_be_lost() => {
                self.was_started.store(false, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if error.answer_may_be_lost() => Ok(()),
            Err(error) => {
                self.was_started.store(false, Ordering::Relaxed);
                Err(error.into())
            }
        }
    }

    /// Removes the cluster if it was made here, and stops it if it was started here.
    pub(super) async fn put_back(&self) -> Result<(), SqlError> {
        if self.was_made.swap(false, Ordering::Relaxed) {
            self.say(&format!("removing cluster `{}` again", self.name));
            return launch::remove(&self.client, &self.id).await;
        }
        if !self.was_started.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.say(&format!("stopping cluster `{}` again", self.name));
        let body = json!({"cluster_id": self.id});
        let path = "/api/2.1/clusters/delete";
        match self.client.post(path, &body, Repeat::Safe).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            answer => Ok(answer.map(drop)?),
        }
    }

    fn say(&self, text: &str) {
        self.reporter.report(Event::Detail(text));
    }
}

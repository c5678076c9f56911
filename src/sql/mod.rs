//! A place that runs SQL statements and yields rows.
//!
//! Two of them: a SQL warehouse, through SQL Statement Execution, and a cluster, through an execution context. Both are
//! opened by the first statement and closed by [`Place::close`], which leaves a cluster as it was found.
//!
//! - `warehouse`: statements one by one, many at once; results in chunks of the answer itself. (Links to external storage
//!   are not used: rows about a metastore are few, and the links need a way to that storage.)
//! - `context`: statements in batches, as Python that answers in JSON. `queue`: those of several callers in one batch.
//!   `cluster`: starting and stopping the cluster. `launch`: making one of one's own, and removing it.
//! - `pace`: how often is asked whether something is done.
//!
//! Invariant: an answer is whole or an error; nothing is cut off silently.

mod cluster;
mod context;
mod launch;
mod pace;
mod queue;
#[cfg(test)]
mod tests;
mod warehouse;

use std::collections::VecDeque;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Mutex;

use crate::api::{ApiError, Client};
use crate::report::Reporter;
use cluster::Cluster;
use context::Context;
use warehouse::Warehouse;

/// Which place is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The warehouse of this name or id.
    Warehouse(String),
    /// The cluster of this name or id.
    Cluster(String),
    /// A small cluster that is made for it and removed again, with the rights of one instance profile after the other.
    Launched(Profiles),
}

/// Instance profiles whose rights are tried, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profiles {
    /// These; if there is none, the cluster has none.
    Named(Vec<String>),
    /// All that the workspace knows.
    All,
}

/// Why a warehouse is of no use for mounts.
const NO_MOUNTS: &str = "a warehouse knows no mounts: only a cluster does";

/// A statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Its text.
    pub text: String,
    /// The database in which names without one are meant.
    pub database: Option<String>,
    /// What is wanted of its result.
    pub wanted: Wanted,
}

/// What is wanted of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Its rows.
    #[default]
    Rows,
    /// Only how many rows it has.
    Count,
}

impl Statement {
    /// A statement whose rows are wanted.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// The same in a database.
    #[must_use]
    pub fn within(self, database: Option<String>) -> Self {
        Self { database, ..self }
    }

    /// The same when only the number of rows is wanted.
    #[must_use]
    pub fn counted(self) -> Self {
        Self {
            wanted: Wanted::Count,
            ..self
        }
    }
}

/// The result of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The rows; each cell as text.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many there are; more than `rows` if only their number was wanted.
    pub count: u64,
}

/// Why a statement has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SqlError {
    /// A request failed.
    #[error(transparent)]
    Api(ApiError),
    /// The statement failed; the words of the server.
    #[error("{0}")]
    Failed(String),
    /// The place cannot be used.
    #[error("{0}")]
    NoPlace(String),
    /// What befell all statements of a batch; its first one has the error itself.
    #[error("{words}")]
    Shared {
        /// What it was.
        words: String,
        /// Whether the statement may have been carried out all the same.
        may_be_done: bool,
    },
    /// The answer is none that is understood.
    #[error("the answer to a statement was not understood: {0}")]
    Answer(String),
}

impl SqlError {
    /// Whether the statement may have been carried out although there is an error.
    pub fn may_be_done(&self) -> bool {
        match self {
            SqlError::Api(error) => error.answer_may_be_lost(),
            SqlError::Answer(_) => true,
            SqlError::Shared { may_be_done, .. } => *may_be_done,
            SqlError::Failed(_) | SqlError::NoPlace(_) => false,
        }
    }
}

impl From<ApiError> for SqlError {
    fn from(error: ApiError) -> Self {
        SqlError::Api(error)
    }
}

/// A place that runs statements. Cheap to make: nothing is asked before the first statement.
pub struct Place {
    client: Client,
    way: Way,
    reporter: Arc<dyn Reporter>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// The instance profile of the cluster that is launched.
    profile: Option<String>,
    /// Those that come after it; none before the first launch.
    left: Option<VecDeque<String>>,
}

#[derive(Clone)]
enum Open {
    Warehouse(Arc<Warehouse>),
    Cluster(Arc<Context>),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

impl Place {
    /// A place of the workspace that a client speaks to.
    pub fn new(client: Client, way: Way, reporter: Arc<dyn Reporter>) -> Self {
        Self {
            client,
            way,
            reporter,
            state: Mutex::default(),
        }
    }

    /// Makes sure that the place can be used: finds it, and starts a cluster that is not running.
    pub async fn open(&self) -> Result<(), SqlError> {
        match self.opened().await? {
            Open::Cluster(context) => context.open().await,
            Open::Warehouse(_) => Ok(()),
        }
    }

    /// Runs statements, side by side where the place can. The results are in the order of the statements.
    pub async fn run_all(&self, statements: &[Statement]) -> Vec<Result<Rows, SqlError>> {
        if statements.is_empty() {
            return Vec::new();
        }
        match self.opened().await {
            Ok(Open::Warehouse(warehouse)) => warehouse.run_all(statements).await,
            Ok(Open::Cluster(context)) => context.run_all(statements).await,
            Err(error) => {
                let words = error.to_string();
                let mut results = vec![Err(error)];
                let more = statements.iter().skip(1);
                results.extend(more.map(|_| Err(SqlError::NoPlace(words.clone()))));
                results
            }
        }
    }

    /// Runs one statement.
    pub async fn run(&self, statement: &Statement) -> Result<Rows, SqlError> {
        let mut results = self.run_all(std::slice::from_ref(statement)).await;
        results
            .pop()
            .unwrap_or_else(|| Err(SqlError::Answer("nothing".to_owned())))
    }

    /// The mounts of the workspace, each as an object of what the cluster says of it. A warehouse knows none.
    pub async fn mounts(&self) -> Result<Vec<serde_json::Value>, SqlError> {
        match self.opened().await? {
            Open::Cluster(context) => context.mounts().await,
            Open::Warehouse(_) => Err(SqlError::NoPlace(NO_MOUNTS.to_owned())),
        }
    }

    /// Mounts storage that the cluster may use by what it is.
    pub async fn mount(&self, point: &str, source: &str, encryption: &str) -> Result<(), SqlError> {
        match self.opened().await? {
            Open::Cluster(context) => context.mount(point, source, encryption).await,
            Open::Warehouse(_) => Err(SqlError::NoPlace(NO_MOUNTS.to_owned())),
        }
    }

    /// Leaves the place as it was found. It may be used again afterwards.
    pub async fn close(&self) -> Result<(), SqlError> {
        match self.state.lock().await.open.take() {
            Some(Open::Cluster(context)) => context.close().await,
            Some(Open::Warehouse(_)) | None => Ok(()),
        }
    }

    /// Whether statements that failed for want of rights may be run with those of another instance profile.
    pub async fn has_more_profiles(&self) -> bool {
        let state = self.state.lock().await;
        state.left.as_ref().is_some_and(|left| !left.is_empty())
    }

    /// Goes on with the next instance profile, on a new cluster; which it is, or none if there are no more.
    pub async fn next_profile(&self) -> Result<Option<String>, SqlError> {
        let mut state = self.state.lock().await;
        let Some(next) = state.left.as_mut().and_then(VecDeque::pop_front) else {
            return Ok(None);
        };
        state.profile = Some(next.clone());
        match state.open.take() {
            Some(Open::Cluster(context)) => context.close().await?,
            Some(Open::Warehouse(_)) | None => {}
        }
        Ok(Some(next))
    }

    /// The place, found; a cluster starts with its first statement.
    async fn opened(&self) -> Result<Open, SqlError> {
        let mut state = self.state.lock().await;
        let place = match &state.open {
            Some(place) => place.clone(),
            None => match &self.way {
                Way::Warehouse(name) => {
                    Open::Warehouse(Arc::new(Warehouse::find(&self.client, name).await?))
                }
                Way::Cluster(name) => {
                    let cluster = Cluster::find(&self.client, name, &self.reporter).await?;
                    Open::Cluster(Arc::new(Context::new(&self.client, cluster)))
                }
                Way::Launched(profiles) => {
                    if state.left.is_none() {
                        let mut left: VecDeque<_> = match profiles {
                            Profiles::Named(names) => names.clone().into(),
                            Profiles::All => launch::all_profiles(&self.client).await?.into(),
                        };
                        state.profile = left.pop_front();
                        state.left = Some(left);
                    }
                    let profile = state.profile.as_deref();
                    let cluster = Cluster::launch(&self.client, profile, &self.reporter).await?;
                    Open::Cluster(Arc::new(Context::new(&self.client, cluster)))
                }
            },
        };
        // Known to `close` before a cluster is started, so that it is stopped whatever happens.
        state.open = Some(place.clone());
        Ok(place)
    }
}

/// One of the objects by this name or id, or words about why there is none.
fn pick(what: &str, wanted: &str, all: Vec<(String, String)>) -> Result<String, SqlError> {
    if let Some((id, _)) = all.iter().find(|(id, _)| id == wanted) {
        return Ok(id.clone());
    }
    let named: Vec<&String> = all
        .iter()
        .filter(|(_, name)| name == wanted)
        .map(|(id, _)| id)
        .collect();
    match named.as_slice() {
        [id] => Ok((*id).clone()),
        [] => {
            let mut names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
            names.sort_unstable();
            let there = match names.is_empty() {
                true => format!("there is no {what} at all that you may see"),
                false => format!("there are {}", names.join(", ")),
            };
            Err(SqlError::NoPlace(format!(
                "there is no {what} `{wanted}`; {there}"
            )))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
            Err(SqlError::NoPlace(format!(
                "there are {} of the name `{wanted}`: say which by its id ({})",
                several.len(),
                ids.join(", ")
            )))
        }
    }
}

/// The words of a server without what only a developer of it can read.
fn words(text: &str) -> String {
    let mut words = text;
    for end in ["== SQL ==", "JVM stacktrace", "\n\tat ", "SQLSTATE"] {
        if let Some((before, _)) = words.split_once(end) {
            words = before;
        }
    }
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join(" ")
}

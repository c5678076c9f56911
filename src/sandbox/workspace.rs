//! The handle through which tests look at a running workspace and change it behind the API's back.
//!
//! Invariant: nothing done through the handle counts as a request or meets a fault.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, MutexGuard};

use axum::body::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::call::{Answer, Call, Refusal, Reply};
use super::faults::{Faults, Mischief, Rule};
use super::gate::Shared;
use super::options::Token;
use super::routes;
use super::sql::{self, Session};
use super::state::{
    Cluster, Content, Form, Kind, Language, NodeKind, State, clean_path, split_path,
};

/// A running workspace; cheap to clone.
#[derive(Clone)]
pub struct Workspace {
    shared: Arc<Shared>,
}

/// What was asked of a workspace so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// All requests, including those that met a fault.
    pub total: u64,
    /// Every endpoint there is, by method and path pattern, such as `GET /api/2.0/workspace/list`.
    pub endpoints: BTreeMap<&'static str, Tally>,
    /// By method and path, how often somebody asked for what is no endpoint.
    pub unknown: BTreeMap<String, u64>,
    /// By status of the answer.
    pub statuses: BTreeMap<u16, u64>,
    /// The most that were in flight at once.
    pub most_in_flight: usize,
}

/// What was asked of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All requests, including those that met a fault.
    pub asked: u64,
    /// Those with a status of 200 to 299.
    pub succeeded: u64,
    /// Those of them that another program than dbsnap made, as the User-Agent tells.
    pub succeeded_for_others: u64,
}

impl Requests {
    /// How many requests went to methods and paths that contain `part`, such as `workspace/export` or `POST`.
    pub fn to(&self, part: &str) -> u64 {
        let known = self.endpoints.iter();
        let known = known.map(|(name, tally)| (*name, tally.asked));
        let unknown = self.unknown.iter();
        let unknown = unknown.map(|(name, count)| (name.as_str(), *count));
        let all = known.chain(unknown);
        all.filter(|(name, _)| name.contains(part))
            .map(|(_, count)| count)
            .sum()
    }

    /// How many were refused with this status.
    pub fn answered(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or_default()
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").finish_non_exhaustive()
    }
}

impl Workspace {
    pub(crate) fn new(shared: Arc<Shared>) -> Workspace {
        Workspace { shared }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// What was asked since the start or the last [`forget_requests`](Workspace::forget_requests).
    pub fn requests(&self) -> Requests {
        let counters = self.shared.counters().clone();
        let mut endpoints: BTreeMap<_, _> = routes::names()
            .map(|name| (name, Tally::default()))
            .collect();
        endpoints.extend(counters.endpoints);
        Requests {
            total: counters.total,
            endpoints,
            unknown: counters.unknown,
            statuses: counters.statuses,
            most_in_flight: counters.most_in_flight,
        }
    }

    /// Starts counting anew.
    pub fn forget_requests(&self) {
        *self.shared.counters() = Default::default();
    }

    /// Adds a fixed fault, before those that are there.
    pub fn inject(&self, rule: Rule) {
        self.shared.mischief().faults.rules.insert(0, rule);
    }

    /// Replaces all faults.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.shared.state();
        state.lag.set_reads(faults.stale_reads);
        state.sql.catalog.broken = faults.tables;
        drop(state);
        *self.shared.mischief() = Mischief::new(faults);
    }

    /// Calls an endpoint as the administrator, without the network: the status and the JSON that come back. `path` is a
    /// path with an optional query, percent-encoded as in a URL.
    pub fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let mut state = self.shared.state();
        let caller = state.sessions.administrator;
        let answer = call(&mut state, caller, method, path, body);
        drop(state);
        settle(answer)
    }

    /// Runs a SQL statement as the administrator; its rows, or the words of the failure.
    pub fn sql(&self, statement: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let mut state = self.shared.state();
        let mut session = Session {
            user: state.name_of(state.sessions.administrator),
            database: None,
            profile: None,
        };
        let rows = sql::run(&mut state.sql.catalog, &mut session, statement)?;
        Ok(rows.rows)
    }

    /// Turns table ACLs of the Hive metastore on or off.
    pub fn set_table_acls(&self, on: bool) {
        self.shared.state().sql.catalog.has_acls = on;
    }

    /// Lets only clusters with this instance profile read a table of the Hive metastore.
    pub fn lock_table(&self, database: &str, table: &str, profile: &str) {
        let catalog = &mut self.shared.state().sql.catalog;
        catalog.lock(database, table, profile);
    }

    /// The states of all clusters, by name.
    pub fn cluster_states(&self) -> BTreeMap<String, &'static str> {
        let state = self.shared.state();
        let name = |cluster: &Cluster| cluster.body.get("cluster_name")?.as_str().map(String::from);
        let clusters = state.clusters.values();
        clusters
            .filter_map(|cluster| Some((name(cluster)?, cluster.state.name())))
            .collect()
    }

    /// How many execution contexts there are.
    pub fn contexts(&self) -> usize {
        self.shared.state().sql.contexts.len()
    }

    /// Adds a user; gives back the id.
    pub fn add_user(&self, name: &str) -> String {
        self.create("Users", serde_json::json!({"userName": name}))
    }

    /// Adds a group with these members (ids); gives back the id.
    pub fn add_group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members
            .iter()
            .map(|id| serde_json::json!({"value": id}))
            .collect();
        self.create(
            "Groups",
            serde_json::json!({"displayName": name, "members": members}),
        )
    }

    /// Adds a service principal; gives back its application id.
    pub fn add_service_principal(&self, name: &str) -> String {
        let path = "/api/2.0/preview/scim/v2/ServicePrincipals";
        let (_, body) = self.call("POST", path, serde_json::json!({"displayName": name}));
        body["applicationId"]
            .as_str()
            .unwrap_or_default()
            .to_string()
    }

    /// Makes the group one of the account, which can be used but not edited.
    pub fn give_group_to_account(&self, name: &str) {
        let mut state = self.shared.state();
        if let Some(id) = state
            .directory
            .find(Kind::Group, name)
            .map(|group| group.id)
        {
            state.directory.give_to_account(id);
        }
    }

    /// Takes a user out of the workspace; the home folder stays.
    pub fn remove_user(&self, name: &str) {
        let mut state = self.shared.state();
        if let Some(id) = state.directory.find(Kind::User, name).map(|user| user.id) {
            state.directory.remove(id);
        }
    }

    /// Gives a user a token. It opens everything: this workspace knows who calls, not who may.
    pub fn add_token(&self, user: &str, token: &Token) {
        let mut state = self.shared.state();
        if let Some(id) = state.directory.find(Kind::User, user).map(|user| user.id) {
            state.sessions.add(token, id);
        }
    }

    /// Ends every token the OAuth flow has given out.
    pub fn expire_tokens(&self) {
        self.shared.state().sessions.expire_issued();
    }

    /// Puts a source notebook at a path, with its missing folders; `language` as the API spells it. Gives back the id,
    /// or nothing when it cannot be there.
    pub fn put_notebook(&self, path: &str, language: &str, source: &str) -> Option<i64> {
        let language = Language::parse(language)?;
        let content = Content::Kept(Bytes::from(source.to_string()));
        self.put(
            path,
            NodeKind::Notebook {
                language,
                form: Form::Source,
                content,
            },
        )
    }

    /// Puts an ipynb notebook at a path, with its missing folders.
    pub fn put_jupyter(&self, path: &str, ipynb: &str) -> Option<i64> {
        let language = super::notebook::jupyter_language(ipynb.as_bytes())?;
        let content = Content::Kept(Bytes::from(ipynb.to_string()));
        self.put(
            path,
            NodeKind::Notebook {
                language,
                form: Form::Jupyter,
                content,
            },
        )
    }

    /// Puts a file at a path, with its missing folders.
    pub fn put_file(&self, path: &str, bytes: &[u8]) -> Option<i64> {
        self.put(path, NodeKind::file(Bytes::copy_from_slice(bytes)))
    }

    /// Puts a library into the tree, as somebody uploaded it who made it of one file; what the file is called below
    /// `/FileStore/jars` has more in front than its name.
    pub fn put_library(
        &self,
        path: &str,
        library_type: &str,
        file: &str,
        bytes: &[u8],
    ) -> Option<i64> {
        let (mut state, bytes) = (self.shared.state(), Bytes::copy_from_slice(bytes));
        state.make_directories(split_path(path).ok()?.0).ok()?;
        state.upload_library(path, library_type, file, bytes).ok()
    }

    /// Puts a file where a run has its files; nothing when there is no such run, or its files are not here.
    pub fn put_artifact(&self, run_id: &str, path: &str, bytes: &[u8]) -> Option<()> {
        let mut state = self.shared.state();
        let now = state.clock.now();
        let place = artifact(&state, run_id, path)?;
        state
            .dbfs
            .put(&place, Bytes::copy_from_slice(bytes), now)
            .ok()
    }

    /// What a file of a run holds.
    pub fn artifact(&self, run_id: &str, path: &str) -> Option<Bytes> {
        let state = self.shared.state();
        state.dbfs.find(&artifact(&state, run_id, path)?)?.bytes
    }

    /// Makes a folder and its parents.
    pub fn make_directory(&self, path: &str) -> Option<i64> {
        let path = clean_path(path).ok()?;
        self.shared.state().make_directories(&path).ok()
    }

    /// Removes an object with everything below it; says whether it was there.
    pub fn remove(&self, path: &str) -> bool {
        let mut state = self.shared.state();
        let id = clean_path(path)
            .ok()
            .and_then(|path| state.tree.find(&path).map(|node| node.id));
        if let Some(id) = id {
            state.remove_node(id);
        }
        id.is_some()
    }

    /// Moves or renames an object, which keeps its id and times; says whether that was possible.
    pub fn relocate(&self, from: &str, to: &str) -> bool {
        let mut state = self.shared.state();
        let plan = || -> Option<(i64, i64, String)> {
            let (from, to) = (clean_path(from).ok()?, clean_path(to).ok()?);
            let (parent, name) = split_path(&to).ok()?;
            let (id, parent) = (state.tree.find(&from)?.id, state.tree.find(parent)?);
            let is_free = parent.children()?.get(name).is_none();
            let is_below = parent.id == id || state.tree.ancestors(parent.id).contains(&id);
            (is_free && !is_below).then(|| (id, parent.id, name.to_string()))
        };
        match plan() {
            Some((id, parent, name)) => {
                state.tree.relocate(id, parent, &name);
                true
            }
            None => false,
        }
    }

    /// How many objects the tree holds, the root and all folders included.
    pub fn tree_size(&self) -> usize {
        self.shared.state().tree.len()
    }

    fn create(&self, collection: &str, body: Value) -> String {
        let (_, body) = self.call(
            "POST",
            &format!("/api/2.0/preview/scim/v2/{collection}"),
            body,
        );
        body["id"].as_str().unwrap_or_default().to_string()
    }

    fn put(&self, path: &str, kind: NodeKind) -> Option<i64> {
        let path = clean_path(path).ok()?;
        let (parent, _) = split_path(&path).ok()?;
        let mut state = self.shared.state();
        state.make_directories(parent).ok()?;
        state.put(&path, kind, true).ok()
    }
}

/// Where a file of a run is.
fn artifact(state: &State, run_id: &str, path: &str) -> Option<String> {
    let uri = &state.mlflow.runs.get(run_id)?.artifact_uri;
    Some(format!("{}/{path}", uri.strip_prefix("dbfs:")?))
}

/// Calls an endpoint without the network.
pub(crate) fn call(
    state: &mut State,
    caller: i64,
    method: &str,
    path: &str,
    body: Value,
) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let unknown = || {
        Refusal::new(
            404,
            "ENDPOINT_NOT_FOUND",
            format!("No API found for '{method} {path}'"),
        )
    };
    let (endpoint, params) = routes::find(method, path).ok_or_else(unknown)?;
    let call = Call {
        version: endpoint.version,
        params,
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        base_url: String::new(),
        authorization: String::new(),
        range: String::new(),
        if_match: String::new(),
        content_type: "application/json".into(),
        body: if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        },
        caller,
    };
    (endpoint.route.run)(state, &call)
}

fn settle(answer: Answer) -> (u16, Value) {
    match answer {
        Ok(Reply::Json(status, body)) => (status, body),
        Ok(Reply::Raw(_, bytes)) => (
            200,
            Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        ),
        Ok(Reply::Stored(stored)) => (stored.status, Value::Null),
        Ok(Reply::Empty(status)) => (status, Value::Null),
        Ok(Reply::Later(work)) => settle(work()),
        Err(refusal) => (refusal.status, refusal.body()),
    }
}

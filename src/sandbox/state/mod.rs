//! What the workspace holds.
//!
//! Invariant: every look-up a single-object call needs goes through a map or walks one path; nothing here scans all
//! objects.

mod acl;
mod content;
mod dbfs;
mod directory;
mod ids;
mod lag;
mod mlflow;
mod present;
mod secrets;
mod sessions;
mod sql;
mod tree;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::call::Object;
use super::options::{Options, Token};

pub(crate) use acl::{Acls, Level, Scope};
pub(crate) use content::{Content, Language};
pub(crate) use dbfs::{Dbfs, DbfsNode, OpenFile};
pub(crate) use directory::{Directory, Kind, Principal};
pub(crate) use ids::{Ids, Ticker, mix};
pub(crate) use lag::{Lag, Stale};
pub(crate) use mlflow::{Experiment, Mlflow, MlflowRun, Model, ModelVersion, Tags};
pub(crate) use present::Want;
pub(crate) use secrets::{Secret, SecretScope};
pub(crate) use sessions::Sessions;
pub(crate) use sql::{Command, Context, Executed, Sql};
pub(crate) use tree::{Form, Node, NodeKind, ROOT, Tree, clean_path, split_path};

/// One workspace.
pub(crate) struct State {
    pub(crate) workspace_id: u64,
    pub(crate) ids: Ids,
    pub(crate) clock: Ticker,
    pub(crate) sessions: Sessions,
    pub(crate) directory: Directory,
    pub(crate) tree: Tree,
    pub(crate) acls: Acls,
    pub(crate) lag: Lag,
    pub(crate) instance_profiles: BTreeMap<String, Object>,
    pub(crate) pools: BTreeMap<String, Object>,
    pub(crate) policies: BTreeMap<String, Object>,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    pub(crate) libraries: HashMap<String, Vec<Library>>,
    /// What version 1.2 of the API says of libraries of the tree, by their ids.
    pub(crate) uploaded: HashMap<i64, serde_json::Value>,
    pub(crate) init_scripts: Vec<Object>,
    pub(crate) repos: BTreeMap<i64, Object>,
    pub(crate) git_credentials: BTreeMap<i64, Object>,
    pub(crate) jobs: BTreeMap<i64, Job>,
    pub(crate) job_names: BTreeMap<String, Vec<i64>>,
    pub(crate) secrets: BTreeMap<String, SecretScope>,
    pub(crate) dbfs: Dbfs,
    pub(crate) sql: Sql,
    pub(crate) mlflow: Mlflow,
}

/// A cluster: what its owner asked for, and what the service made of it.
pub(crate) struct Cluster {
    /// As it is shown, without its state.
    pub(crate) body: Object,
    /// As it was asked for, shown under `spec` by a single read only.
    pub(crate) spec: Object,
    pub(crate) state: ClusterState,
    pub(crate) is_pinned: bool,
}

/// Where a cluster is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClusterState {
    Pending,
    Running,
    Terminating,
    Terminated,
}

/// A library on a cluster.
pub(crate) struct Library {
    pub(crate) library: Value,
    pub(crate) status: &'static str,
}

/// A job, as version 2.1 and later of the API see it.
pub(crate) struct Job {
    pub(crate) settings: Object,
    /// A name, not an id: it stays when its owner leaves.
    pub(crate) creator: String,
    pub(crate) created_time: i64,
    /// Made through version 2.0 with its only task at the top level.
    pub(crate) is_single_task: bool,
}

impl State {
    /// A workspace as it comes: an administrator, the built-in groups and folders, a default policy.
    pub(crate) fn new(options: &Options, token: &Token) -> State {
        let mut state = State {
            workspace_id: options.workspace_id,
            ids: Ids::new(options.seed ^ options.workspace_id),
            clock: Ticker::for_samples(),
            sessions: Sessions::default(),
            directory: Directory::default(),
            tree: Tree::default(),
            acls: Acls::default(),
            lag: Lag::new(options.faults.stale_reads),
            instance_profiles: BTreeMap::new(),
            pools: BTreeMap::new(),
            policies: BTreeMap::new(),
            clusters: BTreeMap::new(),
            libraries: HashMap::new(),
            uploaded: HashMap::new(),
            init_scripts: Vec::new(),
            repos: BTreeMap::new(),
            git_credentials: BTreeMap::new(),
            jobs: BTreeMap::new(),
            job_names: BTreeMap::new(),
            secrets: BTreeMap::new(),
            dbfs: Dbfs::default(),
            sql: Sql::new(options.seed),
            mlflow: Mlflow::default(),
        };
        state.sql.catalog.broken = options.faults.tables;
        state.lay_foundations();
        let administrator = state.add_administrator();
        state.sessions = Sessions::new(administrator, token);
        if let Some(client) = &options.oauth {
            let body = json!({"applicationId": client.id, "displayName": "machine client", "active": true});
            let id = state.add_principal(Kind::ServicePrincipal, super::call::object(body));
            state.directory.join(state.directory.admins, id);
            state.sessions.set_client(client, id);
        }
        state
    }

    fn lay_foundations(&mut self) {
        let group = |name: &str| super::call::object(json!({"displayName": name}));
        self.directory.admins = self.add_principal(Kind::Group, group("admins"));
        self.directory.users = self.add_principal(Kind::Group, group("users"));
        let entitlements =
            json!([{"value": "workspace-access"}, {"value": "databricks-sql-access"}]);
        self.directory
            .set(self.directory.users, "entitlements", entitlements);
        let now = self.clock.now();
        for name in ["Users", "Shared", "Repos"] {
            let id = self.ids.next();
            self.tree.insert(ROOT, name, id, now, NodeKind::folder());
        }
        let policy_id = self.ids.hex();
        let policy = json!({
            "policy_id": policy_id,
            "name": "Personal Compute",
            "description": "Use with small-to-medium data or libraries like pandas and scikit-learn.",
            "policy_family_id": "personal-vm",
            "definition": super::api::policy_family("personal-vm").unwrap_or("{}"),
            "created_at_timestamp": now,
            "is_default": true,
        });
        self.policies.insert(policy_id, super::call::object(policy));
    }

    fn add_administrator(&mut self) -> i64 {
        let body = json!({
            "userName": "admin@example.com",
            "displayName": "Workspace Admin",
            "name": {"givenName": "Workspace", "familyName": "Admin"},
        });
        let id = self.add_principal(Kind::User, super::call::object(body));
        self.directory.join(self.directory.admins, id);
        id
    }

    /// Adds a principal with the fields the service fills in, and the home folder people and machines get.
    pub(crate) fn add_principal(&mut self, kind: Kind, body: Object) -> i64 {
        let id = self.ids.next();
        self.directory.add(id, kind, body);
        let home = match kind {
            Kind::Group => return id,
            Kind::User | Kind::ServicePrincipal => self.directory.name_of(id).to_string(),
        };
        // A name that cannot be a folder gets no home, like any path that mkdirs refuses.
        let _ = self.make_directories(&format!("/Users/{home}"));
        id
    }

    /// The name under which a principal is shown as an author.
    pub(crate) fn name_of(&self, principal: i64) -> String {
        self.directory.name_of(principal).to_string()
    }
}

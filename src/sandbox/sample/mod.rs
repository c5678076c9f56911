//! What a workspace is filled with at the start.
//!
//! Invariant: a sample is the same for the same seed, whatever the clock and the machine.

mod large;
mod load;
mod small;
mod small_dbfs;
mod small_jobs;
mod small_metastore;
mod small_mlflow;
mod small_secrets;
mod small_tree;
pub(crate) mod text;

use serde_json::{Value, json};

use super::call::Reply;
use super::sql::{self, Session};
use super::state::{Kind, State};
use super::workspace::call;

pub(crate) use large::fill as large;
pub(crate) use load::load;
pub(crate) use small::fill as small;

/// Builds a sample through the endpoints themselves, so that a sample is nothing a client could not have made.
pub(crate) struct Builder<'a> {
    state: &'a mut State,
    caller: i64,
}

impl<'a> Builder<'a> {
    fn new(state: &'a mut State) -> Builder<'a> {
        let caller = state.sessions.administrator;
        Builder { state, caller }
    }

    /// From now on, this user or machine is the caller.
    fn act_as(&mut self, name: &str) {
        let directory = &self.state.directory;
        let found = directory
            .find(Kind::User, name)
            .or_else(|| directory.find(Kind::ServicePrincipal, name));
        self.caller = found.map_or(self.caller, |principal| principal.id);
    }

    fn post(&mut self, path: &str, body: Value) -> Value {
        self.send("POST", path, body)
    }

    fn send(&mut self, method: &str, path: &str, body: Value) -> Value {
        match call(self.state, self.caller, method, path, body) {
            Ok(Reply::Json(_, answer)) => answer,
            Ok(_) => Value::Null,
            Err(refusal) => unreachable!(
                "a sample asks only for what the service accepts, but {path}: {refusal:?}"
            ),
        }
    }

    /// Runs a statement, in a database.
    fn sql(&mut self, database: Option<&str>, statement: &str) {
        let mut session = Session {
            user: self.state.name_of(self.caller),
            database: database.map(str::to_string),
            profile: None,
        };
        if let Err(error) = sql::run(&mut self.state.sql.catalog, &mut session, statement) {
            unreachable!(
                "a sample asks only for what the engine accepts, but {statement}: {error}"
            );
        }
    }

    /// Adds a principal; gives back its id.
    fn principal(&mut self, collection: &str, body: Value) -> String {
        let made = self.post(&format!("/api/2.0/preview/scim/v2/{collection}"), body);
        made["id"].as_str().unwrap_or_default().to_string()
    }

    /// Adds a group of these members; gives back its id.
    fn group(&mut self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        self.principal("Groups", json!({"displayName": name, "members": members}))
    }

    /// Gives an object direct entries: (field, name, level).
    fn permit(&mut self, object: &str, entries: &[(&str, &str, &str)]) {
        let entry = |(field, name, level): &(&str, &str, &str)| {
            let mut entry = json!({"permission_level": level});
            entry[*field] = json!(name);
            entry
        };
        let list: Vec<Value> = entries.iter().map(entry).collect();
        self.send(
            "PATCH",
            &format!("/api/2.0/permissions/{object}"),
            json!({"access_control_list": list}),
        );
    }

    /// The name of an object of the tree in the permissions API.
    fn object_at(&self, kind: &str, path: &str) -> String {
        let id = self.state.tree.find(path).map_or(-1, |node| node.id);
        format!("{kind}/{id}")
    }
}

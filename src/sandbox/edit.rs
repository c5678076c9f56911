//! Changes behind the API's back: what no call can do, or not without leaving a trace.
//!
//! Invariant: an edit changes what it says and nothing else, no modification time included.

use axum::body::Bytes;
use serde_json::{Map, Value};

use super::state::{Content, Kind, NodeKind, State, clean_path};
use super::workspace::Workspace;

impl Workspace {
    /// Changes the fields of an object as they are kept; says whether it is there.
    ///
    /// `kind` is one of `user`, `group`, `service-principal` (by name), `job` (its settings), `cluster`,
    /// `instance-pool`, `cluster-policy`, `instance-profile`, `global-init-script`, `repo` (by id).
    pub fn edit(&self, kind: &str, id: &str, change: impl FnOnce(&mut Map<String, Value>)) -> bool {
        let mut state = self.state();
        match fields_of(&mut state, kind, id) {
            Some(fields) => {
                change(fields);
                true
            }
            None => edit_principal(&mut state, kind, id, change),
        }
    }

    /// Puts other bytes into a notebook or file without moving its modification time, as two edits within one
    /// millisecond do; says whether it is there.
    pub fn set_content(&self, path: &str, bytes: &[u8]) -> bool {
        let new = Content::Kept(Bytes::copy_from_slice(bytes));
        self.edit_node(path, |node| match &mut node.kind {
            NodeKind::Notebook { content, .. }
            | NodeKind::File { content }
            | NodeKind::Dashboard { content, .. } => *content = new,
            NodeKind::Folder { .. } | NodeKind::Library | NodeKind::Experiment => {}
        })
    }

    /// Sets the modification time of an object, in milliseconds; says whether it is there.
    pub fn set_modified_at(&self, path: &str, milliseconds: i64) -> bool {
        self.edit_node(path, |node| node.modified_at = milliseconds)
    }

    fn edit_node(&self, path: &str, change: impl FnOnce(&mut super::state::Node)) -> bool {
        let mut state = self.state();
        let found = clean_path(path)
            .ok()
            .and_then(|path| state.tree.find(&path).map(|node| node.id));
        let node = found.and_then(|id| state.tree.node_mut(id));
        node.map(change).is_some()
    }
}

fn fields_of<'a>(state: &'a mut State, kind: &str, id: &str) -> Option<&'a mut Map<String, Value>> {
    let number = || id.parse::<i64>().ok();
    match kind {
        "job" => state.jobs.get_mut(&number()?).map(|job| &mut job.settings),
        "cluster" => state.clusters.get_mut(id).map(|cluster| &mut cluster.body),
        "instance-pool" => state.pools.get_mut(id),
        "cluster-policy" => state.policies.get_mut(id),
        "instance-profile" => state.instance_profiles.get_mut(id),
        "repo" => state.repos.get_mut(&number()?),
        "global-init-script" => state
            .init_scripts
            .iter_mut()
            .find(|script| script.get("script_id").is_some_and(|own| own == id)),
        _ => None,
    }
}

/// Principals are edited through their directory, which keeps the index of names right.
fn edit_principal(
    state: &mut State,
    kind: &str,
    name: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) -> bool {
    let kind = match kind {
        "user" => Kind::User,
        "group" => Kind::Group,
        "service-principal" => Kind::ServicePrincipal,
        _ => return false,
    };
    let Some((id, mut body)) = state
        .directory
        .find(kind, name)
        .map(|found| (found.id, found.body.clone()))
    else {
        return false;
    };
    change(&mut body);
    state.directory.replace(id, body);
    true
}

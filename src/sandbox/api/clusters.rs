//! All-purpose clusters.
//!
//! A cluster moves on by being looked at: PENDING becomes RUNNING, and TERMINATING becomes TERMINATED, with the read
//! after the one that showed it. So a client that polls sees both, and nothing depends on time.

use serde_json::{Value, json};

use super::compute::{VERSIONS, check_references, hide_secrets};
use super::permissions::set_direct;
use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply, object};
use crate::sandbox::routes::{Handler, Route, route};
use crate::sandbox::state::{Cluster, ClusterState, Kind, Scope, State};

pub(super) static ROUTES: &[Route] = &[
    route("GET", "clusters/get", get).versions(VERSIONS),
    post("clusters/create", create),
    post("clusters/edit", edit),
    post("clusters/update", update),
    post("clusters/start", start),
    post("clusters/delete", terminate),
    post("clusters/permanent-delete", delete),
    post("clusters/pin", |state, call| pin(state, call, true)),
    post("clusters/unpin", |state, call| pin(state, call, false)),
    post("clusters/change-owner", change_owner),
];

const fn post(path: &'static str, run: Handler) -> Route {
    route("POST", path, run).versions(VERSIONS)
}

/// What the service decides and nobody can set.
const SERVER_MADE: &[&str] = &[
    "cluster_id",
    "creator_user_name",
    "cluster_source",
    "default_tags",
    "spark_context_id",
];
/// How many may be pinned.
const MOST_PINNED: usize = 100;

fn get(state: &mut State, call: &Call) -> Answer {
    let id = call.required("cluster_id")?;
    let cluster = state.clusters.get_mut(id).ok_or_else(|| not_found(id))?;
    let mut shown = cluster.present(id);
    shown.insert("spec".into(), Value::Object(cluster.spec.clone()));
    cluster.move_on();
    Reply::json(Value::Object(shown))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let spec = call.object()?;
    check(state, &spec)?;
    let now = state.clock.now();
    let id = state.ids.dated(now, "");
    let creator = state.name_of(call.caller);
    let mut body = complete(&spec);
    body.insert("creator_user_name".into(), json!(creator));
    body.insert(
        "cluster_source".into(),
        json!(spec.text("cluster_source").unwrap_or("API")),
    );
    body.insert("start_time".into(), json!(now));
    body.insert("spark_context_id".into(), json!(state.ids.next()));
    let cluster = Cluster {
        body,
        spec,
        state: ClusterState::Pending,
        is_pinned: false,
    };
    state.clusters.insert(id.clone(), cluster);
    set_direct(state, Scope::Cluster, &id, &[], call.caller)?;
    Reply::json(json!({"cluster_id": id}))
}

fn edit(state: &mut State, call: &Call) -> Answer {
    let mut spec = call.object()?;
    let id = take_id(&mut spec)?;
    check(state, &spec)?;
    replace(state, &id, spec)
}

/// A change of single fields: `update_mask` names those of `cluster` that are taken, absent ones being removed. A dot
/// leads into a field.
fn update(state: &mut State, call: &Call) -> Answer {
    let mut request = call.object()?;
    let id = take_id(&mut request)?;
    let mask = request.required_text("update_mask")?;
    let mut spec = state
        .clusters
        .get(&id)
        .ok_or_else(|| not_found(&id))?
        .spec
        .clone();
    let changes = request
        .get("cluster")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    for field in mask.split(',').map(str::trim) {
        take(field, &changes, &mut spec);
    }
    check(state, &spec)?;
    replace(state, &id, spec)
}

/// Takes over one field of `from`, or its absence.
fn take(field: &str, from: &Object, into: &mut Object) {
    let Some((outer, inner)) = field.split_once('.') else {
        match from.get(field) {
            Some(value) => drop(into.insert(field.to_string(), value.clone())),
            None => drop(into.remove(field)),
        }
        return;
    };
    let none = Object::new();
    let from = from.get(outer).and_then(Value::as_object).unwrap_or(&none);
    let into = into.entry(outer).or_insert_with(|| json!({}));
    if let Some(into) = into.as_object_mut() {
        take(inner, from, into);
    }
}

fn replace(state: &mut State, id: &str, spec: Object) -> Answer {
    let cluster = state.clusters.get_mut(id).ok_or_else(|| not_found(id))?;
    if !matches!(
        cluster.state,
        ClusterState::Running | ClusterState::Terminated
    ) {
        let message = format!(
            "Cluster {id} is in unexpected state {}.",
            cluster.state.name()
        );
        return Err(Refusal::new(400, "INVALID_STATE", message));
    }
    let mut body = complete(&spec);
    for kept in [
        "creator_user_name",
        "cluster_source",
        "start_time",
        "spark_context_id",
        "terminated_time",
    ] {
        if let Some(value) = cluster.body.get(kept) {
            body.insert(kept.into(), value.clone());
        }
    }
    cluster.body = body;
    cluster.spec = spec;
    Reply::done()
}

fn start(state: &mut State, call: &Call) -> Answer {
    let id = take_id(&mut call.object()?)?;
    let cluster = state.clusters.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if cluster.state != ClusterState::Terminated {
        let message = format!(
            "Cluster {id} is in unexpected state {}.",
            cluster.state.name()
        );
        return Err(Refusal::new(400, "INVALID_STATE", message));
    }
    cluster.state = ClusterState::Pending;
    Reply::done()
}

/// Only stops the cluster; its configuration stays.
fn terminate(state: &mut State, call: &Call) -> Answer {
    let id = take_id(&mut call.object()?)?;
    let now = state.clock.now();
    let cluster = state.clusters.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if !matches!(
        cluster.state,
        ClusterState::Terminated | ClusterState::Terminating
    ) {
        cluster.state = ClusterState::Terminating;
        cluster.body.insert("terminated_time".into(), json!(now));
    }
    Reply::done()
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let id = take_id(&mut call.object()?)?;
    let cluster = state.clusters.get(&id).ok_or_else(|| not_found(&id))?;
    if cluster.is_pinned {
        return Err(Refusal::invalid(format!(
            "Cluster {id} is pinned and cannot be deleted"
        )));
    }
    state.clusters.remove(&id);
    state.libraries.remove(&id);
    state.acls.forget(Scope::Cluster, &id);
    Reply::done()
}

fn pin(state: &mut State, call: &Call, is_pinned: bool) -> Answer {
    let id = take_id(&mut call.object()?)?;
    let pinned = state
        .clusters
        .values()
        .filter(|cluster| cluster.is_pinned)
        .count();
    let cluster = state.clusters.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if is_pinned && !cluster.is_pinned && pinned >= MOST_PINNED {
        return Err(Refusal::new(
            400,
            "QUOTA_EXCEEDED",
            "The limit of 100 pinned clusters is reached",
        ));
    }
    cluster.is_pinned = is_pinned;
    Reply::done()
}

fn change_owner(state: &mut State, call: &Call) -> Answer {
    let mut body = call.object()?;
    let id = take_id(&mut body)?;
    let owner = body.required_text("owner_username")?;
    let known = state
        .directory
        .find(Kind::User, owner)
        .or_else(|| state.directory.find(Kind::ServicePrincipal, owner));
    let owner = known.map(|principal| principal.name().to_string());
    let owner =
        owner.ok_or_else(|| Refusal::invalid("The new owner does not exist in this workspace"))?;
    let cluster = state.clusters.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if cluster.state != ClusterState::Terminated {
        return Err(Refusal::new(
            400,
            "INVALID_STATE",
            format!("Cluster {id} must be terminated to change its owner"),
        ));
    }
    cluster
        .body
        .insert("creator_user_name".into(), json!(owner));
    Reply::done()
}

impl ClusterState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ClusterState::Pending => "PENDING",
            ClusterState::Running => "RUNNING",
            ClusterState::Terminating => "TERMINATING",
            ClusterState::Terminated => "TERMINATED",
        }
    }
}

impl Cluster {
    pub(super) fn present(&self, id: &str) -> Object {
        let mut shown = self.body.clone();
        let text = |field: &str| self.body.text(field).unwrap_or_default();
        let tags = json!({
            "Vendor": "Databricks",
            "Creator": text("creator_user_name"),
            "ClusterName": text("cluster_name"),
            "ClusterId": id,
        });
        shown.insert("default_tags".into(), tags);
        shown.insert("cluster_id".into(), json!(id));
        shown.insert("state".into(), json!(self.state.name()));
        shown.insert("state_message".into(), json!(""));
        shown
    }

    /// Lets time pass, which here means: somebody looked.
    pub(super) fn move_on(&mut self) {
        self.state = match self.state {
            ClusterState::Pending => ClusterState::Running,
            ClusterState::Terminating => ClusterState::Terminated,
            other => other,
        };
    }
}

fn check(state: &State, spec: &Object) -> Result<(), Refusal> {
    spec.required_text("spark_version")?;
    if spec.text("instance_pool_id").is_none() {
        spec.required_text("node_type_id")?;
    }
    if spec
        .get("custom_tags")
        .and_then(Value::as_object)
        .is_some_and(|tags| tags.len() > 45)
    {
        return Err(Refusal::invalid("A cluster has at most 45 custom tags"));
    }
    check_references(state, spec)
}

/// A cluster as it is shown: what was asked for, with the defaults filled in.
fn complete(spec: &Object) -> Object {
    let mut body = spec.clone();
    for field in SERVER_MADE {
        body.remove(*field);
    }
    hide_secrets(&mut body);
    let mut default = |field: &str, value: Value| {
        body.entry(field).or_insert(value);
    };
    default("cluster_name", json!(""));
    default("autotermination_minutes", json!(120));
    default("enable_local_disk_encryption", json!(false));
    let is_from_pool = spec.contains_key("instance_pool_id");
    if !is_from_pool {
        default("enable_elastic_disk", json!(true));
        default(
            "driver_node_type_id",
            spec.get("node_type_id").cloned().unwrap_or_default(),
        );
    }
    if !spec.contains_key("autoscale") {
        default("num_workers", json!(0));
    }
    default("aws_attributes", json!({}));
    if let Some(aws) = body
        .get_mut("aws_attributes")
        .and_then(Value::as_object_mut)
        .filter(|_| !is_from_pool)
    {
        let defaults = json!({
            "availability": "SPOT_WITH_FALLBACK", "zone_id": "us-west-2a", "first_on_demand": 1,
            "spot_bid_price_percent": 100, "ebs_volume_count": 0,
        });
        for (field, value) in object(defaults) {
            aws.entry(field).or_insert(value);
        }
    }
    body
}

fn take_id(body: &mut Object) -> Result<String, Refusal> {
    let id = body.required_text("cluster_id")?.to_string();
    body.remove("cluster_id");
    Ok(id)
}

/// A cluster that is not there is a 400, not a 404.
pub(super) fn not_found(id: &str) -> Refusal {
    Refusal::invalid(format!("Cluster {id} does not exist"))
}

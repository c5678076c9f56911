//! What clusters of every kind have in common: the references that must hold, and the lists to choose from.

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::State;

/// Clusters answer under both versions.
pub(super) const VERSIONS: &[&str] = &["2.0", "2.1"];

pub(super) static ROUTES: &[Route] = &[
    route("GET", "clusters/list-node-types", node_types).versions(VERSIONS),
    route("GET", "clusters/spark-versions", spark_versions).versions(VERSIONS),
    route("GET", "clusters/list-zones", zones).versions(VERSIONS),
];

/// Refuses a cluster specification that refers to a pool, a policy or an instance profile that is not there.
pub(super) fn check_references(state: &State, spec: &Object) -> Result<(), Refusal> {
    for field in ["instance_pool_id", "driver_instance_pool_id"] {
        let id = spec.text(field).filter(|id| !id.is_empty());
        if let Some(id) = id.filter(|id| !state.pools.contains_key(*id)) {
            return Err(Refusal::invalid(format!(
                "Can't find an instance pool with id: {id}."
            )));
        }
    }
    let policy = spec.text("policy_id").filter(|id| !id.is_empty());
    if let Some(id) = policy.filter(|id| !state.policies.contains_key(*id)) {
        return Err(Refusal::invalid(format!("Policy {id} does not exist")));
    }
    let arn = spec
        .get("aws_attributes")
        .and_then(|aws| aws["instance_profile_arn"].as_str());
    let arn = arn.filter(|arn| !arn.is_empty() && !state.instance_profiles.contains_key(*arn));
    match arn {
        Some(arn) => Err(Refusal::invalid(format!(
            "The instance profile {arn} is not registered in this workspace"
        ))),
        None => Ok(()),
    }
}

/// Removes what a specification never gives back.
pub(super) fn hide_secrets(spec: &mut Object) {
    spec.remove("apply_policy_default_values");
    if let Some(image) = spec.get_mut("docker_image") {
        hide_registry_password(image);
    }
}

/// Removes the password of an image registry.
pub(super) fn hide_registry_password(image: &mut Value) {
    if let Some(auth) = image.get_mut("basic_auth").and_then(Value::as_object_mut) {
        auth.remove("password");
    }
}

fn node_types(_: &mut State, _: &Call) -> Answer {
    let node = |id: &str, cores: f64, memory: u64| {
        json!({
            "node_type_id": id, "instance_type_id": id, "num_cores": cores, "memory_mb": memory,
            "description": id, "category": "Storage Optimized", "is_deprecated": false,
        })
    };
    let nodes = [
        node("i3.xlarge", 4.0, 31_232),
        node("i3.2xlarge", 8.0, 62_464),
        node("m5.large", 2.0, 8_192),
    ];
    Reply::list("node_types", nodes.to_vec())
}

fn spark_versions(_: &mut State, _: &Call) -> Answer {
    let versions = [
        (
            "15.4.x-scala2.12",
            "15.4 LTS (includes Apache Spark 3.5.0, Scala 2.12)",
        ),
        (
            "15.4.x-cpu-ml-scala2.12",
            "15.4 LTS ML (includes Apache Spark 3.5.0, Scala 2.12)",
        ),
        (
            "14.3.x-scala2.12",
            "14.3 LTS (includes Apache Spark 3.5.0, Scala 2.12)",
        ),
    ];
    Reply::list(
        "versions",
        versions
            .iter()
            .map(|(key, name)| json!({"key": key, "name": name}))
            .collect(),
    )
}

fn zones(_: &mut State, _: &Call) -> Answer {
    Reply::json(
        json!({"default_zone": "us-west-2a", "zones": ["us-west-2a", "us-west-2b", "us-west-2c"]}),
    )
}

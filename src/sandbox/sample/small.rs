//! A small workspace, made by hand: a team of a dozen with one of everything, and with the names and the history that
//! break tools.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{
    Builder, small_dbfs, small_jobs, small_metastore, small_mlflow, small_secrets, small_tree,
};
use crate::sandbox::state::{ClusterState, Kind, State};

/// The role everything on the cloud's side runs with.
pub(super) const PROFILE: &str = "arn:aws:iam::123456789012:instance-profile/etl";
/// The machine.
pub(super) const ROBOT: &str = "b7f5c2f0-3a52-4c0f-9a57-0f2f6f6c8b11";
/// Somebody who left: the home stays, the account does not.
pub(super) const LEFT: &str = "greg@example.com";

/// What the jobs refer to.
pub(super) struct Compute {
    pub(super) pool: Value,
    pub(super) policy: Value,
    pub(super) shared_cluster: Value,
    pub(super) spare_cluster: Value,
}

/// Fills the workspace.
pub(crate) fn fill(state: &mut State) {
    let builder = &mut Builder::new(state);
    people(builder);
    let compute = compute(builder);
    init_scripts(builder);
    small_tree::fill(builder);
    small_jobs::fill(builder, &compute);
    builder.act_as("admin@example.com");
    permissions(builder, &compute);
    small_secrets::fill(builder);
    small_metastore::fill(builder);
    small_dbfs::fill(builder);
    small_mlflow::fill(builder);
    if let Some(id) = builder
        .state
        .directory
        .find(Kind::User, LEFT)
        .map(|user| user.id)
    {
        builder.state.directory.remove(id);
    }
}

/// Puts every cluster to rest, as they are found on a quiet day.
pub(super) fn stop_clusters(state: &mut State) {
    for cluster in state.clusters.values_mut() {
        cluster.state = ClusterState::Terminated;
    }
}

fn people(builder: &mut Builder<'_>) {
    let profile = json!({
        "instance_profile_arn": PROFILE, "iam_role_arn": "arn:aws:iam::123456789012:role/etl", "skip_validation": true,
    });
    builder.post("/api/2.0/instance-profiles/add", profile);
    let people = [
        ("ana@example.com", "Ana Example"),
        ("bob@example.com", "Bob Baker"),
        ("chloe@example.com", "Chloé Müller"),
        ("dmitri@example.com", "Дмитрий Иванов"),
        ("eve+test@example.com", "Eve Tester"),
        ("frank@example.com", "Frank Idle"),
        (LEFT, "Greg Gone"),
        ("o'hara@example.com", "Scarlett O'Hara"),
        ("li.lei@example.com", "李雷"),
        ("Mixed.Case@Example.com", "Mixed Case"),
        ("nina@example.com", "Nina \"N\" Norris"),
    ];
    let mut ids = Vec::new();
    for (number, (name, shown)) in people.into_iter().enumerate() {
        let mut body = json!({"userName": name, "displayName": shown, "externalId": format!("ext-{number:04}")});
        if number == 0 {
            body["name"] = json!({"givenName": "Ana", "familyName": "Example"});
            body["entitlements"] = json!([{"value": "allow-cluster-create"}]);
        }
        if number == 5 {
            body["active"] = json!(false);
        }
        ids.push(builder.principal("Users", body));
    }
    let robot = json!({
        "applicationId": ROBOT, "displayName": "etl-robot", "entitlements": [{"value": "workspace-access"}],
    });
    let robot = builder.principal("ServicePrincipals", robot);
    groups(builder, &ids, &robot);
}

fn groups(builder: &mut Builder<'_>, people: &[String], robot: &str) {
    let id = |number: usize| people[number].as_str();
    let interns = builder.group("interns", &[id(4), id(8)]);
    let engineers = builder.group("data-eng", &[id(0), id(1), id(2), robot, &interns]);
    builder.group("all-eng", &[&engineers, id(9)]);
    builder.group("analysts", &[id(3), id(7), id(10), id(6)]);
    builder.group("Ops & Platform (24/7)", &[id(1)]);
    builder.group("équipe-données", &[id(2)]);
    builder.group("nobody-yet", &[]);
    let account = builder.group("acct-analysts", &[id(3)]);
    let grants = json!({"Operations": [
        {"op": "add", "path": "entitlements", "value": [{"value": "allow-cluster-create"}, {"value": "allow-instance-pool-create"}]},
        {"op": "add", "path": "roles", "value": [{"value": PROFILE}]},
    ]});
    builder.send(
        "PATCH",
        &format!("/api/2.0/preview/scim/v2/Groups/{engineers}"),
        grants,
    );
    let directory = &mut builder.state.directory;
    directory.join(directory.admins, people[0].parse().unwrap_or_default());
    directory.give_to_account(account.parse().unwrap_or_default());
}

fn compute(builder: &mut Builder<'_>) -> Compute {
    builder.act_as("ana@example.com");
    let pool = |name: &str, idle: i64| {
        json!({
            "instance_pool_name": name, "node_type_id": "i3.xlarge", "min_idle_instances": idle, "max_capacity": 20,
            "idle_instance_autotermination_minutes": 15, "custom_tags": {"team": "data"},
            "preloaded_spark_versions": ["15.4.x-scala2.12"],
        })
    };
    let general =
        builder.post("/api/2.0/instance-pools/create", pool("i3-pool", 0))["instance_pool_id"]
            .clone();
    builder.post("/api/2.0/instance-pools/create", pool("Réserve d'été", 1));
    let policy = policies(builder, &general);

    let shared = json!({
        "cluster_name": "shared-etl", "spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge",
        "autoscale": {"min_workers": 1, "max_workers": 4}, "autotermination_minutes": 60, "policy_id": policy,
        "data_security_mode": "USER_ISOLATION", "cluster_source": "UI", "custom_tags": {"team": "data"},
        "aws_attributes": {"instance_profile_arn": PROFILE, "availability": "SPOT_WITH_FALLBACK", "zone_id": "us-west-2a"},
        "spark_conf": {"spark.hadoop.javax.jdo.option.ConnectionPassword": "{{secrets/etl/hms-password}}"},
        "spark_env_vars": {"API_TOKEN": "{{secrets/etl/api-token}}"},
        "init_scripts": [{"workspace": {"destination": "/Shared/init/setup.sh"}}],
        "cluster_log_conf": {"dbfs": {"destination": "dbfs:/cluster-logs"}}, "apply_policy_default_values": true,
    });
    let shared = builder.post("/api/2.1/clusters/create", shared)["cluster_id"].clone();
    builder.post("/api/2.1/clusters/pin", json!({"cluster_id": shared}));
    let libraries = json!([
        {"pypi": {"package": "simplejson==3.19.2"}}, {"jar": "/Volumes/main/ops/libs/udf.jar"},
        {"whl": "/Workspace/Shared/libs/tools-1.0-py3-none-any.whl"},
        {"maven": {"coordinates": "org.jsoup:jsoup:1.15.3", "exclusions": ["slf4j:slf4j"]}},
    ]);
    builder.post(
        "/api/2.0/libraries/install",
        json!({"cluster_id": shared, "libraries": libraries}),
    );
    other_clusters(builder, &general);
    // The name of the first cluster again: names of clusters are not unique.
    let spare = json!({
        "cluster_name": "shared-etl", "spark_version": "14.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 2,
    });
    builder.act_as("bob@example.com");
    let spare = builder.post("/api/2.1/clusters/create", spare)["cluster_id"].clone();
    stop_clusters(builder.state);
    Compute {
        pool: general,
        policy,
        shared_cluster: shared,
        spare_cluster: spare,
    }
}

fn policies(builder: &mut Builder<'_>, pool: &Value) -> Value {
    let definition = json!({
        "autotermination_minutes": {"type": "fixed", "value": 60, "hidden": true},
        "instance_pool_id": {"type": "allowlist", "values": [pool], "isOptional": true},
        "aws_attributes.instance_profile_arn": {"type": "fixed", "value": PROFILE, "isOptional": true},
    });
    let path = "/api/2.0/policies/clusters/create";
    let engineering = json!({
        "name": "Data Eng", "definition": definition.to_string(), "max_clusters_per_user": 3,
        "libraries": [{"pypi": {"package": "simplejson"}}],
    });
    let engineering = builder.post(path, engineering)["policy_id"].clone();
    let overrides = json!({"autotermination_minutes": {"type": "fixed", "value": 30}});
    builder.post(
        path,
        json!({
            "name": "Jobs (light)", "policy_family_id": "job-cluster",
            "policy_family_definition_overrides": overrides.to_string(),
        }),
    );
    builder.post(
        path,
        json!({"name": "Ouvert à tous", "description": "Anything goes", "definition": "{}"}),
    );
    engineering
}

fn other_clusters(builder: &mut Builder<'_>, pool: &Value) {
    let single = json!({
        "cluster_name": "ana-ml", "spark_version": "15.4.x-cpu-ml-scala2.12", "instance_pool_id": pool,
        "driver_instance_pool_id": pool, "num_workers": 0, "autotermination_minutes": 30,
        "data_security_mode": "SINGLE_USER", "single_user_name": "ana@example.com",
        "spark_conf": {"spark.master": "local[*, 4]", "spark.databricks.cluster.profile": "singleNode"},
        "custom_tags": {"ResourceClass": "SingleNode"},
        "docker_image": {
            "url": "registry.example.com/ml:1.2",
            "basic_auth": {"username": "{{secrets/docker/user}}", "password": "{{secrets/docker/pass}}"},
        },
    });
    builder.post("/api/2.1/clusters/create", single);
    let dashboards = json!({
        "cluster_name": "BI — tableaux de bord", "spark_version": "14.3.x-scala2.12", "node_type_id": "m5.large",
        "num_workers": 1, "autotermination_minutes": 20, "cluster_source": "UI",
    });
    builder.post("/api/2.1/clusters/create", dashboards);
    // Made by a run of a job: it is listed, and nothing to keep.
    let passing = json!({
        "cluster_name": "job-1-run-1-main", "spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge",
        "num_workers": 1, "cluster_source": "JOB",
    });
    builder.post("/api/2.1/clusters/create", passing);
}

fn init_scripts(builder: &mut Builder<'_>) {
    builder.act_as("admin@example.com");
    for (name, text, is_enabled) in [
        (
            "proxy",
            "#!/bin/bash\nexport HTTPS_PROXY=http://proxy.example.com:3128\n",
            true,
        ),
        ("monitoring agent", "#!/bin/bash\necho 'agent'\n", false),
    ] {
        let script = json!({"name": name, "script": STANDARD.encode(text), "enabled": is_enabled});
        builder.post("/api/2.0/global-init-scripts", script);
    }
}

fn permissions(builder: &mut Builder<'_>, compute: &Compute) {
    let id = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let cluster = format!("clusters/{}", id(&compute.shared_cluster));
    builder.permit(
        &cluster,
        &[
            ("group_name", "data-eng", "CAN_RESTART"),
            ("group_name", "users", "CAN_ATTACH_TO"),
        ],
    );
    let pool = format!("instance-pools/{}", id(&compute.pool));
    builder.permit(&pool, &[("group_name", "data-eng", "CAN_ATTACH_TO")]);
    let policy = format!("cluster-policies/{}", id(&compute.policy));
    builder.permit(
        &policy,
        &[
            ("group_name", "data-eng", "CAN_USE"),
            ("service_principal_name", ROBOT, "CAN_USE"),
        ],
    );
    builder.permit(
        "authorization/tokens",
        &[("group_name", "users", "CAN_USE")],
    );
    tree_permissions(builder);
}

fn tree_permissions(builder: &mut Builder<'_>) {
    let folder = builder.object_at("directories", "/Shared/etl");
    builder.permit(
        &folder,
        &[
            ("group_name", "data-eng", "CAN_MANAGE"),
            ("group_name", "analysts", "CAN_READ"),
        ],
    );
    // The same group once directly and once from the folder above.
    let notebook = builder.object_at("notebooks", "/Shared/etl/01 load");
    builder.permit(
        &notebook,
        &[
            ("group_name", "analysts", "CAN_RUN"),
            ("service_principal_name", ROBOT, "CAN_RUN"),
        ],
    );
    let file = builder.object_at("files", "/Shared/init/setup.sh");
    builder.permit(
        &file,
        &[
            ("service_principal_name", ROBOT, "CAN_READ"),
            ("group_name", "acct-analysts", "CAN_READ"),
        ],
    );
    let home = builder.object_at("directories", "/Users/ana@example.com/projects");
    builder.permit(
        &home,
        &[
            ("user_name", "bob@example.com", "CAN_EDIT"),
            ("user_name", LEFT, "CAN_READ"),
        ],
    );
    let repo = builder.object_at("repos", "/Repos/ana@example.com/project");
    builder.permit(&repo, &[("group_name", "équipe-données", "CAN_RUN")]);
    builder.permit("directories/0", &[("group_name", "all-eng", "CAN_READ")]);
}

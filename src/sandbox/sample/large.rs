//! A large workspace, made from a seed: what a store and a client have to cope with, not what people would write.
//!
//! Invariant: notebooks are kept as seeds and written out when read, so 20,000 of them cost a few megabytes.

use serde_json::{Value, json};

use super::Builder;
use super::text::{Dice, title};
use crate::sandbox::state::{Content, Form, Language, NodeKind, State};

const USERS: usize = 200;
const GROUPS: usize = 30;
const NOTEBOOKS: usize = 20_000;
const FOLDERS: usize = 1_500;
const JOBS: usize = 2_000;
const CLUSTERS: usize = 40;
const PROJECTS: &[&str] = &[
    "etl",
    "reports",
    "experiments",
    "adhoc",
    "pipelines",
    "archive",
    "onboarding",
    "quality",
];

/// Fills the workspace.
pub(crate) fn fill(state: &mut State, seed: u64) {
    let dice = &mut Dice::new(seed);
    let builder = &mut Builder::new(state);
    let users = people(builder, dice);
    let clusters = compute(builder);
    let folders = folders(builder, dice, &users);
    let notebooks = notebooks(builder.state, dice, &folders);
    permissions(builder, dice, &folders);
    jobs(builder, dice, &clusters, &notebooks, &users);
}

fn people(builder: &mut Builder<'_>, dice: &mut Dice) -> Vec<String> {
    let mut ids = Vec::new();
    let mut names = Vec::new();
    for number in 0..USERS {
        let name = format!("user{number:03}@example.com");
        let shown = format!("User {number:03}");
        ids.push(builder.principal("Users", json!({"userName": name, "displayName": shown})));
        names.push(name);
    }
    for number in 0..GROUPS {
        let members: Vec<&str> = (0..12).map(|_| ids[dice.below(USERS)].as_str()).collect();
        let id = builder.group(&format!("team-{number:02}"), &members);
        if number % 5 == 4 {
            builder.group(&format!("division-{}", number / 5), &[&id]);
        }
    }
    names
}

fn compute(builder: &mut Builder<'_>) -> Vec<String> {
    let pool =
        json!({"instance_pool_name": "general", "node_type_id": "i3.xlarge", "max_capacity": 50});
    let pool = builder.post("/api/2.0/instance-pools/create", pool)["instance_pool_id"].clone();
    let policy = json!({"name": "Standard", "definition": "{\"autotermination_minutes\":{\"type\":\"fixed\",\"value\":60}}"});
    let policy = builder.post("/api/2.0/policies/clusters/create", policy)["policy_id"].clone();
    let create = |number: usize| {
        let spec = json!({
            "cluster_name": format!("cluster-{number:02}"), "spark_version": "15.4.x-scala2.12",
            "instance_pool_id": pool, "policy_id": policy, "autoscale": {"min_workers": 1, "max_workers": 8},
        });
        let made = builder.post("/api/2.1/clusters/create", spec);
        made["cluster_id"].as_str().unwrap_or_default().to_string()
    };
    let ids: Vec<String> = (0..CLUSTERS).map(create).collect();
    super::small::stop_clusters(builder.state);
    ids
}

fn folders(builder: &mut Builder<'_>, dice: &mut Dice, users: &[String]) -> Vec<(i64, String)> {
    let mut folders = Vec::new();
    for number in 0..FOLDERS {
        let project = PROJECTS[(number / USERS) % PROJECTS.len()];
        let path = match number % 5 {
            4 => format!(
                "/Shared/team-{:02}/{project}/{}",
                dice.below(GROUPS),
                title(dice)
            ),
            _ => format!(
                "/Users/{}/{project}/v{}",
                users[number % USERS],
                number / USERS
            ),
        };
        if let Ok(id) = builder.state.make_directories(&path) {
            folders.push((id, path));
        }
    }
    folders
}

fn notebooks(state: &mut State, dice: &mut Dice, folders: &[(i64, String)]) -> Vec<String> {
    let mut paths = Vec::new();
    for number in 0..NOTEBOOKS {
        let (folder, path) = &folders[number % folders.len()];
        let name = format!("{number:05}_{}", title(dice));
        // Python is by far the most common.
        let language = Language::ALL[[0, 0, 0, 0, 0, 0, 1, 1, 2, 3][dice.below(10)]];
        let content = Content::Generated(dice.number());
        let (id, now) = (state.ids.next(), state.clock.now());
        let kind = NodeKind::Notebook {
            language,
            form: Form::Source,
            content,
        };
        state.tree.insert(*folder, &name, id, now, kind);
        if number % 10 == 0 {
            paths.push(format!("{path}/{name}"));
        }
    }
    paths
}

fn permissions(builder: &mut Builder<'_>, dice: &mut Dice, folders: &[(i64, String)]) {
    for (id, _) in folders.iter().step_by(10) {
        let group = format!("team-{:02}", dice.below(GROUPS));
        let level = dice.pick(&["CAN_READ", "CAN_RUN", "CAN_EDIT"]);
        builder.permit(
            &format!("directories/{id}"),
            &[("group_name", &group, level)],
        );
    }
}

fn jobs(
    builder: &mut Builder<'_>,
    dice: &mut Dice,
    clusters: &[String],
    notebooks: &[String],
    users: &[String],
) {
    for number in 0..JOBS {
        builder.act_as(&users[dice.below(USERS)]);
        let count = 1 + dice.below(6);
        let task = |step: usize| {
            let mut task = json!({
                "task_key": format!("step_{step}"),
                "existing_cluster_id": clusters[number % clusters.len()],
                "notebook_task": {"notebook_path": notebooks[(number * 7 + step) % notebooks.len()]},
            });
            if step > 0 {
                task["depends_on"] = json!([{"task_key": format!("step_{}", step - 1)}]);
            }
            task
        };
        let settings = json!({
            "name": format!("{:04} {}", number, title(dice).replace('_', " ")),
            "tasks": (0..count).map(task).collect::<Vec<Value>>(),
            "schedule": {
                "quartz_cron_expression": format!("0 {} {} * * ?", dice.below(60), dice.below(24)),
                "timezone_id": "UTC",
                "pause_status": dice.pick(&["PAUSED", "UNPAUSED"]),
            },
            "max_concurrent_runs": 1,
        });
        builder.post("/api/2.2/jobs/create", settings);
    }
}

//! Permissions.

use serde_json::{Value, json};

use super::Client;
use crate::sandbox::*;

/// What one principal has: (level, inherited), in the order shown.
fn of<'a>(answer: &'a Value, name: &str) -> Vec<(&'a str, bool)> {
    let list = answer["access_control_list"].as_array().unwrap();
    let fields = ["user_name", "group_name", "service_principal_name"];
    let entry = list
        .iter()
        .find(|entry| fields.iter().any(|field| entry[field] == name));
    let permissions = entry.and_then(|entry| entry["all_permissions"].as_array());
    let show = |permission: &'a Value| {
        (
            permission["permission_level"].as_str().unwrap(),
            permission["inherited"].as_bool().unwrap(),
        )
    };
    permissions.into_iter().flatten().map(show).collect()
}

fn entry(field: &str, name: &str, level: &str) -> Value {
    json!({field: name, "permission_level": level})
}

async fn put(client: &Client, object: &str, entries: &[Value]) -> (u16, Value) {
    client
        .send(
            "PUT",
            &format!("/api/2.0/permissions/{object}"),
            json!({"access_control_list": entries}),
        )
        .await
}

#[tokio::test]
async fn a_principal_can_have_a_direct_and_an_inherited_entry() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    workspace.add_group("data-eng", &[]);
    let notebook = format!(
        "notebooks/{}",
        workspace
            .put_notebook("/Shared/etl/n", "PYTHON", "1")
            .unwrap()
    );
    let folder = format!(
        "directories/{}",
        workspace.make_directory("/Shared/etl").unwrap()
    );
    put(
        &client,
        &folder,
        &[entry("group_name", "data-eng", "CAN_READ")],
    )
    .await;
    let (_, shown) = put(
        &client,
        &notebook,
        &[entry("group_name", "data-eng", "CAN_RUN")],
    )
    .await;
    assert_eq!(
        shown,
        client
            .get(&format!("/api/2.0/permissions/{notebook}"))
            .await
            .1
    );
    assert_eq!(
        of(&shown, "data-eng"),
        [("CAN_RUN", false), ("CAN_READ", true)]
    );
    assert_eq!(of(&shown, "admins"), [("CAN_MANAGE", true)]);
    assert_eq!(of(&shown, "users"), [("CAN_MANAGE", true)]);
    assert_eq!(shown["object_type"], "notebook");
    // A replacement drops what is direct and nothing else.
    let (_, shown) = put(&client, &notebook, &[]).await;
    assert_eq!(of(&shown, "data-eng"), [("CAN_READ", true)]);
}

#[tokio::test]
async fn a_home_belongs_to_its_user_without_an_entry() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    workspace.add_user("ana@example.com");
    let home = workspace.make_directory("/Users/ana@example.com").unwrap();
    let file = workspace
        .put_file("/Users/ana@example.com/f", b"x")
        .unwrap();
    let shown = client
        .get(&format!("/api/2.0/permissions/directories/{home}"))
        .await
        .1;
    assert_eq!(of(&shown, "ana@example.com"), [("CAN_MANAGE", true)]);
    let shown = client
        .get(&format!("/api/2.0/permissions/files/{file}"))
        .await
        .1;
    assert_eq!(of(&shown, "ana@example.com"), [("CAN_MANAGE", true)]);
    workspace.remove_user("ana@example.com");
    let shown = client
        .get(&format!("/api/2.0/permissions/files/{file}"))
        .await
        .1;
    assert!(of(&shown, "ana@example.com").is_empty());
}

#[tokio::test]
async fn a_patch_adds_and_cannot_remove() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    workspace.add_user("ana@example.com");
    workspace.add_group("g", &[]);
    let path = format!(
        "/api/2.0/permissions/files/{}",
        workspace.put_file("/Shared/f", b"").unwrap()
    );
    let patch = |entry: Value| client.ok("PATCH", &path, json!({"access_control_list": [entry]}));
    patch(entry("group_name", "g", "CAN_READ")).await;
    patch(entry("user_name", "ANA@example.com", "CAN_EDIT")).await;
    let path = path.clone();
    let shown = client.get(&path).await.1;
    assert_eq!(of(&shown, "g"), [("CAN_READ", false)]);
    assert_eq!(of(&shown, "ana@example.com"), [("CAN_EDIT", false)]);
}

#[tokio::test]
async fn wrong_entries_are_refused_and_change_nothing() {
    let client = Client::empty().await;
    let file = format!(
        "files/{}",
        client.running.workspace.put_file("/Shared/f", b"").unwrap()
    );
    for (entry, status) in [
        (entry("user_name", "nobody@example.com", "CAN_READ"), 404),
        (entry("group_name", "users", "CAN_ATTACH_TO"), 400),
        (entry("group_name", "admins", "CAN_READ"), 400),
        (json!({"permission_level": "CAN_READ"}), 400),
    ] {
        assert_eq!(put(&client, &file, &[entry]).await.0, status);
    }
    let shown = client.get(&format!("/api/2.0/permissions/{file}")).await.1;
    assert_eq!(of(&shown, "admins"), [("CAN_MANAGE", true)]);
    assert_eq!(client.get("/api/2.0/permissions/notebooks/12").await.0, 404);
    assert_eq!(client.get("/api/2.0/permissions/unknown/12").await.0, 400);
}

#[tokio::test]
async fn a_job_has_exactly_one_owner() {
    let client = Client::empty().await;
    let job = client
        .ok("POST", "/api/2.2/jobs/create", json!({"name": "j"}))
        .await["job_id"]
        .clone();
    let job = format!("jobs/{job}");
    client.running.workspace.add_user("ana@example.com");
    let shown = client.get(&format!("/api/2.0/permissions/{job}")).await.1;
    assert_eq!(of(&shown, "admin@example.com"), [("IS_OWNER", false)]);
    for entries in [
        vec![],
        vec![
            entry("user_name", "ana@example.com", "IS_OWNER"),
            entry("user_name", "admin@example.com", "IS_OWNER"),
        ],
        vec![entry("group_name", "users", "IS_OWNER")],
    ] {
        assert_eq!(put(&client, &job, &entries).await.0, 400);
    }
    let (_, shown) = put(
        &client,
        &job,
        &[entry("user_name", "ana@example.com", "IS_OWNER")],
    )
    .await;
    assert!(of(&shown, "admin@example.com").is_empty());
}

#[tokio::test]
async fn the_root_and_the_tokens_list_their_admins() {
    let client = Client::empty().await;
    for object in ["directories/0", "authorization/tokens"] {
        let shown = client
            .get(&format!("/api/2.0/permissions/{object}"))
            .await
            .1;
        assert_eq!(of(&shown, "admins"), [("CAN_MANAGE", false)]);
        let level = if object.starts_with('d') {
            "CAN_READ"
        } else {
            "CAN_USE"
        };
        let users = entry("group_name", "users", level);
        assert_eq!(
            put(&client, object, std::slice::from_ref(&users)).await.0,
            400
        );
        let (status, shown) = put(
            &client,
            object,
            &[users, entry("group_name", "admins", "CAN_MANAGE")],
        )
        .await;
        assert_eq!((status, of(&shown, "users")), (200, vec![(level, false)]));
    }
}

#[tokio::test]
async fn levels_are_listed_lowest_first() {
    let client = Client::empty().await;
    let job = client.ok("POST", "/api/2.1/jobs/create", json!({})).await["job_id"].clone();
    let levels = client
        .get(&format!("/api/2.0/permissions/jobs/{job}/permissionLevels"))
        .await
        .1;
    let levels: Vec<&str> = levels["permission_levels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|level| level["permission_level"].as_str().unwrap())
        .collect();
    assert_eq!(
        levels,
        ["CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"]
    );
}

#[tokio::test]
async fn reads_can_lag_behind_writes() {
    let faults = Faults {
        stale_reads: 1,
        ..Faults::default()
    };
    let client = Client::start(Options {
        faults,
        ..Options::default()
    })
    .await;
    let file = format!(
        "files/{}",
        client.running.workspace.put_file("/Shared/f", b"").unwrap()
    );
    put(&client, &file, &[entry("group_name", "users", "CAN_READ")]).await;
    let path = format!("/api/2.0/permissions/{file}");
    assert_eq!(
        of(&client.get(&path).await.1, "users"),
        [("CAN_MANAGE", true)]
    );
    assert_eq!(
        of(&client.get(&path).await.1, "users"),
        [("CAN_READ", false), ("CAN_MANAGE", true)]
    );
}

#[tokio::test]
async fn permissions_have_an_older_name_that_means_the_same() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    workspace.add_group("data-eng", &[]);
    let folder = workspace.make_directory("/Shared/etl").unwrap();
    let granted = |level| json!({"access_control_list": [entry("group_name", "data-eng", level)]});
    let older = format!("/api/2.0/preview/permissions/directories/{folder}");
    let (status, put) = client.send("PUT", &older, granted("CAN_READ")).await;
    assert_eq!(
        (status, of(&put, "data-eng")),
        (200, vec![("CAN_READ", false)])
    );
    let (_, patched) = client.send("PATCH", &older, granted("CAN_RUN")).await;
    assert_eq!(of(&patched, "data-eng"), [("CAN_RUN", false)]);
    let newer = format!("/api/2.0/permissions/directories/{folder}");
    for path in [newer, format!("{older}/"), older] {
        assert_eq!(client.get(&path).await, (200, patched.clone()), "{path}");
    }
}

//! Users, groups and service principals.

use serde_json::{Value, json};

use super::Client;
use crate::sandbox::*;

const SCIM: &str = "/api/2.0/preview/scim/v2";

async fn add(client: &Client, collection: &str, body: Value) -> String {
    let made = client
        .ok("POST", &format!("{SCIM}/{collection}"), body)
        .await;
    made["id"].as_str().unwrap().to_string()
}

#[tokio::test]
async fn a_page_past_the_end_has_no_resources() {
    let client = Client::empty().await;
    let page = client
        .ok(
            "GET",
            &format!("{SCIM}/Users?startIndex=50&count=10"),
            json!({}),
        )
        .await;
    assert_eq!(
        (&page["totalResults"], &page["itemsPerPage"]),
        (&json!(1), &json!(0))
    );
    assert!(page.get("Resources").is_none());
}

#[tokio::test]
async fn users_are_paged_filtered_and_projected() {
    let client = Client::empty().await;
    for number in 0..5 {
        client
            .running
            .workspace
            .add_user(&format!("user{number}@example.com"));
    }
    let path = format!("{SCIM}/Users?startIndex=2&count=2&attributes=id,userName");
    let page = client.ok("GET", &path, json!({})).await;
    assert_eq!(
        (&page["totalResults"], &page["startIndex"]),
        (&json!(6), &json!(2))
    );
    let first = page["Resources"][0].as_object().unwrap();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["id", "userName"]);
    let found = client
        .ok(
            "GET",
            &format!("{SCIM}/Users?filter=userName eq \"USER3@example.com\""),
            json!({}),
        )
        .await;
    assert_eq!(found["Resources"][0]["userName"], "user3@example.com");
}

#[tokio::test]
async fn a_name_can_be_used_once_whatever_its_case() {
    let client = Client::empty().await;
    add(&client, "Users", json!({"userName": "Ana@example.com"})).await;
    let (status, body) = client
        .send(
            "POST",
            &format!("{SCIM}/Users"),
            json!({"userName": "ana@EXAMPLE.com"}),
        )
        .await;
    assert_eq!(
        (status, &body["scimType"], &body["status"]),
        (409, &json!("uniqueness"), &json!("409"))
    );
}

#[tokio::test]
async fn membership_through_another_group_is_indirect() {
    let client = Client::empty().await;
    let user = add(&client, "Users", json!({"userName": "ana@example.com"})).await;
    let inner = add(
        &client,
        "Groups",
        json!({"displayName": "inner", "members": [{"value": user}]}),
    )
    .await;
    let outer = add(
        &client,
        "Groups",
        json!({"displayName": "outer", "members": [{"value": inner}]}),
    )
    .await;
    let shown = client
        .ok("GET", &format!("{SCIM}/Users/{user}"), json!({}))
        .await;
    let kind = |group: &str| {
        let groups = shown["groups"].as_array().unwrap();
        groups
            .iter()
            .find(|known| known["display"] == group)
            .map(|known| known["type"].clone())
    };
    assert_eq!(kind("inner"), Some(json!("direct")));
    assert_eq!(kind("outer"), Some(json!("indirect")));
    assert_eq!(kind("users"), Some(json!("direct")));
    let path = format!("{SCIM}/Groups/{inner}");
    let looped =
        json!({"Operations": [{"op": "add", "path": "members", "value": [{"value": outer}]}]});
    assert_eq!(client.send("PATCH", &path, looped).await.0, 400);
    let shown = client
        .ok("GET", &format!("{SCIM}/Groups/{outer}"), json!({}))
        .await;
    assert_eq!(shown["members"][0]["$ref"], format!("Groups/{inner}"));
    assert_eq!(shown["meta"]["resourceType"], "WorkspaceGroup");
}

#[tokio::test]
async fn a_patch_adds_removes_and_replaces() {
    let client = Client::empty().await;
    let user = add(&client, "Users", json!({"userName": "ana@example.com"})).await;
    let group = add(
        &client,
        "Groups",
        json!({"displayName": "g", "members": [{"value": user}]}),
    )
    .await;
    let operations = json!({"Operations": [
        {"op": "add", "path": "roles", "value": [{"value": "arn:aws:iam::123456789012:instance-profile/etl"}]},
        {"op": "add", "path": "entitlements", "value": [{"value": "allow-cluster-create"}]},
        {"op": "remove", "path": format!("members[value eq \"{user}\"]")},
        {"op": "replace", "path": "displayName", "value": "renamed"},
    ]});
    client
        .ok("PATCH", &format!("{SCIM}/Groups/{group}"), operations)
        .await;
    let shown = client
        .ok("GET", &format!("{SCIM}/Groups/{group}"), json!({}))
        .await;
    assert_eq!(
        (&shown["displayName"], shown.get("members")),
        (&json!("renamed"), None)
    );
    assert_eq!(shown["roles"][0]["type"], "direct");
    let off = json!({"Operations": [{"op": "replace", "path": "active", "value": "false"}]});
    client
        .ok("PATCH", &format!("{SCIM}/Users/{user}"), off)
        .await;
    assert_eq!(
        client.get(&format!("{SCIM}/Users/{user}")).await.1["active"],
        json!(false)
    );
}

#[tokio::test]
async fn a_put_replaces_everything() {
    let client = Client::empty().await;
    let body =
        json!({"userName": "ana@example.com", "entitlements": [{"value": "allow-cluster-create"}]});
    let user = add(&client, "Users", body).await;
    client
        .ok(
            "PUT",
            &format!("{SCIM}/Users/{user}"),
            json!({"userName": "ana@example.com", "odd": {"kept": 1}}),
        )
        .await;
    let shown = client.get(&format!("{SCIM}/Users/{user}")).await.1;
    assert!(shown.get("entitlements").is_none());
    assert_eq!(shown["odd"]["kept"], 1);
}

#[tokio::test]
async fn groups_of_the_account_and_built_in_ones_are_protected() {
    let client = Client::empty().await;
    let group = client.running.workspace.add_group("acct", &[]);
    client.running.workspace.give_group_to_account("acct");
    let shown = client.get(&format!("{SCIM}/Groups/{group}")).await.1;
    assert_eq!(shown["meta"]["resourceType"], "Group");
    assert_eq!(
        client
            .send("DELETE", &format!("{SCIM}/Groups/{group}"), json!({}))
            .await
            .0,
        403
    );
    let found = client
        .ok(
            "GET",
            &format!("{SCIM}/Groups?filter=displayName eq admins"),
            json!({}),
        )
        .await;
    let admins = found["Resources"][0]["id"].as_str().unwrap();
    assert_eq!(
        client
            .send("DELETE", &format!("{SCIM}/Groups/{admins}"), json!({}))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn a_deleted_user_leaves_a_home_and_no_trace_in_groups() {
    let client = Client::empty().await;
    let user = add(&client, "Users", json!({"userName": "left@example.com"})).await;
    let group = add(
        &client,
        "Groups",
        json!({"displayName": "g", "members": [{"value": user}]}),
    )
    .await;
    assert_eq!(
        client
            .send("DELETE", &format!("{SCIM}/Users/{user}"), json!({}))
            .await
            .0,
        204
    );
    assert_eq!(client.get(&format!("{SCIM}/Users/{user}")).await.0, 404);
    assert!(
        client
            .get(&format!("{SCIM}/Groups/{group}"))
            .await
            .1
            .get("members")
            .is_none()
    );
    assert_eq!(
        client
            .get("/api/2.0/workspace/get-status?path=/Users/left@example.com")
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_fresh_user_is_unknown_for_a_while_when_asked_for() {
    let faults = Faults {
        stale_reads: 2,
        ..Faults::default()
    };
    let client = Client::start(Options {
        faults,
        ..Options::default()
    })
    .await;
    let user = add(&client, "Users", json!({"userName": "ana@example.com"})).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(client.get(&format!("{SCIM}/Users/{user}")).await.0);
    }
    assert_eq!(statuses, [404, 404, 200]);
}

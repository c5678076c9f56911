//! Clusters, libraries, pools, policies, instance profiles, init scripts.

use serde_json::{Value, json};

use super::Client;

fn cluster(name: &str) -> Value {
    json!({"cluster_name": name, "spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge",
        "num_workers": 1, "apply_policy_default_values": true})
}

#[tokio::test]
async fn a_cluster_starts_by_being_created_and_stops_by_being_deleted() {
    let client = Client::empty().await;
    let id = client
        .ok("POST", "/api/2.1/clusters/create", cluster("c"))
        .await["cluster_id"]
        .clone();
    let edit = || {
        let mut body = cluster("d");
        body["cluster_id"] = id.clone();
        client.send("POST", "/api/2.1/clusters/edit", body)
    };
    let id_text = id.as_str().unwrap();
    let path = format!("/api/2.0/clusters/get?cluster_id={id_text}");
    let get = || client.get(&path);
    assert_eq!(edit().await.1["error_code"], "INVALID_STATE");
    assert_eq!(get().await.1["state"], "PENDING");
    assert_eq!(get().await.1["state"], "RUNNING");
    client
        .ok(
            "POST",
            "/api/2.1/clusters/delete",
            json!({"cluster_id": id}),
        )
        .await;
    assert_eq!(get().await.1["state"], "TERMINATING");
    assert_eq!(get().await.1["state"], "TERMINATED");
    assert_eq!(edit().await.0, 200);
    let shown = get().await.1;
    assert_eq!(
        (&shown["cluster_name"], &shown["creator_user_name"]),
        (&json!("d"), &json!("admin@example.com"))
    );
    assert_eq!(shown["spec"]["apply_policy_default_values"], true);
    assert!(shown.get("apply_policy_default_values").is_none());
    client
        .ok(
            "POST",
            "/api/2.1/clusters/permanent-delete",
            json!({"cluster_id": id}),
        )
        .await;
    assert_eq!(get().await.0, 400);
}

#[tokio::test]
async fn an_update_takes_what_its_mask_names_and_nothing_else() {
    let client = Client::empty().await;
    let mut made = cluster("c");
    made["aws_attributes"] = json!({"zone_id": "us-west-2b", "first_on_demand": 2});
    made["spark_conf"] = json!({"a": "b"});
    let id = client.ok("POST", "/api/2.1/clusters/create", made).await["cluster_id"].clone();
    let path = format!("/api/2.1/clusters/get?cluster_id={}", id.as_str().unwrap());
    client.get(&path).await;
    let changes =
        json!({"num_workers": 7, "aws_attributes": {"first_on_demand": 3}, "cluster_name": "d"});
    let mask = "num_workers,aws_attributes.first_on_demand,spark_conf";
    let body = json!({"cluster_id": id, "cluster": changes, "update_mask": mask});
    client.ok("POST", "/api/2.1/clusters/update", body).await;
    let shown = client.get(&path).await.1;
    assert_eq!(
        (&shown["num_workers"], &shown["cluster_name"]),
        (&json!(7), &json!("c"))
    );
    let aws = &shown["aws_attributes"];
    assert_eq!(
        (&aws["first_on_demand"], &aws["zone_id"]),
        (&json!(3), &json!("us-west-2b"))
    );
    assert!(shown.get("spark_conf").is_none());
}

#[tokio::test]
async fn clusters_are_listed_in_pages_without_their_spec() {
    let client = Client::empty().await;
    assert_eq!(client.get("/api/2.0/clusters/list").await.1, json!({}));
    let mut ids = Vec::new();
    for number in 0..5 {
        let made = client
            .ok(
                "POST",
                "/api/2.1/clusters/create",
                cluster(&format!("c{number}")),
            )
            .await;
        ids.push(made["cluster_id"].as_str().unwrap().to_string());
    }
    client
        .ok(
            "POST",
            "/api/2.1/clusters/pin",
            json!({"cluster_id": ids[3]}),
        )
        .await;
    let first = client.get("/api/2.1/clusters/list?page_size=4").await.1;
    assert!(
        first["clusters"][0].get("spec").is_none()
            && first["clusters"][0].get("is_pinned").is_none()
    );
    let token = first["next_page_token"].as_str().unwrap();
    let second = client
        .get(&format!(
            "/api/2.1/clusters/list?page_size=4&page_token={token}"
        ))
        .await
        .1;
    assert_eq!(second["clusters"].as_array().unwrap().len(), 1);
    assert_eq!(second["next_page_token"], "");
    let pinned = client
        .get("/api/2.1/clusters/list?filter_by.is_pinned=true")
        .await
        .1;
    assert_eq!(pinned["clusters"].as_array().unwrap().len(), 1);
    assert_eq!(pinned["clusters"][0]["cluster_id"], ids[3]);
    let by_jobs = client
        .get("/api/2.1/clusters/list?filter_by.cluster_sources=JOB")
        .await
        .1;
    assert!(by_jobs.get("clusters").is_none());
}

#[tokio::test]
async fn libraries_wait_on_a_stopped_cluster_and_come_in_no_order() {
    let client = Client::empty().await;
    let id = client
        .ok("POST", "/api/2.1/clusters/create", cluster("c"))
        .await["cluster_id"]
        .clone();
    let libraries = json!([{"pypi": {"package": "a"}}, {"jar": "dbfs:/b.jar"}]);
    client
        .ok(
            "POST",
            "/api/2.0/libraries/install",
            json!({"cluster_id": id, "libraries": libraries}),
        )
        .await;
    let path = format!(
        "/api/2.0/libraries/cluster-status?cluster_id={}",
        id.as_str().unwrap()
    );
    let (first, second) = (client.get(&path).await.1, client.get(&path).await.1);
    assert_eq!(first["library_statuses"][0], second["library_statuses"][1]);
    assert_eq!(first["library_statuses"][0]["status"], "PENDING");
    let all = client
        .get("/api/2.0/libraries/all-cluster-statuses")
        .await
        .1;
    assert_eq!(
        all["statuses"][0]["library_statuses"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn a_pool_gets_defaults_and_a_name_of_its_own() {
    let client = Client::empty().await;
    let pool = json!({"instance_pool_name": "p", "node_type_id": "i3.xlarge"});
    let id = client
        .ok("POST", "/api/2.0/instance-pools/create", pool.clone())
        .await["instance_pool_id"]
        .clone();
    assert_eq!(
        client
            .send("POST", "/api/2.0/instance-pools/create", pool)
            .await
            .0,
        400
    );
    let shown = client
        .get(&format!(
            "/api/2.0/instance-pools/get?instance_pool_id={}",
            id.as_str().unwrap()
        ))
        .await
        .1;
    assert_eq!(
        (
            &shown["idle_instance_autotermination_minutes"],
            &shown["state"]
        ),
        (&json!(60), &json!("ACTIVE"))
    );
}

#[tokio::test]
async fn a_family_policy_shows_the_expanded_definition() {
    let client = Client::empty().await;
    let policy = json!({"name": "q", "policy_family_id": "personal-vm",
        "policy_family_definition_overrides": "{\"spark_version\":{\"type\":\"unlimited\"}}"});
    let id = client
        .ok("POST", "/api/2.0/policies/clusters/create", policy)
        .await["policy_id"]
        .clone();
    let shown = client
        .get(&format!(
            "/api/2.0/policies/clusters/get?policy_id={}",
            id.as_str().unwrap()
        ))
        .await
        .1;
    let definition: Value = serde_json::from_str(shown["definition"].as_str().unwrap()).unwrap();
    assert!(definition.get("spark_version").is_some() && definition.get("num_workers").is_some());
    let wrong = json!({"name": "r", "definition": "not json"});
    assert_eq!(
        client
            .send("POST", "/api/2.0/policies/clusters/create", wrong)
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn profiles_and_scripts_keep_what_they_are_given() {
    let client = Client::empty().await;
    let arn = json!({"instance_profile_arn": "arn:aws:iam::123456789012:instance-profile/etl", "skip_validation": true});
    client
        .ok("POST", "/api/2.0/instance-profiles/add", arn)
        .await;
    let shown = client.get("/api/2.0/instance-profiles/list").await.1;
    assert!(
        shown["instance_profiles"][0]
            .get("skip_validation")
            .is_none()
    );

    for (name, position) in [("one", json!(null)), ("two", json!(0))] {
        let script = json!({"name": name, "script": super::base64(b"echo"), "enabled": false, "position": position});
        client
            .ok("POST", "/api/2.0/global-init-scripts", script)
            .await;
    }
    let listed = client.get("/api/2.0/global-init-scripts").await.1;
    assert_eq!(
        (
            &listed["scripts"][0]["name"],
            listed["scripts"][0].get("script")
        ),
        (&json!("two"), None)
    );
    assert_eq!(listed["scripts"][1]["position"], 1);
}

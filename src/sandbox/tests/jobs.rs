//! Jobs and what they refer to.

use serde_json::{Value, json};

use super::Client;

async fn create(client: &Client, settings: Value) -> i64 {
    client.ok("POST", "/api/2.2/jobs/create", settings).await["job_id"]
        .as_i64()
        .unwrap()
}

fn wide(tasks: usize) -> Value {
    let task = |number: usize| json!({"task_key": format!("t{number}"), "notebook_task": {"notebook_path": "/n"}});
    json!({"name": "wide", "tasks": (0..tasks).map(task).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_long_job_is_read_in_pages() {
    let client = Client::empty().await;
    let id = create(&client, wide(250)).await;
    let mut keys = Vec::new();
    let mut path = format!("/api/2.2/jobs/get?job_id={id}");
    loop {
        let page = client.get(&path).await.1;
        let tasks = page["settings"]["tasks"].as_array().unwrap();
        keys.extend(
            tasks
                .iter()
                .map(|task| task["task_key"].as_str().unwrap().to_string()),
        );
        assert_eq!(page["settings"].get("name").is_some(), keys.len() == 100);
        let Some(token) = page["next_page_token"].as_str() else {
            break;
        };
        path = format!("/api/2.2/jobs/get?job_id={id}&page_token={token}");
    }
    assert_eq!(keys.len(), 250);
    let listed = client.get("/api/2.2/jobs/list?expand_tasks=true").await.1;
    assert_eq!(listed["jobs"][0]["has_more"], true);
    assert_eq!(
        listed["jobs"][0]["settings"]["tasks"]
            .as_array()
            .unwrap()
            .len(),
        100
    );
}

#[tokio::test]
async fn a_list_is_paged_newest_first_and_has_no_tasks() {
    let client = Client::empty().await;
    assert!(
        client
            .get("/api/2.2/jobs/list")
            .await
            .1
            .get("jobs")
            .is_none()
    );
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(create(&client, wide(1)).await);
    }
    let mut seen = Vec::new();
    let mut path = "/api/2.2/jobs/list?limit=2".to_string();
    loop {
        let page = client.get(&path).await.1;
        for job in page["jobs"].as_array().unwrap() {
            assert!(job["settings"].get("tasks").is_none());
            seen.push(job["job_id"].as_i64().unwrap());
        }
        let token = page["next_page_token"].as_str().unwrap();
        // The last page has an empty token.
        if token.is_empty() {
            break;
        }
        path = format!("/api/2.2/jobs/list?limit=2&page_token={token}");
    }
    made.reverse();
    assert_eq!(seen, made);
    assert!(made.iter().all(|id| *id > 1 << 53));
    assert_eq!(client.get("/api/2.2/jobs/list?limit=101").await.0, 400);
    assert_eq!(
        client
            .get("/api/2.1/jobs/list?limit=26&expand_tasks=true")
            .await
            .0,
        400
    );
    assert_eq!(
        client.get("/api/2.2/jobs/list?name=WIDE").await.1["jobs"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
}

#[tokio::test]
async fn settings_come_back_completed_and_reordered() {
    let client = Client::empty().await;
    let settings = json!({
        "name": "j", "format": "SINGLE_TASK", "unheard_of": {"kept": true},
        "tasks": [
            {"task_key": "a"}, {"task_key": "b"},
            {"task_key": "c", "depends_on": [{"task_key": "b"}, {"task_key": "a"}], "notebook_task": {"notebook_path": "/n"}},
        ],
    });
    let id = create(&client, settings).await;
    let shown = client
        .get(&format!("/api/2.2/jobs/get?job_id={id}"))
        .await
        .1;
    assert_eq!(
        (&shown["creator_user_name"], &shown["run_as_user_name"]),
        (&json!("admin@example.com"), &json!("admin@example.com"))
    );
    let settings = &shown["settings"];
    assert_eq!(
        (&settings["format"], &settings["max_concurrent_runs"]),
        (&json!("MULTI_TASK"), &json!(1))
    );
    assert_eq!(settings["unheard_of"]["kept"], true);
    assert_eq!(
        settings["tasks"][2]["depends_on"],
        json!([{"task_key": "a"}, {"task_key": "b"}])
    );
    assert_eq!(settings["tasks"][2]["notebook_task"]["source"], "WORKSPACE");
    assert_eq!(settings["tasks"][0]["run_if"], "ALL_SUCCESS");
}

#[tokio::test]
async fn what_is_not_there_is_a_400() {
    let client = Client::empty().await;
    let (status, body) = client.get("/api/2.2/jobs/get?job_id=999").await;
    assert_eq!(
        (status, &body["error_code"]),
        (400, &json!("INVALID_PARAMETER_VALUE"))
    );
    assert_eq!(body["message"], "Job 999 does not exist.");
    let (status, body) = client.get("/api/2.1/clusters/get?cluster_id=x").await;
    assert_eq!(
        (status, &body["message"]),
        (400, &json!("Cluster x does not exist"))
    );
    for task in [
        json!({"task_key": "t", "existing_cluster_id": "x"}),
        json!({"task_key": "t", "run_job_task": {"job_id": 1}}),
        json!({"task_key": "t", "job_cluster_key": "x"}),
        json!({"task_key": "t", "depends_on": [{"task_key": "x"}]}),
        json!({"task_key": "t", "new_cluster": {"policy_id": "x"}}),
        json!({"task_key": "t", "for_each_task": {"task": {"task_key": "u", "existing_cluster_id": "x"}}}),
    ] {
        assert_eq!(
            client
                .send("POST", "/api/2.2/jobs/create", json!({"tasks": [task]}))
                .await
                .0,
            400
        );
    }
}

#[tokio::test]
async fn a_reset_replaces_and_an_update_merges() {
    let client = Client::empty().await;
    let id = create(
        &client,
        json!({"name": "j", "run_as": {"user_name": "admin@example.com"}, "tags": {"a": "b"}}),
    )
    .await;
    let reset = json!({"job_id": id, "new_settings": {"name": "k", "schedule": {"pause_status": "PAUSED"}}});
    client.ok("POST", "/api/2.2/jobs/reset", reset).await;
    let settings = client
        .get(&format!("/api/2.2/jobs/get?job_id={id}"))
        .await
        .1["settings"]
        .clone();
    assert_eq!(
        (&settings["name"], settings.get("tags")),
        (&json!("k"), None)
    );
    assert_eq!(settings["run_as"]["user_name"], "admin@example.com");
    let update = json!({"job_id": id, "new_settings": {"timeout_seconds": 5}, "fields_to_remove": ["schedule"]});
    client.ok("POST", "/api/2.2/jobs/update", update).await;
    let settings = client
        .get(&format!("/api/2.2/jobs/get?job_id={id}"))
        .await
        .1["settings"]
        .clone();
    assert_eq!(
        (
            &settings["name"],
            &settings["timeout_seconds"],
            settings.get("schedule")
        ),
        (&json!("k"), &json!(5), None)
    );
    client
        .ok("POST", "/api/2.2/jobs/delete", json!({"job_id": id}))
        .await;
    assert_eq!(
        client
            .get(&format!("/api/2.2/jobs/get?job_id={id}"))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn an_old_job_has_its_task_at_the_top_in_the_old_version_only() {
    let client = Client::empty().await;
    let old = json!({"name": "old", "notebook_task": {"notebook_path": "/n"}, "max_retries": 2});
    let id = client.ok("POST", "/api/2.0/jobs/create", old).await["job_id"].clone();
    let old = client
        .get(&format!("/api/2.0/jobs/get?job_id={id}"))
        .await
        .1;
    assert_eq!(
        (&old["settings"]["format"], &old["settings"]["max_retries"]),
        (&json!("SINGLE_TASK"), &json!(2))
    );
    let new = client
        .get(&format!("/api/2.2/jobs/get?job_id={id}"))
        .await
        .1;
    assert_eq!(new["settings"]["format"], "MULTI_TASK");
    assert_eq!(new["settings"]["tasks"][0]["max_retries"], 2);
    assert_eq!(
        client.get("/api/2.0/jobs/list").await.1["jobs"][0]["settings"]["max_retries"],
        2
    );
}

#[tokio::test]
async fn an_update_of_an_old_job_keeps_what_it_does_not_name() {
    let client = Client::empty().await;
    let old = json!({"name": "old", "notebook_task": {"notebook_path": "/n"}, "max_retries": 2});
    let id = client.ok("POST", "/api/2.0/jobs/create", old).await["job_id"].clone();
    let body = json!({"job_id": id, "new_settings": {"existing_cluster_id": ""}, "fields_to_remove": ["max_retries"]});
    client.ok("POST", "/api/2.0/jobs/update", body).await;
    let new = client
        .get(&format!("/api/2.2/jobs/get?job_id={id}"))
        .await
        .1;
    let [task] = new["settings"]["tasks"].as_array().unwrap().as_slice() else {
        panic!("{new:#}");
    };
    assert_eq!(task["notebook_task"]["notebook_path"], "/n");
    assert_eq!(
        (&task["existing_cluster_id"], task.get("max_retries")),
        (&json!(""), None)
    );
    // With tasks it is no old job any more.
    let body = json!({"job_id": id, "new_settings": wide(2)});
    client.ok("POST", "/api/2.1/jobs/update", body).await;
    let old = client
        .get(&format!("/api/2.0/jobs/get?job_id={id}"))
        .await
        .1;
    assert_eq!(old["settings"]["format"], "MULTI_TASK");
}

#[tokio::test]
async fn jobs_can_be_listed_by_offset() {
    let client = Client::empty().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, create(&client, json!({"name": "same"})).await);
    }
    for list in ["2.1/jobs/list?", "2.2/jobs/list?name=Same&"] {
        let path = format!("/api/{list}offset=2&limit=2");
        let page = client.get(&path).await.1;
        let jobs = page["jobs"].as_array().unwrap().iter();
        let shown: Vec<i64> = jobs.map(|job| job["job_id"].as_i64().unwrap()).collect();
        assert_eq!(
            (shown.as_slice(), &page["has_more"]),
            (&ids[2..4], &json!(true)),
            "{list}"
        );
        let rest = format!(
            "{path}&page_token={}",
            page["next_page_token"].as_str().unwrap()
        );
        let rest = client.get(&rest).await.1;
        assert_eq!(
            (&rest["jobs"][0]["job_id"], &rest["has_more"]),
            (&json!(ids[4]), &json!(false))
        );
    }
}

#[tokio::test]
async fn a_job_that_is_not_said_to_be_paused_runs() {
    let client = Client::empty().await;
    let cron = json!({"quartz_cron_expression": "0 0 0 * * ?", "timezone_id": "UTC"});
    let id = create(
        &client,
        json!({"name": "j", "schedule": cron, "continuous": {}}),
    )
    .await;
    let job = client
        .get(&format!("/api/2.2/jobs/get?job_id={id}"))
        .await
        .1;
    for starter in ["schedule", "continuous"] {
        assert_eq!(job["settings"][starter]["pause_status"], "UNPAUSED");
    }
    assert!(job["settings"].get("trigger").is_none());
}

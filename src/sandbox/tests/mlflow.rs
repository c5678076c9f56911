//! Experiments and registered models.

use serde_json::{Value, json};

use super::Client;
use crate::sandbox::{Options, Sample};

const EXPERIMENTS: &str = "/api/2.0/mlflow/experiments";
const MODELS: &str = "/api/2.0/mlflow/registered-models";

async fn create(client: &Client, name: &str) -> (u16, Value) {
    let body = json!({"name": name, "tags": [{"key": "team", "value": "data"}]});
    client
        .send("POST", &format!("{EXPERIMENTS}/create"), body)
        .await
}

#[tokio::test]
async fn an_experiment_is_a_node_of_the_tree_and_moves_and_goes_with_it() {
    let client = Client::empty().await;
    let made = create(&client, "/Shared/x").await.1;
    let id = made["experiment_id"].as_str().unwrap().to_owned();
    let list = "/api/2.0/workspace/list?path=/Shared";
    let node = client.get(list).await.1["objects"][0].clone();
    assert_eq!(node["object_type"], "MLFLOW_EXPERIMENT");
    assert_eq!(node["object_id"].to_string(), id);
    assert_eq!(
        create(&client, "/Shared/x").await.1["error_code"],
        "RESOURCE_ALREADY_EXISTS"
    );
    assert_eq!(create(&client, "/Nowhere/x").await.0, 404);
    assert_eq!(
        create(&client, "x").await.1["error_code"],
        "INVALID_PARAMETER_VALUE"
    );

    let renamed = json!({"experiment_id": id, "new_name": "/Shared/y"});
    client
        .ok("POST", &format!("{EXPERIMENTS}/update"), renamed)
        .await;
    let get = format!("{EXPERIMENTS}/get?experiment_id={id}");
    assert_eq!(client.get(&get).await.1["experiment"]["name"], "/Shared/y");
    let delete = json!({"experiment_id": id});
    client
        .ok("POST", &format!("{EXPERIMENTS}/delete"), delete)
        .await;
    assert_eq!(client.get(list).await.1, json!({}));
    assert_eq!(
        client.get(&format!("{EXPERIMENTS}/list")).await.1,
        json!({})
    );
    let gone = client
        .get(&format!("{EXPERIMENTS}/list?view_type=ALL"))
        .await
        .1;
    assert_eq!(gone["experiments"][0]["lifecycle_stage"], "deleted");
}

#[tokio::test]
async fn no_call_makes_the_experiment_of_a_notebook_and_its_permissions_are_the_notebooks() {
    let client = Client::start(Options {
        sample: Sample::Small,
        ..Options::default()
    })
    .await;
    let named = "experiment_name=%2FUsers%2Fana@example.com%2Fprojects%2Fpricing%2Felasticity";
    let found = client
        .get(&format!("{EXPERIMENTS}/get-by-name?{named}"))
        .await
        .1;
    let id = found["experiment"]["experiment_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let of = async |kind: &str| {
        let path = format!("/api/2.0/permissions/{kind}/{id}");
        client.get(&path).await.1["access_control_list"].clone()
    };
    assert_eq!(of("experiments").await, of("notebooks").await);
    let made = create(&client, "/Shared/etl/02 clean").await;
    assert_eq!(
        (made.0, &made.1["error_code"]),
        (400, &json!("INVALID_PARAMETER_VALUE"))
    );
}

#[tokio::test]
async fn lists_come_in_pages_and_tags_can_be_set() {
    let client = Client::empty().await;
    for number in 0..5 {
        assert_eq!(create(&client, &format!("/Shared/{number}")).await.0, 200);
    }
    let mut names = Vec::new();
    let mut token = String::new();
    loop {
        let page = client
            .get(&format!(
                "{EXPERIMENTS}/list?max_results=2&page_token={token}"
            ))
            .await
            .1;
        let items = page["experiments"].as_array().cloned().unwrap_or_default();
        assert!(items.len() <= 2);
        names.extend(items);
        match page["next_page_token"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(names.len(), 5);
    let id = &names[0]["experiment_id"];
    let set = format!("{EXPERIMENTS}/set-experiment-tag");
    client
        .ok(
            "POST",
            &set,
            json!({"experiment_id": id, "key": "team", "value": "ops"}),
        )
        .await;
    let get = format!("{EXPERIMENTS}/get?experiment_id={}", id.as_str().unwrap());
    let tags = client.get(&get).await.1["experiment"]["tags"].clone();
    let tags = tags.as_array().unwrap();
    assert!(
        tags.contains(&json!({"key": "team", "value": "ops"})),
        "{tags:?}"
    );
    let owned = json!({"experiment_id": id, "key": "mlflow.ownerEmail", "value": "x"});
    assert_eq!(client.send("POST", &set, owned).await.0, 400);
}

#[tokio::test]
async fn a_model_has_an_id_only_permissions_know_and_versions_with_numbers_of_their_own() {
    let client = Client::empty().await;
    let model = json!({"name": "Ana's", "tags": [{"key": "a", "value": "1"}]});
    client
        .ok("POST", &format!("{MODELS}/create"), model.clone())
        .await;
    let again = client
        .send("POST", &format!("{MODELS}/create"), model)
        .await;
    assert_eq!(again.1["error_code"], "RESOURCE_ALREADY_EXISTS");
    let listed = client.get(&format!("{MODELS}/list")).await.1["registered_models"][0].clone();
    assert_eq!(listed.get("id"), None);
    let whole = client
        .get("/api/2.0/mlflow/databricks/registered-models/get?name=Ana%27s")
        .await
        .1;
    let id = whole["registered_model_databricks"]["id"].as_str().unwrap();
    let permissions = client
        .get(&format!("/api/2.0/permissions/registered-models/{id}"))
        .await;
    assert_eq!(
        (permissions.0, &permissions.1["object_type"]),
        (200, &json!("registered-model"))
    );
    assert_eq!(
        client
            .get("/api/2.0/permissions/registered-models/x")
            .await
            .0,
        404
    );

    let versions = "/api/2.0/mlflow/model-versions";
    for source in ["s3://a", "s3://b"] {
        let body = json!({"name": "Ana's", "source": source});
        client.ok("POST", &format!("{versions}/create"), body).await;
    }
    let search = format!("{versions}/search?filter=name%3D%22Ana%27s%22");
    let numbers = async || {
        let found = client.get(&search).await.1;
        let found = found["model_versions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        found
            .iter()
            .map(|one| one["version"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers().await, ["2", "1"]);
    assert_eq!(client.get(&format!("{versions}/search")).await.0, 400);
    let delete = format!("{versions}/delete?name=Ana%27s&version=2");
    client.ok("DELETE", &delete, Value::Null).await;
    // A number is given once.
    let body = json!({"name": "Ana's", "source": "s3://c"});
    let made = client.ok("POST", &format!("{versions}/create"), body).await;
    assert_eq!(made["model_version"]["version"], "3");
    let stage = json!({"name": "Ana's", "version": "3", "stage": "Production"});
    let transition = "/api/2.0/mlflow/databricks/model-versions/transition-stage";
    client.ok("POST", transition, stage).await;
    let delete = format!("{MODELS}/delete?name=Ana%27s");
    assert_eq!(
        client.send("DELETE", &delete, Value::Null).await.1["error_code"],
        "INVALID_STATE"
    );
}

#[tokio::test]
async fn files_of_a_run_are_out_of_reach_of_the_dbfs_and_behind_addresses_for_one_method_each() {
    let client = Client::empty().await;
    let made = create(&client, "/Shared/x").await.1;
    let body = json!({"experiment_id": made["experiment_id"]});
    let run = client.ok("POST", "/api/2.0/mlflow/runs/create", body).await;
    let run = run["run"]["info"].clone();
    let id = run["run_id"].as_str().unwrap();
    let workspace = &client.running.workspace;
    workspace
        .put_artifact(id, "model/a b.txt", b"abcdef")
        .unwrap();
    let place = run["artifact_uri"].as_str().unwrap();
    let (status, answer) = client
        .get(&format!("/api/2.0/dbfs/list?path={place}"))
        .await;
    assert_eq!(
        (status, &answer["error_code"]),
        (403, &json!("PERMISSION_DENIED"))
    );
    let list = |path: &str| format!("/api/2.0/mlflow/artifacts/list?run_id={id}&path={path}");
    let folder = json!({"files": [{"path": "model", "is_dir": true}]});
    assert_eq!(client.get(&list("")).await.1, folder);
    let file = json!({"files": [{"path": "model/a b.txt", "is_dir": false, "file_size": 6}]});
    assert_eq!(client.get(&list("model")).await.1, file);
    assert_eq!(client.get(&list("model/a%20b.txt")).await.1, file);
    assert_eq!(client.get(&list("..")).await.0, 400);

    let body = json!({"run_id": id, "path": ["model/a b.txt"]});
    let what = "/api/2.0/mlflow/artifacts/credentials-for-read";
    let info = client.ok("POST", what, body).await["credential_infos"][0].clone();
    let address = info["signed_uri"].as_str().unwrap();
    let http = reqwest::Client::new();
    let ask = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(ask(http.get(address)).await, (200, "abcdef".to_owned()));
    let part = http.get(address).header("range", "bytes=2-3");
    assert_eq!(ask(part).await, (206, "cd".to_owned()));
    let beyond = http.get(address).header("range", "bytes=6-9");
    assert_eq!(ask(beyond).await.0, 416);
    assert_eq!(
        ask(http.get(address).header("if-match", "\"other\""))
            .await
            .0,
        412
    );
    assert_eq!(ask(http.get(address).bearer_auth("token")).await.0, 400);
    assert_eq!(ask(http.put(address).body("x")).await.0, 403);
    assert_eq!(ask(http.get(address.replace("a%20b", "c"))).await.0, 403);
}

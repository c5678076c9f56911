//! The samples, and loading a directory.

use serde_json::{Value, json};

use super::Client;
use crate::sandbox::*;

async fn sample(sample: Sample) -> Client {
    Client::start(Options {
        sample,
        ..Options::default()
    })
    .await
}

/// Everything under a path, as listed.
fn walk(client: &Client, path: &str) -> Vec<Value> {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("path", path)
        .finish();
    let (_, body) = client.running.workspace.call(
        "GET",
        &format!("/api/2.0/workspace/list?{query}"),
        Value::Null,
    );
    let mut all = Vec::new();
    for object in body["objects"].as_array().into_iter().flatten() {
        all.push(object.clone());
        if ["DIRECTORY", "REPO"].contains(&object["object_type"].as_str().unwrap()) {
            all.extend(walk(client, object["path"].as_str().unwrap()));
        }
    }
    all
}

#[tokio::test]
async fn the_small_sample_has_one_of_everything() {
    let client = sample(Sample::Small).await;
    let count = |path: &str, key: &str| {
        let (status, body) = client.running.workspace.call("GET", path, Value::Null);
        assert_eq!(status, 200, "{path}");
        body[key].as_array().map_or(0, Vec::len)
    };
    // Twelve with the administrator, less the one who left.
    assert_eq!(count("/api/2.0/preview/scim/v2/Users", "Resources"), 11);
    assert_eq!(count("/api/2.0/preview/scim/v2/Groups", "Resources"), 10);
    assert_eq!(
        count("/api/2.0/preview/scim/v2/ServicePrincipals", "Resources"),
        1
    );
    assert_eq!(count("/api/2.0/instance-pools/list", "instance_pools"), 2);
    assert_eq!(count("/api/2.0/policies/clusters/list", "policies"), 4);
    assert_eq!(
        count(
            "/api/2.1/clusters/list?filter_by.cluster_sources=UI,API",
            "clusters"
        ),
        4
    );
    assert_eq!(
        count(
            "/api/2.1/clusters/list?filter_by.is_pinned=true",
            "clusters"
        ),
        1
    );
    assert_eq!(count("/api/2.0/global-init-scripts", "scripts"), 2);
    assert_eq!(count("/api/2.2/jobs/list?limit=100", "jobs"), 13);
    assert_eq!(count("/api/2.0/secrets/scopes/list", "scopes"), 5);
    let tree = walk(&client, "/");
    let of = |kind: &str| {
        tree.iter()
            .filter(|object| object["object_type"] == kind)
            .count()
    };
    assert!(
        of("NOTEBOOK") >= 45 && of("FILE") >= 14,
        "{} {}",
        of("NOTEBOOK"),
        of("FILE")
    );
    assert_eq!((of("REPO"), of("DASHBOARD"), of("LIBRARY")), (1, 1, 1));
    assert_eq!(client.running.workspace.requests().total, 0);
}

#[tokio::test]
async fn a_sample_is_the_same_every_time() {
    let (one, two) = (sample(Sample::Small).await, sample(Sample::Small).await);
    assert_eq!(walk(&one, "/"), walk(&two, "/"));
    let jobs = |client: &Client| {
        client.running.workspace.call(
            "GET",
            "/api/2.2/jobs/list?limit=100&expand_tasks=true",
            Value::Null,
        )
    };
    assert_eq!(jobs(&one), jobs(&two));
}

#[tokio::test]
async fn the_large_sample_is_as_large_as_it_says() {
    let client = sample(Sample::Large).await;
    let size = client.running.workspace.tree_size();
    assert!((21_500..24_000).contains(&size), "{size}");
    let users = client.get("/api/2.0/preview/scim/v2/Users?count=1").await.1;
    assert_eq!(users["totalResults"], 201);
    let folder = walk(&client, "/Users/user007@example.com");
    let notebook = folder
        .iter()
        .find(|object| object["object_type"] == "NOTEBOOK")
        .unwrap();
    let path = notebook["path"].as_str().unwrap();
    assert_eq!(
        client.export(path, "SOURCE").await,
        client.export(path, "SOURCE").await
    );
}

#[tokio::test]
async fn a_directory_is_loaded_as_notebooks_and_files() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("real");
    let write = |name: &str, text: &str| {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("a.py", "# Databricks notebook source\n1");
    write("b.py", "print(1)");
    write("sub/c.ipynb", "{\"cells\": []}");
    // Two notebooks of one name, and a notebook beside a folder of its name.
    write("d.py", "# Databricks notebook source\n1");
    write("d.sql", "-- Databricks notebook source\n1");
    write("sub.py", "# Databricks notebook source\n1");
    std::fs::create_dir_all(root.join("empty")).unwrap();
    let client = Client::start(Options {
        load: Some(root),
        ..Options::default()
    })
    .await;
    let found: Vec<(String, String)> = walk(&client, "/Shared/real")
        .iter()
        .map(|object| {
            let text = |field: &str| object[field].as_str().unwrap().to_string();
            (
                text("path").replace("/Shared/real/", ""),
                text("object_type"),
            )
        })
        .collect();
    let expected = json!([
        ["a", "NOTEBOOK"],
        ["b.py", "FILE"],
        ["d", "NOTEBOOK"],
        ["d.sql", "NOTEBOOK"],
        ["empty", "DIRECTORY"],
        ["sub", "DIRECTORY"],
        ["sub/c", "NOTEBOOK"],
        ["sub.py", "NOTEBOOK"],
    ]);
    assert_eq!(json!(found), expected);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_an_error_that_names_it() {
    let options = Options {
        load: Some("/no/such/directory".into()),
        ..Options::default()
    };
    let error = Sandbox::start(options).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "listing the directory /no/such/directory"
    );
}

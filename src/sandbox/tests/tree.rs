//! The workspace tree: listing, importing, exporting.

use serde_json::{Value, json};

use super::{Client, base64};

const SOURCE: &[u8] =
    b"# Databricks notebook source\r\nprint('h\xc3\xa9')\n\n# COMMAND ----------\n\n1";
pub(super) const JUPYTER: &str = "{\"cells\": [{\"cell_type\": \"code\", \"metadata\": {}, \"outputs\": [],\n \"source\": [\"1\"]}], \
    \"metadata\": {\"language_info\": {\"name\": \"python\"}}, \"nbformat\": 4, \"nbformat_minor\": 0}";

async fn list(client: &Client, path: &str) -> Vec<Value> {
    let request = client
        .request("GET", "/api/2.0/workspace/list")
        .query(&[("path", path)]);
    let (status, body) = super::receive(request).await;
    assert_eq!(status, 200, "{body}");
    body["objects"].as_array().cloned().unwrap_or_default()
}

async fn status(client: &Client, path: &str) -> Value {
    super::receive(
        client
            .request("GET", "/api/2.0/workspace/get-status")
            .query(&[("path", path)]),
    )
    .await
    .1
}

#[tokio::test]
async fn an_empty_folder_lists_as_an_empty_object() {
    let client = Client::empty().await;
    assert_eq!(
        client.get("/api/2.0/workspace/list?path=/Shared").await,
        (200, json!({}))
    );
    assert_eq!(
        client.get("/api/2.0/workspace/list?path=/nowhere").await.0,
        404
    );
}

#[tokio::test]
async fn a_notebook_comes_back_byte_for_byte_in_its_own_format() {
    let client = Client::empty().await;
    assert_eq!(client.import("/Shared/n", "SOURCE", SOURCE).await.0, 200);
    assert_eq!(client.export("/Shared/n", "SOURCE").await, SOURCE);
    assert_eq!(client.export("/Shared/n", "AUTO").await, SOURCE);
    assert_eq!(
        client
            .import("/Shared/j", "JUPYTER", JUPYTER.as_bytes())
            .await
            .0,
        200
    );
    assert_eq!(
        client.export("/Shared/j", "JUPYTER").await,
        JUPYTER.as_bytes()
    );
    assert_eq!(client.export("/Shared/j", "AUTO").await, JUPYTER.as_bytes());
    let as_source = client.export("/Shared/j", "SOURCE").await;
    assert!(as_source.starts_with(b"# Databricks notebook source\n1"));
    let shown = client
        .get("/api/2.0/workspace/get-status?path=/Shared/j&return_export_info=true")
        .await
        .1;
    assert_eq!(shown["repos_export_format"], "JUPYTER");
    let (_, answer) = client
        .get("/api/2.0/workspace/export?path=/Shared/n&format=SOURCE")
        .await;
    assert_eq!(
        answer,
        json!({"content": base64(SOURCE), "file_type": "py"})
    );
}

#[tokio::test]
async fn overwriting_keeps_the_id_and_moves_the_time() {
    let client = Client::empty().await;
    client.import("/Shared/n", "SOURCE", b"1").await;
    let before = status(&client, "/Shared/n").await;
    let (code, body) = client.import("/Shared/n", "SOURCE", b"2").await;
    assert_eq!(
        (code, &body["error_code"]),
        (400, &json!("RESOURCE_ALREADY_EXISTS"))
    );
    let overwrite = json!({"path": "/Workspace/Shared/n", "format": "SOURCE", "language": "PYTHON",
        "content": base64(b"2"), "overwrite": true});
    client
        .ok("POST", "/api/2.0/workspace/import", overwrite)
        .await;
    let after = status(&client, "/Shared/n").await;
    assert_eq!(before["object_id"], after["object_id"]);
    assert_eq!(before["created_at"], after["created_at"]);
    assert!(after["modified_at"].as_i64() > before["modified_at"].as_i64());
    assert!(after["object_id"].as_i64().unwrap() > 1 << 53);
}

#[tokio::test]
async fn an_import_is_refused_where_the_service_refuses_it() {
    let client = Client::empty().await;
    client.import("/Shared/f", "RAW", b"x").await;
    let (status, body) = client.import("/Shared/missing/n", "SOURCE", b"1").await;
    assert_eq!(
        (status, &body["error_code"]),
        (404, &json!("RESOURCE_DOES_NOT_EXIST"))
    );
    let other_type = json!({"path": "/Shared/f", "format": "SOURCE", "language": "PYTHON", "content": "MQ==",
        "overwrite": true});
    assert_eq!(
        client
            .send("POST", "/api/2.0/workspace/import", other_type)
            .await
            .0,
        400
    );
    let no_language = json!({"path": "/Shared/n", "format": "SOURCE", "content": "MQ=="});
    assert_eq!(
        client
            .send("POST", "/api/2.0/workspace/import", no_language)
            .await
            .0,
        400
    );
    // As a form, because ten megabytes of base64 are slow without optimisation.
    let part =
        |name: &str| format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
    let head = part("path") + "/Shared/big\r\n" + &part("content");
    let form = [
        head.as_bytes(),
        &vec![b'x'; (10 << 20) + 1],
        b"\r\n--XX--\r\n",
    ]
    .concat();
    let request = client.request("POST", "/api/2.0/workspace/import");
    let request = request
        .header("content-type", "multipart/form-data; boundary=XX")
        .body(form);
    let (status, body) = super::receive(request).await;
    assert_eq!(
        (status, &body["error_code"]),
        (400, &json!("MAX_NOTEBOOK_SIZE_EXCEEDED"))
    );
}

#[tokio::test]
async fn auto_makes_notebooks_and_raw_never_does() {
    let client = Client::empty().await;
    client.import("/Shared/a.py", "AUTO", SOURCE).await;
    client.import("/Shared/b.py", "RAW", SOURCE).await;
    client.import("/Shared/c.py", "AUTO", b"print(1)\n").await;
    client
        .import("/Shared/d.ipynb", "AUTO", JUPYTER.as_bytes())
        .await;
    let kinds: Vec<(String, String)> = list(&client, "/Shared")
        .await
        .iter()
        .map(|object| {
            let text = |field: &str| object[field].as_str().unwrap().to_string();
            (text("path"), text("object_type"))
        })
        .collect();
    let expected = [
        ("/Shared/a", "NOTEBOOK"),
        ("/Shared/b.py", "FILE"),
        ("/Shared/c.py", "FILE"),
        ("/Shared/d", "NOTEBOOK"),
    ];
    assert_eq!(
        kinds,
        expected.map(|(path, kind)| (path.to_string(), kind.to_string()))
    );
    assert_eq!(client.export("/Shared/b.py", "AUTO").await, SOURCE);
    assert_eq!(status(&client, "/Shared/b.py").await["size"], SOURCE.len());
}

#[tokio::test]
async fn a_form_and_a_raw_body_import_too() {
    let client = Client::empty().await;
    let boundary = "XX";
    let part = |name: &str, value: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    };
    let form = part("path", "/Shared/form.txt")
        + &part("format", "AUTO")
        + &part("content", "a\r\nb")
        + "--XX--\r\n";
    let request = client.request("POST", "/api/2.0/workspace/import");
    let request = request
        .header("content-type", "multipart/form-data; boundary=XX")
        .body(form);
    assert_eq!(super::receive(request).await.0, 200);
    assert_eq!(client.export("/Shared/form.txt", "AUTO").await, b"a\r\nb");

    let upload = |path: &str| {
        let path = format!("/api/2.0/workspace-files/import-file/{path}");
        super::receive(client.request("POST", &path).body(vec![7u8; 11 << 20]))
    };
    assert_eq!(upload("Shared/large%20%25.bin").await.0, 200);
    assert_eq!(upload("Shared/large%20%25.bin").await.0, 409);
    assert_eq!(upload("Shared/no/large.bin").await.0, 404);
    // Over the limit of an answer in JSON, within that of a raw read.
    let (status, body) = client
        .get("/api/2.0/workspace/export?path=/Shared/large%20%25.bin&format=AUTO")
        .await;
    assert_eq!(
        (status, &body["error_code"]),
        (400, &json!("MAX_NOTEBOOK_SIZE_EXCEEDED"))
    );
    assert_eq!(
        client.export("/Shared/large %.bin", "AUTO").await.len(),
        11 << 20
    );
    let raw = client
        .request("GET", "/api/2.0/workspace-files/Shared/large%20%25.bin")
        .send()
        .await
        .unwrap();
    assert_eq!(raw.bytes().await.unwrap().len(), 11 << 20);
}

#[tokio::test]
async fn odd_names_are_just_names() {
    let client = Client::empty().await;
    let names = [
        "ünïcödé 漢字",
        "a b",
        "100%",
        "a+b",
        "x#y",
        "q?r",
        "Case",
        "case",
        "emoji 🚀",
    ];
    for name in names {
        let (status, body) = client
            .import(&format!("/Shared/{name}"), "SOURCE", name.as_bytes())
            .await;
        assert_eq!(status, 200, "{name}: {body}");
    }
    assert_eq!(list(&client, "/Shared").await.len(), names.len());
    for name in names {
        assert_eq!(
            client.export(&format!("/Shared/{name}"), "SOURCE").await,
            name.as_bytes()
        );
    }
}

#[tokio::test]
async fn folders_are_made_with_their_parents_and_never_over_a_file() {
    let client = Client::empty().await;
    let mkdirs =
        |path: &str| client.send("POST", "/api/2.0/workspace/mkdirs", json!({"path": path}));
    assert_eq!(mkdirs("/Workspace/Shared/a/b").await.0, 200);
    assert_eq!(mkdirs("/Shared/a/b").await.0, 200);
    client.import("/Shared/a/n", "SOURCE", b"1").await;
    for path in ["/Shared/a/n", "/Shared/a/n/below"] {
        let (status, body) = mkdirs(path).await;
        assert_eq!(
            (status, &body["error_code"]),
            (400, &json!("RESOURCE_ALREADY_EXISTS"))
        );
    }
    let delete = |recursive: bool| {
        client.send(
            "POST",
            "/api/2.0/workspace/delete",
            json!({"path": "/Shared/a", "recursive": recursive}),
        )
    };
    let (status, body) = delete(false).await;
    assert_eq!(
        (status, &body["error_code"]),
        (400, &json!("DIRECTORY_NOT_EMPTY"))
    );
    assert_eq!(delete(true).await.0, 200);
    assert!(list(&client, "/Shared").await.is_empty());
}

#[tokio::test]
async fn git_folders_look_different_inside_and_outside_of_repos() {
    let client = Client::empty().await;
    let create = |path: &str| {
        let body = json!({"url": "https://github.com/example/project", "provider": "gitHub", "path": path});
        client.send("POST", "/api/2.0/repos", body)
    };
    client.running.workspace.make_directory("/Repos/team");
    assert_eq!(create("/Repos/missing/p").await.0, 404);
    let (_, inside) = create("/Repos/team/p").await;
    let (_, outside) = create("/Workspace/Shared/p").await;
    assert_eq!(list(&client, "/Repos/team").await[0]["object_type"], "REPO");
    assert_eq!(
        list(&client, "/Shared").await[0]["directory_info"]["is_git_folder"],
        true
    );
    assert_eq!(repos(&client, "/").await, [inside["id"].clone()]);
    assert_eq!(
        repos(&client, "/Workspace/Shared").await,
        [outside["id"].clone()]
    );
    client
        .running
        .workspace
        .put_notebook("/Shared/p/n", "PYTHON", "1");
    let shown = client
        .get("/api/2.0/workspace/get-status?path=/Shared/p/n&return_git_info=true")
        .await
        .1;
    assert_eq!(
        (&shown["git_info"]["id"], &shown["git_info"]["branch"]),
        (&outside["id"], &json!("main"))
    );
}

#[tokio::test]
async fn repos_come_in_pages() {
    let client = Client::empty().await;
    for number in 0..21 {
        let body = json!({"url": "https://x.org/r", "provider": "gitHub", "path": format!("/Repos/r{number}")});
        client.ok("POST", "/api/2.0/repos", body).await;
    }
    let first = client.get("/api/2.0/repos").await.1;
    let token = first["next_page_token"].as_str().unwrap();
    let second = client
        .get(&format!("/api/2.0/repos?next_page_token={token}"))
        .await
        .1;
    assert_eq!(
        first["repos"].as_array().unwrap().len() + second["repos"].as_array().unwrap().len(),
        21
    );
    assert!(second.get("next_page_token").is_none());
}

#[tokio::test]
async fn moving_behind_the_api_keeps_the_id() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    let id = workspace.put_notebook("/Shared/a/n", "PYTHON", "1");
    assert!(!workspace.relocate("/Shared/a", "/Shared/a/b"));
    assert!(workspace.relocate("/Shared/a", "/Shared/b"));
    assert_eq!(
        status(&client, "/Shared/b/n").await["object_id"].as_i64(),
        id
    );
}

/// The ids of the git folders below a prefix.
async fn repos(client: &Client, prefix: &str) -> Vec<Value> {
    let listed = client
        .get(&format!("/api/2.0/repos?path_prefix={prefix}"))
        .await
        .1;
    listed["repos"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|repo| repo["id"].clone())
        .collect()
}

#[tokio::test]
async fn a_notebook_as_dbc_is_an_archive_of_its_commands() {
    let client = Client::empty().await;
    let source = "# Databricks notebook source\nprint(1)\n\n# COMMAND ----------\n\n# DBTITLE 1,Two\n# MAGIC %sql\n\
        # MAGIC select 2\n";
    client
        .import("/Shared/n", "SOURCE", source.as_bytes())
        .await;
    let archive = client.export("/Shared/n", "DBC").await;
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    assert_eq!(archive.len(), 1);
    let notebook: Value = serde_json::from_reader(archive.by_name("n.python").unwrap()).unwrap();
    assert_eq!(
        (&notebook["version"], &notebook["language"]),
        (&json!("NotebookV1"), &json!("python"))
    );
    let of = |at: usize, field: &str| notebook["commands"][at][field].clone();
    assert_eq!(
        (of(0, "command"), of(0, "showCommandTitle")),
        (json!("print(1)"), json!(false))
    );
    assert_eq!(
        (of(1, "command"), of(1, "commandTitle")),
        (json!("%sql\nselect 2"), json!("Two"))
    );
    assert_eq!(
        (of(0, "position"), of(1, "position")),
        (json!(1.0), json!(2.0))
    );
    let (status, _) = client
        .get("/api/2.0/workspace/export?path=/Shared&format=DBC")
        .await;
    assert_eq!(status, 400);
}

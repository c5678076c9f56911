//! The DBFS.

use serde_json::json;

use super::{Client, base64};

#[tokio::test]
async fn a_file_is_what_was_written_block_by_block_and_is_read_by_ranges() {
    let client = Client::empty().await;
    let path = json!({"path": "/a/b.bin"});
    let made = client
        .send("POST", "/api/2.0/dbfs/create", path.clone())
        .await
        .1;
    for block in ["abc", "def"] {
        let body = json!({"handle": made["handle"], "data": base64(block.as_bytes())});
        client.ok("POST", "/api/2.0/dbfs/add-block", body).await;
    }
    let close = json!({"handle": made["handle"]});
    client
        .ok("POST", "/api/2.0/dbfs/close", close.clone())
        .await;
    assert_eq!(
        client.send("POST", "/api/2.0/dbfs/close", close).await.0,
        404
    );
    let read = client
        .get("/api/2.0/dbfs/read?path=/a/b.bin&offset=2&length=3")
        .await
        .1;
    assert_eq!(read, json!({"bytes_read": 3, "data": base64(b"cde")}));
    let end = client
        .get("/api/2.0/dbfs/read?path=/a/b.bin&offset=9")
        .await
        .1;
    assert_eq!(end["bytes_read"], 0);
    let list = client.get("/api/2.0/dbfs/list?path=/a").await.1;
    assert_eq!(list["files"][0]["file_size"], 6);
    let again = client.send("POST", "/api/2.0/dbfs/create", path).await;
    assert_eq!(again.1["error_code"], "RESOURCE_ALREADY_EXISTS");
}

#[tokio::test]
async fn a_list_shows_one_level_and_a_folder_with_something_in_it_is_deleted_only_as_a_whole() {
    let client = Client::empty().await;
    for path in ["/x/1", "/x/y/2", "/x-other/3"] {
        let body = json!({"path": path, "contents": ""});
        client.ok("POST", "/api/2.0/dbfs/put", body).await;
    }
    let list = client.get("/api/2.0/dbfs/list?path=/x").await.1;
    let paths: Vec<_> = list["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["path"])
        .collect();
    assert_eq!(paths, ["/x/1", "/x/y"]);
    let delete = "/api/2.0/dbfs/delete";
    let kept = client.send("POST", delete, json!({"path": "/x"})).await;
    assert_eq!(kept.1["error_code"], "IO_ERROR");
    client
        .ok("POST", delete, json!({"path": "/x", "recursive": true}))
        .await;
    assert_eq!(
        client.get("/api/2.0/dbfs/get-status?path=/x/y/2").await.0,
        404
    );
    assert_eq!(
        client
            .get("/api/2.0/dbfs/get-status?path=/x-other/3")
            .await
            .0,
        200
    );
}

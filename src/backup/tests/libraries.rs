//! Libraries of the workspace tree: known by what version 1.2 of the API says, and kept with the file that was uploaded.

use serde_json::{Value, json};

use super::*;
use crate::sandbox::{Effect, Rule};

const NAME: &str = "/Shared/pricing-1.0";
const FILE: &str = "47fb08a7-pricing_1_0-e5f8c.egg";

fn body(bench: &Bench, report: &BackupReport) -> Value {
    let entry = entry(&bench.store, report, "workspace-object", NAME).unwrap();
    let bytes = entry.body.unwrap().read(&bench.store).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

async fn libraries(bench: &Bench) -> BackupReport {
    let options = BackupOptions {
        selection: only(&["workspace-object"]),
        ..bench.options()
    };
    bench.try_backup(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_library_is_kept_with_its_file_and_read_once() {
    let bench = Bench::empty().await;
    let workspace = &bench.running.workspace;
    workspace
        .put_library(NAME, "python-egg", FILE, b"an egg")
        .unwrap();
    let first = libraries(&bench).await;
    assert!(first.snapshot.complete, "{:?}", gaps(&first));
    assert_eq!(
        body(&bench, &first),
        json!({"object_type": "LIBRARY", "library_type": "python-egg", "files": [FILE], "attach_all_clusters": false})
    );
    let kept = content(&bench.store, &first, "workspace-object", NAME);
    assert_eq!(kept, b"an egg");
    let second = libraries(&bench).await;
    assert_eq!(second.snapshot.root, first.snapshot.root);
    assert_eq!(bench.requests("dbfs/read"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_library_of_which_something_is_unknown_has_a_gap_that_says_what() {
    let bench = Bench::empty().await;
    let workspace = &bench.running.workspace;
    workspace
        .put_library(NAME, "python-egg", FILE, b"an egg")
        .unwrap();
    let path = format!("/FileStore/jars/{FILE}");
    let gone = json!({"path": path});
    workspace.call("POST", "/api/2.0/dbfs/delete", gone);
    let report = libraries(&bench).await;
    let found = gaps(&report);
    assert!(
        found[0].contains(FILE) && found[0].contains("not there"),
        "{found:?}"
    );
    assert_eq!(body(&bench, &report)["files"], json!([FILE]));
    // One of a workspace that has left version 1.2 behind.
    let refuse = Effect::Refuse {
        status: 404,
        code: "ENDPOINT_NOT_FOUND".to_owned(),
        message: "No API found".to_owned(),
    };
    workspace.inject(Rule::new("/api/1.2/libraries", refuse));
    let found = gaps(&libraries(&bench).await);
    assert!(
        found[0].contains("the API gives no content for objects of type LIBRARY"),
        "{found:?}"
    );
}

//! Files that are other ones by the time they are read.

use std::io::Read;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::*;
use crate::api::{Client, ClientOptions, Config, Rates, RetryPolicy};
use crate::export::{NothingKnown, Request};
use crate::manifest::Selection;
use crate::report::Silent;
use crate::sandbox::{Options, Running, Sandbox};

async fn workspace() -> (Running, Client, String) {
    let running = Sandbox::start(Options::default()).await.unwrap();
    let config = Config::with_token(&running.url, running.token.reveal()).unwrap();
    let mut options = ClientOptions::new(config);
    options.rates = Rates::off();
    options.retry = RetryPolicy::quick();
    let call = |path: &str, body| {
        let path = format!("/api/2.0/mlflow/{path}");
        running.workspace.call("POST", &path, body).1
    };
    let made: Value = call("experiments/create", json!({"name": "/Shared/x"}));
    let run = call(
        "runs/create",
        json!({"experiment_id": made["experiment_id"]}),
    );
    let id = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    (running, Client::new(options).unwrap(), id)
}

/// What is sent on of a file that is written anew after it was looked at: its content, or the gap.
async fn sent(before: &[u8], after: &[u8]) -> Result<Vec<u8>, String> {
    let (running, client, id) = workspace().await;
    let put = |bytes| running.workspace.put_artifact(&id, "a", bytes).unwrap();
    put(before);
    let selection = Selection::all();
    let request = Request {
        client: &client,
        selection: &selection,
        known: &NothingKnown,
        metastore: None,
        reporter: &Silent,
    };
    let (sender, mut items) = mpsc::channel(4);
    let run = Run::new(request, sender);
    let artifacts = Artifacts::new(&run).unwrap();
    let listed = File {
        key: ObjectKey::new(KindName::known(artifacts.kind.name), "a"),
        object_id: "a".to_owned(),
        size: before.len() as u64,
        modified_at: None,
        body: json!({}),
        place: Place::signed(&id, "a", None),
    };
    let found = artifacts.reader.remote.looked_at(&listed).await.unwrap();
    if before != after {
        put(after);
    }
    let reading = async {
        artifacts.reader.file(found).await;
        artifacts.finish().await;
    };
    let taking = async {
        match items.recv().await.unwrap() {
            Item::Object(object) => match object.content {
                Part::Read(bytes) => Ok(bytes.to_vec()),
                _ => Err(object.gap.unwrap().reason),
            },
            Item::Streamed { mut content, .. } => {
                let read = spawn_blocking(move || {
                    let mut bytes = Vec::new();
                    content.read_to_end(&mut bytes).map(|_| bytes)
                });
                read.await.unwrap().map_err(|error| error.to_string())
            }
            Item::Unlisted { gap, .. } => Err(gap.reason),
        }
    };
    futures_util::future::join(reading, taking).await.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_memory_that_was_written_meanwhile_is_read_anew_as_it_is_now() {
    let (before, after) = (vec![7; 3 << 20], vec![8; 3 << 20]);
    assert!(sent(&before, &before).await.unwrap() == before);
    assert!(sent(&before, &after).await.unwrap() == after);
    assert_eq!(sent(b"one", b"other").await.unwrap(), b"other");
    assert_eq!(sent(b"", b"other").await.unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_file_that_was_written_meanwhile_is_a_gap_and_never_a_mixture() {
    let (before, after) = (vec![7; 9 << 20], vec![8; 9 << 20]);
    assert!(sent(&before, &before).await.unwrap() == before);
    let gap = sent(&before, &after).await.unwrap_err();
    assert_eq!(gap, "it was being written while it was read");
}

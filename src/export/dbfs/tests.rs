//! Files that are other ones by the time they are read.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::*;
use crate::api::{Client, ClientOptions, Config, Rates, RetryPolicy};
use crate::export::files::{File, MOST_IN_MEMORY};
use crate::export::item::{Captured, Part};
use crate::export::{Item, NothingKnown, Request};
use crate::manifest::Selection;
use crate::manifest::{Extent, Gap};
use crate::report::Silent;
use crate::resource::dbfs_key;
use crate::sandbox::{Options, Running, Sandbox};

async fn workspace() -> (Running, Client) {
    let running = Sandbox::start(Options::default()).await.unwrap();
    let config = Config::with_token(&running.url, running.token.reveal()).unwrap();
    let mut options = ClientOptions::new(config);
    options.rates = Rates::off();
    options.retry = RetryPolicy::quick();
    (running, Client::new(options).unwrap())
}

fn put(running: &Running, path: &str, blocks: &[&[u8]]) {
    let post = |what: &str, body| running.workspace.call("POST", what, body).1;
    let made = post(
        "/api/2.0/dbfs/create",
        json!({"path": path, "overwrite": true}),
    );
    for block in blocks {
        let body = json!({"handle": made["handle"], "data": STANDARD.encode(block)});
        post("/api/2.0/dbfs/add-block", body);
    }
    post("/api/2.0/dbfs/close", json!({"handle": made["handle"]}));
}

/// What is sent on of a file that a listing showed with this length, at another time than it was last written.
async fn sent(running: &Running, client: &Client, path: &str, size: u64) -> Option<Item> {
    let selection = Selection::all();
    let request = Request {
        client,
        selection: &selection,
        known: &NothingKnown,
        metastore: None,
        reporter: &Silent,
    };
    let (sender, mut items) = mpsc::channel(4);
    let run = Run::new(request, sender);
    let reader = Reader::new(&run, Root { run: &run }, None);
    let file = File {
        key: dbfs_key(path),
        object_id: path.to_owned(),
        place: path.to_owned(),
        size,
        modified_at: Some(1),
        body: json!({}),
    };
    running.workspace.forget_requests();
    match size > MOST_IN_MEMORY {
        false => {
            reader.file(file).await;
            drop(reader);
            drop(run);
            items.recv().await
        }
        true => {
            let taken = async {
                match items.recv().await.unwrap() {
                    Item::Streamed {
                        object,
                        mut content,
                    } => {
                        // Somebody has to take the blocks, or no more are read.
                        let read = spawn_blocking(move || {
                            let mut bytes = Vec::new();
                            content.read_to_end(&mut bytes).map(|_| bytes.len())
                        });
                        let mut object = *object;
                        if let Err(error) = read.await.unwrap() {
                            object.add_gap(Gap::new(Extent::Content, error.to_string()));
                        }
                        Item::Object(Box::new(object))
                    }
                    item => item,
                }
            };
            Some(join(reader.stream(file), taken).await.1)
        }
    }
}

fn object_of(item: Option<Item>) -> Captured {
    match item {
        Some(Item::Object(object)) => *object,
        item => panic!("{item:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_memory_that_was_written_meanwhile_is_read_anew_as_it_is_now() {
    let (running, client) = workspace().await;
    put(&running, "/f", &[&[7; 1 << 20], &[8; 100]]);
    // As long as it was, and of another time.
    let object = object_of(sent(&running, &client, "/f", (1 << 20) + 100).await);
    assert!(object.gap.is_none(), "{object:?}");
    assert_ne!(object.modified_at, Some(1));
    assert_eq!(running.workspace.requests().to("dbfs/read"), 4);
    // Shorter by now, within one block.
    put(&running, "/f", &[b"short"]);
    let object = object_of(sent(&running, &client, "/f", 100).await);
    assert_eq!(
        (object.content, object.size),
        (Part::Read("short".into()), Some(5))
    );
    // Longer than it has memory for.
    put(&running, "/f", &[&[7; 1 << 20], &[8; 1 << 20]]);
    let object = object_of(sent(&running, &client, "/f", 100).await);
    assert!(object.gap.unwrap().reason.contains("being written"));
    assert_eq!(object.content, Part::Unread);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_file_that_was_written_meanwhile_ends_in_an_error_and_not_in_half_of_each() {
    let (running, client) = workspace().await;
    let block: &[u8] = &[7; 1 << 20];
    put(&running, "/f", &[block; 9]);
    let object = object_of(sent(&running, &client, "/f", 9 << 20).await);
    assert!(object.gap.unwrap().reason.contains("being written"));
    put(&running, "/f", &[block; 8]);
    let object = object_of(sent(&running, &client, "/f", 9 << 20).await);
    assert!(object.gap.unwrap().reason.contains("being written"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_by_the_time_it_is_read_is_not_sent_on() {
    let (running, client) = workspace().await;
    assert!(sent(&running, &client, "/gone", 100).await.is_none());
}

#[test]
fn content_that_was_not_sent_to_its_end_cannot_be_taken_for_whole() {
    let read = |blocks: Vec<crate::export::Block>| {
        let (sender, receiver) = mpsc::channel(8);
        for block in blocks {
            sender.try_send(block).unwrap();
        }
        drop(sender);
        let mut bytes = Vec::new();
        let read = crate::export::Blocks::new(receiver).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|error| error.to_string())
    };
    use crate::export::Block::{Bytes, End, Failed};
    assert_eq!(
        read(vec![Bytes("ab".into()), Bytes("c".into()), End]),
        Ok(b"abc".to_vec())
    );
    assert_eq!(read(vec![End]), Ok(Vec::new()));
    assert!(
        read(vec![Bytes("ab".into())])
            .unwrap_err()
            .contains("not read to its end")
    );
    assert_eq!(
        read(vec![Bytes("ab".into()), Failed("403".into())]),
        Err("403".to_owned())
    );
}

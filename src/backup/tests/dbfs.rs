//! Files of the DBFS root: those that are selected, read in blocks, and never what a mount leads to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::manifest::{DbfsFiles, Payload};
use crate::sandbox::{Effect, Rule};

fn below(paths: &[&str], max_file_size: Option<u64>) -> Selection {
    Selection {
        dbfs: Some(DbfsFiles {
            paths: paths.iter().map(ToString::to_string).collect(),
            max_file_size,
        }),
        ..only(&["dbfs-file"])
    }
}

impl Bench {
    async fn files(&self, selection: Selection) -> BackupReport {
        let options = BackupOptions {
            selection,
            ..self.options()
        };
        self.try_backup(options).await.unwrap()
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let dbfs = |what: &str, body: Value| {
            let path = format!("/api/2.0/dbfs/{what}");
            let (status, answer) = self.running.workspace.call("POST", &path, body);
            assert_eq!(status, 200, "{answer}");
            answer
        };
        let handle = dbfs("create", json!({"path": path, "overwrite": true}))["handle"].clone();
        for block in bytes.chunks(1 << 20) {
            let data = STANDARD.encode(block);
            dbfs("add-block", json!({"handle": handle, "data": data}));
        }
        dbfs("close", json!({"handle": handle}));
    }
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn names(store: &Store, report: &BackupReport) -> Vec<String> {
    let all = entries(store, report);
    all.into_iter().map(|entry| entry.key.name).collect()
}

fn bytes(store: &Store, report: &BackupReport, path: &str) -> Vec<u8> {
    content(store, report, "dbfs-file", &format!("dbfs:{path}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_files_of_the_root_are_kept_byte_for_byte_and_nothing_of_a_mount() {
    let bench = Bench::small().await;
    let report = bench.files(below(&[], None)).await;
    assert!(report.snapshot.complete);
    assert_eq!(
        names(&bench.store, &report),
        [
            "dbfs:/FileStore/jars/udf.jar",
            "dbfs:/FileStore/models/weights.bin",
            "dbfs:/FileStore/scripts/init.sh",
            "dbfs:/FileStore/tables/Umsätze 100%.csv",
            "dbfs:/FileStore/tables/empty.csv",
            "dbfs:/data/in/orders.json",
            // It is a mount, and nobody who knows that was asked.
            "dbfs:/lake/raw/part-1.parquet",
        ]
    );
    assert_eq!(
        bytes(&bench.store, &report, "/FileStore/tables/empty.csv"),
        b""
    );
    let weights = bytes(&bench.store, &report, "/FileStore/models/weights.bin");
    assert_eq!(weights.len(), 2_500_000);
    let path =
        "/api/2.0/dbfs/read?path=/FileStore/models/weights.bin&offset=2097152&length=1048576";
    let last = bench.running.workspace.call("GET", path, Value::Null).1;
    assert_eq!(STANDARD.encode(&weights[2 << 20..]), last["data"]);

    // Nothing is read twice, and nothing new is stored.
    let again = bench.files(below(&[], None)).await;
    assert_eq!(bench.requests("dbfs/read"), 0);
    assert_eq!(again.counts["dbfs-file"].unchanged, 7);
    assert_eq!(again.snapshot.root, report.snapshot.root);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_longer_than_memory_is_cut_by_its_content() {
    let bench = Bench::empty().await;
    let mut long = noise(12 << 20, 3);
    bench.put("/long.bin", &long);
    let first = bench.files(below(&[], None)).await;
    assert!(bytes(&bench.store, &first, "/long.bin") == long);
    let entry = entry(&bench.store, &first, "dbfs-file", "dbfs:/long.bin").unwrap();
    assert!(matches!(entry.content, Some(Payload::Chunked { .. })));

    // A byte in the middle makes one or two new chunks, not a new file.
    long.insert(6 << 20, 7);
    bench.put("/long.bin", &long);
    let second = bench.files(below(&[], None)).await;
    assert!(bytes(&bench.store, &second, "/long.bin") == long);
    assert!(second.written.raw_bytes < 9 << 20, "{:?}", second.written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_selected_files_are_read_and_of_longer_ones_only_that_they_are_there() {
    let bench = Bench::small().await;
    let report = bench
        .files(below(&["/FileStore/jars", "/FileStore/m*"], Some(1000)))
        .await;
    assert!(report.snapshot.complete);
    assert_eq!(
        names(&bench.store, &report),
        [
            "dbfs:/FileStore/jars/udf.jar",
            "dbfs:/FileStore/models/weights.bin"
        ]
    );
    let long = entry(
        &bench.store,
        &report,
        "dbfs-file",
        "dbfs:/FileStore/models/weights.bin",
    );
    let long = long.unwrap();
    assert_eq!((long.size, long.content), (Some(2_500_000), None));
    let body = long.body.unwrap().read(&bench.store).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(crate::resource::left_out(&body), Some(2_500_000));
    assert_eq!(bench.requests("dbfs/read"), 1);

    // A snapshot without any of them says nothing of them, and the next one knows them all the same.
    let without = bench.files(only(&["group"])).await;
    assert!(!without.counts.contains_key("dbfs-file"));
    assert_eq!(bench.requests("dbfs"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_without_a_root_gives_a_snapshot_with_one_line_about_it() {
    let bench = Bench::small().await;
    let refuse = Effect::Refuse {
        status: 403,
        code: "PERMISSION_DENIED".to_owned(),
        message: "Public DBFS root is disabled. Access is denied on path: /".to_owned(),
    };
    bench
        .running
        .workspace
        .inject(Rule::new("/api/2.0/dbfs", refuse));
    let selection = Selection {
        only: vec!["dbfs-file".to_owned(), "group".to_owned()],
        ..below(&["/FileStore", "/data"], None)
    };
    let report = bench.files(selection).await;
    assert!(!report.snapshot.complete);
    let gaps = gaps(&report);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(
        gaps[0].contains("the DBFS root of this workspace is disabled"),
        "{gaps:?}"
    );
    assert!(report.counts["group"].new > 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_a_folder_that_cannot_be_listed_any_more_is_carried_over() {
    let bench = Bench::small().await;
    bench.files(below(&[], None)).await;
    let refuse = Effect::Refuse {
        status: 403,
        code: "PERMISSION_DENIED".to_owned(),
        message: "no".to_owned(),
    };
    bench
        .running
        .workspace
        .inject(Rule::new("/api/2.0/dbfs/list", refuse).target("/FileStore/jars"));
    let report = bench.files(below(&[], None)).await;
    assert!(
        gaps(&report)[0].contains("dbfs:/FileStore/jars"),
        "{:?}",
        gaps(&report)
    );
    let counts = report.counts["dbfs-file"];
    assert_eq!(
        (counts.carried_over, counts.removed, counts.unchanged),
        (1, 0, 6)
    );
    assert!(bytes(&bench.store, &report, "/FileStore/jars/udf.jar").starts_with(b"PK"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_fails_is_a_gap_of_that_file_whether_it_is_short_or_streamed() {
    let bench = Bench::small().await;
    bench.put("/long.bin", &noise(9 << 20, 5));
    let refuse = |times| {
        let refuse = Effect::Refuse {
            status: 400,
            code: "IO_ERROR".to_owned(),
            message: "broken disk".to_owned(),
        };
        Rule::new("/api/2.0/dbfs/read", refuse).times(times)
    };
    for path in ["/long.bin", "/FileStore/jars/udf.jar"] {
        bench.running.workspace.inject(refuse(1).target(path));
    }
    let report = bench.files(below(&[], None)).await;
    let gaps = gaps(&report);
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(
        gaps.iter()
            .all(|gap| gap.contains("Content") && gap.contains("broken disk"))
    );
    assert_eq!(
        bytes(&bench.store, &report, "/data/in/orders.json").len(),
        20
    );

    // The next run reads what this one could not.
    let healed = bench.files(below(&[], None)).await;
    assert!(healed.snapshot.complete);
    assert_eq!(bytes(&bench.store, &healed, "/long.bin").len(), 9 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_with_nothing_in_it_is_kept_until_something_is() {
    let bench = Bench::empty().await;
    let mkdirs = |path: &str| {
        let body = json!({"path": path});
        let made = bench
            .running
            .workspace
            .call("POST", "/api/2.0/dbfs/mkdirs", body);
        assert_eq!(made.0, 200);
    };
    mkdirs("/in/new/empty");
    mkdirs("/out");
    bench.put("/in/a.csv", b"1");
    let report = bench.files(below(&["/in"], None)).await;
    assert!(report.snapshot.complete);
    assert_eq!(
        names(&bench.store, &report),
        ["dbfs:/in/a.csv", "dbfs:/in/new/empty"]
    );
    let again = bench.files(below(&["/in"], None)).await;
    assert_eq!(again.snapshot.root, report.snapshot.root);
    bench.put("/in/new/empty/b.csv", b"2");
    let report = bench.files(below(&[], None)).await;
    assert_eq!(
        names(&bench.store, &report),
        ["dbfs:/in/a.csv", "dbfs:/in/new/empty/b.csv", "dbfs:/out"]
    );
}

//! Mounts, as a cluster tells of them: without what opens them.

use serde_json::{Value, json};

use super::*;
use crate::manifest::DbfsFiles;
use crate::sql::{Place, Way};

const KEY: &str = "not/a-real-key";

/// A cluster of the sample, by its id.
fn cluster(bench: &Bench) -> Way {
    let states = bench.running.workspace.cluster_states();
    Way::Cluster(states.into_keys().next().unwrap())
}

async fn backup(bench: &Bench, way: Way) -> BackupReport {
    let heard: Arc<dyn Reporter> = bench.heard.clone();
    let place = Arc::new(Place::new(bench.client.clone(), way, heard));
    let options = BackupOptions {
        metastore: Some(Arc::clone(&place)),
        selection: Selection {
            mounts: true,
            dbfs: Some(DbfsFiles::default()),
            ..only(&["mount", "dbfs-file"])
        },
        ..bench.options()
    };
    let report = bench.try_backup(options).await.unwrap();
    place.close().await.unwrap();
    report
}

fn body(bench: &Bench, report: &BackupReport, name: &str) -> Value {
    let entry = entry(&bench.store, report, "mount", name).unwrap();
    let bytes = entry.body.unwrap().read(&bench.store).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mounts_are_kept_without_credentials_and_the_walk_over_the_dbfs_turns_back_at_them() {
    let bench = Bench::small().await;
    let report = backup(&bench, cluster(&bench)).await;
    assert!(report.snapshot.complete, "{:?}", gaps(&report));
    let all = entries(&bench.store, &report);
    let names = |kind: &str| -> Vec<String> {
        let of_kind = all.iter().filter(|entry| entry.key.kind.as_str() == kind);
        of_kind.map(|entry| entry.key.name.clone()).collect()
    };
    assert_eq!(
        names("mount"),
        ["dbfs:/lake", "dbfs:/mnt/lake", "dbfs:/mnt/old"]
    );
    assert_eq!(
        body(&bench, &report, "dbfs:/mnt/lake"),
        json!({"source": "s3a://example-lake/events", "encryption_type": "sse-s3"})
    );
    assert_eq!(
        body(&bench, &report, "dbfs:/mnt/old"),
        json!({"source": "s3a://(withheld)@example-old", "withheld": ["credentials in the source"]})
    );
    // One that is not below /mnt is known by now.
    let files = names("dbfs-file");
    assert_eq!(files.len(), 6);
    assert!(
        !files.iter().any(|name| name.contains("/lake/")),
        "{files:?}"
    );
    for entry in &all {
        for payload in entry.payloads() {
            let bytes = payload.read(&bench.store).unwrap();
            assert!(
                !String::from_utf8_lossy(&bytes).contains(KEY),
                "{}",
                entry.key
            );
        }
    }
    assert!(!bench.heard.any(KEY));

    let again = backup(&bench, cluster(&bench)).await;
    assert_eq!(again.snapshot.root, report.snapshot.root);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_only_a_warehouse_was_named_the_mounts_of_before_are_carried_over() {
    let bench = Bench::small().await;
    backup(&bench, cluster(&bench)).await;
    let report = backup(&bench, Way::Warehouse("Starter Warehouse".into())).await;
    let gaps = gaps(&report);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].contains("a warehouse knows no mounts"), "{gaps:?}");
    let counts = report.counts["mount"];
    assert_eq!((counts.carried_over, counts.removed), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_tells_of_mounts_the_walk_turns_back_at_those_of_an_earlier_snapshot_and_says_what_is_open()
 {
    let bench = Bench::small().await;
    let alone = |paths: &[&str]| BackupOptions {
        selection: Selection {
            dbfs: Some(DbfsFiles {
                paths: paths.iter().map(ToString::to_string).collect(),
                max_file_size: None,
            }),
            ..only(&["dbfs-file"])
        },
        ..bench.options()
    };
    let files = async |paths: &[&str]| {
        let report = bench.try_backup(alone(paths)).await.unwrap();
        let all = entries(&bench.store, &report).into_iter();
        let names: Vec<String> = all.map(|entry| entry.key.name).collect();
        names
    };
    const OF_OTHERS: &str = "dbfs:/lake/raw/part-1.parquet";
    assert!(files(&[]).await.contains(&OF_OTHERS.to_owned()));
    assert!(
        bench
            .heard
            .any("which folders of the DBFS are mounts is unknown")
    );

    backup(&bench, cluster(&bench)).await;
    for _ in 0..2 {
        assert!(!files(&[]).await.contains(&OF_OTHERS.to_owned()));
        assert!(
            bench
                .heard
                .any("taken from an earlier snapshot, which has 3")
        );
    }
    // One that is named is none that is walked into either.
    assert!(files(&["/lake/raw", "/data"]).await == ["dbfs:/data/in/orders.json"]);
    assert!(bench.heard.any("dbfs:/lake/raw is a mount"));
}

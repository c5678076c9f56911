//! Mounts come back where the cluster itself may use the storage, and are said to be made by hand elsewhere.

use serde_json::json;

use super::law::whole;
use super::*;
use crate::restore::{Action, Step};
use crate::sql::{self, Way};

/// The cluster of a workspace that tells of its mounts.
fn cluster(place: &Place) -> Arc<sql::Place> {
    let body = json!({"cluster_name": "mounts", "spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge",
        "num_workers": 0});
    let named = place
        .workspace()
        .call("GET", "/api/2.1/clusters/list", Value::Null)
        .1;
    if !named.to_string().contains("\"mounts\"") {
        let made = place
            .workspace()
            .call("POST", "/api/2.1/clusters/create", body);
        assert_eq!(made.0, 200, "{made:?}");
    }
    let way = Way::Cluster("mounts".to_owned());
    Arc::new(sql::Place::new(place.client.clone(), way, Arc::new(Silent)))
}

fn mounts() -> Selection {
    Selection {
        only: vec!["mount".to_owned()],
        mounts: true,
        ..Selection::default()
    }
}

async fn read(bench: &Bench, place: &Place, selection: &Selection) -> Source {
    let options = BackupOptions {
        metastore: Some(cluster(place)),
        ..bench.options(selection)
    };
    let reporter: Arc<dyn Reporter> = Arc::new(Silent);
    let captured = backup::capture(&place.client, &bench.store, options, &reporter);
    let (store, report) = captured.await.unwrap();
    assert!(report.snapshot.complete);
    Source {
        store,
        id: report.id,
        snapshot: report.snapshot,
    }
}

async fn restore(bench: &Bench, source: &Source) -> RestoreReport {
    let sql = cluster(&bench.to);
    let journal = bench.dir.path().join("mounts.jsonl");
    let options = Options {
        selection: mounts(),
        runs_statements: true,
        reads_mounts: true,
        ..whole()
    };
    let task = Task {
        metastore: Some(&*sql),
        ..bench.task(source, &options, &journal, false)
    };
    let capture =
        async |selection: &Selection| Ok::<_, BackupError>(read(bench, &bench.to, selection).await);
    run(task, capture, |_| true).await.unwrap()
}

fn step<'a>(report: &'a RestoreReport, point: &str) -> &'a Step {
    let mut steps = report.plan.steps.iter();
    steps
        .find(|step| step.kind == "mount" && step.name == point)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_mounted_by_the_cluster_and_what_needs_a_key_is_said_to_the_administrator() {
    let bench = Bench::new(Sample::Small).await;
    let source = read(&bench, &bench.from, &mounts()).await;
    let report = restore(&bench, &source).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(step(&report, "dbfs:/mnt/lake").action, Action::Create);
    let old = step(&report, "dbfs:/mnt/old");
    assert_eq!(old.action, Action::Skipped);
    assert!(
        old.reason.contains(
            r#"dbutils.fs.mount(source="s3a://(withheld)@example-old", mount_point="/mnt/old""#
        ),
        "{}",
        old.reason
    );
    assert!(report.plan.leaves_something());

    // It is there, and made only once.
    let again = restore(&bench, &source).await;
    let lake = step(&again, "dbfs:/mnt/lake");
    assert_eq!(lake.action, Action::Unchanged, "{}", lake.reason);
    assert_eq!(step(&again, "dbfs:/lake").action, Action::Skipped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mount_of_something_else_is_never_taken_away_and_without_a_cluster_it_is_said_what_to_do()
{
    let bench = Bench::new(Sample::Small).await;
    let source = read(&bench, &bench.from, &mounts()).await;
    let sql = cluster(&bench.to);
    sql.mount("/mnt/lake", "gs://elsewhere", "").await.unwrap();
    assert!(sql.mount("/mnt/lake", "gs://again", "").await.is_err());
    let report = restore(&bench, &source).await;
    let lake = step(&report, "dbfs:/mnt/lake");
    assert_eq!(lake.action, Action::Conflict);
    assert!(lake.reason.contains("unmounts it first"), "{}", lake.reason);

    let plan = bench.plan(&source, &whole()).await;
    let mut steps = plan.steps.iter();
    let lake = steps.find(|step| step.name == "dbfs:/mnt/lake").unwrap();
    assert_eq!(lake.action, Action::Skipped);
    assert!(lake.reason.contains("--cluster-name") && lake.reason.contains("dbutils.fs.mount("));
}

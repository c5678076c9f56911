//! Files of the DBFS come back, byte for byte, and nothing that is there is lost.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::law::whole;
use super::*;
use crate::restore::{Action, Step, undo};
use crate::sandbox::{Effect, Rule};

/// Restores only files of the DBFS.
fn files(options: Options) -> Options {
    Options {
        selection: Selection {
            only: vec!["dbfs-file".to_owned()],
            ..Selection::all()
        },
        ..options
    }
}

fn read(place: &Place, path: &str) -> Value {
    let path = format!("/api/2.0/dbfs/read?path={path}&length=1048576");
    place.workspace().call("GET", &path, Value::Null).1["data"].clone()
}

fn length(place: &Place, path: &str) -> Value {
    let path = format!("/api/2.0/dbfs/get-status?path={path}");
    place.workspace().call("GET", &path, Value::Null).1["file_size"].clone()
}

fn put(place: &Place, path: &str, text: &str) {
    let body = json!({"path": path, "contents": STANDARD.encode(text), "overwrite": true});
    let put = place.workspace().call("POST", "/api/2.0/dbfs/put", body);
    assert_eq!(put.0, 200, "{put:?}");
}

fn step<'a>(plan: &'a Plan, name: &str) -> &'a Step {
    let mut steps = plan.steps.iter();
    steps.find(|step| step.name == name).unwrap()
}

const INIT: &str = "/FileStore/scripts/init.sh";
const LONG: &str = "/FileStore/models/weights.bin";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_differs_is_left_alone_or_overwritten_and_an_undo_brings_it_back() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    put(&bench.to, INIT, "theirs");
    put(&bench.to, "/more.txt", "unknown to the snapshot");
    let ours = read(&bench.from, INIT);

    let report = bench.restore(&source, &files(options())).await;
    assert_eq!(
        step(&report.plan, &format!("dbfs:{INIT}")).action,
        Action::Conflict
    );
    assert_eq!(read(&bench.to, INIT), STANDARD.encode("theirs"));
    assert_eq!(length(&bench.to, LONG), 2_500_000);

    let report = bench.restore(&source, &files(whole())).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(read(&bench.to, INIT), ours);
    assert_eq!(
        read(&bench.to, "/more.txt"),
        STANDARD.encode("unknown to the snapshot")
    );

    let journal = journal_path(
        bench.dir.path(),
        &LineSeal::default(),
        &source.id,
        &bench.to.id,
    );
    let header = crate::restore::Header::new(source.id.to_string(), &bench.to.id);
    let earlier = crate::restore::Journal::look(&journal, &header, &bench.store.line_seal());
    let back = &undo(&earlier.unwrap().unwrap(), &options())[0];
    let heads = bench.store.heads().unwrap();
    let head = heads
        .into_iter()
        .find(|head| head.id.to_string() == back.safety);
    let head = head.unwrap();
    let safety = Source {
        store: bench.store.clone(),
        id: head.id,
        snapshot: crate::manifest::read(&bench.store, &head).unwrap(),
    };
    let undone = bench.restore(&safety, &back.options).await;
    assert_eq!(failures(&undone), Vec::<String>::new());
    assert_eq!(read(&bench.to, INIT), STANDARD.encode("theirs"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_file_is_written_once_although_answers_are_lost_on_the_way() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    for call in ["create", "add-block", "put"] {
        let path = format!("/api/2.0/dbfs/{call}");
        bench
            .to
            .workspace()
            .inject(Rule::new(path, Effect::LoseAnswer).times(1));
    }
    let report = bench.restore(&source, &files(options())).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let differences = bench.differences(&source, &report.plan.mapping).await;
    let of_files: Vec<_> = differences
        .iter()
        .filter(|text| text.contains("dbfs-file"))
        .collect();
    assert_eq!(of_files, Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_file_that_cannot_be_written_to_its_end_nothing_is_left_and_the_rest_comes_back() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    let refuse = Effect::Refuse {
        status: 400,
        code: "IO_ERROR".to_owned(),
        message: "no space".to_owned(),
    };
    let rule = Rule::new("/api/2.0/dbfs/add-block", refuse);
    bench.to.workspace().inject(rule.times(1));
    let report = bench.restore(&source, &files(options())).await;
    let failed = failures(&report);
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].contains("weights.bin") && failed[0].contains("no space"));
    assert_eq!(length(&bench.to, LONG), Value::Null);
    assert_eq!(read(&bench.to, INIT), read(&bench.from, INIT));
    // The next run has only that to do.
    let again = bench.restore(&source, &files(options())).await;
    assert_eq!(failures(&again), Vec::<String>::new());
    assert_eq!(length(&bench.to, LONG), 2_500_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_left_out_or_could_not_be_listed_is_said_and_not_touched() {
    let bench = Bench::new(Sample::Small).await;
    let reporter: Arc<dyn Reporter> = Arc::new(Silent);
    let selection = Selection {
        dbfs: Some(DbfsFiles {
            paths: vec!["/FileStore".to_owned()],
            max_file_size: Some(1000),
        }),
        ..Selection::default()
    };
    let report = backup::run(
        &bench.from.client,
        &bench.store,
        bench.options(&selection),
        &reporter,
    );
    let report = report.await.unwrap();
    let source = Source {
        store: bench.store.clone(),
        id: report.id,
        snapshot: report.snapshot,
    };
    let plan = bench.plan(&source, &files(options())).await;
    let long = step(&plan, &format!("dbfs:{LONG}"));
    assert_eq!(long.action, Action::Skipped);
    assert!(long.reason.contains("2500000 bytes"), "{}", long.reason);
    assert!(plan.leaves_something());
    assert!(plan.steps.iter().all(|step| !step.name.contains("/data/")));

    bench
        .to
        .workspace()
        .inject(Rule::new("/api/2.0/dbfs/list", Effect::forbidden()));
    let plan = bench.plan(&source, &files(whole())).await;
    let init = step(&plan, &format!("dbfs:{INIT}"));
    assert_eq!(init.action, Action::Conflict, "{}", init.reason);

    let beside = Options {
        target_path: Some("/Restored".to_owned()),
        ..whole()
    };
    let plan = bench.plan(&source, &beside).await;
    assert_eq!(step(&plan, &format!("dbfs:{INIT}")).action, Action::Skipped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cluster_loads_from_the_dbfs_comes_with_it_as_a_dependency() {
    let bench = Bench::new(Sample::Empty).await;
    put(&bench.from, "/FileStore/jars/a.jar", "jar");
    put(&bench.from, "/FileStore/jars/b.jar", "nobody needs it");
    let cluster = json!({"cluster_name": "loads", "spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge",
        "num_workers": 1});
    let made = bench
        .from
        .workspace()
        .call("POST", "/api/2.1/clusters/create", cluster)
        .1;
    let libraries = json!({"cluster_id": made["cluster_id"], "libraries": [{"jar": "dbfs:/FileStore/jars/a.jar"}]});
    let installed = bench
        .from
        .workspace()
        .call("POST", "/api/2.0/libraries/install", libraries);
    assert_eq!(installed.0, 200);
    let source = bench.backup().await;
    let clusters = |with_dependencies| Options {
        selection: Selection {
            only: vec!["cluster".to_owned()],
            ..Selection::all()
        },
        with_dependencies,
        ..whole()
    };
    let files = |plan: &Plan| -> Vec<String> {
        let steps = plan.steps.iter().filter(|step| step.kind == "dbfs-file");
        steps.map(|step| step.name.clone()).collect()
    };
    assert_eq!(
        files(&bench.plan(&source, &clusters(false)).await),
        Vec::<String>::new()
    );
    let report = bench.restore(&source, &clusters(true)).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(files(&report.plan), ["dbfs:/FileStore/jars/a.jar"]);
    assert_eq!(length(&bench.to, "/FileStore/jars/a.jar"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_folder_is_made_where_there_is_none_and_put_in_nobodys_place() {
    let bench = Bench::new(Sample::Empty).await;
    for path in ["/in/empty", "/full", "/a file"] {
        let body = json!({"path": path});
        let made = bench
            .from
            .workspace()
            .call("POST", "/api/2.0/dbfs/mkdirs", body);
        assert_eq!(made.0, 200);
    }
    let source = bench.backup().await;
    put(&bench.to, "/full/x.csv", "x");
    put(&bench.to, "/a file", "theirs");
    let report = bench.restore(&source, &files(whole())).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let action = |plan: &Plan, name: &str| step(plan, name).action;
    assert_eq!(action(&report.plan, "dbfs:/in/empty"), Action::Create);
    assert_eq!(action(&report.plan, "dbfs:/full"), Action::Unchanged);
    assert_eq!(action(&report.plan, "dbfs:/a file"), Action::Skipped);
    assert_eq!(read(&bench.to, "/a%20file"), STANDARD.encode("theirs"));
    let status = "/api/2.0/dbfs/get-status?path=/in/empty";
    let there = bench.to.workspace().call("GET", status, Value::Null).1;
    assert_eq!(there["is_dir"], true);
    let again = bench.plan(&source, &files(whole())).await;
    assert_eq!(action(&again, "dbfs:/in/empty"), Action::Unchanged);
}

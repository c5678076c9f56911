//! Files of runs: read where they are, and written to where the target has those of the restored run.

use serde_json::json;

use super::law::{assert_is_back, whole};
use super::*;
use crate::manifest::{Artifacts, Extent, Runs};
use crate::resource::artifact_name;
use crate::restore::{Action, Step};
use crate::sandbox::{Effect, Faults, Rule};

const STORAGE: &str = "/cloud-storage/";

/// Runs with their files, up to this length.
fn with_files(bench: &Bench, max_file_size: Option<u64>) -> Selection {
    Selection {
        secret_values: bench.store.is_encrypted(),
        runs: Some(Runs {
            artifacts: Some(Artifacts { max_file_size }),
            ..Runs::default()
        }),
        ..Selection::default()
    }
}

fn only_files(bench: &Bench) -> Selection {
    Selection {
        only: ["experiment", "run", "run-artifact"]
            .map(str::to_owned)
            .into(),
        ..with_files(bench, None)
    }
}

async fn backup(bench: &Bench) -> Source {
    bench.backup_with(&bench.from, &only_files(bench)).await
}

fn call(place: &Place, path: &str, body: Value) -> Value {
    let path = format!("/api/2.0/mlflow/{path}");
    let (status, answer) = place.workspace().call("POST", &path, body);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// Makes an experiment that keeps its files there, with a run.
fn run_at(place: &Place, name: &str, location: &str) -> String {
    let body = json!({"name": name, "artifact_location": location});
    let experiment = call(place, "experiments/create", body);
    let body =
        json!({"experiment_id": experiment["experiment_id"], "start_time": 1_767_225_600_000_i64});
    let made = call(place, "runs/create", body);
    made["run"]["info"]["run_id"].as_str().unwrap().to_owned()
}

fn put(place: &Place, run: &str, path: &str, bytes: &[u8]) {
    place.workspace().put_artifact(run, path, bytes).unwrap();
}

fn name(experiment: &str, run: &str, path: &str) -> String {
    artifact_name(&Runs::name(experiment, 1_767_225_600_000, run), path)
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = crate::testing::Random::new("artifacts", 7);
    (0..len).map(|_| random.next() as u8).collect()
}

/// What a snapshot says of files of runs: name, whether there is a content, and the gap.
fn files(source: &Source) -> Vec<(String, bool, Option<String>)> {
    let tree = Tree::open(&source.store, &source.snapshot.root).unwrap();
    let kind = crate::resource::KindName::known("run-artifact");
    let entries = tree.kind(&kind).map(Result::unwrap);
    let told = entries.map(|entry| {
        let gap = entry.gap.map(|gap| gap.reason);
        (entry.key.name, entry.content.is_some(), gap)
    });
    told.collect()
}

fn steps(plan: &Plan) -> Vec<&Step> {
    let steps = plan.steps.iter();
    steps.filter(|step| step.kind == "run-artifact").collect()
}

async fn differences(bench: &Bench, source: &Source, mapping: &Mapping) -> Vec<String> {
    let selection = Selection {
        runs: Some(Runs::all()),
        ..source.snapshot.selection.clone()
    };
    let now = bench.capture(&bench.to, &selection).await.unwrap();
    bench.differences_to(source, &now, mapping).await
}

fn refuse(status: u16) -> Effect {
    Effect::Refuse {
        status,
        code: "Denied".to_owned(),
        message: "no".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_restored_runs_are_captured_as_those_they_were_made_from_and_not_written_twice() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench
        .backup_with(&bench.from, &with_files(&bench, None))
        .await;
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(steps(&report.plan).len(), 9);
    assert_is_back(differences(&bench, &source, &report.plan.mapping).await);

    bench.to.workspace().forget_requests();
    let again = bench.restore(&source, &whole()).await;
    for step in steps(&again.plan) {
        assert_eq!(step.action, Action::Unchanged, "{step:?}");
    }
    assert_eq!(bench.to.workspace().requests().to("PUT /cloud-storage"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_read_again_only_when_its_storage_says_that_it_was_written() {
    let bench = Bench::plain(Sample::Empty).await;
    let run = run_at(&bench.from, "/Shared/x", "");
    put(&bench.from, &run, "a.txt", b"first");
    put(&bench.from, &run, "b/c.txt", b"other");
    backup(&bench).await;
    let reads = |bench: &Bench| bench.from.workspace().requests().to("GET /cloud-storage");
    bench.from.workspace().forget_requests();
    let same = backup(&bench).await;
    assert_eq!(reads(&bench), 2, "one look at each, and no content");
    put(&bench.from, &run, "a.txt", b"FIRST");
    bench.from.workspace().forget_requests();
    let after = backup(&bench).await;
    assert_eq!(reads(&bench), 3);
    let credentials = bench.from.workspace().requests().to("credentials-for-read");
    assert_eq!(
        credentials, 1,
        "the addresses of all files of a run at once"
    );
    let changed = bench
        .differences_to(&same, &after, &Mapping::default())
        .await;
    assert_eq!(
        changed,
        [format!(
            "changed run-artifact {}:",
            name("/Shared/x", &run, "a.txt")
        )]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_and_empty_files_come_back_byte_for_byte_from_both_kinds_of_places() {
    let bench = Bench::plain(Sample::Empty).await;
    let long = noise(9_000_001);
    let odd = "plots/a b#?&100%/ü.bin";
    for (experiment, location) in [("/Shared/kept", ""), ("/Shared/in the dbfs", "dbfs:/ml/x/")] {
        let run = run_at(&bench.from, experiment, location);
        put(&bench.from, &run, "weights.bin", &long);
        put(&bench.from, &run, odd, &long[..3_000_000]);
        put(&bench.from, &run, "empty", b"");
    }
    let source = backup(&bench).await;
    assert!(source.snapshot.complete, "{:?}", source.snapshot.gaps);
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let runs = report.plan.steps.iter().zip(&report.outcomes);
    let runs: Vec<_> = runs.filter(|(step, _)| step.kind == "run").collect();
    assert_eq!(runs.len(), 2);
    for (step, outcome) in runs {
        let id = outcome.id.as_ref().unwrap();
        let read = |path| bench.to.workspace().artifact(id, path).unwrap();
        assert!(read("weights.bin") == long, "{}", step.name);
        assert!(
            read(odd) == long[..3_000_000] && read("empty").is_empty(),
            "{}",
            step.name
        );
    }
    let found = differences(&bench, &source, &report.plan.mapping).await;
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_run_beside_the_one_it_was_made_from_is_kept_as_well_with_its_own_files() {
    let bench = Bench::plain(Sample::Empty).await;
    let run = run_at(&bench.from, "/Shared/x", "");
    let path = format!("/api/2.0/mlflow/runs/get?run_id={run}");
    let shown = bench.from.workspace().call("GET", &path, Value::Null).1;
    let copy = call(
        &bench.from,
        "runs/create",
        json!({
            "experiment_id": shown["run"]["info"]["experiment_id"], "start_time": 1_767_225_600_000_i64,
            "tags": [{"key": "dbsnap.source_run_id", "value": run}],
        }),
    );
    let copy = copy["run"]["info"]["run_id"].as_str().unwrap();
    put(&bench.from, &run, "a", b"one");
    put(&bench.from, copy, "a", b"other");
    let source = backup(&bench).await;
    let tree = Tree::open(&source.store, &source.snapshot.root).unwrap();
    let contents = |kind: &'static str| {
        let entries = tree
            .kind(&crate::resource::KindName::known(kind))
            .map(Result::unwrap);
        let told = entries.map(|entry| {
            let content = entry
                .content
                .map(|content| content.read(&source.store).unwrap().to_vec());
            (entry.object_id.unwrap(), content)
        });
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    };
    let mut runs = vec![(run.clone(), None), (copy.to_owned(), None)];
    runs.sort();
    assert_eq!(contents("run"), runs);
    let mut files = vec![
        (format!("{run}/a"), Some(b"one".to_vec())),
        (format!("{copy}/a"), Some(b"other".to_vec())),
    ];
    files.sort();
    assert_eq!(contents("run-artifact"), files);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_longer_files_only_that_they_are_there_is_kept_and_no_absence_is_a_deletion() {
    let bench = Bench::plain(Sample::Empty).await;
    let run = run_at(&bench.from, "/Shared/x", "");
    put(&bench.from, &run, "long", &[1; 11]);
    put(&bench.from, &run, "short", &[1; 10]);
    let short = bench
        .backup_with(&bench.from, &with_files(&bench, Some(10)))
        .await;
    let named = |path: &str| name("/Shared/x", &run, path);
    assert_eq!(
        files(&short),
        [(named("long"), false, None), (named("short"), true, None)]
    );
    assert!(short.snapshot.complete);
    let whole_one = backup(&bench).await;
    let none = bench
        .backup_with(
            &bench.from,
            &Selection {
                runs: Some(Runs::default()),
                ..Selection::default()
            },
        )
        .await;
    for (before, after) in [
        (&whole_one, &none),
        (&none, &whole_one),
        (&short, &whole_one),
        (&whole_one, &short),
    ] {
        let told = bench.told(before, after);
        let told: Vec<_> = told
            .iter()
            .filter(|what| what.contains("run-artifact"))
            .collect();
        assert_eq!(told, Vec::<&String>::new());
    }
    let plan = bench.plan(&short, &whole()).await;
    let skipped = steps(&plan)
        .into_iter()
        .find(|step| step.name == named("long"))
        .unwrap();
    assert_eq!(
        (skipped.action, skipped.reason.as_str()),
        (
            Action::Skipped,
            "its content is not in the snapshot: its 11 bytes were more than --artifacts-max-file-size"
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_workspace_does_not_give_out_is_a_gap_of_its_run_and_the_others_are_read() {
    let bench = Bench::plain(Sample::Empty).await;
    let run = run_at(&bench.from, "/Shared/bucket", "s3://models/x");
    let volume = run_at(&bench.from, "/Shared/volume", "dbfs:/Volumes/a/b/c");
    let kept = run_at(&bench.from, "/Shared/x", "");
    put(&bench.from, &kept, "a", b"1");
    let source = backup(&bench).await;
    let told = files(&source);
    assert_eq!(told.len(), 3);
    for (at, experiment, run, place) in [
        (0, "/Shared/bucket", &run, "s3://models/x"),
        (1, "/Shared/volume", &volume, "dbfs:/Volumes/a/b/c"),
    ] {
        let (found, has_content, gap) = &told[at];
        assert_eq!((found, has_content), (&name(experiment, run, ""), &false));
        let words = format!(
            "its files are in {place}/{run}/artifacts, which the workspace does not give out"
        );
        assert!(gap.as_ref().unwrap().starts_with(&words), "{gap:?}");
    }
    assert_eq!(told[2], (name("/Shared/x", &kept, "a"), true, None));
    let plan = bench.plan(&source, &whole()).await;
    assert_eq!(
        steps(&plan)
            .iter()
            .filter(|step| step.action == Action::Skipped)
            .count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_has_ended_is_asked_for_anew_and_one_that_is_refused_is_a_gap_that_shows_no_address()
 {
    let bench = Bench::plain(Sample::Empty).await;
    let run = run_at(&bench.from, "/Shared/x", "");
    put(&bench.from, &run, "a", b"1");
    let workspace = bench.from.workspace();
    workspace.inject(Rule::new(STORAGE, refuse(403)).times(1));
    let source = backup(&bench).await;
    assert_eq!(files(&source), [(name("/Shared/x", &run, "a"), true, None)]);
    assert_eq!(workspace.requests().to("credentials-for-read"), 2);
    workspace.set_faults(Faults::default());
    put(&bench.from, &run, "b", b"2");
    workspace.inject(Rule::new(STORAGE, refuse(403)).target(format!(
        "databricks/mlflow-tracking/{}/b",
        rest(&bench, &run)
    )));
    let source = backup(&bench).await;
    let told = files(&source);
    assert_eq!(told[0], (name("/Shared/x", &run, "a"), true, None));
    let gap = told[1].2.as_ref().unwrap();
    assert!(
        gap.contains("(signed address at 127.0.0.1) was answered with 403"),
        "{gap}"
    );
    assert!(!gap.contains("signature"), "{gap}");
}

/// The middle of the place of a run's files.
fn rest(bench: &Bench, run: &str) -> String {
    let path = format!("/api/2.0/mlflow/runs/get?run_id={run}");
    let run = bench.from.workspace().call("GET", &path, Value::Null).1;
    let uri = run["run"]["info"]["artifact_uri"]
        .as_str()
        .unwrap()
        .to_owned();
    uri.trim_start_matches("dbfs:/databricks/mlflow-tracking/")
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_files_or_runs_cannot_be_listed_there_may_be_more_files_and_none_is_taken_for_gone() {
    let bench = Bench::plain(Sample::Empty).await;
    let run = run_at(&bench.from, "/Shared/x", "");
    put(&bench.from, &run, "a/b", b"1");
    backup(&bench).await;
    for failing in [
        "/api/2.0/mlflow/artifacts/list",
        "/api/2.0/mlflow/runs/search",
    ] {
        let workspace = bench.from.workspace();
        workspace.inject(Rule::new(failing, refuse(403)));
        let source = backup(&bench).await;
        workspace.set_faults(Faults::default());
        let tree = Tree::open(&source.store, &source.snapshot.root).unwrap();
        let gaps: Vec<_> = tree.uncertain().map(Result::unwrap).collect();
        let of_kind = |entry: &&crate::manifest::Entry| {
            entry.key.kind.as_str() == "run-artifact"
                && entry
                    .gap
                    .as_ref()
                    .is_some_and(|gap| gap.extent == Extent::Kind)
        };
        assert_eq!(
            gaps.iter().filter(of_kind).count(),
            1,
            "{failing}: {gaps:?}"
        );
        let carried = files(&source)
            .into_iter()
            .any(|(found, has, _)| found == name("/Shared/x", &run, "a/b") && has);
        assert!(carried, "{failing}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_differ_in_the_target_are_left_alone_or_overwritten_and_storage_that_ails_is_asked_again()
 {
    let bench = Bench::plain(Sample::Empty).await;
    let run = run_at(&bench.from, "/Shared/x", "");
    put(&bench.from, &run, "a", b"ours");
    let source = backup(&bench).await;
    let first = bench.restore(&source, &whole()).await;
    let made = first.plan.steps.iter().zip(&first.outcomes);
    let made = made
        .clone()
        .find(|(step, _)| step.kind == "run")
        .unwrap()
        .1
        .id
        .clone()
        .unwrap();
    put(&bench.to, &made, "a", b"theirs");
    let options = Options {
        on_conflict: crate::restore::OnConflict::Skip,
        ..whole()
    };
    let report = bench.restore(&source, &options).await;
    assert_eq!(steps(&report.plan)[0].action, Action::Conflict);
    assert_eq!(bench.to.workspace().artifact(&made, "a").unwrap(), "theirs");
    bench
        .to
        .workspace()
        .inject(Rule::new(STORAGE, refuse(503)).method("PUT").times(1));
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(bench.to.workspace().artifact(&made, "a").unwrap(), "ours");
    bench
        .to
        .workspace()
        .inject(Rule::new(STORAGE, refuse(403)).method("PUT"));
    put(&bench.to, &made, "a", b"theirs");
    let report = bench.restore(&source, &whole()).await;
    let failed = failures(&report);
    assert!(
        failed.len() == 1 && failed[0].contains("was answered with 403"),
        "{failed:?}"
    );
    assert!(!failed[0].contains("signature"), "{failed:?}");
}

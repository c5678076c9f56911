//! What is there already and differs, and taking back what was overwritten.

use super::*;
use crate::restore::Header;
use crate::restore::{Action, Journal, OnConflict, undo};
use crate::store::LineSeal;

pub(super) async fn bench() -> (Bench, Source) {
    let bench = Bench::plain(Sample::Empty).await;
    for (place, text) in [
        (&bench.from, "print('snapshot')\n"),
        (&bench.to, "print('target')\n"),
    ] {
        let workspace = place.workspace();
        workspace.make_directory("/Shared/etl").unwrap();
        workspace
            .put_notebook("/Shared/etl/load", "PYTHON", text)
            .unwrap();
        workspace
            .put_notebook("/Shared/etl/same", "SQL", "select 1\n")
            .unwrap();
    }
    bench
        .from
        .workspace()
        .put_notebook("/Shared/etl/new", "PYTHON", "new\n")
        .unwrap();
    let source = bench.backup().await;
    (bench, source)
}

pub(super) async fn content(bench: &Bench, path: &str) -> String {
    let query = [
        ("path", path),
        ("format", "SOURCE"),
        ("direct_download", "true"),
    ];
    let bytes = bench
        .to
        .client
        .download("/api/2.0/workspace/export", &query, 1 << 20)
        .await;
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

fn action(plan: &Plan, path: &str) -> Action {
    plan.steps
        .iter()
        .find(|step| step.target == path)
        .unwrap()
        .action
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differs_stays_as_it_is_and_is_reported() {
    let (bench, source) = bench().await;
    let report = bench.restore(&source, &options()).await;
    assert!(report.is_partial);
    assert_eq!(action(&report.plan, "/Shared/etl/load"), Action::Conflict);
    assert_eq!(action(&report.plan, "/Shared/etl/same"), Action::Unchanged);
    assert_eq!(action(&report.plan, "/Shared/etl/new"), Action::Create);
    assert!(content(&bench, "/Shared/etl/load").await.contains("target"));
    assert!(content(&bench, "/Shared/etl/new").await.contains("new"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_can_be_an_end_to_it() {
    let (bench, source) = bench().await;
    let fail = Options {
        on_conflict: OnConflict::Fail,
        ..options()
    };
    let report = bench.restore(&source, &fail).await;
    assert!(!report.was_applied);
    assert!(report.plan.forbidden_conflicts().count() > 0);
    assert_eq!(bench.to.workspace().requests().to("workspace/import"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_overwritten_can_be_taken_back() {
    let (bench, source) = bench().await;
    let overwrite = Options {
        on_conflict: OnConflict::Overwrite,
        ..options()
    };
    let report = bench.restore(&source, &overwrite).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert!(
        content(&bench, "/Shared/etl/load")
            .await
            .contains("snapshot")
    );

    let path = journal_path(
        bench.dir.path(),
        &LineSeal::default(),
        &source.id,
        &bench.to.id,
    );
    let header = Header::new(source.id.to_string(), &*bench.to.id);
    let earlier = Journal::look(&path, &header, &LineSeal::default())
        .unwrap()
        .unwrap();
    let tasks = undo(&earlier, &overwrite);
    let [task] = &tasks[..] else {
        panic!("{tasks:?}")
    };
    assert!(
        task.remains
            .iter()
            .any(|(_, name, _)| name == "/Shared/etl/new")
    );
    assert_eq!(task.safety, report.safety.unwrap());
    let heads = bench.store.heads().unwrap();
    let head = heads
        .iter()
        .find(|head| head.id.to_string() == task.safety)
        .unwrap();
    let safety = Source {
        store: bench.store.clone(),
        id: head.id,
        snapshot: crate::manifest::read(&bench.store, head).unwrap(),
    };
    let back = bench.restore(&safety, &task.options).await;
    assert_eq!(failures(&back), Vec::<String>::new());
    assert!(content(&bench, "/Shared/etl/load").await.contains("target"));
    assert!(content(&bench, "/Shared/etl/new").await.contains("new"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_is_restored_beside_the_original() {
    let (bench, source) = bench().await;
    let mut beside = Options {
        target_path: Some("/Shared/restored".into()),
        ..options()
    };
    beside.selection.include = vec!["/Shared/etl".into()];
    let report = bench.restore(&source, &beside).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert!(!report.is_partial, "{:#?}", odd_steps(&report.plan));
    assert!(
        content(&bench, "/Shared/restored/Shared/etl/load")
            .await
            .contains("snapshot")
    );
    assert!(content(&bench, "/Shared/etl/load").await.contains("target"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_target_does_not_tell_is_not_overwritten() {
    let (bench, source) = bench().await;
    let hidden = crate::sandbox::Rule::new(
        "/api/2.0/workspace/list",
        crate::sandbox::Effect::forbidden(),
    );
    bench.to.workspace().inject(hidden.target("/Shared/etl"));
    let overwrite = Options {
        on_conflict: OnConflict::Overwrite,
        ..options()
    };
    let plan = bench.plan(&source, &overwrite).await;
    for name in ["load", "same", "new"] {
        assert_eq!(
            action(&plan, &format!("/Shared/etl/{name}")),
            Action::Conflict
        );
    }
}

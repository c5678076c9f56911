//! What is kept before anything is written, and that nothing is written by a restore that does not take place.

use crate::store::LineSeal;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::conflicts::{bench, content};
use super::*;
use crate::check;
use crate::manifest;
use crate::restore::{
    Header, Journal, JournalError, KeepError, OnConflict, RestoreError, scope, undo,
};

fn overwrite() -> Options {
    Options {
        on_conflict: OnConflict::Overwrite,
        ..options()
    }
}

/// Every file in a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|file| (file.path().to_owned(), std::fs::read(file.path()).unwrap()))
        .collect()
}

fn writes(bench: &Bench) -> u64 {
    let requests = bench.to.workspace().requests();
    let methods = ["POST ", "PUT ", "PATCH ", "DELETE "];
    methods.iter().map(|method| requests.to(method)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_not_agreed_to_leaves_everything_as_it_was() {
    let (bench, source) = bench().await;
    let before = files(bench.dir.path());
    let report = bench
        .try_restore(&source, &overwrite(), false, |plan| {
            assert!(plan.changes_anything());
            false
        })
        .await;
    assert!(!report.was_applied);
    let forbidden = Options {
        on_conflict: OnConflict::Fail,
        ..options()
    };
    assert!(!bench.restore(&source, &forbidden).await.was_applied);
    assert_eq!(writes(&bench), 0);
    assert!(files(bench.dir.path()) == before, "something was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_what_was_captured_and_is_whole() {
    let (bench, source) = bench().await;
    // An earlier snapshot of the target has a part of it already; some of the rest is long enough to be cut.
    bench.backup_of(&bench.to).await;
    let workspace = bench.to.workspace();
    let long: Vec<u8> = (0..700_000_u64)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
        .collect();
    workspace.put_file("/Shared/etl/long", &long).unwrap();
    let script = format!("print({:?})\n", "x".repeat(2000));
    workspace
        .put_notebook("/Shared/etl/own", "PYTHON", &script)
        .unwrap();
    let captured = bench.capture(&bench.to, &scope(&overwrite())).await;
    let report = bench.restore(&source, &overwrite()).await;
    assert_eq!(failures(&report), Vec::<String>::new());

    let store = Store::open(bench.store.path()).unwrap();
    let id = report.safety.unwrap();
    let heads = store.heads().unwrap();
    let name = heads.iter().find(|name| name.id.to_string() == id);
    let kept = manifest::read(&store, name.unwrap()).unwrap();
    assert_eq!(kept.root, captured.unwrap().snapshot.root);
    assert_eq!(kept.store, store.id());
    let depth = check::Depth::Data {
        amount: crate::store::Amount::All,
        now: chrono::DateTime::UNIX_EPOCH,
    };
    let checked = check::run(&store, depth, &Silent).unwrap();
    assert_eq!(checked.problems, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_if_what_is_there_cannot_be_kept() {
    let (bench, source) = bench().await;
    let settings = bench.store.path().join("dbsnap.json");
    let text = std::fs::read_to_string(&settings).unwrap();
    let text = text.replace(r#""write": []"#, r#""write": ["something new"]"#);
    std::fs::write(&settings, text).unwrap();
    let unwritable = Store::open(bench.store.path()).unwrap();
    let before = files(bench.store.path());

    let journal = bench.dir.path().join("elsewhere.jsonl");
    let options = overwrite();
    let task = Task {
        safety: Some(&unwritable),
        ..bench.task(&source, &options, &journal, false)
    };
    let capture = async |selection: &Selection| bench.capture(&bench.to, selection).await;
    let refused = run(task, capture, |_| true).await.unwrap_err();
    assert!(
        matches!(refused, RestoreError::Keep(KeepError::Store(_))),
        "{refused:?}"
    );
    assert_eq!(writes(&bench), 0);

    // Somebody may say that it is not to be kept.
    let task = Task {
        safety: None,
        ..task
    };
    let report = run(task, capture, |_| true).await.unwrap();
    assert_eq!(failures(&report), Vec::<String>::new());
    assert!(
        content(&bench, "/Shared/etl/load")
            .await
            .contains("snapshot")
    );
    assert_eq!(report.safety, None);
    assert!(files(bench.store.path()) == before, "something was written");
    let header = Header::new(source.id.to_string(), &*bench.to.id);
    let earlier = Journal::look(&journal, &header, &LineSeal::default())
        .unwrap()
        .unwrap();
    assert!(undo(&earlier, &options).is_empty());
    let lost: Vec<_> = earlier.beyond_undo().map(|key| &*key.name).collect();
    assert_eq!(lost, ["/Shared/etl/load"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_another_one_overtook_makes_nothing() {
    let bench = Bench::plain(Sample::Small).await;
    let source = bench.backup().await;
    let options = super::law::whole();
    let journal = journal_path(
        bench.dir.path(),
        &LineSeal::default(),
        &source.id,
        &bench.to.id,
    );
    // While this one plans, the other one comes from its beginning to its end.
    let capture = async |selection: &Selection| {
        let captured = bench.capture(&bench.to, selection).await;
        let other = bench.restore(&source, &options).await;
        assert!(other.was_applied);
        bench.to.workspace().forget_requests();
        captured
    };
    let task = bench.task(&source, &options, &journal, false);
    let refused = run(task, capture, |_| true).await.unwrap_err();
    assert!(
        matches!(refused, RestoreError::Journal(JournalError::Overtaken(_))),
        "{refused:?}"
    );
    assert_eq!(writes(&bench), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_is_refused_while_another_one_plans_with_the_same_journal() {
    let (bench, source) = bench().await;
    bench.restore(&source, &options()).await;
    bench.to.workspace().forget_requests();
    let options = overwrite();
    let journal = journal_path(
        bench.dir.path(),
        &LineSeal::default(),
        &source.id,
        &bench.to.id,
    );
    let task = bench.task(&source, &options, &journal, false);
    let inner = async |_: &Selection| -> Result<Source, BackupError> {
        panic!("the target is not even read")
    };
    let capture = async |selection: &Selection| {
        let refused = run(task, inner, |_| true).await.unwrap_err();
        assert!(matches!(
            refused,
            RestoreError::Journal(JournalError::Locked(_))
        ));
        bench.capture(&bench.to, selection).await
    };
    let report = run(task, capture, |_| true).await.unwrap();
    assert_eq!(failures(&report), Vec::<String>::new());
    assert!(report.was_applied);
}

//! What a second backup need not do again.

use tokio::sync::watch;

use super::*;
use crate::backup::capture;
use crate::sandbox::{Effect, Rule};

#[tokio::test]
async fn an_unchanged_workspace_costs_no_content_and_gives_the_same_tree() {
    let bench = Bench::small().await;
    let first = bench.backup().await;
    let second = bench.backup().await;
    assert_eq!(second.snapshot.root, first.snapshot.root);
    assert_eq!(bench.requests("workspace/export"), 0);
    assert_eq!(second.written.blobs, 0);
    assert!(second.written.stored_bytes < 20_000, "{:?}", second.written);
    assert_eq!(second.snapshot.parent, Some(first.id));
    for (kind, counts) in &second.counts {
        assert_eq!(
            (counts.new, counts.changed, counts.removed),
            (0, 0, 0),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_full_backup_reads_everything_again_and_stores_nothing_new() {
    let bench = Bench::small().await;
    let first = bench.backup().await;
    let options = BackupOptions {
        full: true,
        ..bench.options()
    };
    let second = bench.try_backup(options).await.unwrap();
    assert!(bench.requests("workspace/export") > 5);
    assert_eq!(second.snapshot.root, first.snapshot.root);
    assert_eq!(second.written.blobs, 0);
}

#[tokio::test]
async fn a_renamed_notebook_and_a_moved_folder_keep_their_contents() {
    let bench = Bench::small().await;
    let first = bench.backup().await;
    let workspace = &bench.running.workspace;
    assert!(workspace.relocate("/Shared/etl/01 load", "/Shared/etl/01 extract"));
    assert!(workspace.relocate("/Users/greg@example.com/legacy", "/Shared/legacy"));
    let second = bench.backup().await;
    assert_eq!(bench.requests("workspace/export"), 0);
    let content = |report, name| content(&bench.store, report, "notebook", name);
    assert_eq!(
        content(&first, "/Shared/etl/01 load"),
        content(&second, "/Shared/etl/01 extract")
    );
    assert_eq!(
        content(&first, "/Users/greg@example.com/legacy/helpers"),
        content(&second, "/Shared/legacy/helpers")
    );
    assert!(entry(&bench.store, &second, "notebook", "/Shared/etl/01 load").is_none());
    let counts = second.counts["notebook"];
    assert_eq!((counts.new, counts.removed, counts.changed), (3, 3, 0));
}

#[tokio::test]
async fn only_what_changed_is_read_and_it_is_stored_as_a_difference() {
    let bench = Bench::empty().await;
    let text = |version: u32| {
        let cells = (0..2_000).map(|cell| format!("print({})\n", cell * 7919 % 10_007));
        format!(
            "# Databricks notebook source\n{}{version}",
            cells.collect::<String>()
        )
    };
    let workspace = &bench.running.workspace;
    for name in ["a", "b", "c", "d"] {
        workspace.put_notebook(&format!("/Shared/{name}"), "PYTHON", &text(1));
    }
    bench.backup().await;
    workspace.put_notebook("/Shared/b", "PYTHON", &text(2));
    workspace.remove("/Shared/d");
    let report = bench.backup().await;
    assert_eq!(bench.requests("workspace/export"), 1);
    let counts = report.counts["notebook"];
    assert_eq!(
        (counts.changed, counts.unchanged, counts.removed),
        (1, 2, 1)
    );
    let text = content(&bench.store, &report, "notebook", "/Shared/b");
    assert!(text.ends_with(b"2"));
    assert!(report.written.stored_bytes < 6_000, "{:?}", report.written);
}

#[tokio::test]
async fn a_stopped_backup_says_so_and_the_next_one_goes_on_where_it_was() {
    let bench = Bench::empty().await;
    let workspace = &bench.running.workspace;
    for number in 0..40 {
        let path = format!("/Shared/{}/n{number}", number % 8);
        let text = format!("# Databricks notebook source\n{number}");
        workspace.put_notebook(&path, "PYTHON", &text);
    }
    // The last folder is not answered in time; by then the rest was read.
    let forever = Effect::Delay(std::time::Duration::from_secs(600));
    workspace.inject(Rule::new("/api/2.0/preview/scim/v2/Users", forever).times(1));
    let (stop, stopped) = watch::channel(false);
    let options = BackupOptions {
        stop: stopped,
        ..bench.options()
    };
    let watching = async {
        while workspace.requests().to("permissions") < 40 + 10 {
            tokio::task::yield_now().await;
        }
        stop.send_replace(true);
    };
    let (result, ()) = tokio::join!(bench.try_backup(options), watching);
    let Err(BackupError::Interrupted { stored }) = result else {
        panic!("{result:?}");
    };
    assert!(stored > 0);
    assert_eq!(bench.store.heads().unwrap(), []);
    assert_eq!(bench.store.pending().unwrap().len(), 1);

    // A backup of something else leaves it alone.
    let narrow = BackupOptions {
        selection: only(&["group"]),
        ..bench.options()
    };
    bench.try_backup(narrow).await.unwrap();
    assert_eq!(bench.store.pending().unwrap().len(), 1);

    let report = bench.backup().await;
    assert!(report.snapshot.complete, "{:?}", gaps(&report));
    assert_eq!(report.snapshot.kinds["notebook"].entries, 40);
    let exports = bench.requests("workspace/export");
    assert!(
        exports <= 40 - stored,
        "{stored} were stored, {exports} exports"
    );
    assert_eq!(bench.store.pending().unwrap(), []);
}

#[tokio::test]
async fn a_narrow_backup_in_between_does_not_spoil_the_next_wide_one() {
    let bench = Bench::small().await;
    let first = bench.backup().await;
    let narrow = BackupOptions {
        selection: only(&["user"]),
        ..bench.options()
    };
    bench.try_backup(narrow).await.unwrap();
    let third = bench.backup().await;
    assert_eq!(third.snapshot.parent, Some(first.id));
    assert_eq!(bench.requests("workspace/export"), 0);
}

#[tokio::test]
async fn the_live_workspace_is_captured_without_a_trace_in_the_store() {
    let bench = Bench::small().await;
    let first = bench.backup().await;
    bench.running.workspace.remove("/Shared/etl/02 clean");
    bench.running.workspace.forget_requests();
    let heard: Arc<dyn Reporter> = bench.heard.clone();
    let options = bench.options();
    let (scratch, live) = capture(&bench.client, &bench.store, options, &heard)
        .await
        .unwrap();
    assert_eq!(bench.requests("workspace/export"), 0);
    assert_eq!(live.counts["notebook"].removed, 1);
    assert_eq!(live.snapshot.parent, Some(first.id));
    // What both have in common is read from the store below.
    let text = content(&scratch, &live, "notebook", "/Shared/etl/01 load");
    assert_eq!(
        text,
        content(&bench.store, &first, "notebook", "/Shared/etl/01 load")
    );
    assert_eq!(bench.store.heads().unwrap().len(), 1);
    let path = scratch.path().to_owned();
    drop(scratch);
    assert!(!path.exists());
}

#[tokio::test]
async fn what_a_store_has_lost_is_read_again() {
    let mut bench = Bench::empty().await;
    for number in 0..4 {
        let path = format!("/Shared/n{number}");
        let text = format!("# Databricks notebook source\n{}", "x = 1\n".repeat(200));
        bench.running.workspace.put_notebook(&path, "PYTHON", &text);
    }
    let first = bench.backup().await;
    let dir = bench.store.path().to_owned();
    let packs = || {
        let packs = walkdir::WalkDir::new(dir.join("packs"));
        let packs = packs.into_iter().map(|entry| entry.unwrap());
        packs.filter(|entry| entry.file_type().is_file())
    };
    // First the contents, then the manifests as well.
    for kind in [1, 2] {
        for pack in packs() {
            let bytes = std::fs::read(pack.path()).unwrap();
            if kind == 2 || bytes[9] == kind {
                std::fs::remove_file(pack.path()).unwrap();
            }
        }
        bench.store = Store::open(&dir).unwrap();
        let report = bench.backup().await;
        assert!(report.snapshot.complete, "{:?}", gaps(&report));
        assert_eq!(report.snapshot.root.node, first.snapshot.root.node);
        assert!(bench.requests("workspace/export") > 0);
        let text = content(&bench.store, &report, "notebook", "/Shared/n3");
        assert!(text.ends_with(b"x = 1\n"));
    }
    assert!(bench.heard.any("cannot be built upon"));
}

#[tokio::test]
async fn a_full_backup_stores_again_what_is_damaged_in_the_store() {
    let mut bench = Bench::empty().await;
    for number in 0..4 {
        let text = format!(
            "# Databricks notebook source\n{}",
            "x = 1\n".repeat(200 + number)
        );
        let path = format!("/Shared/n{number}");
        bench.running.workspace.put_notebook(&path, "PYTHON", &text);
    }
    bench.backup().await;
    let dir = bench.store.path().to_owned();
    let packs = walkdir::WalkDir::new(dir.join("packs"));
    for pack in packs.into_iter().map(Result::unwrap) {
        // The contents are in packs of kind 1; the first bytes of the first frame's payload are turned over.
        if pack.file_type().is_file() && std::fs::read(pack.path()).unwrap()[9] == 1 {
            let mut bytes = std::fs::read(pack.path()).unwrap();
            bytes[60] ^= 0xff;
            std::fs::write(pack.path(), bytes).unwrap();
        }
    }
    bench.store = Store::open(&dir).unwrap();
    let options = BackupOptions {
        full: true,
        ..bench.options()
    };
    let report = bench.try_backup(options).await.unwrap();
    bench.store = Store::open(&dir).unwrap();
    let text = content(&bench.store, &report, "notebook", "/Shared/n3");
    assert!(text.ends_with(b"x = 1\n"));
}

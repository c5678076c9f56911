//! What cannot be read is said, and never taken for gone.

use super::*;
use crate::export::ExportError;
use crate::manifest::Extent;
use crate::sandbox::{Effect, Rule};

fn refused(message: &str) -> Effect {
    Effect::Refuse {
        status: 403,
        code: "PERMISSION_DENIED".into(),
        message: message.into(),
    }
}

fn rule(endpoint: &str, target: &str, effect: Effect) -> Rule {
    Rule::new(format!("/api/2.0/{endpoint}"), effect).target(target)
}

#[tokio::test]
async fn a_folder_that_may_not_be_listed_keeps_what_the_parent_had_below_it() {
    let bench = Bench::small().await;
    let first = bench.backup().await;
    bench
        .running
        .workspace
        .inject(rule("workspace/list", "/Shared/etl", Effect::forbidden()));
    let second = bench.backup().await;
    assert!(!second.snapshot.complete);
    let folder = entry(&bench.store, &second, "directory", "/Shared/etl").unwrap();
    let gap = folder.gap.unwrap();
    assert_eq!(gap.extent, Extent::Subtree);
    assert!(
        gap.reason.contains("You do not have permission"),
        "{}",
        gap.reason
    );
    assert!(
        gaps(&second)
            .iter()
            .any(|gap| gap.starts_with("directory /Shared/etl: Subtree"))
    );
    for (kind, name) in [
        ("notebook", "/Shared/etl/02 clean"),
        ("directory", "/Shared/etl/lib"),
        ("file", "/Shared/etl/lib/looks_like_a_notebook.py"),
    ] {
        let mut before = entry(&bench.store, &first, kind, name).unwrap();
        before.carried_over = true;
        assert_eq!(entry(&bench.store, &second, kind, name), Some(before));
    }
    assert_eq!(second.counts["notebook"].removed, 0);
    assert_eq!(second.counts["notebook"].carried_over, 5);

    // Once more, and then it works again: nothing was read anew, and nothing is left of the gap.
    bench.backup().await;
    bench
        .running
        .workspace
        .set_faults(crate::sandbox::Faults::default());
    let last = bench.backup().await;
    assert_eq!(last.snapshot.root, first.snapshot.root);
    assert_eq!(bench.requests("workspace/export"), 0);
}

#[tokio::test]
async fn what_moved_out_of_a_folder_that_may_not_be_listed_is_not_kept_twice() {
    let bench = Bench::small().await;
    bench.backup().await;
    let workspace = &bench.running.workspace;
    workspace.relocate("/Shared/etl/02 clean", "/Shared/02 clean");
    workspace.inject(rule("workspace/list", "/Shared/etl", Effect::forbidden()));
    let report = bench.backup().await;
    assert!(entry(&bench.store, &report, "notebook", "/Shared/02 clean").is_some());
    assert!(entry(&bench.store, &report, "notebook", "/Shared/etl/02 clean").is_none());
    assert!(entry(&bench.store, &report, "notebook", "/Shared/etl/01 load").is_some());
}

#[tokio::test]
async fn a_notebook_over_ten_megabytes_comes_by_the_direct_way_or_is_a_gap() {
    let bench = Bench::empty().await;
    let long = format!("# Databricks notebook source\n{}", "x".repeat(11 << 20));
    let workspace = &bench.running.workspace;
    workspace.put_notebook("/Shared/long", "PYTHON", &long);
    let first = bench.backup().await;
    assert!(first.snapshot.complete, "{:?}", gaps(&first));
    assert_eq!(
        content(&bench.store, &first, "notebook", "/Shared/long"),
        long.as_bytes()
    );

    // The direct way is closed, and the notebook changed: what there was is kept, with the words of the service.
    workspace.put_notebook("/Shared/long", "PYTHON", &format!("{long}y"));
    let too_large = Effect::Refuse {
        status: 400,
        code: "MAX_NOTEBOOK_SIZE_EXCEEDED".into(),
        message: "Size exceeds the limit".into(),
    };
    workspace.inject(rule("workspace/export", "/Shared/long", too_large));
    let second = bench.backup().await;
    let kept = entry(&bench.store, &second, "notebook", "/Shared/long").unwrap();
    let gap = kept.gap.clone().unwrap();
    assert_eq!(gap.extent, Extent::Content);
    assert!(
        gap.reason.contains("Size exceeds the limit"),
        "{}",
        gap.reason
    );
    assert!(kept.carried_over);
    assert_eq!(
        kept.content.unwrap().read(&bench.store).unwrap(),
        long.as_bytes()
    );

    // What was taken over is not mistaken for what the workspace has.
    workspace.set_faults(crate::sandbox::Faults::default());
    let third = bench.backup().await;
    assert!(third.snapshot.complete);
    assert!(content(&bench.store, &third, "notebook", "/Shared/long").ends_with(b"y"));
}

#[tokio::test]
async fn a_kind_whose_list_fails_keeps_what_the_parent_had() {
    let bench = Bench::small().await;
    let first = bench.backup().await;
    bench
        .running
        .workspace
        .inject(Rule::new("/api/2.2/jobs/list", refused("No jobs for you")));
    let second = bench.backup().await;
    let whole = entry(&bench.store, &second, "job", "").unwrap();
    let gap = whole.gap.unwrap();
    assert_eq!(gap.extent, Extent::Kind);
    assert!(gap.reason.contains("No jobs for you"), "{}", gap.reason);
    let jobs = |report| {
        let all = entries(&bench.store, report).into_iter();
        all.filter(|entry| entry.key.kind.as_str() == "job" && !entry.key.name.is_empty())
    };
    assert_eq!(jobs(&second).count(), jobs(&first).count());
    assert!(jobs(&second).all(|job| job.carried_over && job.body.is_some()));
    assert_eq!(second.counts["job"].removed, 0);

    bench
        .running
        .workspace
        .set_faults(crate::sandbox::Faults::default());
    let third = bench.backup().await;
    assert_eq!(third.snapshot.root, first.snapshot.root);
}

#[tokio::test]
async fn a_feature_that_the_workspace_does_not_have_is_no_gap_until_it_once_had_it() {
    let disabled = || Effect::Refuse {
        status: 404,
        code: "FEATURE_DISABLED".into(),
        message: "Instance profiles are not there".into(),
    };
    let path = "/api/2.0/instance-profiles/list";
    let bench = Bench::empty().await;
    bench.running.workspace.inject(Rule::new(path, disabled()));
    let report = bench.backup().await;
    assert!(report.snapshot.complete, "{:?}", gaps(&report));
    assert!(bench.heard.any("this workspace has no instance-profile"));

    let bench = Bench::small().await;
    bench.backup().await;
    bench.running.workspace.inject(Rule::new(path, disabled()));
    let report = bench.backup().await;
    assert!(
        gaps(&report)
            .iter()
            .any(|gap| gap.starts_with("instance-profile : Kind"))
    );
}

#[tokio::test]
async fn an_object_without_readable_permissions_is_captured_all_the_same() {
    let bench = Bench::small().await;
    let first = bench.backup().await;
    let id = entry(&bench.store, &first, "notebook", "/Shared/etl/01 load")
        .unwrap()
        .object_id
        .unwrap();
    let path = format!("/api/2.0/permissions/notebooks/{id}");
    bench
        .running
        .workspace
        .inject(Rule::new(path, refused("Not yours")));
    bench.running.workspace.put_notebook(
        "/Shared/etl/01 load",
        "PYTHON",
        "# Databricks notebook source\nnew",
    );
    let second = bench.backup().await;
    let notebook = entry(&bench.store, &second, "notebook", "/Shared/etl/01 load").unwrap();
    assert_eq!(notebook.gap.unwrap().extent, Extent::Permissions);
    assert!(notebook.carried_over && notebook.permissions.is_some());
    assert!(content(&bench.store, &second, "notebook", "/Shared/etl/01 load").ends_with(b"new"));
}

#[tokio::test]
async fn facts_of_another_list_that_fails_make_the_bodies_gaps() {
    let bench = Bench::small().await;
    let first = bench.backup().await;
    let path = "/api/2.0/libraries/all-cluster-statuses";
    bench
        .running
        .workspace
        .inject(Rule::new(path, refused("No libraries")));
    let second = bench.backup().await;
    let clusters: Vec<_> = entries(&bench.store, &second)
        .into_iter()
        .filter(|entry| entry.key.kind.as_str() == "cluster")
        .collect();
    assert_eq!(clusters.len(), 4);
    for cluster in clusters {
        let gap = cluster.gap.unwrap();
        assert_eq!(gap.extent, Extent::Object);
        assert!(
            gap.reason.starts_with("libraries is unknown: "),
            "{}",
            gap.reason
        );
        let before = tree(&bench.store, &first)
            .get(&cluster.key)
            .unwrap()
            .unwrap();
        assert_eq!(cluster.body, before.body);
    }
}

#[tokio::test]
async fn what_disappears_between_list_and_export_is_gone_and_no_gap() {
    let bench = Bench::empty().await;
    let workspace = &bench.running.workspace;
    workspace.put_notebook("/Shared/here", "SQL", "-- Databricks notebook source\n");
    workspace.put_notebook(
        "/Shared/unreadable",
        "SQL",
        "-- Databricks notebook source\n",
    );
    let not_found = || Effect::Refuse {
        status: 404,
        code: "RESOURCE_DOES_NOT_EXIST".into(),
        message: "Path doesn't exist.".into(),
    };
    // Still listed: the caller may not read it, which the service says in the same words.
    workspace.inject(rule("workspace/export", "/Shared/unreadable", not_found()));
    let report = bench.backup().await;
    let gap = entry(&bench.store, &report, "notebook", "/Shared/unreadable")
        .unwrap()
        .gap;
    assert_eq!(gap.unwrap().extent, Extent::Content);

    // Removed by the time its export is answered.
    workspace.set_faults(crate::sandbox::Faults::default());
    workspace.put_notebook(
        "/Shared/vanishing",
        "SQL",
        "-- Databricks notebook source\n",
    );
    let late = Effect::Delay(std::time::Duration::from_millis(300));
    workspace.inject(rule("workspace/export", "/Shared/vanishing", late));
    let removing = async {
        while workspace.requests().to("workspace/export") == 0 {
            tokio::task::yield_now().await;
        }
        workspace.remove("/Shared/vanishing");
    };
    let (report, ()) = tokio::join!(bench.try_backup(bench.options()), removing);
    let report = report.unwrap();
    assert!(entry(&bench.store, &report, "notebook", "/Shared/vanishing").is_none());
    assert!(report.snapshot.complete, "{:?}", gaps(&report));
    assert!(bench.heard.any("notebook /Shared/vanishing disappeared"));
}

#[tokio::test]
async fn credentials_that_end_in_the_middle_end_the_backup() {
    let bench = Bench::small().await;
    bench
        .running
        .workspace
        .inject(Rule::new("/api/2.0/permissions", Effect::Unauthenticated));
    let error = bench.try_backup(bench.options()).await.unwrap_err();
    assert!(
        matches!(error, BackupError::Export(ExportError::Unauthenticated(_))),
        "{error:?}"
    );
    assert_eq!(bench.store.heads().unwrap(), []);
}

#[tokio::test]
async fn a_workspace_that_is_not_there_is_said_to_be_out_of_reach() {
    let bench = Bench::empty().await;
    let heard: Arc<dyn Reporter> = bench.heard.clone();
    let nobody = client("http://127.0.0.1:1", "token");
    let error = run(&nobody, &bench.store, bench.options(), &heard)
        .await
        .unwrap_err();
    assert!(matches!(error, BackupError::Workspace(_)), "{error:?}");
}

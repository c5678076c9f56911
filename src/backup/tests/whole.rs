//! What a first backup brings home.

use super::*;
use crate::manifest::Payload;
use crate::sandbox::{Effect, Faults, Rule};

#[tokio::test]
async fn a_first_backup_misses_only_what_the_api_never_gives() {
    let bench = Bench::small().await;
    let report = bench.backup().await;
    assert_eq!(
        gaps(&report),
        [
            "workspace-object /Users/bob@example.com/oldlib: Content: the API gives no content for objects of type LIBRARY"
        ]
    );
    let head = &report.snapshot;
    let count = |kind: &str| head.kinds.get(kind).map_or(0, |totals| totals.entries);
    for kind in crate::resource::ALL {
        // Nobody named anything that could read the metastore, or said since when runs are wanted.
        let is_asked_for = kind.is_by_time() || kind.is_dbfs_file() || kind.is_mount();
        let is_read = kind.securable().is_none() && !is_asked_for;
        assert_eq!(count(kind.name) > 0, is_read, "{}", kind.name);
    }
    // Every node of the tree is in it, but for what lies in Git folders.
    let nodes = [
        "directory",
        "notebook",
        "file",
        "git-folder",
        "dashboard",
        "experiment",
        "workspace-object",
    ];
    let in_git = bench.running.workspace.tree_size() as u64 - nodes.map(count).iter().sum::<u64>();
    assert!(in_git < 10, "{in_git} nodes are missing");
    assert_eq!(head.workspace_id.as_deref(), Some("1234567890123456"));
    assert_eq!(head.user, "admin@example.com");
    assert_eq!(head.requests, bench.running.workspace.requests().total);
    assert_eq!(report.counts["notebook"].new, count("notebook"));
}

#[tokio::test]
async fn contents_come_in_their_native_form_and_bodies_say_which() {
    let bench = Bench::small().await;
    let report = bench.backup().await;
    let store = &bench.store;
    let body = |name| {
        let body = entry(store, &report, "notebook", name)
            .unwrap()
            .body
            .unwrap();
        String::from_utf8(body.read(store).unwrap().into()).unwrap()
    };
    assert_eq!(
        body("/Shared/odd/100% sure?"),
        r#"{"format":"SOURCE","language":"PYTHON"}"#
    );
    assert_eq!(
        body("/Shared/reports/explore"),
        r#"{"format":"JUPYTER","language":"PYTHON"}"#
    );
    let explore = content(store, &report, "notebook", "/Shared/reports/explore");
    assert!(explore.starts_with(b"{\n \"cells\""), "the indent is kept");
    let decoy = content(
        store,
        &report,
        "file",
        "/Shared/etl/lib/looks_like_a_notebook.py",
    );
    assert!(decoy.starts_with(b"# Databricks notebook source\nprint('a file"));
    // In an archive the two would share a name.
    let twins = [
        ("notebook", "/Shared/odd/twins/x"),
        ("file", "/Shared/odd/twins/x.py"),
    ];
    let [notebook, file] = twins.map(|(kind, name)| content(store, &report, kind, name));
    assert_ne!(notebook, file);
    assert_eq!(
        content(store, &report, "file", "/Shared/odd/empty file"),
        b""
    );
}

#[tokio::test]
async fn a_job_of_many_tasks_and_joined_facts_are_whole() {
    let bench = Bench::small().await;
    let report = bench.backup().await;
    let bodies = |kind: &str| -> Vec<serde_json::Value> {
        entries(&bench.store, &report)
            .into_iter()
            .filter(|entry| entry.key.kind.as_str() == kind)
            .map(|entry| entry.body.unwrap().read(&bench.store).unwrap())
            .map(|bytes| serde_json::from_slice(&bytes).unwrap())
            .collect()
    };
    let tasks = bodies("job");
    let most = tasks
        .iter()
        .map(|job| job["tasks"].as_array().map_or(0, Vec::len))
        .max();
    assert!(most > Some(100), "{most:?}");
    let clusters = bodies("cluster");
    assert!(clusters.iter().any(|cluster| cluster["pinned"] == true));
    assert!(
        clusters
            .iter()
            .any(|cluster| cluster["libraries"].is_array())
    );
    let scripts = bodies("global-init-script");
    assert!(scripts.iter().all(|script| script["script"].is_string()));
}

#[tokio::test]
async fn hundreds_of_notebooks_take_fewer_requests_for_contents_than_there_are_folders() {
    let bench = Bench::empty().await;
    for number in 0..400 {
        let path = format!(
            "/Shared/team {}/project {}/n{number}",
            number % 4,
            number % 20
        );
        let text = format!("# Databricks notebook source\nprint({number})\n");
        bench.running.workspace.put_notebook(&path, "PYTHON", &text);
    }
    let report = bench.backup().await;
    assert!(report.snapshot.complete, "{:?}", gaps(&report));
    assert_eq!(report.snapshot.kinds["notebook"].entries, 400);
    let exports = bench.requests("workspace/export");
    assert!(exports < 20, "{exports} exports");
    assert_eq!(
        content(
            &bench.store,
            &report,
            "notebook",
            "/Shared/team 3/project 7/n347"
        ),
        b"# Databricks notebook source\nprint(347)\n"
    );
}

#[tokio::test]
async fn a_folder_too_large_for_one_archive_is_read_in_parts() {
    let bench = Bench::empty().await;
    let workspace = &bench.running.workspace;
    for number in 0..18 {
        let path = format!("/Shared/{}/n{number}", number % 3);
        workspace.put_notebook(&path, "PYTHON", "# Databricks notebook source\n");
    }
    let too_large = Effect::Refuse {
        status: 400,
        code: "MAX_NOTEBOOK_SIZE_EXCEEDED".into(),
        message: "Size exceeds the limit".into(),
    };
    workspace.inject(Rule::new("/api/2.0/workspace/export", too_large).times(2));
    let report = bench.backup().await;
    assert!(report.snapshot.complete, "{:?}", gaps(&report));
    assert_eq!(report.snapshot.kinds["notebook"].entries, 18);
    // All of it and /Shared are refused; then three folders, and one notebook to try archives out.
    assert_eq!(bench.requests("workspace/export"), 2 + 3 + 1);
}

#[tokio::test]
async fn faults_in_five_of_a_hundred_requests_leave_nothing_out() {
    let bench = Bench::start(Options {
        sample: Sample::Small,
        faults: Faults {
            throttled: 0.02,
            internal: 0.01,
            unavailable: 0.01,
            broken: 0.01,
            ..Faults::default()
        },
        ..Options::default()
    })
    .await;
    let report = bench.backup().await;
    assert_eq!(report.snapshot.gaps.count, 1, "{:?}", gaps(&report));
    let quiet = Bench::small().await;
    let expected = quiet.backup().await;
    assert!(report.requests.repeats > 0);
    assert_eq!(report.snapshot.root.node, expected.snapshot.root.node);
}

#[tokio::test]
async fn what_an_archive_does_not_bring_is_read_one_by_one() {
    let bench = Bench::empty().await;
    let workspace = &bench.running.workspace;
    for number in 0..5 {
        let path = format!("/Shared/x/n{number}");
        workspace.put_notebook(&path, "SQL", "-- Databricks notebook source\n");
    }
    // Does not look like a notebook, so that only a single export can be believed.
    workspace.put_notebook("/Shared/x/empty", "SQL", "");
    let report = bench.backup().await;
    assert!(report.snapshot.complete, "{:?}", gaps(&report));
    // The archive, its trial, the empty one.
    assert_eq!(bench.requests("workspace/export"), 3);

    let refusal = Effect::Refuse {
        status: 400,
        code: "BAD_REQUEST".into(),
        message: "A folder cannot be exported".into(),
    };
    workspace.inject(Rule::new("/api/2.0/workspace/export", refusal).times(1));
    let options = BackupOptions {
        full: true,
        ..bench.options()
    };
    let report = bench.try_backup(options).await.unwrap();
    assert!(report.snapshot.complete, "{:?}", gaps(&report));
    assert_eq!(report.counts["notebook"].unchanged, 6);
    assert_eq!(bench.requests("workspace/export"), 1 + 6);
    assert!(
        bench
            .heard
            .any("is of no use: GET /api/2.0/workspace/export")
    );
}

#[tokio::test]
async fn only_what_is_selected_is_asked_for() {
    let bench = Bench::small().await;
    let options = BackupOptions {
        selection: only(&["job", "user"]),
        ..bench.options()
    };
    let report = bench.try_backup(options).await.unwrap();
    assert!(report.snapshot.complete);
    assert_eq!(report.snapshot.kinds.len(), 2);
    assert_eq!(bench.requests("workspace/"), 0);

    let options = BackupOptions {
        selection: Selection {
            home: Some("ana@example.com".into()),
            ..Selection::default()
        },
        ..bench.options()
    };
    let report = bench.try_backup(options).await.unwrap();
    let entries = entries(&bench.store, &report);
    assert!(entries.len() > 8);
    for entry in entries {
        assert!(
            entry.key.name.starts_with("/Users/ana@example.com"),
            "{}",
            entry.key
        );
    }
    // The root, /Users, and what is in the home.
    assert_eq!(bench.requests("workspace/list"), 6);
    assert_eq!(bench.requests("scim/v2/Users"), 0);
}

#[tokio::test]
async fn permissions_hold_what_was_granted_on_the_object_itself() {
    let bench = Bench::small().await;
    let report = bench.backup().await;
    let granted = entry(
        &bench.store,
        &report,
        "directory",
        "/Users/ana@example.com/projects",
    );
    let expected = Payload::Inline(br#"{"user:bob@example.com":"CAN_EDIT"}"#.to_vec());
    assert_eq!(granted.unwrap().permissions, Some(expected));
    let inherited = entry(&bench.store, &report, "directory", "/Shared/empty").unwrap();
    assert_eq!(inherited.permissions, Some(Payload::Inline(b"{}".to_vec())));
    let group = entry(&bench.store, &report, "group", "analysts").unwrap();
    assert_eq!(group.permissions, None);
}

#[tokio::test]
async fn many_folders_come_through_few_connections() {
    let mut bench = Bench::empty().await;
    for number in 0..280 {
        let path = format!("/Shared/{}/n{number}", number % 40);
        let text = format!("# Databricks notebook source\n{number}");
        bench.running.workspace.put_notebook(&path, "PYTHON", &text);
    }
    bench.client = narrow_client(&bench.running.url, bench.running.token.reveal(), 2);
    bench.backup().await;
    // Without contents to wait for, the folders are found faster than their objects are asked about.
    let report = bench.backup().await;
    assert_eq!(report.counts["notebook"].unchanged, 280);
}

#[tokio::test]
async fn an_answer_that_pauses_or_breaks_off_in_the_middle_is_read_whole() {
    let bench = Bench::empty().await;
    let workspace = &bench.running.workspace;
    let path = "/Shared/half and half";
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
    workspace.put_file(path, &bytes);
    // The rule that is injected last is met first.
    let pause = Effect::Pause(std::time::Duration::from_millis(20));
    workspace.inject(Rule::new("/api/2.0/workspace/", pause));
    workspace.inject(Rule::new("/api/2.0/workspace/export", Effect::Break).times(2));
    let report = bench.backup().await;
    assert_eq!(gaps(&report), [""; 0]);
    assert_eq!(content(&bench.store, &report, "file", path), bytes);
}

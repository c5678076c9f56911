//! Exports that are damaged, odd, or made to do harm.

use super::super::book::Book;
use super::super::files::Export;
use super::super::{dbc as archives, layout, take};
use super::*;
use crate::testing::fuzz;

#[test]
fn every_bad_line_is_named_with_its_file_and_number() {
    let bench = Bench::new();
    bench.write(
        "users.log",
        b"{\"id\": \"1\", \"userName\": \"ana\"}\nnot json\n\xff\xfe\n{\"id\": \"2\"}\n[]\n{\"error_code\": \"X\", \"message\": \"m\"}\n\
            {\"id\": {}, \"userName\": 7}\n{\"id\": \"3\", \"userNa",
    );
    let imported = bench.import();
    for (line, reason) in [
        (2, "it is no JSON at column 2"),
        (3, "it is not UTF-8 from byte 1 on"),
        (4, "the workspace listed a user without `userName`"),
        (5, "it is JSON, but no object"),
        (6, "X: m"),
        (7, "the workspace listed a user without `id`"),
        (8, "it ends in the middle"),
    ] {
        let words = format!("user: users.log line {line}: {reason}");
        assert!(bench.heard(&words), "{words}");
    }
    assert!(imported.unlisted("user").starts_with("users.log line 2: "));
    let users: Vec<String> = imported
        .names()
        .into_iter()
        .filter(|name| name.starts_with("user "))
        .collect();
    assert_eq!(users, ["user ana"]);
}

#[test]
fn an_object_that_is_told_twice_counts_once_and_two_stories_are_a_gap() {
    let bench = Bench::new();
    bench.lines(
        "users.log",
        &[
            user("1", "ana"),
            user("1", "ana"),
            user("2", "bob"),
            user("3", "bob"),
        ],
    );
    bench.lines("user_dirs.log", &[node("/a", 1)]);
    bench.lines(
        "acl_directories.log",
        &[
            acl("/directories/1", "path", "/a", "x", "CAN_READ"),
            acl("/directories/1", "path", "/a", "y", "CAN_READ"),
            json!({"error_code": "E", "message": "no", "path": "/b"}),
        ],
    );
    let imported = bench.import();
    assert!(imported.get("user ana").gap.is_none());
    let gap = imported.gap("user bob");
    assert_eq!(
        gap,
        "Object: users.log line 4 says something else of it than an earlier line"
    );
    let gap = imported.gap("directory /a");
    assert_eq!(
        gap,
        "Permissions: acl_directories.log has two records of it that differ"
    );
}

#[test]
fn what_the_older_tool_could_not_read_is_a_gap_of_the_object_or_the_kind() {
    let bench = Bench::new();
    bench.lines(
        "user_workspace.log",
        &[node("/a", 1), node("/b", 2), node("/c", 3)],
    );
    bench.write("artifacts/a.py", "# Databricks notebook source\n");
    bench.lines(
        "failed_notebooks.log",
        &[json!({"error_code": "TOO_LARGE", "path": "/b"})],
    );
    bench.lines(
        "app_logs/failed_export_notebooks.log",
        &[json!({"error_code": "GONE", "path": "/elsewhere"})],
    );
    bench.lines(
        "app_logs/failed_export_acl_notebooks.log",
        &[json!({"error_code": "DENIED", "path": "/a"})],
    );
    bench.write(
        "app_logs/failed_export_clusters.log",
        "Failed to get cluster ACL: {'a': 1}\n\n",
    );
    bench.lines(
        "app_logs/failed_import_users.log",
        &[json!({"error_code": "X"})],
    );
    bench.lines("users.log", &[user("1", "ana")]);
    bench.write(
        "checkpoint/export_tasks.log",
        "export_workspace_items_log\nexport_notebooks\n",
    );
    let imported = bench.import();
    assert_eq!(imported.gap("notebook /a"), "Permissions: DENIED");
    assert_eq!(
        imported.gap("notebook /b"),
        "Object: there is no file of it in artifacts; TOO_LARGE; there is no acl_notebooks.log"
    );
    assert!(
        imported
            .gap("notebook /c")
            .starts_with("Object: there is no file of it in artifacts")
    );
    assert_eq!(imported.gap("notebook /elsewhere"), "Object: GONE");
    let clusters = imported.unlisted("cluster");
    assert!(
        clusters.starts_with("app_logs/failed_export_clusters.log line 1: Failed to get"),
        "{clusters}"
    );
    let users = imported.unlisted("user");
    assert_eq!(
        users,
        "checkpoint/export_tasks.log does not have export_users among the tasks that were done"
    );
    assert_eq!(imported.unlisted("notebook"), "");
}

#[test]
fn what_is_not_understood_is_listed_and_what_is_no_data_is_said() {
    let bench = Bench::new();
    bench.lines("user_workspace.log", &[node("/a", 1)]);
    bench.write("artifacts/a.html", "<html>");
    bench.write(
        "artifacts/left over.py",
        "# Databricks notebook source\n1\n",
    );
    bench.write("artifacts/what.txt", "?");
    bench.write("my notes.txt", "?");
    bench.write("jobs.log/x", "?");
    bench.write("table_acls", "?");
    bench.write("groups/sub/x", "{}");
    bench.write("app_logs/odd.log", "?");
    bench.write("app_logs/failed_export_dashboards.log", "?\n");
    bench.write("ml_run_artifacts/run/model.pkl", "?");
    bench.write("job_id_map.log", "{}");
    let imported = bench.import();
    let strange: Vec<String> = imported
        .names()
        .into_iter()
        .filter(|name| name.starts_with("export-file"))
        .collect();
    assert_eq!(
        strange,
        [
            "export-file app_logs/failed_export_dashboards.log",
            "export-file app_logs/odd.log",
            "export-file artifacts/what.txt",
            "export-file groups/sub",
            "export-file jobs.log",
            "export-file ml_run_artifacts",
            "export-file my notes.txt",
            "export-file table_acls",
        ]
    );
    assert_eq!(
        imported.gap("export-file ml_run_artifacts"),
        "Object: imports do not take artifacts of MLflow runs"
    );
    assert!(
        imported
            .gap("notebook /a")
            .contains("a page of HTML is no notebook")
    );
    let gap = imported.gap("notebook /left over");
    assert!(
        gap.starts_with("Object: no listing has it: artifacts/left over.py"),
        "{gap}"
    );
    assert!(bench.heard(
        "not part of a snapshot: job_id_map.log (made by an import into another workspace)"
    ));
}

#[test]
#[cfg(unix)]
fn nothing_outside_the_export_is_read() {
    use std::os::unix::fs::symlink;
    let bench = Bench::new();
    let outside = bench.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x.py"), "secret").unwrap();
    fs::write(outside.join("users.log"), user("1", "ana").to_string()).unwrap();
    symlink(outside.join("users.log"), bench.logs().join("users.log")).unwrap();
    bench.lines(
        "user_workspace.log",
        &[
            node("/../../outside/x", 1),
            node("/link/x", 2),
            node("/y", 3),
            node("/a//b", 4),
            node("relative", 5),
        ],
    );
    fs::create_dir(bench.logs().join("artifacts")).unwrap();
    symlink(&outside, bench.logs().join("artifacts/link")).unwrap();
    symlink(outside.join("x.py"), bench.logs().join("artifacts/y.py")).unwrap();
    symlink(&outside, bench.logs().join("groups")).unwrap();
    let imported = bench.import();
    assert!(
        imported
            .entries()
            .iter()
            .all(|entry| entry.content.is_none())
    );
    let paths = imported.unlisted("notebook");
    for path in ["/../../outside/x", "/a//b", "relative"] {
        assert!(
            paths.contains(&format!("`{path}` is no path of a workspace")),
            "{paths}"
        );
    }
    for name in ["/link/x", "/y"] {
        let gap = imported.gap(&format!("notebook {name}"));
        assert!(gap.contains("symbolic link"), "{gap}");
    }
    assert!(
        imported
            .gap("export-file users.log")
            .contains("symbolic link")
    );
    assert!(!imported.names().contains(&"user ana".to_owned()));
}

#[test]
fn archives_that_are_no_notebook_are_refused_with_words() {
    let good = dbc(&[(
        "n.python",
        "{\"version\": \"NotebookV1\", \"language\": \"python\", \"commands\": []}",
    )]);
    assert!(archives::source(&good).is_ok());
    let notebook = |version: &str, language: &str| {
        let text = json!({"version": version, "language": language, "commands": []}).to_string();
        dbc(&[("n", &text)])
    };
    for (bytes, words) in [
        (b"PK".to_vec(), "no DBC archive"),
        (dbc(&[]), "something else than one notebook"),
        (
            dbc(&[("a", "{}"), ("b", "{}")]),
            "something else than one notebook",
        ),
        (dbc(&[("a", "{}")]), "is no notebook"),
        (
            notebook("NotebookV9", "python"),
            "unknown version NotebookV9",
        ),
        (notebook("NotebookV1", "cobol"), "unknown language cobol"),
    ] {
        let reason = archives::source(&bytes).unwrap_err();
        assert!(reason.contains(words), "{reason}");
    }
    let fuzzed = fuzz("dbc", &[good], |bytes| archives::source(bytes).is_ok());
    assert!(fuzzed.accepted > 0);
}

/// Every line of a fuzzed list of users ends as a user or as a gap, and no other line suffers from it.
#[test]
fn fuzzed_lines_are_users_or_gaps() {
    let bench = Bench::new();
    let good = format!(
        "{}\n{}\n",
        user("1", "ana@example.com"),
        user("2", "bob@example.com")
    );
    let fuzzed = fuzz("lines of users", &[good.into_bytes()], |bytes| {
        bench.write("users.log", bytes);
        let root = bench.logs();
        let mut book = Book::new(&bench.store, &|| false, &crate::report::Silent).unwrap();
        take(
            &mut book,
            &Export { root: root.clone() },
            &layout::top(&root).unwrap(),
            false,
        )
        .unwrap();
        let entries: Vec<Entry> = book
            .ledger
            .sorted()
            .filter_map(|(_, record)| record.entry())
            .collect();
        let is_user = |line: &[u8]| {
            let value: Option<Value> = serde_json::from_slice(line).ok();
            value
                .is_some_and(|value| value["userName"].is_string() || value["userName"].is_number())
        };
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty());
        let bad = lines.filter(|line| !is_user(line)).count();
        let has_gap = entries
            .iter()
            .any(|entry| entry.key.name.is_empty() && entry.gap.is_some());
        assert!(has_gap || bad == 0, "a line was skipped silently");
        !has_gap
    });
    assert!(fuzzed.accepted > 0);
}

#[test]
fn failures_with_one_object_are_told_together_and_those_that_nothing_uses_one_by_one() {
    let bench = Bench::new();
    bench.lines("user_workspace.log", &[node("/b", 2)]);
    let failed = |path: &str, words: &str| json!({"error_code": words, "path": path});
    bench.write("failed_notebooks.log", {
        let lines = [
            failed("/a", "A1"),
            failed("/b", "B1"),
            failed("/é", "E1"),
            failed("/b", "B2"),
            failed("/c", "C1"),
        ];
        let lines = lines.map(|line| line.to_string());
        format!(
            "{}\n\n{}\r\n{}\n{}\n{}",
            lines[0], lines[1], lines[2], lines[3], lines[4]
        )
    });
    bench.lines("failed_acl_notebooks.log", &[failed("/b", "P1")]);
    let imported = bench.import();
    let gap = imported.gap("notebook /b");
    assert!(gap.contains("B1; B2") && gap.contains("P1"), "{gap}");
    for (name, words) in [("/a", "A1"), ("/é", "E1"), ("/c", "C1")] {
        assert_eq!(
            imported.gap(&format!("notebook {name}")),
            format!("Object: {words}")
        );
    }
    assert_eq!(imported.unlisted("notebook"), "");
}

//! Plain directories in and out.

use serde_json::json;

use crate::support::TestEnv;

const PYTHON: &str = "# Databricks notebook source\nprint(1)\n";

/// A home with a directory `etl`.
fn with_directory() -> TestEnv {
    let env = TestEnv::new();
    env.write("etl/load.py", PYTHON);
    env.write("etl/load.sql", "-- Databricks notebook source\nselect 1\n");
    env.write(
        "etl/sub/query.sql",
        "-- Databricks notebook source\nselect 2\n",
    );
    env.write("etl/README.md", "read me\n");
    env
}

const IMPORT: [&str; 6] = ["import", "etl", "--name", "etl", "--at", "/Shared/etl"];

#[test]
fn a_directory_goes_in_and_comes_out() {
    let env = with_directory();
    insta::assert_snapshot!("import", env.run(&IMPORT));
    env.write("etl/README.md", "read me again\n");
    std::fs::remove_file(env.path("etl/sub/query.sql")).unwrap();
    insta::assert_snapshot!("import-again", env.run(&IMPORT));
    insta::assert_snapshot!("import-diff", env.run(&["diff", "latest~1", "latest"]));
    insta::assert_snapshot!("import-show", env.run(&["show", "latest"]));
    insta::assert_snapshot!("export", env.run(&["export", "latest", "out"]));
    insta::assert_snapshot!("export-again", env.run(&["export", "latest", "out"]));
    let written = std::fs::read_to_string(env.path("out/workspace/Shared/etl/load.py"));
    assert_eq!(written.unwrap(), PYTHON);
    let report = env.json(&["export", "latest", "part", "/Shared/etl/sub"]);
    assert_eq!(
        (&report["files"], &report["directories"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(env.json(&["check"])["problems"], json!([]));
}

#[test]
fn an_import_tells_of_a_store_that_lost_its_snapshots() {
    let env = with_directory();
    let told = || {
        let output = env.output(&["import", "etl", "--quiet"]);
        let text = String::from_utf8(output.stderr).unwrap();
        let is_told = text.contains("but no snapshot");
        assert_eq!(output.status.code(), Some(if is_told { 3 } else { 0 }));
        is_told
    };
    assert!(!told() && !told());
    std::fs::remove_dir_all(env.path(".local/share/dbsnap/store/snapshots")).unwrap();
    assert!(told());
}

#[test]
#[cfg(unix)]
fn what_is_not_imported_is_named_in_the_snapshot_and_in_the_export() {
    let env = with_directory();
    std::os::unix::fs::symlink("load.py", env.path("etl/link")).unwrap();
    insta::assert_snapshot!("import-partial", env.run(&IMPORT));
    insta::assert_snapshot!("export-partial", env.run(&["export", "latest", "out"]));
}

#[test]
fn an_archive_goes_to_a_file_or_to_the_standard_output() {
    let env = with_directory();
    env.output(&IMPORT);
    insta::assert_snapshot!(
        "export-tar",
        env.run(&["export", "latest", "etl.tar", "--format", "tar"])
    );
    let piped = env.output(&["export", "latest", "-", "--format", "tar"]);
    assert_eq!(piped.status.code(), Some(0));
    assert_eq!(piped.stdout, std::fs::read(env.path("etl.tar")).unwrap());
    let again = env.output(&["export", "latest", "etl.tar", "--format", "tar"]);
    assert_eq!(again.status.code(), Some(1), "nothing is overwritten");
}

#[test]
fn what_cannot_be_imported_or_exported_is_refused() {
    let env = with_directory();
    insta::assert_snapshot!("import-missing", env.run(&["import", "nowhere"]));
    insta::assert_snapshot!("import-at", env.run(&["import", "etl", "--at", "Shared"]));
    env.output(&IMPORT);
    insta::assert_snapshot!("export-dir-to-stdout", env.run(&["export", "latest", "-"]));
    insta::assert_snapshot!(
        "export-path",
        env.run(&["export", "latest", "out", "/Shared/elt"])
    );
    assert!(
        !env.path("out").exists(),
        "a typing error leaves nothing behind"
    );
}

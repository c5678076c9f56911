//! `stats`: where the bytes are.

use crate::support::TestEnv;

/// Two imports of a directory; the second has one notebook more.
fn imported() -> TestEnv {
    let env = TestEnv::new();
    let notebook = |of: &str| -> String {
        let line = |n: u32| format!("df{n} = spark.table('{of}_{n}')\n");
        format!(
            "# Databricks notebook source\n{}",
            (0..80).map(line).collect::<String>()
        )
    };
    env.write("work/Users/ana/a.py", &notebook("a"));
    env.write("work/Users/ana/b.py", &notebook("a"));
    env.write("work/Users/eva/c.py", &notebook("c"));
    env.output(&["import", "work"]);
    env.write("work/Users/eva/d.py", &notebook("d"));
    env.output(&["import", "work"]);
    env
}

#[test]
fn a_snapshot_is_told_by_kind_and_by_path() {
    let env = imported();
    insta::assert_snapshot!("stats-kind", env.run(&["stats", "latest"]));
    insta::assert_snapshot!("stats-path", env.run(&["stats", "latest", "--by", "path"]));
    let parts = env.json(&["stats", "latest", "--by", "path", "--depth", "1"]);
    let parts = parts["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 2, "{parts:?}");
}

#[test]
fn what_each_snapshot_added_and_alone_needs_is_told_and_adds_up() {
    let env = imported();
    let stats = env.json(&["stats"]);
    let snapshots = stats["snapshots"].as_array().unwrap();
    let sum = |what: &str| -> u64 { snapshots.iter().map(|s| s[what].as_u64().unwrap()).sum() };
    assert_eq!(sum("added_bytes"), stats["blob_bytes"].as_u64().unwrap());
    assert_eq!(stats["unneeded_bytes"], 0);
    assert!(snapshots[1]["own_bytes"].as_u64().unwrap() > 0, "{stats}");
    let text = String::from_utf8(env.output(&["stats"]).stdout).unwrap();
    let headings = ["ID", "TIME", "OBJECTS", "SIZE", "ADDED", "ONLY", "HERE"];
    let line: Vec<&str> = text.lines().nth(3).unwrap().split_whitespace().collect();
    assert_eq!(line, headings, "{text}");
    let wrong = env.output(&["stats", "--by", "path"]);
    assert_eq!(wrong.status.code(), Some(2));
}

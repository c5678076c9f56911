//! `copy`: what it says, and that the copy is as good as the original.

use dbsnap::sandbox::Sample;

use crate::support::{Served, TestEnv};

/// Two snapshots of a notebook that changes.
fn history() -> (Served, TestEnv) {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    for text in ["1", "2"] {
        let text = format!("# Databricks notebook source\n{text}");
        let workspace = &served.running.workspace;
        workspace.put_notebook("/Shared/report", "PYTHON", &text);
        env.output(&["backup", "--profile", "DEMO"]);
    }
    (served, env)
}

#[test]
fn all_snapshots_are_in_the_other_store_under_the_same_ids() {
    let (_served, env) = history();
    let said = env.run(&["copy", "--to", "other", "--dry-run"]);
    assert!(!env.path("other").exists());
    insta::assert_snapshot!(
        "copy",
        [
            said,
            env.run(&["copy", "latest~1", "--to", "other"]),
            env.run(&["copy", "--to", "other"]),
            env.run(&["copy", "--to", "other"]),
        ]
        .join("\n")
    );
    let there = ["snapshots", "--store", "other"];
    assert_eq!(env.json(&there), env.json(&["snapshots"]));
    let checked = env.json(&["check", "--read-data", "--store", "other"]);
    assert_eq!(checked["sound"], true, "{checked}");
    let cat = ["cat", "latest", "/Shared/report"];
    let there = env.output(&[&cat[..], &["--store", "other"]].concat());
    assert_eq!(there.stdout, env.output(&cat).stdout);
}

#[test]
fn a_store_is_not_copied_onto_itself_or_into_itself() {
    let (_served, env) = history();
    let store = env.path(".local/share/dbsnap/store");
    let before = env.json(&["snapshots"]);
    for to in [store.clone(), store.join("copies/first")] {
        for more in [&[][..], &["--dry-run"]] {
            let copy = [&["copy", "--to", to.to_str().unwrap()][..], more].concat();
            let output = env.output(&copy);
            assert_eq!(output.status.code(), Some(1), "{copy:?}");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("lies in the store at"), "{said}");
        }
    }
    assert!(!store.join("copies").exists());
    assert_eq!(env.json(&["snapshots"]), before);
}

#[test]
fn a_snapshot_that_cannot_be_read_shows_in_the_exit_code_and_a_typing_error_makes_no_store() {
    let (_served, env) = history();
    let output = env.output(&["copy", "ffffffffffff", "--to", "other"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!env.path("other").exists());
    let heads = std::fs::read_dir(env.path(".local/share/dbsnap/store/snapshots")).unwrap();
    let head = heads.map(|head| head.unwrap().path()).min().unwrap();
    std::fs::write(&head, "{").unwrap();
    let output = env.output(&["copy", "--to", "other", "--json"]);
    assert_eq!(output.status.code(), Some(3));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["failed"].as_array().unwrap().len(), 1);
    assert_eq!(document["copied"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_encrypted_is_copied_only_to_a_store_that_is_encrypted_too() {
    let env = TestEnv::new();
    env.write("password", "correct horse");
    env.write("notes/a.txt", "secret plans");
    let key = ["--password-file", "password"];
    let with_key = |arguments: &[&str]| env.output(&[arguments, &key].concat());
    for store in ["from", "sealed"] {
        let init = ["init", "--encrypt", "--store", store];
        assert_eq!(with_key(&init).status.code(), Some(0));
    }
    let import = ["import", "notes", "--store", "from"];
    assert_eq!(with_key(&import).status.code(), Some(0));

    env.output(&["init", "--store", "open"]);
    for to in ["open", "missing"] {
        let copy = with_key(&["copy", "--store", "from", "--to", to]);
        assert_ne!(copy.status.code(), Some(0), "{to}");
    }
    assert!(!env.path("missing").exists());
    let snapshots = env.json(&["snapshots", "--store", "open"]);
    assert_eq!(
        snapshots["snapshots"].as_array().map(Vec::len),
        Some(0),
        "{snapshots}"
    );

    let copy = with_key(&["copy", "--store", "from", "--to", "sealed"]);
    assert_eq!(copy.status.code(), Some(0), "{copy:?}");
    let cat = with_key(&["cat", "latest", "/a.txt", "--store", "sealed"]);
    assert_eq!(cat.stdout, b"secret plans", "{cat:?}");
}

#[test]
fn what_lies_open_can_be_copied_to_an_encrypted_store_and_no_key_is_given_for_nothing() {
    let env = TestEnv::new();
    env.write("password", "correct horse");
    env.write("notes/a.txt", "plans");
    let key = ["--password-file", "password"];
    let with_key = |arguments: &[&str]| env.output(&[arguments, &key].concat());
    env.output(&["import", "notes", "--store", "from"]);
    with_key(&["init", "--encrypt", "--store", "sealed"]);
    env.output(&["init", "--store", "open"]);

    let copy = with_key(&["copy", "--store", "from", "--to", "sealed"]);
    assert_eq!(copy.status.code(), Some(0), "{copy:?}");
    let cat = with_key(&["cat", "latest", "/a.txt", "--store", "sealed"]);
    assert_eq!(cat.stdout, b"plans", "{cat:?}");

    let keyless = env.output(&["copy", "--store", "from", "--to", "sealed"]);
    assert_eq!(keyless.status.code(), Some(12), "{keyless:?}");
    let to_bare = with_key(&["copy", "--store", "from", "--to", "open"]);
    assert_eq!(to_bare.status.code(), Some(12), "{to_bare:?}");
}

#[test]
fn which_jobs_are_paused_is_not_copied_and_that_is_said() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    env.output(&["backup", "--profile", "DEMO"]);
    let said = |to: &str| {
        let copied = env.output(&["copy", "--to", to]);
        String::from_utf8(copied.stderr).unwrap()
    };
    let words = "jobs unpause` needs the store at";
    assert!(!said("before").contains(words));
    env.output(&["jobs", "pause", "-p", "DEMO"]);
    let text = said("other");
    assert!(text.contains(words), "{text}");
    assert!(!env.path("other/paused").exists());
    env.output(&["jobs", "unpause", "-p", "DEMO"]);
    assert!(!said("after").contains(words));
}

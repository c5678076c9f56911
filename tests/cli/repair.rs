//! `repair`: what is damaged, mended, and what it says of that.

use dbsnap::sandbox::Sample;

use crate::support::{Served, TestEnv};

#[test]
fn a_damaged_index_is_told_by_check_and_mended() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    let workspace = &served.running.workspace;
    workspace.put_notebook(
        "/Shared/report",
        "PYTHON",
        "# Databricks notebook source\n1",
    );
    env.output(&["backup", "--profile", "DEMO"]);
    let before = env.output(&["cat", "latest", "/Shared/report"]).stdout;
    let index = env.path(".local/share/dbsnap/store/index");
    let segment = std::fs::read_dir(index).unwrap().next().unwrap().unwrap();
    std::fs::write(segment.path(), "not an index").unwrap();

    let check = env.output(&["check"]);
    assert_eq!(check.status.code(), Some(3));
    let text = String::from_utf8(check.stdout).unwrap();
    assert!(text.contains("repair index"), "{text}");

    let planned = env.json(&["repair", "index", "--dry-run"]);
    assert_eq!(planned["removed"].as_array().unwrap().len(), 1, "{planned}");
    assert_eq!(env.json(&["check"])["sound"], false);
    let text = env.output(&["repair", "index"]);
    assert_eq!(text.status.code(), Some(0));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.starts_with("the new index has "), "{text}");
    let checked = env.json(&["check", "--read-data"]);
    assert_eq!(checked["sound"], true, "{checked}");
    let after = env.output(&["cat", "latest", "/Shared/report"]).stdout;
    assert_eq!(after, before);
}

#[test]
fn a_lost_or_damaged_configuration_is_told_of_and_made_anew() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    env.output(&["backup", "--profile", "DEMO"]);
    let config = env.path(".local/share/dbsnap/store/dbsnap.json");
    let good = std::fs::read_to_string(&config).unwrap();
    let sound = env.json(&["repair", "config"]);
    assert_eq!(sound["repaired"], serde_json::Value::Null, "{sound}");

    std::fs::write(&config, good.replace("1048576", "1048577")).unwrap();
    let check = env.output(&["check"]);
    assert_eq!(check.status.code(), Some(3));
    let text = String::from_utf8(check.stdout).unwrap();
    assert!(
        text.contains("damaged: dbsnap.json") && text.contains("repair config"),
        "{text}"
    );
    std::fs::remove_file(&config).unwrap();
    let lost = env.output(&["check"]);
    assert_eq!(lost.status.code(), Some(1));
    let text = String::from_utf8(lost.stderr).unwrap();
    assert!(
        text.contains("`dbsnap repair config` makes it anew"),
        "{text}"
    );

    let planned = env.json(&["repair", "config", "--dry-run"]);
    assert!(!config.exists());
    let text = env.output(&["repair", "config"]);
    assert_eq!(text.status.code(), Some(0));
    let text = String::from_utf8(text.stdout).unwrap();
    let id = planned["repaired"]["id"].as_str().unwrap();
    assert!(good.contains(id) && text.contains(id), "{text}");
    assert_eq!(env.json(&["check", "--read-data"])["sound"], true);
}

#[test]
fn a_damaged_pack_is_condemned_and_what_is_lost_makes_exit_code_3() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    let workspace = &served.running.workspace;
    workspace.put_notebook(
        "/Shared/report",
        "PYTHON",
        "# Databricks notebook source\n1",
    );
    env.output(&["backup", "--profile", "DEMO"]);
    let sound = env.output(&["repair", "packs"]);
    assert_eq!(sound.status.code(), Some(0));
    let text = String::from_utf8(sound.stdout).unwrap();
    assert!(text.ends_with("no pack is damaged\n"), "{text}");

    let packs = walkdir::WalkDir::new(env.path(".local/share/dbsnap/store/packs"));
    let mut packs = packs.into_iter().map(Result::unwrap);
    let pack = packs.find(|entry| entry.file_type().is_file()).unwrap();
    let mut bytes = std::fs::read(pack.path()).unwrap();
    bytes[60] ^= 1;
    std::fs::write(pack.path(), bytes).unwrap();
    let output = env.output(&["repair", "packs"]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\ncondemned pack ") && text.contains("\nlost: blob "),
        "{text}"
    );
}

/// A text that is too long to lie in the list of objects.
fn long_text(seed: u64) -> String {
    let lines = (0..200).map(|line| format!("x = {}\n", (line * 7_919 + seed * 31) % 9_973));
    format!(
        "# Databricks notebook source\n{}",
        lines.collect::<String>()
    )
}

/// Changes a byte in each pack of contents; the files keep their lengths.
fn rot(env: &TestEnv) {
    let packs = walkdir::WalkDir::new(env.path(".local/share/dbsnap/store/packs"));
    for pack in packs.into_iter().map(Result::unwrap) {
        if pack.file_type().is_file() {
            let mut bytes = std::fs::read(pack.path()).unwrap();
            if bytes[9] == 1 {
                bytes[60] ^= 1;
                std::fs::write(pack.path(), bytes).unwrap();
            }
        }
    }
}

#[test]
fn from_rotten_packs_to_a_whole_store_again() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    let workspace = &served.running.workspace;
    workspace.put_notebook("/Shared/kept", "PYTHON", &long_text(1));
    workspace.put_notebook("/Shared/gone", "PYTHON", &long_text(2));
    let said = |arguments: &[&str], code: i32| {
        let output = env.output(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    };
    said(&["backup", "--profile", "DEMO"], 0);
    workspace.remove("/Shared/gone");
    rot(&env);
    said(&["check"], 0);
    let text = said(&["check", "--read-data"], 3);
    assert!(text.contains("`dbsnap repair packs`"), "{text}");
    assert!(
        text.contains("the content of notebook /Shared/kept"),
        "{text}"
    );

    said(&["repair", "packs"], 3);
    said(&["backup", "--profile", "DEMO"], 0);
    let text = said(&["check", "--read-data"], 3);
    assert!(
        text.contains("the content of notebook /Shared/gone"),
        "{text}"
    );
    assert!(
        !text.contains("the content of notebook /Shared/kept"),
        "{text}"
    );
    assert!(text.contains("`dbsnap repair snapshots`"), "{text}");

    let report = env.json(&["repair", "snapshots"]);
    let damaged = report["repaired"][0]["id"].as_str().unwrap().to_owned();
    let new = report["repaired"][0]["new_id"].as_str().unwrap()[..8].to_owned();
    assert_eq!(report["repaired"][0]["objects_with_losses"], 1);
    let text = said(&["snapshots"], 0);
    let states = [
        format!("was damaged, repaired as {new}"),
        format!("partial (1 gap), repairs {}", &damaged[..8]),
    ];
    for state in &states {
        assert!(text.contains(state), "{text}");
    }
    let text = said(&["show", &damaged], 0);
    assert!(text.contains(&format!("repaired as {new}")), "{text}");
    let before = env.json(&["show", "latest~1"]);
    assert_eq!(before["id"].as_str().unwrap()[..8], new);
    let text = said(&["repair", "snapshots"], 3);
    assert!(text.contains("was repaired before"), "{text}");
    let text = said(&["check"], 3);
    assert!(text.contains(&format!("is snapshot {new}")), "{text}");
    said(&["forget", &damaged], 0);
    let text = said(&["check"], 0);
    assert!(text.ends_with("the store is whole\n"), "{text}");
}

#[test]
fn nothing_rests_on_a_pack_that_was_found_damaged_without_a_word() {
    let env = TestEnv::new();
    env.write("in/a.py", &long_text(1));
    env.output(&["import", "in"]);
    rot(&env);
    let said = |arguments: &[&str], code: i32| {
        let output = env.output(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    said(&["check", "--read-data"], 3);
    let words = said(&["import", "in", "--quiet"], 3);
    assert!(
        words.contains("an earlier check found 1 pack damaged"),
        "{words}"
    );
    // As the warning has it.
    said(&["repair", "packs"], 3);
    said(&["import", "in"], 0);
    said(&["cat", "latest", "/a"], 0);
}

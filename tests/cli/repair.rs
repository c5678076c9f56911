//! `repair`: what is damaged, mended, and what it says of that.

use dbsnap::sandbox::Sample;

use crate::support::Served;

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

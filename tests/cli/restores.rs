//! Restores that must not take place, or not like this: two at once, and from a store that cannot be written to.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use crate::commands::backed_up;
use crate::support::TestEnv;

/// The journals of restores from the store of these tests.
fn journals(env: &TestEnv) -> Vec<PathBuf> {
    let folder = env.path(".local/share/dbsnap/store/restores");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn of_two_restores_at_once_the_second_is_refused() {
    let (served, env) = backed_up();
    let workspace = &served.running.workspace;
    workspace.remove("/Shared/data.bin");
    let restore = ["restore", "latest", "--profile", "DEMO", "--yes"];
    let run = |more: &[&str]| env.output(&[&restore[..], more].concat()).status.code();
    assert_eq!(run(&[]), Some(0));
    let [journal] = &journals(&env)[..] else {
        panic!("there is one journal")
    };
    let held: File = OpenOptions::new().write(true).open(journal).unwrap();
    held.try_lock().unwrap();
    workspace.remove("/Shared/data.bin");
    workspace.forget_requests();
    insta::assert_snapshot!("restore-locked", env.run(&restore));
    assert_eq!(run(&["--undo"]), Some(11));
    assert_eq!(workspace.requests().to("POST "), 0);
    // The plan alone may be looked at even so.
    assert_eq!(run(&["--dry-run"]), Some(0));
    drop(held);
    assert_eq!(run(&[]), Some(0));
}

#[test]
fn a_store_that_cannot_be_written_to_is_restored_from_only_if_that_is_asked_for() {
    let (served, env) = backed_up();
    let workspace = &served.running.workspace;
    workspace.put_notebook("/Users/ana@example.com/report", "PYTHON", "changed");
    // What a later version might write, and a folder of journals that cannot be made: both hold for root as well.
    let settings = ".local/share/dbsnap/store/dbsnap.json";
    let text = std::fs::read_to_string(env.path(settings)).unwrap();
    let text = text.replace(r#""write": []"#, r#""write": ["something new"]"#);
    env.write(settings, &text);
    env.write(".local/share/dbsnap/store/restores", "");

    let restore = ["restore", "latest", "--profile", "DEMO", "--on-conflict"];
    let restore = [&restore[..], &["overwrite", "--yes"]].concat();
    let run = |more: &[&str]| env.run(&[&restore[..], more].concat());
    let journal = ["--journal", "restore.jsonl"];
    workspace.forget_requests();
    insta::assert_snapshot!("restore-no-journal", run(&[]));
    insta::assert_snapshot!("restore-no-safety", run(&journal));
    assert_eq!(workspace.requests().to("POST "), 0);
    let without = [&journal[..], &["--no-safety-snapshot"]].concat();
    insta::assert_snapshot!("restore-without-safety", run(&without));
    let undo = [&journal[..], &["--undo"]].concat();
    insta::assert_snapshot!("restore-undo-without-safety", run(&undo));
}

//! Restores that must not take place, or not like this: two at once, and from a store that cannot be written to.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use dbsnap::sandbox::Sample;
use serde_json::{Value, json};

use crate::commands::backed_up;
use crate::support::{Served, TestEnv};

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

#[test]
fn permissions_that_are_damaged_in_the_store_are_named_and_make_exit_code_3() {
    let served = Served::start(Sample::Empty);
    let workspace = &served.running.workspace;
    workspace.put_notebook("/Shared/report", "PYTHON", "1");
    // So many that they do not lie in the manifest: nothing else of this workspace is long enough to lie apart.
    let many = ('a'..='h').map(|letter| {
        let name = format!("{}@example.com", letter.to_string().repeat(60));
        workspace.add_user(&name);
        json!({"user_name": name, "permission_level": "CAN_EDIT"})
    });
    let many: Vec<_> = many.collect();
    let (_, node) = workspace.call(
        "GET",
        "/api/2.0/workspace/get-status?path=/Shared/report",
        Value::Null,
    );
    let path = format!("/api/2.0/permissions/notebooks/{}", node["object_id"]);
    let (status, answer) = workspace.call("PUT", &path, json!({"access_control_list": many}));
    assert_eq!(status, 200, "{answer}");
    let env = served.env();
    assert_eq!(
        env.output(&["backup", "--profile", "DEMO"]).status.code(),
        Some(0)
    );

    let packs = walkdir::WalkDir::new(env.path(".local/share/dbsnap/store/packs"));
    for pack in packs.into_iter().map(Result::unwrap) {
        // Packs of kind 1 hold everything but the manifest; a byte of the first frame is turned over.
        if pack.file_type().is_file() && std::fs::read(pack.path()).unwrap()[9] == 1 {
            let mut bytes = std::fs::read(pack.path()).unwrap();
            bytes[60] ^= 0xff;
            std::fs::write(pack.path(), bytes).unwrap();
        }
    }
    workspace.remove("/Shared/report");
    let restore = ["restore", "latest", "--profile", "DEMO", "--yes"];
    insta::assert_snapshot!("restore-damaged-permissions", env.run(&restore));
    let again = env.json(&[&restore[..], &["--dry-run"]].concat());
    assert_eq!(again["is_partial"], true);
}

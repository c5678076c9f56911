//! What the terminal shows when a store is broken: which file, why, and what to do; and that doing it helps.

use std::fs;
use std::path::PathBuf;

use crate::support::TestEnv;

const STORE: &str = ".local/share/dbsnap/store";

/// A home with a store that has one snapshot.
fn with_snapshot() -> TestEnv {
    let env = TestEnv::new();
    env.write(
        "in/a.txt",
        &"longer than what lies in a manifest\n".repeat(40),
    );
    assert!(env.output(&["import", "in"]).status.success());
    env
}

/// The only file in a directory of the store, or below it.
fn only_file(env: &TestEnv, dir: &str) -> PathBuf {
    let files = walkdir::WalkDir::new(env.path(STORE).join(dir));
    let mut files = files.into_iter().map(Result::unwrap);
    let found = files.find(|file| file.file_type().is_file());
    found.unwrap().into_path()
}

#[test]
fn a_damaged_head_is_named_with_the_reason_and_the_way_out() {
    let env = with_snapshot();
    let head = only_file(&env, "snapshots");
    fs::write(&head, "{").unwrap();
    insta::assert_snapshot!("head-damaged-snapshots", env.run(&["snapshots"]));
    insta::assert_snapshot!("head-damaged-check", env.run(&["check"]));
    insta::assert_snapshot!("head-damaged-prune", env.run(&["prune"]));

    let id = head.file_name().unwrap().to_str().unwrap();
    let id = id.rsplit('-').next().unwrap();
    assert!(env.output(&["forget", id, "--force"]).status.success());
    assert_eq!(env.output(&["prune"]).status.code(), Some(3));
    // That was the last one, so what it needed is left.
    let left = env.run(&["check"]);
    assert!(left.contains("but no snapshot"), "{left}");
    for _ in 0..2 {
        let empty = ["prune", "--grace", "0", "--without-snapshots"];
        assert!(env.output(&empty).status.success());
    }
    assert!(env.output(&["check"]).status.success());
}

#[test]
fn a_pack_that_is_cut_short_is_called_so() {
    let env = with_snapshot();
    let packs = walkdir::WalkDir::new(env.path(STORE).join("packs")).into_iter();
    for pack in packs.map(Result::unwrap) {
        if pack.file_type().is_file() {
            let file = fs::File::options().write(true).open(pack.path()).unwrap();
            file.set_len(40).unwrap();
        }
    }
    let shown = env.run(&["ls", "latest"]);
    assert!(shown.contains("is damaged: it ends too early\n"), "{shown}");
    assert!(shown.contains("hint: run `dbsnap check"), "{shown}");
}

/// What only the system keeps from being read is not called damaged, and nobody is told to repair it.
#[test]
#[cfg(unix)]
fn what_is_out_of_reach_for_now_is_not_taken_for_damaged() {
    let env = with_snapshot();
    let data = |entry: &walkdir::DirEntry| entry.file_type().is_file();
    let packs = walkdir::WalkDir::new(env.path(STORE).join("packs")).into_iter();
    for pack in packs.map(Result::unwrap).filter(data) {
        let aside = env.path(pack.file_name().to_str().unwrap());
        fs::rename(pack.path(), aside).unwrap();
        // Not even root can read a link to itself.
        std::os::unix::fs::symlink(pack.path(), pack.path()).unwrap();
    }
    let check = env.run(&["check"]);
    assert!(check.contains("not everything could be read"), "{check}");
    assert!(!check.contains("repair"), "{check}");
    let check = env.json(&["check", "--read-data"]);
    assert_eq!(check["out_of_reach"], true);
    for command in [&["repair", "snapshots"][..], &["prune"]] {
        let shown = env.run(command);
        assert!(shown.contains("Too many levels"), "{shown}");
        assert!(shown.contains("exit code 1"), "{shown}");
    }

    let packs = walkdir::WalkDir::new(env.path(STORE).join("packs")).into_iter();
    let links = packs.map(Result::unwrap);
    for pack in links.filter(|entry| entry.file_type().is_symlink()) {
        let aside = env.path(pack.file_name().to_str().unwrap());
        fs::rename(aside, pack.path()).unwrap();
    }
    assert!(env.output(&["check", "--read-data"]).status.success());
    assert_eq!(
        env.json(&["snapshots"])["snapshots"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_store_that_is_new_is_told_of_even_to_those_who_want_to_hear_nothing() {
    let env = TestEnv::new();
    env.write("in/a.txt", "a");
    let output = env.output(&["import", "in", "--quiet", "--store", "not-mounted"]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(words, "warning: created the store at not-mounted\n");
    let again = env.output(&["import", "in", "--quiet", "--store", "not-mounted"]);
    assert!(again.stderr.is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn what_was_done_is_not_called_undone_when_only_the_output_is_lost() {
    let env = with_snapshot();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = env
        .command(&["import", "in"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    let hint = "hint: all else was done: only what it had to tell is lost\n";
    assert!(words.ends_with(hint), "{words}");
    let listed = env.json(&["snapshots"]);
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2);
}

#[test]
#[cfg(target_os = "linux")]
fn a_recovery_key_that_nobody_saw_is_told_of() {
    let env = TestEnv::new();
    env.write("password", "correct horse");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let key = ["--password-file", "password"];
    let output = env
        .command(&[&["init", "--encrypt"], &key[..]].concat())
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("failed to show the recovery key"), "{words}");
    let add = env.output(&[&["key", "add", "--recovery-key"], &key[..]].concat());
    assert_eq!(add.status.code(), Some(0), "as the hint says: {words}");
}

#[test]
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn a_file_that_may_not_grow_that_large_is_told_of() {
    let env = TestEnv::new();
    let mut noise = vec![0; 3 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    std::fs::create_dir(env.path("dir")).unwrap();
    std::fs::write(env.path("dir/noise"), noise).unwrap();
    let limited = format!(
        "ulimit -f 1000; exec {} import dir --store limited",
        env!("CARGO_BIN_EXE_dbsnap")
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &limited])
        .current_dir(env.path(""))
        .env("HOME", env.path(""))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("hint: files may not grow"), "{text}");
    let store = ["--store", "limited"];
    assert_eq!(env.json(&[&["check"], &store[..]].concat())["sound"], true);
    env.output(&[&["import", "dir"], &store[..]].concat());
    assert_eq!(env.json(&[&["check"], &store[..]].concat())["snapshots"], 1);
}

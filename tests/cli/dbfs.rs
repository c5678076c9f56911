//! Files of the DBFS: selected by flag or settings, said to be left out otherwise, and brought back.

use dbsnap::sandbox::{Effect, Rule, Sample};
use serde_json::{Value, json};

use crate::support::Served;

fn ok(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn files_are_backed_up_shown_and_restored_as_the_flags_and_the_settings_say() {
    let served = Served::start(Sample::Small);
    let mut env = served.env();
    let settings = "[backup]\ndbfs = [\"/FileStore\"]\ndbfs-max-file-size = \"1M\"\n";
    let file = env.write("settings.toml", settings);
    env.set("DBSNAP_CONFIG_FILE", file.to_str().unwrap());
    let taken = env.output(&["backup", "--only", "dbfs-files", "--profile", "DEMO"]);
    assert_eq!(taken.status.code(), Some(0), "{taken:?}");
    let shown = ok(&env.output(&["show", "latest"]));
    assert!(
        shown.contains(
            "only dbfs-file; with the files of the DBFS below /FileStore of at most 1.0 MiB"
        ),
        "{shown}"
    );
    let listed = ok(&env.output(&["ls", "latest", "--kind", "dbfs-files"]));
    assert!(
        listed.contains("dbfs:/FileStore/models/weights.bin"),
        "{listed}"
    );
    assert!(!listed.contains("orders.json"), "{listed}");
    let init = "dbfs:/FileStore/scripts/init.sh";
    let text = ok(&env.output(&["cat", "latest", init]));
    assert!(text.starts_with("#!/bin/bash"), "{text}");

    let workspace = &served.running.workspace;
    let gone = json!({"path": "/FileStore/scripts", "recursive": true});
    assert_eq!(workspace.call("POST", "/api/2.0/dbfs/delete", gone).0, 200);
    let diff = ok(&env.output(&["diff", "latest", "live", "--profile", "DEMO"]));
    assert!(diff.contains("removed") && diff.contains(init), "{diff}");
    assert!(
        !diff.contains("orders.json"),
        "what was not selected is no news: {diff}"
    );
    let restore = [
        "restore",
        "latest",
        "--dbfs",
        "/FileStore/scripts",
        "--yes",
        "--profile",
        "DEMO",
    ];
    let restored = env.output(&restore);
    assert_eq!(restored.status.code(), Some(0), "{restored:?}");
    let status = format!("/api/2.0/dbfs/get-status?path={}", &init[5..]);
    let back = workspace.call("GET", &status, Value::Null).1;
    assert_eq!(back["file_size"], json!(text.len()));
}

#[test]
fn a_backup_says_that_it_has_no_files_of_the_dbfs_and_one_without_a_root_says_it_in_a_line() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    let plain = env.output(&["backup", "--profile", "DEMO"]);
    assert_eq!(plain.status.code(), Some(0), "{plain:?}");
    let words = String::from_utf8(plain.stderr).unwrap();
    assert!(
        words.contains("the files of the DBFS root are not included: --dbfs"),
        "{words}"
    );

    let refuse = Effect::Refuse {
        status: 403,
        code: "PERMISSION_DENIED".to_owned(),
        message: "Public DBFS root is disabled. Access is denied on path: /".to_owned(),
    };
    served
        .running
        .workspace
        .inject(Rule::new("/api/2.0/dbfs", refuse));
    let without = env.output(&["backup", "--dbfs", "/", "--profile", "DEMO"]);
    assert_eq!(without.status.code(), Some(3), "{without:?}");
    let words = String::from_utf8(without.stderr).unwrap();
    let lines = words.lines().filter(|line| line.contains("disabled"));
    assert_eq!(lines.count(), 1, "{words}");
    assert!(!words.contains("are not included: --dbfs"), "{words}");

    let typo = env.output(&["backup", "--dbfs", "/FileStoer", "--profile", "DEMO"]);
    assert_eq!(typo.status.code(), Some(3));
}

#[test]
fn a_limit_that_leaves_a_file_out_is_no_change_of_it_and_a_change_of_it_shows_all_the_same() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    let backup = |limit: &str| {
        let flags = ["--only", "dbfs-files", "--dbfs", "/FileStore/models"];
        let limit = ["--dbfs-max-file-size", limit, "--profile", "DEMO"];
        let taken = env.output(&[&["backup"], &flags[..], &limit[..]].concat());
        assert_eq!(taken.status.code(), Some(0), "{taken:?}");
    };
    backup("1G");
    backup("1M");
    let diff = ok(&env.output(&["diff", "latest~1", "latest"]));
    assert!(!diff.contains("weights.bin"), "{diff}");
    let body =
        json!({"path": "/FileStore/models/weights.bin", "contents": "bmV3", "overwrite": true});
    let put = served
        .running
        .workspace
        .call("POST", "/api/2.0/dbfs/put", body);
    assert_eq!(put.0, 200, "{put:?}");
    backup("1M");
    for before in ["latest~1", "latest~2"] {
        let diff = ok(&env.output(&["diff", before, "latest"]));
        assert!(
            diff.contains("~ dbfs-file dbfs:/FileStore/models/weights.bin"),
            "{diff}"
        );
    }
}

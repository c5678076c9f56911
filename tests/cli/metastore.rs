//! The Hive metastore as a user meets it: which flags include it, what is said without them, and a restore.

use dbsnap::sandbox::{Faults, Sample};

use crate::support::{Served, TestEnv};

const BACKUP: &[&str] = &["backup", "--profile", "DEMO", "--only"];
const KINDS: &str = "databases,tables,views,functions,metastore-securables";

fn backup(env: &TestEnv, more: &[&str]) -> String {
    env.run(&[BACKUP, &[KINDS], more].concat())
}

#[test]
fn a_metastore_is_backed_up_shown_and_restored_into_another_workspace() {
    let (served, other) = (Served::start(Sample::Small), Served::start(Sample::Empty));
    let env = served.env();
    let by_warehouse = ["--warehouse", "Starter Warehouse"];
    insta::assert_snapshot!("metastore-backup", backup(&env, &by_warehouse));
    insta::assert_snapshot!("metastore-ls", env.run(&["ls", "latest"]));
    insta::assert_snapshot!(
        "metastore-cat",
        env.run(&["cat", "latest", "table/staging.events"])
    );

    let workspace = &other.running.workspace;
    let body = serde_json::json!({"name": "w"});
    workspace.call("POST", "/api/2.0/sql/warehouses", body);
    let there = other.env();
    let store = env.path(".local/share/dbsnap/store");
    let settings = format!("store = {store:?}\n");
    there.write(".config/dbsnap/dbsnap.toml", &settings);
    let restore = ["restore", "latest", "--profile", "DEMO", "--yes"];
    // Without anything that could run statements, all of it is skipped, and nothing else is done.
    let output = there.output(&[&restore[..], &["--dry-run"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("no warehouse and no cluster was named"),
        "{text}"
    );
    let by_other = [&restore[..], &["--warehouse", "w"]].concat();
    insta::assert_snapshot!("metastore-restore", there.run(&by_other));
    assert!(workspace.sql("SHOW CREATE TABLE sales.orders").is_ok());
    let again = there.output(&by_other);
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(text.contains("nothing to do"), "{text}");
}

#[test]
fn what_names_no_place_or_a_wrong_one_is_told_in_one_line() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    insta::assert_snapshot!("metastore-no-place", backup(&env, &[]));
    let database = ["backup", "--profile", "DEMO", "--database", "sales"];
    insta::assert_snapshot!("metastore-no-place-database", env.run(&database));
    insta::assert_snapshot!(
        "metastore-wrong-place",
        backup(&env, &["--cluster-name", "gone"])
    );
    let iam = ["--cluster-name", "a", "--iam", "all"];
    insta::assert_snapshot!("metastore-iam-elsewhere", backup(&env, &iam));
    let both = ["--warehouse", "a", "--cluster-name", "b"];
    insta::assert_snapshot!("metastore-two-places", backup(&env, &both));
    let restore = ["restore", "latest", "-p", "DEMO", "--warehouse", "gone"];
    insta::assert_snapshot!("metastore-restore-wrong-place", env.run(&restore));
    assert_eq!(served.running.workspace.requests().to("POST "), 0);
    let warehouse = ["--warehouse", "Starter Warehouse", "--database"];
    let all = |database| backup(&env, &[&warehouse[..], &[database]].concat());
    let launched = backup(&env, &["--launch-cluster", "--iam", "all"]);
    assert!(launched.ends_with("exit code 0\n"), "{launched}");
    assert!(all("SALES").ends_with("exit code 0\n"), "{}", all("SALES"));
    insta::assert_snapshot!("metastore-no-database", all("nowhere"));
}

#[test]
fn tables_that_fail_are_listed_with_the_words_of_the_server() {
    let served = Served::start(Sample::Small);
    served.running.workspace.set_faults(Faults {
        tables: 0.3,
        ..Faults::default()
    });
    let env = served.env();
    let sales = [
        "--warehouse",
        "Starter Warehouse",
        "--database",
        "sales",
        "--database",
        "nowhere",
    ];
    insta::assert_snapshot!("metastore-broken", backup(&env, &sales));
}

#[test]
fn the_flags_of_the_older_tool_include_it_and_so_do_the_settings() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    let older = [
        "backup",
        "--profile",
        "DEMO",
        "--metastore",
        "--warehouse",
        "Starter Warehouse",
    ];
    assert_eq!(env.output(&older).status.code(), Some(0));
    let shown = env.json(&["show", "latest"]);
    assert_eq!(
        shown["selection"]["only"],
        serde_json::json!(["database", "table", "view", "function"])
    );
    env.write(
        ".config/dbsnap/dbsnap.toml",
        "[backup]\nwarehouse = \"Starter Warehouse\"\n\n[profiles.DEMO.backup]\ncluster-name = \"Ana's cluster\"\n",
    );
    // The profile names another place than the rest of the file, and that is not there.
    let output = env.output(&[BACKUP, &["tables"]].concat());
    assert_eq!(output.status.code(), Some(3));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("there is no cluster `Ana's cluster`"),
        "{words}"
    );
}

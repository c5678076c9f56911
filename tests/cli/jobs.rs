//! `jobs pause` and `jobs unpause`.

use dbsnap::sandbox::{Effect, Rule, Sample};
use serde_json::Value;

use crate::support::Served;

fn statuses(served: &Served) -> String {
    let path = "/api/2.2/jobs/list?limit=100";
    let (_, answer) = served.running.workspace.call("GET", path, Value::Null);
    let jobs = answer["jobs"].as_array().unwrap().iter();
    let said = |job: &Value| {
        let parts =
            ["schedule", "trigger", "continuous"].map(|part| job["settings"][part].to_string());
        format!("{} {}\n", job["job_id"], parts.join(" "))
    };
    jobs.map(said).collect()
}

#[test]
fn everything_is_paused_and_exactly_what_ran_runs_again() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    let before = statuses(&served);
    insta::assert_snapshot!(
        "jobs-pause-dry-run",
        env.run(&["jobs", "pause", "-p", "DEMO", "--dry-run"])
    );
    env.run(&["init"]);
    insta::assert_snapshot!("jobs-pause", env.run(&["jobs", "pause", "-p", "DEMO"]));
    assert!(!statuses(&served).contains("UNPAUSED"));
    let again = env.json(&["jobs", "pause", "-p", "DEMO"]);
    assert_eq!(again["jobs"], serde_json::json!([]));
    // The file is no stranger in the store.
    let check = env.json(&["check"]);
    assert!(!check.to_string().contains("does not belong"), "{check}");
    let unpaused = env.json(&["jobs", "unpause", "-p", "DEMO"]);
    assert_eq!(unpaused["action"], "unpause");
    assert_eq!(unpaused["jobs"][0]["outcome"], "done");
    assert_eq!(statuses(&served), before);
    insta::assert_snapshot!(
        "jobs-unpause-nothing",
        env.run(&["jobs", "unpause", "-p", "DEMO"])
    );
}

#[test]
fn a_job_that_cannot_be_paused_is_named_and_the_rest_is_paused() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    assert!(env.output(&["init"]).status.success());
    let rule = Rule::new("/api/2.2/jobs/update", Effect::forbidden()).times(1);
    served.running.workspace.inject(rule);
    let output = env.output(&["jobs", "pause", "-p", "DEMO"]);
    assert_eq!(output.status.code(), Some(3));
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(words.matches("403").count(), 1, "{words}");
    assert_eq!(statuses(&served).matches("UNPAUSED").count(), 1);
    let again = env.output(&["jobs", "pause", "-p", "DEMO"]);
    assert_eq!(again.status.code(), Some(0));
    assert!(!statuses(&served).contains("UNPAUSED"));
}

#[test]
fn the_flags_of_the_older_tool_pause_jobs_or_say_what_to_type_instead() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    env.run(&["init"]);
    let before = statuses(&served);
    let backup = ["backup", "-p", "DEMO"];
    env.run(&[&backup[..], &["--pause-all-jobs"]].concat());
    assert!(!statuses(&served).contains("UNPAUSED"));
    env.run(&[&backup[..], &["--unpause-all-jobs"]].concat());
    assert_eq!(statuses(&served), before);
    let flags = ["--delete-all-jobs", "--use-checkpoint"];
    insta::assert_snapshot!(
        "older-refused",
        env.run(&[&["restore", "latest", "-p", "DEMO"], &flags[..]].concat())
    );
    assert_eq!(env.json(&["snapshots"])["snapshots"], serde_json::json!([]));
}

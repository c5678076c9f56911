//! The README says what is true: its table of kinds is made from the registry, its commands exist.

use std::io::Read;

use serde_json::Value;

use crate::support::{TestEnv, repository};

const BEGIN: &str = "<!-- kinds: what `dbsnap kinds` says, `tests/cli/readme.rs` holds it -->\n";
const END: &str = "<!-- end of kinds -->\n";

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).unwrap()
}

/// What `dbsnap kinds` says, as a table of the README.
fn table() -> String {
    let output = TestEnv::new().output(&["kinds", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut table = "| kind | backed up | diffed | restored | permissions | why not |\n".to_owned();
    table += "|---|---|---|---|---|---|\n";
    for kind in said["kinds"].as_array().unwrap() {
        let cell = |name: &str| kind[name].as_str().unwrap_or_default();
        let permissions = match kind["permissions"].as_bool().unwrap() {
            true => "yes",
            false => "no",
        };
        let cells = [
            cell("kind"),
            cell("backed_up"),
            cell("diffed"),
            cell("restored"),
            permissions,
            cell("why_not"),
        ];
        table += &format!("| {} |\n", cells.join(" | "));
    }
    table
}

/// As the outputs in `snapshots/`, the table is rewritten when `INSTA_UPDATE=always` says so.
#[test]
fn the_table_of_kinds_is_what_the_command_says() {
    let readme = readme();
    let (before, rest) = readme.split_once(BEGIN).expect("the table has its marks");
    let (found, after) = rest.split_once(END).expect("the table has its marks");
    let table = table();
    if found != table && std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        let whole = format!("{before}{BEGIN}{table}{END}{after}");
        std::fs::write(repository().join("README.md"), whole).unwrap();
        return;
    }
    assert_eq!(
        found, table,
        "README.md, between the marks, should be:\n{table}"
    );
}

/// Everything the demo says, in the order in which a user reads it.
fn demo(env: &TestEnv) -> String {
    let (mut said, output) = std::io::pipe().unwrap();
    let mut command = env.command(&["demo"]);
    // Its snapshots come one after the other.
    command.env_remove("DBSNAP_TEST_NOW");
    command.stdout(output.try_clone().unwrap()).stderr(output);
    let mut running = command.spawn().unwrap();
    // The pipe ends when nobody holds its other end any more.
    drop(command);
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(running.wait().unwrap().success(), "{text}");
    text
}

/// Lines of a table are as wide as the widest, which may be left out.
fn narrow(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_session_of_the_readme_is_what_the_demo_shows() {
    let env = TestEnv::new();
    let shown = env.redact(&demo(&env));
    let mut shown = shown.lines().map(narrow);
    let readme = readme();
    let (_, session) = readme.split_once("## A session\n").unwrap();
    let (session, _) = session.split_once("\n## ").unwrap();
    let blocks = session.split("```\n").skip(1).step_by(2);
    let session = env.redact(&blocks.collect::<String>());
    let told = |line: &&str| !line.is_empty() && *line != "...";
    for line in session.lines().filter(told) {
        let line = narrow(line);
        let parts: Vec<&str> = line.split(" ... ").collect();
        let fits = |shown: &String| match parts[..] {
            [begin, end] => shown.starts_with(begin) && shown.ends_with(end),
            _ => *shown == line,
        };
        assert!(
            shown.any(|shown| fits(&shown)),
            "the demo does not say (here): {line}"
        );
    }
}

#[test]
fn every_command_is_in_the_readme() {
    let readme = readme();
    let output = TestEnv::new().output(&["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    for command in crate::help::commands_in(&help) {
        if command != "help" {
            assert!(
                readme.contains(&format!("dbsnap {command}")),
                "README.md does not mention `dbsnap {command}`"
            );
        }
    }
}

#[test]
fn the_exit_codes_of_the_readme_are_those_of_the_help() {
    let output = TestEnv::new().output(&["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    for line in codes.lines().filter(|line| !line.trim().is_empty()) {
        let (code, meaning) = line.trim().split_once(' ').unwrap();
        let row = format!("| {code} | {} |", meaning.trim());
        assert!(readme().contains(&row), "README.md lacks the row {row}");
    }
}

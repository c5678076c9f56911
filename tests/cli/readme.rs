//! The README says what is true: its table of kinds is made from the registry, its commands exist.

use std::fmt::Write as _;

use dbsnap::resource::{ALL, Kind, Restore, Source};

use crate::support::{TestEnv, repository};

const BEGIN: &str =
    "<!-- kinds: made from src/resource/kinds, `tests/cli/readme.rs` holds it -->\n";
const END: &str = "<!-- end of kinds -->\n";

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).unwrap()
}

fn row(kind: &Kind) -> String {
    let found = match &kind.source {
        Source::Listed { list, .. } => format!("`{}`", list.path),
        Source::Tree(_) => "workspace tree".to_owned(),
    };
    let permissions = match kind.permissions {
        Some(_) => "yes",
        None => "",
    };
    let restored = match &kind.restore {
        Restore::Rest(_) | Restore::Tree(_) => "yes".to_owned(),
        Restore::RecordOnly { why } => format!("no: {why}"),
    };
    format!("| {} | {found} | {permissions} | {restored} |\n", kind.name)
}

fn table() -> String {
    let mut table = "| kind | found in | permissions | restored |\n|---|---|---|---|\n".to_owned();
    for kind in ALL {
        write!(table, "{}", row(kind)).unwrap();
    }
    table
}

#[test]
fn the_table_of_kinds_is_that_of_the_registry() {
    let readme = readme();
    let (_, rest) = readme.split_once(BEGIN).expect("the table has its marks");
    let (found, _) = rest.split_once(END).expect("the table has its marks");
    assert_eq!(
        found,
        table(),
        "README.md, between the marks, should be:\n{}",
        table()
    );
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

//! Every flag of the older tool, one by one.

use clap::{CommandFactory, Parser};

use super::table::FLAGS;
use super::{Flag, Means, Side};
use crate::cli::args::{Arguments, Command};
use crate::cli::selection::selection;
use crate::cli::settings;

fn parse(words: &[&str]) -> Arguments {
    let all = ["dbsnap"].iter().chain(words);
    Arguments::try_parse_from(all).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// The words that give a flag to a command.
fn given<'w>(command: &[&'w str], flag: &str, value: Option<&'w str>) -> Vec<String> {
    let mut words: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    words.push(format!("--{flag}"));
    words.extend(value.map(ToOwned::to_owned));
    words
}

fn commands(flag: &Flag) -> Vec<&'static [&'static str]> {
    let (backup, restore): (&[&str], &[&str]) = (&["backup"], &["restore", "latest"]);
    match flag.side {
        Side::Backup => vec![backup],
        Side::Restore => vec![restore],
        Side::Both => vec![backup, restore],
    }
}

#[test]
fn every_one_of_them_is_understood_by_the_command_it_belongs_to() {
    Arguments::command().debug_assert();
    for flag in FLAGS {
        for command in commands(flag) {
            let words = given(command, flag.name, flag.value.map(|_| "7"));
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let older = match parse(&words).command {
                Command::Backup(args) => args.older.refused().is_none(),
                Command::Restore(args) => args.older.refused().is_none(),
                _ => unreachable!(),
            };
            assert_eq!(older, !matches!(flag.means, Means::Refused), "{words:?}");
        }
    }
}

#[test]
fn what_selects_kinds_selects_those_that_its_help_names() {
    let select = |words: &[&str]| match parse(words).command {
        Command::Backup(args) => {
            let settings = settings::Backup::default();
            let mut only = selection(&args.selection, &args.older.kinds(), &settings)
                .unwrap()
                .only;
            only.sort();
            only
        }
        _ => unreachable!(),
    };
    let mut count = 0;
    for flag in FLAGS {
        let Some(rest) = flag.here.strip_prefix("`--only ") else {
            continue;
        };
        let Means::Kinds(_) = flag.means else {
            continue;
        };
        let (kinds, _) = rest.split_once('`').unwrap();
        let old = format!("--{}", flag.name);
        assert_eq!(
            select(&["backup", &old]),
            select(&["backup", "--only", kinds])
        );
        count += 1;
    }
    assert!(count > 5);
    let tree = select(&["backup", "--download"]);
    for kind in ["notebook", "directory", "file", "git-folder"] {
        assert!(tree.iter().any(|only| *only == kind), "{kind}");
    }
    assert!(!tree.iter().any(|only| *only == "job"));
}

#[test]
fn what_is_another_name_of_a_flag_is_as_good_as_that() {
    let same = |old: &[&str], new: &[&str]| {
        assert_eq!(format!("{:?}", parse(old)), format!("{:?}", parse(new)));
    };
    same(
        &["backup", "--set-export-dir", "/s"],
        &["backup", "--store", "/s"],
    );
    same(
        &["backup", "--export-home", "u"],
        &["backup", "--home", "u"],
    );
    same(
        &["backup", "--num-parallel", "3"],
        &["backup", "--max-concurrency", "3"],
    );
    same(&["backup", "--silent"], &["backup", "--quiet"]);
    same(
        &["backup", "--exclude-work-item-prefixes", "/a"],
        &["backup", "--exclude-path", "/a"],
    );
    same(
        &["restore", "latest", "--import-home", "u", "--no-prompt"],
        &["restore", "latest", "--home", "u", "--yes"],
    );
    same(
        &["restore", "latest", "--import-pause-status"],
        &["restore", "latest", "--keep-schedules"],
    );
}

#[test]
fn jobs_are_paused_by_a_command_of_its_own() {
    let pauses = |words: &[&str]| match parse(words).command {
        Command::Backup(args) => args.older.pauses(),
        Command::Restore(args) => args.older.pauses(),
        _ => unreachable!(),
    };
    let said = |words: &[&str]| pauses(words).unwrap();
    assert_eq!(said(&["backup", "--pause-all-jobs"]), Some(true));
    assert_eq!(
        said(&["restore", "latest", "--unpause-all-jobs"]),
        Some(false)
    );
    assert_eq!(said(&["backup", "--jobs"]), None);
    assert!(pauses(&["backup", "--pause-all-jobs", "--unpause-all-jobs"]).is_err());
    assert!(pauses(&["backup", "--pause-all-jobs", "--users"]).is_err());
}

/// As outputs are, the table of the README is rewritten when `INSTA_UPDATE=always` says so.
#[test]
fn the_readme_has_all_of_them() {
    const BEGIN: &str = "<!-- flags of the older tool: a test of `src/cli/older` holds them -->\n";
    const END: &str = "<!-- end of flags -->\n";
    let mut table = "| flag there | here |\n|---|---|\n".to_owned();
    for flag in FLAGS {
        let value = flag.value.map(|value| format!(" {value}"));
        let value = value.unwrap_or_default();
        table += &format!("| `--{}{value}` | {} |\n", flag.name, flag.here);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the table has its marks");
    let (found, after) = rest.split_once(END).expect("the table has its marks");
    if found != table && std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        found, table,
        "README.md, between the marks, should be:\n{table}"
    );
}

//! The help of every command, whole.

use crate::support::TestEnv;

fn commands() -> Vec<String> {
    let output = TestEnv::new().output(&["--help"]);
    commands_in(&String::from_utf8(output.stdout).unwrap())
}

/// The commands that a help lists.
pub(crate) fn commands_in(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.map(ToOwned::to_owned).collect()
}

#[test]
fn the_help_of_every_command_is_as_it_was() {
    let env = TestEnv::new();
    insta::assert_snapshot!("help", env.run(&["--help"]));
    for command in commands() {
        if command != "help" {
            insta::assert_snapshot!(format!("help-{command}"), env.run(&[&command, "--help"]));
        }
    }
}

#[test]
fn every_command_shows_examples_and_its_exit_codes() {
    for command in commands() {
        if command == "help" {
            continue;
        }
        let help = TestEnv::new().run(&[&command, "--help"]);
        for part in ["Examples:\n  dbsnap", "Exit codes:\n  0"] {
            assert!(help.contains(part), "{command}: {part} is not in\n{help}");
        }
    }
}

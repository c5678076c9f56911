//! What users of the older tool (databrickslabs/migrate) type. All of it means something here, or is refused with what to
//! type instead.
//!
//! Invariant: no flag is accepted and then does something else than its help says.

mod table;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use dbsnap::resource;

use self::table::FLAGS;
use super::error::Failure;
use super::output::Printer;

/// The heading of its flags in the help.
const HEADING: &str = "Flags of the older tool, accepted and translated";

/// A flag of the older tool.
struct Flag {
    /// Its name, without the dashes.
    name: &'static str,
    /// What its value is called, if it has one.
    value: Option<&'static str>,
    /// Which of the two commands has it.
    side: Side,
    means: Means,
    /// What it is here, as the help and the README say it.
    here: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Backup,
    Restore,
    Both,
}

/// What is done when it is given.
enum Means {
    /// These kinds are selected.
    Kinds(&'static [&'static str]),
    /// All kinds of the workspace tree are selected.
    Tree,
    /// Jobs are paused (or let run again), and nothing else is done.
    Pause(bool),
    /// It says what becomes of the homes of missing users.
    MissingUsers,
    /// It is declared where the flag is that it is another name of.
    Declared,
    /// What it asks for is so anyhow.
    Nothing,
    /// It is refused, with what to do instead.
    Refused,
}

/// The flags of the older tool that were given to `backup`, or with `RESTORES` to `restore`.
#[derive(Clone, Default)]
pub(crate) struct OlderArgs<const RESTORES: bool> {
    given: Vec<&'static Flag>,
}

impl<const RESTORES: bool> OlderArgs<RESTORES> {
    /// Says what is not needed, and refuses what has no meaning here.
    pub(crate) fn check(&self, out: &Printer) -> Result<(), Failure> {
        let is_needless = |flag: &&&Flag| matches!(flag.means, Means::Nothing);
        for flag in self.given.iter().filter(is_needless) {
            out.note(format!("--{} is {}", flag.name, flag.here));
        }

        match self.refused() {
            Some(flag) => Err(Failure::usage(format!(
                "--{} is a flag of the older tool that dbsnap does not have",
                flag.name
            ))
            .hint(match flag.here.starts_with('`') {
                true => format!("instead: {}", flag.here),
                false => flag.here.to_owned(),
            })),
            None => Ok(()),
        }
    }

    fn refused(&self) -> Option<&'static Flag> {
        let mut given = self.given.iter();
        let refused = given.find(|flag| matches!(flag.means, Means::Refused));
        refused.copied()
    }

    /// The kinds they select; none when no such flag was given.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        for flag in &self.given {
            match flag.means {
                Means::Kinds(of) => kinds.extend(of),
                Means::Tree => kinds.extend(in_tree()),
                _ => {}
            }
        }
        kinds
    }

    /// Whether jobs are to be paused (or let run again) instead of what the command does.
    pub(crate) fn pauses(&self) -> Result<Option<bool>, Failure> {
        let pauses = |flag: &&Flag| match flag.means {
            Means::Pause(pauses) => Some(pauses),
            _ => None,
        };
        let selects = |flag: &&&Flag| matches!(flag.means, Means::Kinds(_) | Means::Tree);
        let asked: Vec<bool> = self.given.iter().filter_map(pauses).collect();
        match (asked.as_slice(), self.given.iter().find(selects)) {
            ([], _) => Ok(None),
            ([pauses], None) => Ok(Some(*pauses)),
            _ => Err(Failure::usage(
                "pausing jobs, letting them run again and selecting kinds are commands of their own",
            )
            .hint("run `dbsnap jobs pause`, what is to be done meanwhile, and `dbsnap jobs unpause`")),
        }
    }

    /// Whether the flag of this name was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|flag| flag.name == name)
    }
}

/// All kinds of the workspace tree.
fn in_tree() -> impl Iterator<Item = &'static str> {
    let nodes = resource::ALL.iter().filter(|kind| kind.node().is_some());
    nodes.map(|kind| kind.name)
}

/// The flags of a command that are not declared elsewhere.
fn of(restores: bool) -> impl Iterator<Item = &'static Flag> {
    let other = match restores {
        true => Side::Backup,
        false => Side::Restore,
    };
    let is_here = move |flag: &&Flag| flag.side != other;
    let flags = FLAGS.iter().filter(is_here);
    flags.filter(|flag| !matches!(flag.means, Means::Declared))
}

impl Flag {
    fn arg(&self, restores: bool) -> Arg {
        let arg = Arg::new(self.name).long(self.name).hide_short_help(true);
        let arg = arg.help(self.here).help_heading(HEADING);
        let arg = match self.means {
            // Who types it reads what becomes of it; the help need not.
            Means::Nothing | Means::Refused => arg.hide(true),
            Means::MissingUsers if restores => arg.conflicts_with("missing_users"),
            _ => arg,
        };
        match self.value {
            // What is refused may have been a list, of which nothing is to be taken for something else.
            Some(value) if matches!(self.means, Means::Refused) => {
                arg.value_name(value).num_args(1..)
            }
            Some(value) => arg.value_name(value),
            None => arg.action(ArgAction::SetTrue),
        }
    }
}

impl<const RESTORES: bool> clap::Args for OlderArgs<RESTORES> {
    fn augment_args(command: Command) -> Command {
        command.args(of(RESTORES).map(|flag| flag.arg(RESTORES)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const RESTORES: bool> FromArgMatches for OlderArgs<RESTORES> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Self::default();
        given.update_from_arg_matches(matches)?;
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let is_given = |flag: &&Flag| match flag.value {
            Some(_) => matches.contains_id(flag.name),
            None => matches.get_flag(flag.name),
        };
        self.given = of(RESTORES).filter(is_given).collect();
        Ok(())
    }
}

impl<const RESTORES: bool> std::fmt::Debug for OlderArgs<RESTORES> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.given.iter().map(|flag| flag.name))
            .finish()
    }
}

#[cfg(test)]
mod tests;

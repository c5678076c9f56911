//! The world around the program: variables, clock, directories and terminals, looked at once.
//!
//! Invariant: nothing else in dbsnap reads a variable or the clock, so a command given the same [`Environment`] and
//! the same workspace does the same thing. (The demo runs the real commands in an environment of its own.)

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

/// A fixed time, for tests that compare whole outputs.
const TEST_NOW: &str = "DBSNAP_TEST_NOW";

/// What a command may know of the world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// Variables that are set to something; an empty one counts as unset, as with the official tools.
    pub(crate) variables: BTreeMap<String, String>,
    /// A time that stands still instead of the clock.
    pub(crate) fixed_now: Option<DateTime<Utc>>,
    /// Whether someone can answer a question.
    pub(crate) can_ask: bool,
    /// Whether words go to a terminal.
    pub(crate) words_on_terminal: bool,
}

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process() -> Self {
        let set = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            (!value.is_empty()).then_some((name, value))
        };
        let variables: BTreeMap<_, _> = std::env::vars_os().filter_map(set).collect();
        let fixed_now = variables.get(TEST_NOW).and_then(|text| text.parse().ok());
        let words_on_terminal = std::io::stderr().is_terminal();
        Self {
            variables,
            fixed_now,
            can_ask: std::io::stdin().is_terminal() && words_on_terminal,
            words_on_terminal,
        }
    }

    /// A variable, unless it is unset or empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.fixed_now.unwrap_or_else(Utc::now)
    }

    /// The user's home directory.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        self.variable(name).map(PathBuf::from)
    }

    /// What this machine is called, as far as it says.
    pub(crate) fn hostname(&self) -> String {
        let named = self
            .variable("HOSTNAME")
            .or_else(|| self.variable("COMPUTERNAME"));
        if let Some(name) = named {
            return name.to_owned();
        }
        let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let program = || {
            let output = std::process::Command::new("hostname").output().ok()?;
            String::from_utf8(output.stdout).ok()
        };
        let name = kernel.or_else(program).unwrap_or_default();
        name.trim().to_owned()
    }

    /// Where the platform keeps what programs store for a user.
    pub(crate) fn data_directory(&self) -> Option<PathBuf> {
        let local = if cfg!(windows) {
            self.variable("LOCALAPPDATA").map(PathBuf::from)
        } else if cfg!(target_os = "macos") {
            self.in_home("Library/Application Support")
        } else {
            self.base("XDG_DATA_HOME", ".local/share")
        };
        local.map(|directory| directory.join("dbsnap"))
    }

    /// Where the platform keeps a program's settings.
    pub(crate) fn settings_directory(&self) -> Option<PathBuf> {
        let local = if cfg!(windows) {
            self.variable("APPDATA").map(PathBuf::from)
        } else if cfg!(target_os = "macos") {
            self.in_home("Library/Application Support")
        } else {
            self.base("XDG_CONFIG_HOME", ".config")
        };
        local.map(|directory| directory.join("dbsnap"))
    }

    fn base(&self, variable: &str, in_home: &str) -> Option<PathBuf> {
        // A relative path in these variables is to be ignored, says the specification of base directories.
        let set = self.variable(variable).map(PathBuf::from);
        set.filter(|path| path.is_absolute())
            .or_else(|| self.in_home(in_home))
    }

    fn in_home(&self, path: &str) -> Option<PathBuf> {
        self.home().map(|home| home.join(path))
    }
}

/// One with these variables and nothing else.
#[cfg(test)]
pub(crate) fn with(variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter();
    Environment {
        variables: variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Environment::default()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_in_the_data_directory_of_the_platform() {
        let home = with(&[("HOME", "/home/ana")]);
        assert_eq!(
            home.data_directory(),
            Some("/home/ana/.local/share/dbsnap".into())
        );
        let moved = with(&[("HOME", "/home/ana"), ("XDG_DATA_HOME", "/data")]);
        assert_eq!(moved.data_directory(), Some("/data/dbsnap".into()));
        let relative = with(&[("HOME", "/home/ana"), ("XDG_DATA_HOME", "data")]);
        assert_eq!(relative.data_directory(), home.data_directory());
        assert_eq!(with(&[]).data_directory(), None);
    }
}

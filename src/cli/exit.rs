//! Exit codes: what a script learns without reading a word.
//!
//! Invariant: the numbers stand here and nowhere else.

use std::process::ExitCode;

/// How a command that ran to its end ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Done,
    /// Done, but something could not be read or restored; it was listed.
    Incomplete,
    /// `diff --exit-code` found differences.
    Different,
}

/// Why a command did not run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It failed, and nothing was done.
    Failed,
    /// It was not understood.
    Usage,
    /// There is no store where one was expected.
    NoStore,
    /// Somebody else is at it.
    Locked,
    /// The store is encrypted, and the key is missing or wrong.
    WrongKey,
    /// The user stopped it.
    Interrupted,
}

/// The exit code of a command.
pub(crate) fn code(result: Result<Outcome, Kind>) -> u8 {
    match result {
        Ok(Outcome::Done) => 0,
        Err(Kind::Failed) => 1,
        Err(Kind::Usage) => 2,
        Ok(Outcome::Incomplete) => 3,
        Ok(Outcome::Different) => 4,
        Err(Kind::NoStore) => 10,
        Err(Kind::Locked) => 11,
        Err(Kind::WrongKey) => 12,
        Err(Kind::Interrupted) => 130,
    }
}

/// The same, for the operating system.
pub(crate) fn status(result: Result<Outcome, Kind>) -> ExitCode {
    ExitCode::from(code(result))
}

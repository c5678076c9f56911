//! The library's only voice: progress and remarks, told to whoever listens.
//!
//! Invariant: nothing here, and nobody who calls it, knows whether there is a terminal.

use std::error::Error;

/// Hears what long operations have to say while they run.
///
/// Calls may come from several threads at once.
pub trait Reporter: Send + Sync {
    /// Takes note of one event.
    fn report(&self, event: Event<'_>);
}

/// Something worth telling while an operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A phase begins; everything until [`Event::PhaseFinished`] belongs to it.
    PhaseStarted {
        /// What the phase does, fit for a progress bar.
        name: &'a str,
    },
    /// The running phase has learnt of more work.
    Expected {
        /// How many more units of work there are.
        more: u64,
    },
    /// The running phase has finished some work.
    Done {
        /// How many units of work were finished.
        count: u64,
        /// How many bytes they had.
        bytes: u64,
    },
    /// The running phase is over.
    PhaseFinished,
    /// Something a user should know although the operation goes on.
    Warning(&'a str),
    /// Something only a curious user wants to know.
    Detail(&'a str),
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _event: Event<'_>) {}
}

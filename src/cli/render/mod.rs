//! Values as text for people.
//!
//! Invariant: nothing here writes anywhere; text goes back to the command, and from there to the printer.

pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod copy;
pub(crate) mod diff;
pub(crate) mod forget;
pub(crate) mod gaps;
pub(crate) mod plan;
pub(crate) mod prune;
pub(crate) mod repair;
pub(crate) mod restore;
pub(crate) mod selection;
pub(crate) mod stats;
pub(crate) mod table;
pub(crate) mod units;

//! Replaying a snapshot into a workspace: plan, then apply.
//!
//! - `run`: capture the target, plan, ask, apply; and what an undo has to do.
//! - `options`: what is asked for. `scope`: what has to be known of the target for it.
//! - `plan`: what will be done, as data, made without touching anything. `apply`: doing it.
//! - `keep`: what was there before becomes a snapshot, so that an undo can go back to it.
//! - `journal`: what was done, so that a killed run goes on where it stopped.
//!
//! Invariant: the plan decides, `apply` makes no choices, and it is the only code that writes to a workspace.

mod apply;
mod journal;
mod keep;
mod options;
mod plan;
mod run;
mod scope;
#[cfg(test)]
mod tests;

pub use apply::{Apply, Outcome, StepOutcome, apply};
pub use journal::{Claim, Earlier, Header, Journal, JournalError, Memory};
pub use keep::KeepError;
pub use options::{MissingUsers, OnConflict, Options};
pub use plan::{
    Action, Completion, Inputs, PermissionStep, Plan, PlanError, Side, Step, Summary, plan,
};
pub use run::{RestoreError, RestoreReport, Source, Task, Undo, journal_path, run, undo};
pub use scope::scope;

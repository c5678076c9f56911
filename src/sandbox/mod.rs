//! The embedded workspace server: the REST API of a workspace, in this process, on a loopback port.
//!
//! It is how a newcomer tries the program in a minute, how a drill proves that a snapshot restores, and what tests run
//! against. It answers as the real service does, oddities included, and misbehaves on request ([`Faults`]).
//!
//! - `options`, `faults`, `limits`: what can be asked of it.
//! - `server`, `socket`, `gate`, `page`: listening, and what happens to a request before and after its handler.
//! - `call`, `routes`, `api`: a request as the handlers see it, the table of endpoints, one file per API family.
//! - `state`: what the workspace holds. `sql`: the engine behind SQL statements. `notebook`: notebook formats. `sample`: what it is filled with at the start.
//! - `workspace`, `edit`: the handle through which tests look at it and change it behind the API's back.
//!
//! What it does not have: rights. Whoever has a token may do everything; a folder out of reach is a [`Rule`].
//!
//! Invariant: given the same options (with a ticking clock) and the same sequence of calls, every answer is the same.

mod api;
mod call;
mod edit;
mod faults;
mod gate;
mod limits;
mod notebook;
mod options;
mod page;
mod routes;
mod sample;
mod server;
mod socket;
mod sql;
mod state;
#[cfg(test)]
mod tests;
mod workspace;

pub use faults::{Effect, Faults, RetryAfter, Rule};
pub use limits::{Family, Rate, RateLimits};
pub use options::{Clock, OAuthClient, Options, Sample, Token};
pub use server::{Running, Sandbox, SandboxError};
pub use workspace::{Requests, Tally, Workspace};

//! `dbsnap init`

use dbsnap::store::Store;
use serde_json::json;

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;

/// Create an empty store
///
/// The store is a directory that must not exist yet, or must be empty. (`backup` creates a missing store by itself.)
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap init
  dbsnap init --store /backups/dbsnap

Exit codes:
  0  the store was created
  1  failed: there is a store already, or something else
  2  the command line or the settings were not understood")]
pub(crate) struct Args {}

pub(crate) fn run(session: &Session, _args: &Args) -> Result<Outcome, Failure> {
    let path = session.store_path()?;
    let store = Store::create(&path, session.now())
        .map_err(|error| Failure::doing(format!("create a store at {}", path.display()), error))?;
    if session.json() {
        session
            .out
            .json(&json!({"store": store.path(), "id": store.id()}));
    } else {
        session
            .out
            .note(format!("created the store at {}", path.display()));
    }
    Ok(Outcome::Done)
}

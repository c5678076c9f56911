//! `dbsnap check`

use dbsnap::check;

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::render::check as render;
use crate::cli::session::Session;

/// Prove that the store gives back what its snapshots say
///
/// Opens the index, walks all snapshots and looks for everything they refer to. With --read-data also every byte of the
/// store is read and compared with its hash; of large files of the index only then more than the beginning is looked at.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap check
  dbsnap check --read-data

Exit codes:
  0   the store is whole
  1   failed: the store could not be checked
  2   the command line or the settings were not understood
  3   something is damaged or missing; it is listed
  10  there is no store
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    /// Read all data of the store, not only its lists
    #[arg(long)]
    read_data: bool,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let store = session.store()?;
    let report = check::run(&store, args.read_data, &*session.progress());
    let report = report.map_err(|error| {
        Failure::doing(
            format!("check the store at {}", store.path().display()),
            error,
        )
    })?;
    if session.json() {
        session.out.json(&render::document(&report));
    } else {
        session.out.data(render::summary(&report));
    }
    Ok(if report.is_sound() {
        Outcome::Done
    } else {
        Outcome::Incomplete
    })
}

//! `dbsnap check`

use dbsnap::check::{self, Depth};
use dbsnap::store::Amount;

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::render::check as render;
use crate::cli::session::Session;

/// Prove that the store gives back what its snapshots say
///
/// Opens the index, reads all small files (keys, records, journals, what unfinished backups left), walks all snapshots and
/// looks for everything they refer to. With --read-data also every byte of the
/// store is read and compared with its hash; of large files of the index only then more than the beginning is looked at.
/// With --read-data-subset it is a part of the data: what was read longest ago comes first, so that `5%` every night has
/// read everything after twenty nights. When what was read is remembered in the store.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap check
  dbsnap check --read-data
  dbsnap check --read-data-subset 5%    The twentieth that was read longest ago
  dbsnap check --read-data-subset 2/7   The second of seven fixed parts

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

    /// Read a part of the data: a share (5%), a size (500M, 2G), or one of several parts (1/7)
    #[arg(long, value_name = "AMOUNT", conflicts_with = "read_data")]
    read_data_subset: Option<Amount>,

    /// Only see that heads and index can be read and that no file is missing or cut short, not what snapshots refer to
    #[arg(long, conflicts_with_all = ["read_data", "read_data_subset"])]
    structure: bool,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let store = session.store()?;
    let report = check::run(&store, depth(session, args), &*session.progress());
    let report = report.map_err(|error| {
        Failure::doing(
            format!("check the store at {}", store.path().display()),
            error,
        )
    })?;
    if session.json() {
        session.out.json(&render::document(&report));
    } else {
        session
            .out
            .result(render::summary(&report), report.is_sound());
    }
    Ok(if report.is_sound() {
        Outcome::Done
    } else {
        Outcome::Incomplete
    })
}

fn depth(session: &Session, args: &Args) -> Depth {
    let all = args.read_data.then_some(Amount::All);
    match args.read_data_subset.or(all) {
        Some(amount) => Depth::Data {
            amount,
            now: session.now(),
        },
        None if args.structure => Depth::Structure,
        None => Depth::Manifests,
    }
}

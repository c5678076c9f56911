//! `dbsnap prune`

use chrono::TimeDelta;
use dbsnap::prune::{self, PruneError, PruneReport};
use dbsnap::store::{PruneOptions, Store};

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::lost;
use crate::cli::quantity;
use crate::cli::render::prune as render;
use crate::cli::session::Session;

/// Free the space of what no snapshot needs
///
/// Run it after `forget`, and again from time to time. It needs no lock: backups on any machine may run beside it, and
/// killed at any moment it leaves nothing that the next prune does not carry on.
///
/// What is not needed goes in two steps. A prune condemns packs, and a prune at least --grace later deletes them, after
/// another look at whether something has come to need them. So the space is free a day after the prune that found it.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap prune --dry-run
  dbsnap prune
  dbsnap prune --max-repack 2G        Copy at most 2 GiB out of packs that are partly needed
  dbsnap prune --max-repack 0         Copy nothing: only what is not needed at all goes
  dbsnap prune --without-snapshots    Give up what snapshots needed that were forgotten all at once, or lost

Exit codes:
  0   done
  1   failed; nothing that is needed is lost, and the next prune carries on
  2   the command line or the settings were not understood
  3   done, and the store has lost snapshots
  10  there is no store
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    /// Only say what would be done; nothing is written, so that a store on a read-only mount will do
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// Leave alone what is younger, by the store's own clock, such as 24h or 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = quantity::time)]
    grace: TimeDelta,

    /// Copy at most this much out of packs that are partly needed or small, such as 2G [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    max_repack: Option<u64>,

    /// Go on although the store has no snapshot at all, or has lost those it had, because that is meant or cannot be helped
    ///
    /// Without this a store with data but without snapshots is taken for one that has lost the directory `snapshots`, and
    /// nothing is deleted. So is one that had no snapshot left when the next one came, until the lost ones are back.
    #[arg(long)]
    without_snapshots: bool,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let options = PruneOptions {
        grace: args.grace,
        max_repack: args.max_repack.unwrap_or(u64::MAX),
        without_snapshots: args.without_snapshots,
        without_lost: args.without_snapshots,
        now: args.dry_run.then(|| session.now()),
    };
    let store = session.store()?;
    let report = prune(session, &store, options, args.dry_run)?;
    let has_lost = lost::warn(session, &store)?;
    match session.json() {
        true => session.out.json(&render::document(&report)),
        false => session
            .out
            .result(render::summary(&report, options.grace), true),
    }
    Ok(if has_lost {
        Outcome::Incomplete
    } else {
        Outcome::Done
    })
}

/// Prunes a store.
pub(crate) fn prune(
    session: &Session,
    store: &Store,
    options: PruneOptions,
    dry_run: bool,
) -> Result<PruneReport, Failure> {
    let report = prune::run(store, options, dry_run, &*session.progress());
    report.map_err(|error| {
        let doing = format!("prune the store at {}", store.path().display());
        let is_full = matches!(&error, PruneError::Apply(cause) if cause.is_disk_full());
        let failure = Failure::doing(doing, error);
        match is_full && options.max_repack > 0 {
            true => {
                failure.hint("with --max-repack 0 a prune copies nothing, and frees all the same")
            }
            false => failure,
        }
    })
}

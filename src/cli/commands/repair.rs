//! `dbsnap repair`

use std::collections::BTreeSet;

use dbsnap::repair::{self, RepairError};
use dbsnap::store::{Store, StoreError};

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::lost;
use crate::cli::render::repair as render;
use crate::cli::select;
use crate::cli::session::Session;

/// Mend what is damaged in the store
///
/// Run `dbsnap check --read-data` before and after. No repair needs a lock: backups on any machine may run beside it, and
/// killed at any moment it has lost nothing and can be run again.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap repair config                Make dbsnap.json anew if it is lost or damaged
  dbsnap repair index --dry-run
  dbsnap repair index                 Make the index anew from what the packs say of themselves
  dbsnap repair packs                 Copy what can still be read out of damaged packs
  dbsnap repair pending               Remove what is damaged of backups that never ended
  dbsnap repair snapshots             Make damaged snapshots anew, with gaps for what is lost

Exit codes:
  0   done
  1   failed; nothing is lost by that
  2   the command line or the settings were not understood
  3   done, but something remains that cannot be read; it is listed
  10  there is no store
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    Config(ConfigArgs),
    Index(IndexArgs),
    Packs(PacksArgs),
    Pending(PendingArgs),
    Snapshots(SnapshotsArgs),
}

/// Make dbsnap.json anew if it is lost or damaged
///
/// Without it nothing in the store can be read, although everything is there; and with one that was changed, or that
/// denies that the store is encrypted, nothing is written. What it says is known from the heads of
/// snapshots, and of an encrypted store from its keys, one of which has to be given.
#[derive(clap::Args, Debug)]
struct ConfigArgs {
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Make the index anew from what the packs say of themselves
///
/// The index only says where things lie: without it, or with a wrong one, everything takes longer and nothing is lost.
/// All of it is written anew, and what can be read of the old one is removed by a later prune.
#[derive(clap::Args, Debug)]
struct IndexArgs {
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Copy what can still be read out of damaged packs
///
/// Every byte of the store is read. What can be read in a damaged pack is copied to a new one, then the damaged pack is
/// condemned: a prune deletes it a day later, as it does what this store has not written at all. What was in it and is lost is stored again by the next `dbsnap backup`, if
/// the workspace still has it.
#[derive(clap::Args, Debug)]
struct PacksArgs {
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Remove what is damaged of backups that were begun and never ended
///
/// What a backup has begun is written down in the directory `pending`, so that no prune takes it away. Of a damaged file
/// there nobody knows what it protects, so that prunes delete nothing. It is removed once it is two days old: the backup
/// that wrote it cannot end any more then, and snapshots that are there need none of it.
#[derive(clap::Args, Debug)]
struct PendingArgs {
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Make damaged snapshots anew, with gaps for what is lost
///
/// Every byte of the store is read. For each snapshot that lacks something a new one is written, right after it in time,
/// in which what is lost is a gap: a diff says that it is unknown, not that it was deleted, and a restore leaves it out
/// and says so. The damaged one stays until it is forgotten, and rules of `dbsnap forget` keep or forget both together.
/// `latest` and dates mean the new one as long as it is there. If the damaged one lacks nothing any more, since what was lost
/// came back, the new one, which never has more, is let go, and the old one has its place again.
/// Run `dbsnap repair packs` and a `dbsnap backup` before: what the workspace still has is whole again then, also in old
/// snapshots.
#[derive(clap::Args, Debug)]
struct SnapshotsArgs {
    /// Only these: the beginning of an id, `latest`, `latest~1`, or a date
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    match &args.what {
        What::Config(args) => config(session, args.dry_run),
        What::Index(args) => index(session, &session.store()?, args.dry_run),
        What::Packs(args) => packs(session, &session.store()?, args.dry_run),
        What::Pending(args) => pending(session, &session.store()?, args.dry_run),
        What::Snapshots(args) => snapshots(session, &session.store()?, args),
    }
}

/// The store cannot be opened before.
fn config(session: &Session, dry_run: bool) -> Result<Outcome, Failure> {
    let path = session.store_path()?;
    let secrets = session.given_keys()?.secrets(&session.environment)?;
    let report = repair::config(&path, &secrets, session.now(), dry_run);
    let report = report.map_err(|error| {
        let at = path.display();
        Failure::doing(
            format!("repair the configuration of the store at {at}"),
            error,
        )
    })?;
    match session.json() {
        true => session
            .out
            .json(&render::config_document(report.as_ref(), dry_run)),
        false => session
            .out
            .result(render::config_summary(report.as_ref(), dry_run), true),
    }
    Ok(Outcome::Done)
}

fn index(session: &Session, store: &Store, dry_run: bool) -> Result<Outcome, Failure> {
    let report = store.repair_index(dry_run, &*session.progress());
    let report = report.map_err(|error| failed("index", store, error))?;
    let is_whole = report.unreadable.is_empty() && report.carried.is_empty();
    match session.json() {
        true => session.out.json(&render::index_document(&report, dry_run)),
        false => {
            let summary = render::index_summary(&report, dry_run);
            session.out.result(summary, is_whole);
        }
    }
    Ok(outcome(is_whole))
}

fn packs(session: &Session, store: &Store, dry_run: bool) -> Result<Outcome, Failure> {
    let report = store.repair_packs(dry_run, &*session.progress());
    let report = report.map_err(|error| failed("packs", store, error))?;
    let is_whole = report.lost.is_empty();
    match session.json() {
        true => session.out.json(&render::packs_document(&report, dry_run)),
        false => {
            let summary = render::packs_summary(&report, dry_run);
            session.out.result(summary, is_whole);
        }
    }
    Ok(outcome(is_whole))
}

fn pending(session: &Session, store: &Store, dry_run: bool) -> Result<Outcome, Failure> {
    let report = store.repair_pending(dry_run);
    let report = report.map_err(|error| failed("unfinished snapshots", store, error))?;
    match session.json() {
        true => session
            .out
            .json(&render::pending_document(&report, dry_run)),
        false => session
            .out
            .data(render::pending_summary(&report, dry_run, session.now())),
    }
    Ok(outcome(report.waiting.is_empty()))
}

fn snapshots(session: &Session, store: &Store, args: &SnapshotsArgs) -> Result<Outcome, Failure> {
    let mut wanted = BTreeSet::new();
    for given in &args.snapshots {
        wanted.insert(select::name(store, &select::reference(given)?, given)?);
    }
    let wanted = (!wanted.is_empty()).then_some(&wanted);
    let dry_run = args.dry_run;
    let report = repair::snapshots(store, wanted, dry_run, &*session.progress());
    let report = report.map_err(|error| {
        let at = store.path().display();
        let is_hinted = matches!(error, RepairError::OutOfReach { .. });
        let failure = Failure::doing(format!("repair the snapshots of the store at {at}"), error);
        match is_hinted {
            true => failure.hint(
                "see to permissions, or to the disk or network that fails, and run it again; nothing was changed",
            ),
            false => failure,
        }
    })?;
    let damaged = report.repaired.len() + report.repaired_before.len() + report.hopeless.len();
    let is_whole = !lost::warn(session, store)? && damaged == 0;
    match session.json() {
        true => session
            .out
            .json(&render::snapshots_document(&report, dry_run)),
        false => {
            let summary = render::snapshots_summary(&report, dry_run);
            session.out.result(summary, is_whole);
        }
    }
    Ok(outcome(is_whole))
}

fn failed(what: &str, store: &Store, error: StoreError) -> Failure {
    let at = store.path().display();
    Failure::doing(format!("repair the {what} of the store at {at}"), error)
}

fn outcome(is_whole: bool) -> Outcome {
    match is_whole {
        true => Outcome::Done,
        false => Outcome::Incomplete,
    }
}

//! `dbsnap repair`

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::render::repair as render;
use crate::cli::session::Session;

/// Mend what is damaged in the store
///
/// Run `dbsnap check --read-data` before and after. No repair needs a lock: backups on any machine may run beside it, and
/// killed at any moment it has lost nothing and can be run again.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap repair index --dry-run
  dbsnap repair index                 Make the index anew from what the packs say of themselves

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
    Index(IndexArgs),
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

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let What::Index(IndexArgs { dry_run }) = args.what;
    let store = session.store()?;
    let report = store.repair_index(dry_run, &*session.progress());
    let report = report.map_err(|error| {
        let doing = format!(
            "repair the index of the store at {}",
            store.path().display()
        );
        Failure::doing(doing, error)
    })?;
    match session.json() {
        true => session.out.json(&render::index_document(&report, dry_run)),
        false => session.out.data(render::index_summary(&report, dry_run)),
    }
    Ok(
        match report.unreadable.is_empty() && report.carried.is_empty() {
            true => Outcome::Done,
            false => Outcome::Incomplete,
        },
    )
}

//! `dbsnap copy`

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use dbsnap::copy::{self, CopyError};
use dbsnap::pause;
use dbsnap::store::{HeadName, Store};

use crate::cli::error::Failure;
use crate::cli::exit::{Kind, Outcome};
use crate::cli::lost;
use crate::cli::render::copy as render;
use crate::cli::select;
use crate::cli::session::Session;

/// Copy snapshots into another store
///
/// A copy has the id of the original, and only what the other store lacks is copied; snapshots that it has already are
/// left alone. A snapshot of which something cannot be read is not copied at all, and the others are. Killed at any
/// moment it leaves whole snapshots, and the next copy goes on. A missing store is created; but an encrypted store is
/// copied only to one that is encrypted too, and can be opened with the same password or identity. A store that is not
/// encrypted can be copied to an encrypted one: the key that is given is for that one.
///
/// Snapshots are copied, and nothing else: what restores wrote down for `--undo`, and which jobs are paused, stays where it is.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap copy --to /mnt/usb/store
  dbsnap copy latest --to /mnt/usb/store
  dbsnap copy --to /mnt/usb/store --dry-run

Exit codes:
  0    done
  1    failed; what was copied before is whole
  2    the command line or the settings were not understood
  3    done, but something could not be read, and so a snapshot was not copied; it is listed
  10   there is no store to copy from
  12   a store is encrypted, and the key is missing or wrong
  130  interrupted; what was copied before is whole")]
pub(crate) struct Args {
    /// The snapshots: the beginning of an id, `latest`, `latest~1`, or a date [default: all]
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    /// The store to copy to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let failed = |error| match error {
        CopyError::Interrupted => Failure::interrupted(error.to_string()),
        error => Failure::doing(format!("copy to {}", args.to.display()), error),
    };
    let from = session.store_to_copy()?;
    refuse_itself(from.path(), &args.to)?;
    // A typing error must not leave a new store behind.
    let heads = heads(&from, args)?;
    let report = if args.dry_run {
        let to = match session.open(&args.to) {
            Err(failure) if failure.kind() == Kind::NoStore => None,
            to => Some(to?),
        };
        copy::plan(to.as_ref(), &heads)
    } else {
        let to = target(session, &from, &args.to)?;
        let stop = session.interrupt.heed();
        let stop = || *stop.borrow();
        copy::run(&from, &to, &heads, &stop, &*session.progress())
    };
    let report = report.map_err(failed)?;
    let has_lost = lost::warn(session, &from)?;
    note_paused(session, &from);
    let is_whole = report.failed.is_empty() && !has_lost;
    match session.json() {
        true => session.out.json(&render::document(&report, args.dry_run)),
        false => {
            let summary = render::summary(&report, args.dry_run);
            session.out.result(summary, is_whole);
        }
    }
    Ok(match is_whole {
        true => Outcome::Done,
        false => Outcome::Incomplete,
    })
}

/// What `jobs pause` remembers is not copied: of two memories that let jobs run again, one would be wrong.
fn note_paused(session: &Session, from: &Store) {
    let files = std::fs::read_dir(pause::memories(from.path()));
    let remembers = |file: &DirEntry| file.metadata().is_ok_and(|found| found.len() > 0);
    if files.is_ok_and(|files| files.flatten().any(|file| remembers(&file))) {
        session.out.note(format!(
            "which jobs `dbsnap jobs pause` paused is not copied: `dbsnap jobs unpause` needs the store at {}",
            from.path().display()
        ));
    }
}

/// Where to copy to. What is encrypted must not lie open afterwards.
fn target(session: &Session, from: &Store, path: &Path) -> Result<Store, Failure> {
    if !from.is_encrypted() {
        return session.store_or_new_at(path);
    }
    let to = session.open(path)?;
    match to.is_encrypted() {
        true => Ok(to),
        false => Err(Failure::refused(format!(
            "{} is encrypted, and {} is not",
            from.path().display(),
            path.display()
        ))
        .hint("make an encrypted store to copy to with `dbsnap init --encrypt`")),
    }
}

/// A store copied onto itself, or into its own directory, is no second copy.
fn refuse_itself(from: &Path, to: &Path) -> Result<(), Failure> {
    let real = std::path::absolute(to).and_then(|to| existing(&to).canonicalize());
    let (Ok(from), Ok(real)) = (from.canonicalize(), real) else {
        return Ok(());
    };
    if real.starts_with(&from) {
        let (from, to) = (from.display(), to.display());
        return Err(
            Failure::refused(format!("{to} lies in the store at {from}"))
                .hint("what happens to the one would happen to the other: copy to another place"),
        );
    }
    Ok(())
}

/// The path itself, or the lowest directory above it that exists.
fn existing(path: &Path) -> &Path {
    let mut above = path.ancestors();
    above.find(|above| above.exists()).unwrap_or(path)
}

/// The snapshots to copy, oldest first.
fn heads(from: &Store, args: &Args) -> Result<Vec<HeadName>, Failure> {
    if args.snapshots.is_empty() {
        let heads = from.heads();
        return heads.map_err(|error| Failure::doing("list the snapshots", error));
    }
    let named = args
        .snapshots
        .iter()
        .map(|given| select::name(from, &select::reference(given)?, given));
    let mut heads = named.collect::<Result<Vec<_>, _>>()?;
    heads.sort_unstable();
    heads.dedup();
    Ok(heads)
}

//! `dbsnap import`

use std::path::PathBuf;

use dbsnap::folder::{self, ImportError, ImportOptions};

use crate::cli::commands::backup::show;
use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;

/// Make a snapshot of a directory of notebooks and files
///
/// Files with the header of Databricks notebooks, and .ipynb files, become notebooks, whose names have no extension; all
/// others become workspace files, as `databricks workspace import-dir` has it. Of two notebooks that would have one name
/// the second stays a file. What cannot be read is listed and recorded as a gap, and so are symbolic links, which are not
/// followed. The next import of the same directory reads only what was touched since. A missing store is created.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap import ~/notebooks
  dbsnap import build/etl --name etl --at /Shared/etl --tag release-7
  dbsnap diff latest~1 latest

Exit codes:
  0    a complete snapshot was taken
  1    failed: there is no new snapshot
  2    the command line or the settings were not understood
  3    a snapshot was taken, but something could not be read; it is listed
  10   there is no store, and a key was given: encrypted ones are not created by themselves
  12   the store is encrypted, and the key is missing or wrong
  130  interrupted; what was stored is not stored again")]
pub(crate) struct Args {
    /// The directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// What the directory is called: imports of one name build upon each other [default: its path]
    #[arg(long, value_name = "LABEL")]
    name: Option<String>,

    /// The folder of the workspace that the directory stands for
    #[arg(long, value_name = "PATH", default_value = "/")]
    at: String,

    /// Read every file again, even what looks untouched
    #[arg(long)]
    full: bool,

    /// Attach a word to the snapshot; may be repeated
    #[arg(long, value_name = "WORD")]
    tag: Vec<String>,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let failed = |error| match error {
        ImportError::Interrupted => Failure::interrupted(error.to_string()),
        ImportError::NotAPath(_) => Failure::usage(error.to_string()),
        error => Failure::doing(format!("import {}", args.directory.display()), error),
    };
    let options = ImportOptions {
        label: args.name.clone(),
        at: args.at.clone(),
        hostname: session.environment.hostname(),
        full: args.full,
        tags: args.tag.clone(),
        ..ImportOptions::new(&args.directory, session.now())
    };
    // A typing error must not leave a new store behind.
    options.check().map_err(failed)?;
    let store = session.store_or_new()?;
    let stop = session.interrupt.heed();
    let stop = || *stop.borrow();
    let report = folder::import(&store, &options, &stop, &*session.progress());
    let report = report.map_err(failed)?;
    show(session, &store, &report)?;
    Ok(if report.snapshot.complete {
        Outcome::Done
    } else {
        Outcome::Incomplete
    })
}

//! `dbsnap import`

use std::path::PathBuf;

use dbsnap::backup::BackupReport;
use dbsnap::folder::{self, ImportError, ImportOptions, LogsOptions, Recognised};
use dbsnap::store::Store;

use crate::cli::commands::backup::{encrypted_store, show, warn_of_the_store};
use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;

/// Make a snapshot of a directory, or of the logs of databrickslabs/migrate
///
/// Files with the header of Databricks notebooks, and .ipynb files, become notebooks, whose names have no extension; all
/// others become workspace files, as `databricks workspace import-dir` has it. Of two notebooks that would have one name
/// the second stays a file. A notebook knows its language, not its extension: what was `LOAD.PY` comes out of an export as
/// `LOAD.py`. What cannot be read is listed and recorded as a gap, and so are symbolic links, which are not
/// followed. The next import of the same directory reads only what was touched since. A missing store is created.
///
/// A directory that databrickslabs/migrate wrote (logs/, azure_logs/, gcp_logs/, or one session in it) is told by what is in
/// it, and becomes a snapshot of the workspace that it was exported from. What that tool could not read, and what of its
/// files is not understood, is listed and recorded as a gap.
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
  3    a snapshot was taken, but something was not read, or the store is damaged; it is listed
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

    /// What the directory is, should its content not tell
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,

    /// Read every file again, even what looks untouched
    #[arg(long)]
    full: bool,

    /// Of the secrets that databrickslabs/migrate exported take only the names; their values go into an encrypted store only
    #[arg(long)]
    without_secret_values: bool,

    /// Attach a word to the snapshot; may be repeated
    #[arg(long, value_name = "WORD")]
    tag: Vec<String>,
}

/// What a directory is.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Notebooks and files
    Directory,
    /// What databrickslabs/migrate wrote: its base directory with one session, or a session
    Logs,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let export = match args.format {
        Some(Format::Directory) => None,
        format => export_of(args, format)?,
    };
    let (store, is_sound, report) = match export {
        Some(directory) => import_export(session, args, directory)?,
        None => import_directory(session, args)?,
    };
    show(session, &store, &report)?;
    Ok(if report.snapshot.complete && is_sound {
        Outcome::Done
    } else {
        Outcome::Incomplete
    })
}

/// The export of the older tool that the directory is, if it is one.
fn export_of(args: &Args, format: Option<Format>) -> Result<Option<PathBuf>, Failure> {
    let shown = args.directory.display();
    let is_meant = format == Some(Format::Logs);
    let recognised = match folder::recognise(&args.directory) {
        Ok(recognised) => recognised,
        Err(source) => {
            let path = args.directory.clone();
            return Err(failed(args, ImportError::Directory { path, source }));
        }
    };
    match recognised {
        Recognised::Export(directory) => Ok(Some(directory)),
        Recognised::Several(sessions) => Err(Failure::usage(format!(
            "{shown} holds {} exports of databrickslabs/migrate: {}",
            sessions.len(),
            sessions.join(", ")
        ))
        .hint("import one of them: each becomes a snapshot of its own")),
        _ if is_meant => Ok(Some(args.directory.clone())),
        Recognised::Unclear { like, strange } => Err(Failure::usage(format!(
            "{shown} holds {like} as databrickslabs/migrate writes it, and {strange} other names that are not from there"
        ))
        .hint("say what it is: --format logs or --format directory")),
        Recognised::Around(exports) => Err(Failure::usage(format!(
            "{shown} holds {} as databrickslabs/migrate writes it, and other things",
            exports.join(", ")
        ))
        .hint(format!(
            "import {shown}/{} by itself, or everything as plain files with --format directory",
            exports.first().map_or("", String::as_str)
        ))),
        Recognised::Plain => Ok(None),
    }
}

/// Makes a snapshot of what the older tool exported.
fn import_export(
    session: &Session,
    args: &Args,
    directory: PathBuf,
) -> Result<(Store, bool, BackupReport), Failure> {
    if args.at != "/" {
        return Err(Failure::usage(
            "--at: an export of databrickslabs/migrate says itself where everything is",
        ));
    }
    session.out.note(format!(
        "{} is imported as an export of databrickslabs/migrate",
        directory.display()
    ));
    let secret_values = !args.without_secret_values && folder::has_secret_values(&directory);
    // Before anything is read: nobody may think that values are safe where they are not.
    let encrypted = match secret_values {
        true => Some(
            encrypted_store(session, "the export holds values of secrets").map_err(|failure| {
                failure.hint("without the values it is imported by --without-secret-values")
            })?,
        ),
        false => None,
    };
    let options = LogsOptions {
        secret_values,
        label: args.name.clone(),
        time: session.now(),
        hostname: session.environment.hostname(),
        tags: args.tag.clone(),
        directory,
    };
    let store = match encrypted {
        Some(store) => store,
        None => session.store_or_new()?,
    };
    let is_sound = warn_of_the_store(session, &store)?;
    let stop = session.interrupt.heed();
    let stop = || *stop.borrow();
    let report = folder::import_logs(&store, &options, &stop, &*session.progress());
    Ok((
        store,
        is_sound,
        report.map_err(|error| failed(args, error))?,
    ))
}

fn failed(args: &Args, error: ImportError) -> Failure {
    match error {
        ImportError::Interrupted => Failure::interrupted(error.to_string()),
        ImportError::NotAPath(_) => Failure::usage(error.to_string()),
        error => Failure::doing(format!("import {}", args.directory.display()), error),
    }
}

/// Makes a snapshot of notebooks and files.
fn import_directory(
    session: &Session,
    args: &Args,
) -> Result<(Store, bool, BackupReport), Failure> {
    let options = ImportOptions {
        label: args.name.clone(),
        at: args.at.clone(),
        hostname: session.environment.hostname(),
        full: args.full,
        tags: args.tag.clone(),
        ..ImportOptions::new(&args.directory, session.now())
    };
    // A typing error must not leave a new store behind.
    options.check().map_err(|error| failed(args, error))?;
    session.out.note(format!(
        "{} is imported as a directory of notebooks and files",
        args.directory.display()
    ));
    let store = session.store_or_new()?;
    let is_sound = warn_of_the_store(session, &store)?;
    let stop = session.interrupt.heed();
    let stop = || *stop.borrow();
    let report = folder::import(&store, &options, &stop, &*session.progress());
    Ok((
        store,
        is_sound,
        report.map_err(|error| failed(args, error))?,
    ))
}

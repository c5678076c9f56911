//! `dbsnap backup`

use dbsnap::api::Client;
use dbsnap::backup::{self, BackupError, BackupOptions, BackupReport};
use dbsnap::manifest::Tree;
use dbsnap::resource::KindName;
use dbsnap::store::Store;

use super::jobs;
use crate::cli::connect::{self, ConnectArgs};
use crate::cli::dbfs::{self, DbfsArgs};
use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::lost;
use crate::cli::metastore::{self, Metastore, MetastoreArgs};
use crate::cli::older::OlderArgs;
use crate::cli::render::units::plural;
use crate::cli::render::{backup as render, gaps};
use crate::cli::runs::{self, RunsArgs};
use crate::cli::select;
use crate::cli::selection::{self, SelectionArgs};
use crate::cli::session::Session;

/// Take a snapshot of a workspace
///
/// Reads everything that is selected and stores what the store does not have yet. Whatever cannot be read is listed,
/// recorded as a gap, and never stops the rest. A backup that is stopped (Ctrl-C, a crash) leaves what it read in the
/// store; the next one goes on from there. A missing store is created.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap backup --profile DEMO
  dbsnap backup --profile DEMO --only users,groups,jobs --tag before-release
  dbsnap backup --profile DEMO --path /Shared --exclude-path '/Shared/*/tmp'
  dbsnap backup --profile DEMO --home ana@example.com
  dbsnap backup --profile DEMO --runs-since 90d
  dbsnap backup --profile DEMO --dbfs /FileStore --dbfs-max-file-size 100M
  dbsnap backup --profile DEMO --secret-values --password-file /etc/dbsnap/password

Exit codes:
  0    a complete snapshot was taken
  1    failed: there is no new snapshot
  2    the command line or the settings were not understood
  3    a snapshot was taken, but something was not read or is not there, or the store is damaged; it is listed
  10   there is no store, and a key was given: encrypted ones are not created by themselves
  12   the store is encrypted, and the key is missing or wrong
  130  interrupted; what was read is kept for the next backup")]
pub(crate) struct Args {
    /// Read everything again, even what looks unchanged
    #[arg(long)]
    full: bool,

    /// Attach a word to the snapshot; may be repeated. No rule of `forget` forgets what has the word `keep`
    #[arg(long, value_name = "WORD")]
    tag: Vec<String>,

    /// Read the values of secrets too, and not only their names; only into an encrypted store [also: `secret-values` in dbsnap.toml]
    #[arg(long)]
    secret_values: bool,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    #[command(flatten)]
    runs: RunsArgs,

    #[command(flatten)]
    metastore: MetastoreArgs,

    #[command(flatten)]
    dbfs: DbfsArgs,

    #[command(flatten)]
    connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) older: OlderArgs<false>,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    args.older.check(&session.out)?;
    if let Some(pauses) = args.older.pauses()? {
        return jobs::set_paused(session, pauses, false, &args.connect).await;
    }
    let settings = &session.section.backup;
    let mut selection = selection::selection(&args.selection, &args.older.kinds(), settings)?;
    selection.secret_values = args.secret_values || settings.secret_values.unwrap_or(false);
    args.runs.select(settings, &mut selection, session.now())?;
    // Before anything is read: nobody may think that values are safe where they are not.
    let encrypted = match selection.secret_values {
        true => Some(encrypted_store(session, "--secret-values")?),
        false => None,
    };
    let client = connect::client(session, &args.connect)?;
    let metastore = Metastore::new(session, &args.metastore, settings, &client)?;
    metastore.select(&mut selection)?;
    args.dbfs.select(settings, &mut selection)?;
    let options = BackupOptions {
        hostname: session.environment.hostname(),
        selection,
        full: args.full,
        metastore: metastore.place.clone(),
        tags: args.tag.clone(),
        stop: session.interrupt.heed(),
        ..BackupOptions::new(session.now())
    };
    // The workspace must answer before a store is made for it.
    let failed = |error| failed(&client, error);
    let workspace = client.workspace().await;
    workspace.map_err(|error| failed(BackupError::Workspace(error)))?;
    let store = match encrypted {
        Some(store) => store,
        None => session.store_or_new()?,
    };
    let is_sound = warn_of_the_store(session, &store)?;
    let report = backup::run(&client, &store, options, &session.progress()).await;
    metastore.close(session).await;
    let report = report.map_err(failed)?;
    show(session, &store, &report)?;
    let selection = &report.snapshot.selection;
    if metastore::misses_metastore(selection) && selection.only.is_empty() {
        session.out.note(
            "the Hive metastore and mounts are not included: --cluster-name or --launch-cluster says which cluster can read both, --warehouse which SQL warehouse the Hive metastore",
        );
    } else if metastore::misses_mounts(selection) {
        session
            .out
            .note("mounts are not included: only a cluster tells of them (--cluster-name or --launch-cluster)");
    }
    if dbfs::misses_files(selection) {
        session.out.note("the files of the DBFS root are not included: --dbfs PATH says which are (`--dbfs /FileStore`)");
    }
    if runs::are_missed(&report.snapshot) {
        session.out.note(
            "runs of experiments are not included: --runs-since 90d (or all) says which are to be",
        );
    } else if runs::lack_files(&report.snapshot) {
        session
            .out
            .note("the files that runs have written are not included: --artifacts adds them");
    }
    let missed = warn_of_empty_paths(session, &store, &report)?;
    let is_whole = report.snapshot.complete && !missed && is_sound;
    Ok(if is_whole && has_databases(&store, &report)? {
        Outcome::Done
    } else {
        Outcome::Incomplete
    })
}

/// Warns of what is known to be wrong with a store that something is going to be written to, and says whether it is sound as
/// far as that goes.
pub(crate) fn warn_of_the_store(session: &Session, store: &Store) -> Result<bool, Failure> {
    let has_lost = lost::warn(session, store)?;
    let damaged = store.damage_found_before();
    let damaged = damaged.map_err(|error| Failure::doing("look at the store", error))?;
    if let Some(first) = damaged.first() {
        session.out.warning(format!(
            "an earlier check found {} damaged ({}), and the new snapshot may rest on that: run `dbsnap repair packs`, and \
             then this again",
            plural(damaged.len() as u64, "pack"),
            first.file
        ));
    }
    Ok(damaged.is_empty() && !has_lost)
}

/// The store, if secret values may go into it. `why` is what asks for them.
pub(crate) fn encrypted_store(session: &Session, why: &str) -> Result<Store, Failure> {
    let hint = "an encrypted one is created with `dbsnap init --encrypt`";
    let store = session.store().map_err(|failure| failure.hint(hint))?;
    match store.is_encrypted() {
        true => Ok(store),
        false => Err(Failure::usage(format!(
            "{why}: the store at {} is not encrypted, and secret values are kept in no other",
            store.path().display()
        ))
        .hint(hint)),
    }
}

/// Warns of selected paths at which there was nothing: a typing error must not go unnoticed until the worst day.
fn warn_of_empty_paths(
    session: &Session,
    store: &Store,
    report: &BackupReport,
) -> Result<bool, Failure> {
    let selection = &report.snapshot.selection;
    let home = selection.home.iter().map(|user| format!("/Users/{user}"));
    let paths = selection.include.iter().cloned().chain(home);
    let mut missed = false;
    for path in paths.filter(|path| !path.contains('*')) {
        let there = Tree::open(store, &report.snapshot.root)
            .and_then(|tree| select::has_path(&tree, &path))
            .map_err(|error| Failure::doing("read the new snapshot", error))?;
        if !there {
            session
                .out
                .warning(format!("there is nothing at {path} in the workspace"));
            missed = true;
        }
    }
    let read = |error| Failure::doing("read the new snapshot", error);
    let tree = Tree::open(store, &report.snapshot.root).map_err(read)?;
    for path in dbfs::empty_paths(&tree, selection).map_err(read)? {
        session
            .out
            .warning(format!("there is no file at dbfs:{path} in the workspace"));
        missed = true;
    }
    Ok(missed)
}

/// Whether all databases are there that were named. The export has warned of those that are not.
fn has_databases(store: &Store, report: &BackupReport) -> Result<bool, Failure> {
    let selection = &report.snapshot.selection;
    let kind = KindName::known("database");
    let named = selection.metastore.iter().flat_map(|of| &of.only);
    let mut named = named.filter(|_| selection.covers_kind(&kind)).peekable();
    if named.peek().is_none() {
        return Ok(true);
    }
    let reading = |error| Failure::doing("read the new snapshot", error);
    let tree = Tree::open(store, &report.snapshot.root).map_err(reading)?;
    let found: Result<Vec<_>, _> = tree.kind(&kind).collect();
    let found = found.map_err(reading)?;
    let is_there = |name: &String| {
        let mut found = found.iter();
        found.any(|entry| entry.key.name.eq_ignore_ascii_case(name))
    };
    Ok(named.all(is_there))
}

fn failed(client: &Client, error: BackupError) -> Failure {
    if let BackupError::Interrupted { .. } = error {
        return Failure::interrupted(error.to_string()).hint("run the same command again to go on");
    }
    Failure::doing(format!("back up {}", client.host()), error)
}

/// Shows what was taken, and what could not be.
pub(crate) fn show(session: &Session, store: &Store, report: &BackupReport) -> Result<(), Failure> {
    let listed = gaps::of_snapshot(store, &report.snapshot, gaps::SHOWN)
        .map_err(|error| Failure::doing("read the gaps of the new snapshot", error))?;
    if session.json() {
        session.out.json(&render::document(report, &listed));
    } else if session.out.manner.quiet {
        session.out.line(report.id.to_string());
    } else {
        session.out.text(render::summary(report));
    }
    if !listed.is_empty() {
        session.out.warning(render::gaps(report, &listed));
    }
    Ok(())
}

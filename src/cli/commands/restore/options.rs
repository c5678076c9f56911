//! The arguments of `dbsnap restore`, and what they ask for.

use std::path::PathBuf;

use clap::ValueEnum;
use dbsnap::api::Cloud;
use dbsnap::manifest::{DbfsFiles, Runs, Selection};
use dbsnap::restore::{self, Options};
use serde_json::Value;

use crate::cli::connect::ConnectArgs;
use crate::cli::dbfs;
use crate::cli::error::Failure;
use crate::cli::kinds;
use crate::cli::mapping::{self, MappingArgs};
use crate::cli::metastore::{Metastore, MetastoreArgs};
use crate::cli::older::OlderArgs;
use crate::cli::selection::paths;
use crate::cli::session::Session;

/// Restore a snapshot, or a part of it, into a workspace
///
/// First the workspace is read and a plan is made and shown: what is created, updated, archived or left alone, each with
/// its reason. After a yes (or with --yes) the plan is carried out. What is there already and identical is left alone, so
/// a second run does nothing, and a run that was killed goes on where it stopped. What is there and different is left
/// alone and reported unless --on-conflict says otherwise. Before anything is overwritten it is kept in a snapshot of its
/// own (tag `before-restore`), which --undo goes back to. Jobs come back paused unless --keep-schedules is given.
/// Nothing is written, not even to the store, before the plan was agreed to.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap restore latest --profile NEW --dry-run
  dbsnap restore latest --profile NEW --map-domain old.com=new.com
  dbsnap restore 2024-05-31 --profile DEMO --path /Users/ana@example.com/etl --target-path /Restored
  dbsnap restore 3f2a --profile DEMO --kind jobs --name nightly --on-conflict overwrite
  dbsnap restore 3f2a --profile DEMO --undo

Exit codes:
  0   done: everything is as the snapshot says
  1   failed, nothing was done
  2   the command line or the settings were not understood
  3   done, but something could not be restored or was left alone; it is listed
  10  there is no store
  11  locked: the same restore is running already
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    /// The snapshot: the beginning of its id, `latest`, `latest~1`, or a date
    pub(super) snapshot: String,

    /// Only show the plan
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Carry out the plan without asking
    #[arg(long, short, alias = "no-prompt")]
    pub(super) yes: bool,

    /// Take back what restores of this snapshot changed (what they created is listed, not deleted)
    #[arg(long)]
    pub(super) undo: bool,

    /// Where to write down what is done, for a restore that is killed and for --undo [default: in the store]
    #[arg(long, value_name = "FILE")]
    pub(super) journal: Option<PathBuf>,

    /// Keep nothing of what is overwritten: there is no undo. For a store that cannot be written to
    #[arg(long)]
    pub(super) no_safety_snapshot: bool,

    /// Only these kinds, separated by commas
    #[arg(
        long,
        value_name = "KINDS",
        visible_alias = "only",
        help_heading = "Selection"
    )]
    kind: Vec<String>,

    /// Only what is at or below this path; may be repeated
    #[arg(long, value_name = "PATH", help_heading = "Selection")]
    path: Vec<String>,

    /// Nothing at or below this path; may be repeated
    #[arg(long, value_name = "PATH", help_heading = "Selection")]
    exclude_path: Vec<String>,

    /// Only objects of this name (the last part of a path is a name as well); may be repeated
    #[arg(long, help_heading = "Selection")]
    name: Vec<String>,

    /// Only the home folder of this user
    #[arg(
        long,
        value_name = "USER",
        alias = "import-home",
        help_heading = "Selection"
    )]
    home: Option<String>,

    /// Only files of the DBFS at or below this path; may be repeated
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with = "path",
        help_heading = "Selection"
    )]
    dbfs: Vec<String>,

    /// Also what the selected objects refer to: clusters of jobs, their policies, notebooks, ...
    #[arg(long, help_heading = "Selection")]
    with_dependencies: bool,

    /// Restore paths below this folder, beside the originals
    #[arg(long, value_name = "PATH", help_heading = "Selection")]
    target_path: Option<String>,

    /// What becomes of the homes of users who are not in the workspace [default: archive]
    #[arg(long, value_enum, help_heading = "Decisions")]
    missing_users: Option<MissingUsers>,

    /// What becomes of objects that are there already and differ [default: skip]
    #[arg(long, value_enum, help_heading = "Decisions")]
    on_conflict: Option<OnConflict>,

    /// Let jobs run on their schedules at once, instead of coming back paused
    #[arg(long, alias = "import-pause-status", help_heading = "Decisions")]
    keep_schedules: bool,

    /// JSON of the job cluster that takes the place of a cluster that is gone
    #[arg(long, value_name = "FILE", help_heading = "Decisions")]
    new_cluster: Option<PathBuf>,

    #[command(flatten)]
    pub(super) metastore: MetastoreArgs,

    #[command(flatten)]
    pub(super) mapping: MappingArgs,

    #[command(flatten)]
    pub(super) connect: ConnectArgs,

    #[command(flatten)]
    pub(crate) older: OlderArgs<true>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MissingUsers {
    /// They go to /Archive/<user>
    Archive,
    /// The users are created
    Create,
    /// They are not restored
    Skip,
    /// Nothing is restored at all
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnConflict {
    /// They stay as they are and are reported
    Skip,
    /// They become what the snapshot says
    Overwrite,
    /// Nothing is restored at all
    Fail,
}

/// What is asked for, by flags or else by the settings.
pub(super) fn options(
    session: &Session,
    args: &Args,
    cloud: Cloud,
    metastore: &Metastore,
) -> Result<Options, Failure> {
    let settings = &session.section.restore;
    let mut only = kinds::parse("--kind", &args.kind)?;
    only.extend(args.older.kinds().into_iter().map(ToOwned::to_owned));
    if only.is_empty() && !args.dbfs.is_empty() {
        only.push("dbfs-file".to_owned());
    }
    let selection = Selection {
        only,
        include: paths("--path", args.path.clone())?,
        exclude: paths("--exclude-path", args.exclude_path.clone())?,
        home: args.home.clone(),
        metastore: Some(metastore.databases.clone()),
        runs: Some(Runs::all()),
        mounts: true,
        dbfs: Some(DbfsFiles {
            paths: dbfs::paths("--dbfs", &args.dbfs)?,
            max_file_size: None,
        }),
        ..Selection::default()
    };
    let mut target_path = paths("--target-path", args.target_path.iter().cloned().collect())?;
    let mut options = Options {
        selection,
        names: args.name.clone(),
        with_dependencies: args.with_dependencies,
        mapping: mapping::mapping(&args.mapping, settings)?,
        target_path: target_path.pop(),
        keep_schedules: args.keep_schedules,
        runs_statements: metastore.place.is_some(),
        reads_mounts: metastore.is_cluster,
        ..Options::new(cloud)
    };
    if let Some(file) = &args.new_cluster {
        options.new_cluster = cluster(file)?;
    }
    let older = match (
        args.older.has("archive-missing"),
        args.older.has("skip-failed"),
    ) {
        (true, _) => Some(MissingUsers::Archive),
        // What the older tool did when it was told to go on.
        (false, true) => Some(MissingUsers::Skip),
        (false, false) => None,
    };
    let missing = args.missing_users.or(older);
    let missing = chosen("missing-users", missing, &settings.missing_users)?;
    options.missing_users = match missing {
        None | Some(MissingUsers::Archive) => restore::MissingUsers::Archive,
        Some(MissingUsers::Create) => restore::MissingUsers::Create,
        Some(MissingUsers::Skip) => restore::MissingUsers::Skip,
        Some(MissingUsers::Fail) => restore::MissingUsers::Fail,
    };
    options.on_conflict = match chosen("on-conflict", args.on_conflict, &settings.on_conflict)? {
        None | Some(OnConflict::Skip) => restore::OnConflict::Skip,
        Some(OnConflict::Overwrite) => restore::OnConflict::Overwrite,
        Some(OnConflict::Fail) => restore::OnConflict::Fail,
    };
    Ok(options)
}

/// The flag, or else the word of the settings.
fn chosen<T: ValueEnum>(
    name: &str,
    flag: Option<T>,
    set: &Option<String>,
) -> Result<Option<T>, Failure> {
    match (flag, set) {
        (Some(flag), _) => Ok(Some(flag)),
        (None, None) => Ok(None),
        (None, Some(word)) => T::from_str(word, false).map(Some).map_err(|_| {
            let known = T::value_variants().iter();
            let known =
                known.filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()));
            Failure::usage(format!("`{word}` is no value of {name} in the settings")).hint(format!(
                "it can be {}",
                known.collect::<Vec<_>>().join(", ")
            ))
        }),
    }
}

fn cluster(file: &PathBuf) -> Result<Value, Failure> {
    let doing = || format!("read the cluster in {}", file.display());
    let text = std::fs::read(file).map_err(|error| Failure::doing(doing(), error).into_usage())?;
    let cluster: Value = serde_json::from_slice(&text)
        .map_err(|error| Failure::doing(doing(), error).into_usage())?;
    match cluster.is_object() {
        true => Ok(cluster),
        false => Err(Failure::usage(format!(
            "{} holds no JSON object",
            file.display()
        ))),
    }
}

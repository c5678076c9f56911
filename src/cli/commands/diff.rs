//! `dbsnap diff`

use std::ops::ControlFlow;

use dbsnap::compare::Comparable;
use dbsnap::diff::{self, Change, DiffError, Options, Side, Summary};
use dbsnap::manifest::{ManifestError, Selection, Snapshot, SnapshotRef, Tree};
use dbsnap::mapping::Mapping;
use dbsnap::resource::{KindName, ObjectKey};
use dbsnap::store::Store;
use serde_json::{Value, json};

use crate::cli::capture;
use crate::cli::connect::{self, ConnectArgs};
use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::mapping::{self, MappingArgs};
use crate::cli::metastore::{Metastore, MetastoreArgs};
use crate::cli::render::diff as render;
use crate::cli::select;
use crate::cli::selection::paths;
use crate::cli::session::Session;

/// Show what changed between two snapshots, or since one
///
/// Added, removed, moved and changed objects: settings field by field, permissions principal by principal, notebooks cell by
/// cell. What could not be read on either side is shown as unknown, never as removed. Permissions that one side never
/// recorded, as an import of a directory does not, are not compared. Two workspaces are compared by names; say with the
/// mapping flags who and what is called otherwise.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap diff latest~1 latest
  dbsnap diff latest live --profile DEMO --exit-code
  dbsnap diff 2024-05-31 latest --kind jobs --json
  dbsnap diff 3f2a 81c0 --map-domain old.com=new.com

Exit codes:
  0   done
  1   failed
  2   the command line or the settings were not understood
  3   done, but some objects are unknown; they are listed
  4   --exit-code was given, and there are differences
  10  there is no store
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    /// The snapshot on the left: the beginning of its id, `latest`, `latest~1`, or a date
    before: String,

    /// The one on the right, or `live` for the workspace as it is now
    #[arg(default_value = "live")]
    after: String,

    /// Only these kinds, separated by commas
    #[arg(long, value_name = "KINDS")]
    kind: Vec<String>,

    /// Only what is at or below this path; may be repeated
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,

    /// Only which objects, not what changed in them
    #[arg(long)]
    stat: bool,

    /// Exit with 4 if there are differences
    #[arg(long)]
    exit_code: bool,

    #[command(flatten)]
    mapping: MappingArgs,

    #[command(flatten)]
    metastore: MetastoreArgs,

    #[command(flatten)]
    connect: ConnectArgs,
}

/// One side, as it was found.
struct Found {
    head: Snapshot,
    tree: Tree,
    /// What it is called.
    name: String,
    /// Where the workspace as it is now was read to.
    _scratch: Option<Store>,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let filter = Selection {
        only: crate::cli::kinds::parse("--kind", &args.kind)?,
        include: paths("--path", args.path.clone())?,
        ..Selection::all()
    };
    let mapping = mapping::mapping(&args.mapping, &session.section.restore)?;
    let (before, after) = (
        select::reference(&args.before)?,
        select::reference(&args.after)?,
    );
    let store = session.store()?;
    let before = snapshot(&store, &before, &args.before)?;
    mapping::warn_of_strangers(session, &args.mapping, &before.tree)?;
    let after = match after {
        SnapshotRef::Live => live(session, args, &store, &before.head.selection, &filter).await?,
        after => snapshot(&store, &after, &args.after)?,
    };
    require_paths(&before, &after, &filter.include)?;
    if !before.head.is_same_workspace(&after.head) {
        session.out.note(format!(
            "comparing two workspaces by names: {} and {}",
            before.head.host, after.head.host
        ));
    }
    let mut changes = Vec::new();
    let summary = compare(
        &before,
        &after,
        &mapping,
        &filter,
        args.stat,
        &mut |change| {
            if session.json() {
                changes.push(change);
            } else {
                session.out.text(render::change(&change));
            }
            match session.out.closed() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        },
    );
    let summary = summary.map_err(|error| Failure::doing("compare", error))?;
    show(session, &before, &after, &changes, &summary);
    if summary.unreadable > 0 {
        session
            .out
            .warning("the store is damaged; see `dbsnap check --read-data`");
        return Ok(Outcome::Incomplete);
    }
    Ok(if args.exit_code && summary.has_differences() {
        Outcome::Different
    } else if summary.unknown > 0 {
        Outcome::Incomplete
    } else {
        Outcome::Done
    })
}

/// A path that is on neither side is a mistake: a drift alarm for it would never ring.
fn require_paths(before: &Found, after: &Found, paths: &[String]) -> Result<(), Failure> {
    for path in paths.iter().filter(|path| !path.contains('*')) {
        let has = |found: &Found| select::has_path(&found.tree, path);
        let reading = |error| Failure::doing("read the snapshots", error);
        // Under a mapping, the left side may call it otherwise.
        let is_there = has(after).map_err(reading)? || has(before).map_err(reading)?;
        if !is_there && before.head.is_same_workspace(&after.head) {
            return Err(Failure::refused(format!(
                "there is nothing at or below {path} on either side"
            ))
            .hint(format!("`dbsnap ls {}` lists what there is", before.name)));
        }
    }
    Ok(())
}

fn snapshot(store: &Store, wanted: &SnapshotRef, given: &str) -> Result<Found, Failure> {
    let found = select::snapshot(store, wanted, given)?;
    Ok(Found {
        name: format!("{:.8}", found.name.id),
        head: found.head,
        tree: found.tree,
        _scratch: None,
    })
}

/// The workspace as it is now, as far as the other side and the filters make it worth reading.
async fn live(
    session: &Session,
    args: &Args,
    store: &Store,
    other: &Selection,
    filter: &Selection,
) -> Result<Found, Failure> {
    let client = connect::client(session, &args.connect)?;
    let settings = &session.section.backup;
    let metastore = Metastore::new(session, &args.metastore, settings, &client)?;
    let mut selection = Selection {
        only: match filter.only.is_empty() {
            true => other.only.clone(),
            false => filter.only.clone(),
        },
        include: match filter.include.is_empty() {
            true => other.include.clone(),
            false => filter.include.clone(),
        },
        ..other.clone()
    };
    if other.metastore.is_some() {
        metastore.select(&mut selection)?;
        if metastore.place.is_some() && metastore.databases.only.is_empty() {
            selection.metastore.clone_from(&other.metastore);
        }
        selection.mounts &= other.mounts;
        if other.mounts && !selection.mounts {
            session
                .out
                .note("mounts are not compared: only a cluster tells of them (--cluster-name)");
        }
        if metastore.place.is_none() {
            let text = "the Hive metastore is not compared: none of --warehouse, --cluster-name and --launch-cluster says what could read it";
            session.out.note(text);
        }
    }
    let captured = capture::live(session, &client, store, selection, &metastore);
    let (scratch, report) = captured.await?;
    let reading = |error: ManifestError| Failure::doing("read what was captured", error);
    Ok(Found {
        tree: Tree::open(&scratch, &report.snapshot.root).map_err(reading)?,
        head: report.snapshot,
        name: "live".to_owned(),
        _scratch: Some(scratch),
    })
}

fn compare(
    before: &Found,
    after: &Found,
    mapping: &Mapping,
    filter: &Selection,
    stat: bool,
    each: &mut dyn FnMut(Change) -> ControlFlow<()>,
) -> Result<Summary, DiffError> {
    let has_path = !filter.include.is_empty();
    // A path says nothing about objects that have none; here it means that only objects with one are wanted.
    let wanted = |key: &ObjectKey| filter.covers(key) && (!has_path || key.name.starts_with('/'));
    let same = before.head.is_same_workspace(&after.head) && mapping.is_empty();
    let comparable = match same {
        true => None,
        false => Some(Comparable::new(&before.tree, &after.tree, mapping)?),
    };
    let comparable = comparable.as_ref();
    let rename = comparable.map(|names| move |key: &ObjectKey| names.rename(key));
    let left = comparable.map(|names| {
        move |key: &ObjectKey, aspect, value| names.normalise_left(key, aspect, value)
    });
    let right = comparable.map(|names| {
        move |key: &ObjectKey, aspect, value| names.normalise_right(key, aspect, value)
    });
    let selection = match comparable {
        Some(names) => renamed(&before.head.selection, names),
        None => before.head.selection.clone(),
    };
    let workspaces = match before.head.is_same_workspace(&after.head) {
        true => ["same", "same"],
        false => ["left", "right"],
    };
    let before = Side {
        tree: &before.tree,
        selection: &selection,
        workspace: workspaces[0],
        normalise: left.as_ref().map(|left| left as &diff::Normalise<'_>),
    };
    let after = Side {
        tree: &after.tree,
        selection: &after.head.selection,
        workspace: workspaces[1],
        normalise: right.as_ref().map(|right| right as &diff::Normalise<'_>),
    };
    let options = Options {
        rename: rename
            .as_ref()
            .map(|rename| rename as &dyn Fn(&ObjectKey) -> ObjectKey),
        wanted: Some(&wanted),
        details: !stat,
    };
    diff::compare(&before, &after, &options, each)
}

/// What the left side set out to read, in the names of the right.
fn renamed(selection: &Selection, names: &Comparable<'_>) -> Selection {
    let path = |path: &String| {
        let folder = ObjectKey::new(KindName::known("directory"), path.as_str());
        names.rename(&folder).name
    };
    let user = |user: &String| {
        let user = ObjectKey::new(KindName::known("user"), user.as_str());
        names.rename(&user).name
    };
    Selection {
        include: selection.include.iter().map(path).collect(),
        exclude: selection.exclude.iter().map(path).collect(),
        home: selection.home.as_ref().map(user),
        ..selection.clone()
    }
}

fn show(session: &Session, before: &Found, after: &Found, changes: &[Change], summary: &Summary) {
    if session.json() {
        let side = |found: &Found| -> Value {
            json!({"name": found.name, "host": found.head.host, "time": found.head.time})
        };
        session.out.json(&json!({
            "before": side(before),
            "after": side(after),
            "changes": changes,
            "summary": summary,
        }));
    } else {
        session.out.line(render::summary(summary));
    }
}

//! `dbsnap snapshots`

use std::collections::HashMap;

use dbsnap::manifest::{self, Listed, Listing, Snapshot};
use dbsnap::store::SnapshotId;
use serde_json::{Value, json};

use crate::cli::error::{Failure, in_a_line};
use crate::cli::exit::Outcome;
use crate::cli::lost;
use crate::cli::render::table::{Align, Table};
use crate::cli::render::units::{bytes, count, plural, time};
use crate::cli::session::Session;

/// List the snapshots of the store, oldest first
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap snapshots
  dbsnap snapshots --tag before-release --json

Exit codes:
  0   done
  1   failed
  2   the command line or the settings were not understood
  3   done, but the head of a snapshot could not be read, or snapshots were lost; it is said
  10  there is no store
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    /// Only snapshots with this tag
    #[arg(long)]
    tag: Option<String>,

    /// Only snapshots of workspaces whose address or id contains this
    #[arg(long, value_name = "TEXT")]
    workspace: Option<String>,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let store = session.store()?;
    let listing = manifest::snapshots(&store);
    let mut listing = listing.map_err(|error| Failure::doing("list the snapshots", error))?;
    let repaired = repaired(&listing);
    listing
        .snapshots
        .retain(|listed| is_wanted(&listed.snapshot, args));
    for unreadable in &listing.unreadable {
        let (id, why) = (unreadable.name.id, in_a_line(&unreadable.error));
        session.out.warning(format!("snapshot {id:.8}: {why}"));
    }
    if !listing.unreadable.is_empty() {
        let words = "`dbsnap check` says what is damaged, and what to do about it";
        session.out.note(words);
    }
    let has_lost = lost::warn(session, &store)?;
    if session.json() {
        let snapshots = listing.snapshots.iter();
        let snapshots: Vec<Value> = snapshots.map(|listed| to_json(listed, &repaired)).collect();
        let unreadable = listing.unreadable.iter();
        let unreadable: Vec<Value> = unreadable
            .map(|unreadable| {
                json!({"id": unreadable.name.id.to_string(), "reason": in_a_line(&unreadable.error)})
            })
            .collect();
        session
            .out
            .json(&json!({"snapshots": snapshots, "unreadable": unreadable}));
    } else if listing.snapshots.is_empty() {
        session.out.note("there are no such snapshots");
    } else {
        session.out.text(table(&listing.snapshots, &repaired));
    }
    Ok(if listing.unreadable.is_empty() && !has_lost {
        Outcome::Done
    } else {
        Outcome::Incomplete
    })
}

/// What damaged snapshots were repaired as.
type RepairedAs = HashMap<SnapshotId, SnapshotId>;

fn repaired(listing: &Listing) -> RepairedAs {
    let snapshots = listing.snapshots.iter();
    let pair = |listed: &Listed| Some((listed.snapshot.repairs?, listed.name.id));
    snapshots.filter_map(pair).collect()
}

fn is_wanted(snapshot: &Snapshot, args: &Args) -> bool {
    let tagged = args
        .tag
        .as_ref()
        .is_none_or(|tag| snapshot.tags.contains(tag));
    let of_workspace = args.workspace.as_ref().is_none_or(|text| {
        snapshot.host.contains(text)
            || snapshot
                .workspace_id
                .as_ref()
                .is_some_and(|id| id.contains(text))
    });
    tagged && of_workspace
}

fn table(snapshots: &[Listed], repaired: &RepairedAs) -> String {
    let mut table = Table::new([
        ("ID", Align::Left),
        ("TIME", Align::Left),
        ("WORKSPACE", Align::Left),
        ("STATE", Align::Left),
        ("OBJECTS", Align::Right),
        ("SIZE", Align::Right),
        ("TAGS", Align::Left),
    ]);
    for Listed { name, snapshot } in snapshots {
        let host = snapshot.host.trim_start_matches("https://");
        table.row([
            format!("{:.8}", name.id),
            time(snapshot.time),
            host.to_owned(),
            state(snapshot, repaired.get(&name.id)),
            count(snapshot.root.totals.entries),
            bytes(snapshot.root.totals.bytes),
            snapshot.tags.join(","),
        ]);
    }
    table.render()
}

fn state(snapshot: &Snapshot, repaired_as: Option<&SnapshotId>) -> String {
    let mut state = match snapshot.complete {
        true => "complete".to_owned(),
        false => format!("partial ({})", plural(snapshot.gaps.count, "gap")),
    };
    // What its head says was so when it was taken.
    if let Some(repaired) = repaired_as {
        state = format!("was damaged, repaired as {repaired:.8}");
    }
    if !snapshot.selection.is_everything() {
        state += ", selection";
    }
    if let Some(damaged) = &snapshot.repairs {
        state += &format!(", repairs {damaged:.8}");
    }
    state
}

fn to_json(listed: &Listed, repaired: &RepairedAs) -> Value {
    let mut head = serde_json::to_value(&listed.snapshot).expect("a head is JSON");
    head["id"] = json!(listed.name.id.to_string());
    if let Some(repaired) = repaired.get(&listed.name.id) {
        head["repaired_as"] = json!(repaired.to_string());
    }
    head
}

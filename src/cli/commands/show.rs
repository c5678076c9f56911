//! `dbsnap show`

use std::fmt::Write as _;

use chrono::TimeDelta;
use dbsnap::manifest::{self, KindSummary, Snapshot, Tree};
use dbsnap::resource::{KindName, ObjectKey};
use dbsnap::store::{SnapshotId, Store};
use serde_json::json;

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::render::table::{Align, Table};
use crate::cli::render::units::{bytes, count, duration, plural, time};
use crate::cli::render::{gaps, selection};
use crate::cli::select::{self, Found};
use crate::cli::session::Session;

/// Show what a snapshot says of itself: where it is from, what was selected, how much there is, what is missing
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap show latest
  dbsnap show 3f2a --gaps
  dbsnap show 2024-05-31 --json

Exit codes:
  0   done
  1   failed
  2   the command line or the settings were not understood
  10  there is no store
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    /// The snapshot: the beginning of its id, `latest`, `latest~1`, or a date
    snapshot: String,

    /// List all gaps, not only the first
    #[arg(long)]
    gaps: bool,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let store = session.store()?;
    let wanted = select::reference(&args.snapshot)?;
    let found = select::snapshot(&store, &wanted, &args.snapshot)?;
    let most = if args.gaps { usize::MAX } else { gaps::SHOWN };
    let listed = gaps::of_tree(&found.tree, most)
        .map_err(|error| Failure::doing("read the gaps of the snapshot", error))?;
    if session.json() {
        let mut head = serde_json::to_value(&found.head).expect("a head is JSON");
        head["id"] = json!(found.name.id.to_string());
        if args.gaps {
            head["gaps"]["all"] = json!(listed);
        }
        session.out.json(&head);
        return Ok(Outcome::Done);
    }
    session.out.text(head(&found, repaired_as(&store, &found)));
    session.out.text(kinds(&found.head, &found.tree));
    if !listed.is_empty() {
        session.out.line("\nnot read:");
        session.out.text(gaps::table(&listed));
        let left = found.head.gaps.count - listed.len() as u64;
        if left > 0 {
            session.out.line(format!(
                "... and {} more: dbsnap show {:.8} --gaps",
                count(left),
                found.name.id
            ));
        }
    }
    Ok(Outcome::Done)
}

/// The snapshot that a repair made of this one: it has the next millisecond.
fn repaired_as(store: &Store, found: &Found) -> Option<SnapshotId> {
    let time = found.name.time + TimeDelta::milliseconds(1);
    let is_made_of_it = |head: Snapshot| head.repairs == Some(found.name.id);
    let mut heads = store.heads().ok()?.into_iter();
    let repaired = heads
        .find(|head| head.time == time && manifest::read(store, head).is_ok_and(is_made_of_it));
    repaired.map(|head| head.id)
}

fn head(found: &Found, repaired_as: Option<SnapshotId>) -> String {
    let head = &found.head;
    let took = std::time::Duration::from_millis(head.duration_ms);
    let mut lines = vec![
        ("snapshot", found.name.id.to_string()),
        ("time", time(head.time)),
        ("workspace", workspace(head)),
        // Of an imported directory nobody but the machine is known.
        match head.user.as_str() {
            "" => ("taken on", head.hostname.clone()),
            user => ("taken by", format!("{user} on {}", head.hostname)),
        },
        (
            "with",
            format!(
                "dbsnap {}{} in {}",
                head.tool_version,
                match head.requests {
                    0 => String::new(),
                    requests => format!(", {}", plural(requests, "request")),
                },
                duration(took)
            ),
        ),
        ("state", state(head)),
        ("selection", selection::words(&head.selection)),
    ];
    if let Some(directory) = &head.imported_from {
        lines.push((
            "made of",
            format!("an export by databrickslabs/migrate in {directory}"),
        ));
    }
    if let Some(parent) = &head.parent {
        lines.push(("parent", format!("{parent:.8}")));
    }
    if let Some(damaged) = &head.repairs {
        lines.push(("repairs", format!("{damaged:.8}")));
    }
    if let Some(repaired) = repaired_as {
        lines.push(("damage", format!("repaired as {repaired:.8}")));
    }
    if !head.tags.is_empty() {
        lines.push(("tags", head.tags.join(", ")));
    }
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<10} {value}");
    }
    text
}

fn workspace(head: &Snapshot) -> String {
    let mut text = head.host.clone();
    for more in [&head.workspace_id, &head.cloud].into_iter().flatten() {
        let _ = write!(text, ", {more}");
    }
    text
}

fn state(head: &Snapshot) -> String {
    if head.complete {
        "complete".to_owned()
    } else {
        format!("partial: {}", plural(head.gaps.count, "gap"))
    }
}

/// The objects of a kind. A kind that could not be listed has an entry that is none.
fn objects(tree: &Tree, kind: &str, totals: &KindSummary) -> u64 {
    let whole = ObjectKey::whole_kind(KindName::read(kind));
    let is_unlisted = totals.gaps > 0 && tree.get(&whole).is_ok_and(|entry| entry.is_some());
    totals.entries - u64::from(is_unlisted && totals.entries > 0)
}

fn kinds(head: &Snapshot, tree: &Tree) -> String {
    let mut table = Table::new([
        ("KIND", Align::Left),
        ("OBJECTS", Align::Right),
        ("SIZE", Align::Right),
        ("GAPS", Align::Right),
    ]);
    for (kind, totals) in &head.kinds {
        let gaps = if totals.gaps == 0 {
            String::new()
        } else {
            count(totals.gaps)
        };
        table.row([
            kind.clone(),
            count(objects(tree, kind, totals)),
            bytes(totals.bytes),
            gaps,
        ]);
    }
    format!("\n{}", table.render())
}

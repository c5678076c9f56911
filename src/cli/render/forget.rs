//! What becomes of snapshots, and why.

use std::fmt::Write as _;

use dbsnap::manifest::Unreadable;
use dbsnap::retention::{Candidate, Decision, Series};
use dbsnap::store::HeadName;
use serde_json::{Value, json};

use super::selection;
use super::table::{Align, Table};
use super::units::{count, plural, time};
use crate::cli::error::in_a_line;

/// The decisions of a series for people.
pub(crate) fn series(series: &Series<'_>) -> String {
    let mut table = Table::new([
        ("ID", Align::Left),
        ("TIME", Align::Left),
        ("STORED", Align::Left),
        ("STATE", Align::Left),
        ("TAGS", Align::Left),
        ("", Align::Left),
        ("WHY", Align::Left),
    ]);
    for decision in &series.decisions {
        let Candidate { name, stored, .. } = decision.snapshot;
        let stored = match decision.snapshot.is_credible() {
            true => String::new(),
            false => time(*stored),
        };
        table.row([
            format!("{:.8}", name.id),
            time(name.time),
            stored,
            state(decision.snapshot).to_owned(),
            decision.snapshot.tags.join(","),
            verdict(decision).to_owned(),
            reasons(decision).join(", "),
        ]);
    }
    format!("{}\n{}\n", heading(series), table.render())
}

/// What was done in all, or would be done.
pub(crate) fn summary(going: usize, all: usize, dry_run: bool) -> String {
    let of = format!(
        "{} of {}",
        count(going as u64),
        plural(all as u64, "snapshot")
    );
    match (dry_run, going) {
        (_, 0) => format!(
            "nothing to forget: {} {}\n",
            plural(all as u64, "snapshot"),
            if all == 1 { "stays" } else { "stay" },
        ),
        (true, _) => format!("would forget {of}; nothing was changed\n"),
        (false, _) => format!("forgot {of}\n"),
    }
}

/// A snapshot in a line; of one that cannot be read there is only the name.
pub(crate) fn line(name: &HeadName, snapshot: Option<&Candidate>) -> String {
    let (host, state) = match snapshot {
        Some(snapshot) => (bare(&snapshot.host), state(snapshot)),
        None => ("?", "unreadable"),
    };
    format!("{:.8}  {}  {host}  {state}\n", name.id, time(name.time))
}

/// The decisions of a series for programs.
pub(crate) fn document(series: &Series<'_>) -> Value {
    json!({
        "workspace": series.workspace,
        "host": series.host,
        "selection": series.selection,
        "before_restore": series.is_safety(),
        "snapshots": series.decisions.iter().map(decision_document).collect::<Vec<_>>(),
    })
}

/// The snapshots that nobody can decide upon, for programs.
pub(crate) fn unreadable(unreadable: &[Unreadable]) -> Value {
    let unreadable = unreadable.iter().map(
        |Unreadable { name, error }| json!({"id": name.id.to_string(), "reason": in_a_line(error)}),
    );
    unreadable.collect()
}

fn heading(series: &Series<'_>) -> String {
    let mut text = bare(series.host).to_owned();
    if series.workspace != series.host {
        let _ = write!(text, " ({})", series.workspace);
    }
    match series.selection {
        Some(selection) => {
            let _ = write!(text, ", {}", selection::words(selection));
        }
        None => text += ", captured before restores",
    }
    text
}

fn bare(host: &str) -> &str {
    host.trim_start_matches("https://")
}

fn decision_document(decision: &Decision<'_>) -> Value {
    let snapshot = decision.snapshot;
    json!({
        "id": snapshot.name.id.to_string(),
        "time": snapshot.name.time,
        "stored": snapshot.stored,
        "times_agree": snapshot.is_credible(),
        "complete": snapshot.complete,
        "repaired_as": snapshot.repaired_as.map(|id| id.to_string()),
        "tags": snapshot.tags,
        "keep": decision.is_kept(),
        "reasons": reasons(decision),
    })
}

fn state(snapshot: &Candidate) -> &'static str {
    match (snapshot.repaired_as, snapshot.complete) {
        (Some(_), _) => "damaged",
        (None, true) => "complete",
        (None, false) => "partial",
    }
}

fn verdict(decision: &Decision<'_>) -> &'static str {
    if decision.is_kept() { "keep" } else { "forget" }
}

fn reasons(decision: &Decision<'_>) -> Vec<String> {
    let reasons = decision.reasons.iter();
    let mut told: Vec<String> = reasons.map(ToString::to_string).collect();
    told.dedup();
    told
}

//! What a restore has done.

use std::fmt::Write as _;

use dbsnap::resource::ObjectKey;
use dbsnap::restore::{Outcome, RestoreReport};
use dbsnap::store::SnapshotId;

use super::plan;
use super::units::{count, plural};

/// Failures that are listed; `--json` lists all.
const LISTED: usize = 50;

/// The last lines of a restore.
pub(crate) fn summary(report: &RestoreReport, snapshot: &SnapshotId) -> String {
    let mut text = String::new();
    if !report.was_applied {
        let counts = plan::counts(&report.plan);
        let _ = writeln!(text, "\nplan: {counts}; nothing was changed");
        return text;
    }
    if !report.plan.changes_anything() {
        text += match report.is_partial {
            true => "\nnothing to do but what is listed above\n",
            false => "\nnothing to do: everything is as the snapshot says\n",
        };
        return text;
    }
    let failures: Vec<_> = report.failures().collect();
    let _ = writeln!(text, "\n{} done", plural(report.done() as u64, "step"));
    if !failures.is_empty() {
        let _ = writeln!(text, "{} not, or not wholly:", count(failures.len() as u64));
    }
    for (step, outcome) in failures.iter().take(LISTED) {
        let why = match &outcome.outcome {
            Outcome::Failed(why) => Some(format!("failed: {why}")),
            Outcome::Skipped(why) => Some(format!("skipped: {why}")),
            Outcome::Done | Outcome::NotNeeded => None,
        };
        for why in why.iter().chain(&outcome.problems) {
            let _ = writeln!(text, "  {} {}: {why}", step.kind, step.target);
        }
    }
    if failures.len() > LISTED {
        let left = count((failures.len() - LISTED) as u64);
        let _ = writeln!(text, "  ... and {left} more (--json lists all)");
    }
    if report
        .plan
        .steps
        .iter()
        .any(|step| step.kind == "table" && step.action.makes())
    {
        text += "the data of tables is not part of a snapshot: new tables are empty unless their location has data\n";
    }
    text += &match report.safety.as_deref() {
        Some(safety) => format!(
            "what was there before is in snapshot {}; `dbsnap restore {snapshot:.8} --undo` goes back to it\n",
            safety.get(..8).unwrap_or(safety)
        ),
        None => "what was there before was not kept: there is no undo\n".to_owned(),
    };
    text
}

/// What an undo cannot take back.
pub(crate) fn beyond_undo(lost: &[&ObjectKey]) -> String {
    let mut text = format!(
        "{} changed without a safety snapshot, and left as they are now:\n",
        plural(lost.len() as u64, "object")
    );
    for key in lost.iter().take(LISTED) {
        let _ = writeln!(text, "  {key}");
    }
    if lost.len() > LISTED {
        let left = count((lost.len() - LISTED) as u64);
        let _ = writeln!(text, "  ... and {left} more");
    }
    text
}

/// What an undo leaves.
pub(crate) fn remains(made: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "{} the restore created, which an undo does not delete:\n",
        plural(made.len() as u64, "object")
    );
    for (kind, name, id) in made.iter().take(LISTED) {
        let _ = match id.is_empty() {
            true => writeln!(text, "  {kind} {name}"),
            false => writeln!(text, "  {kind} {name} (id {id})"),
        };
    }
    if made.len() > LISTED {
        let _ = writeln!(
            text,
            "  ... and {} more",
            count((made.len() - LISTED) as u64)
        );
    }
    text
}

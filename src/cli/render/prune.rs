//! What a prune decided and did.

use std::fmt::Write as _;

use chrono::TimeDelta;
use dbsnap::prune::PruneReport;
use serde_json::{Value, json};

use super::units::{bytes, count, plural};

/// The outcome for people.
pub(crate) fn summary(report: &PruneReport, grace: TimeDelta) -> String {
    let plan = &report.plan;
    let is_done = report.done.is_some();
    let unfinished = match report.unfinished {
        0 => String::new(),
        unfinished => format!(" and {} unfinished", count(unfinished as u64)),
    };
    let mut text = format!(
        "{} in {}; {}{unfinished} {} {}\n",
        bytes(plan.bytes),
        plural(plan.packs as u64, "pack"),
        plural(report.snapshots as u64, "snapshot"),
        match report.snapshots + report.unfinished {
            1 => "needs",
            _ => "need",
        },
        plural(report.live_blobs as u64, "blob"),
    );
    if plan.swept() > 0 {
        let verb = if is_done { "deleted" } else { "would delete" };
        let freed = report
            .done
            .map_or(plan.swept_bytes, |done| done.freed_bytes);
        let packs = plural(plan.swept() as u64, "pack");
        let _ = writeln!(
            text,
            "{verb} {packs} that an earlier prune condemned: {} free",
            bytes(freed)
        );
    }
    if plan.repacked > 0 {
        let verb = if is_done { "copied" } else { "would copy" };
        let _ = writeln!(
            text,
            "{verb} {} of data out of {} that were partly needed or small",
            bytes(plan.moved_bytes),
            plural(plan.repacked as u64, "pack"),
        );
    }
    if plan.condemned() > 0 {
        let verb = if is_done {
            "condemned"
        } else {
            "would condemn"
        };
        let _ = writeln!(
            text,
            "{verb} {}, {}: a prune in {} or later deletes them",
            plural(plan.condemned() as u64, "pack"),
            bytes(plan.condemned_bytes),
            hours(grace),
        );
    }
    if plan.left_bytes > 0 {
        let _ = writeln!(
            text,
            "left alone for now: {} in packs that are young, or beyond --max-repack",
            bytes(plan.left_bytes),
        );
    }
    if let Some(done) = report.done.filter(|done| done.leftovers > 0) {
        let files = plural(done.leftovers, "file");
        let _ = writeln!(
            text,
            "removed {files} that runs which ended early or index merges left"
        );
    }
    for pack in &plan.damaged {
        let _ = writeln!(
            text,
            "pack {pack:.12} is damaged and was left alone: run `dbsnap check --read-data`"
        );
    }
    if plan.is_empty() {
        text += "there is nothing to free\n";
    }
    text
}

fn hours(time: TimeDelta) -> String {
    match time.num_hours() {
        0 => format!("{} minutes", time.num_minutes()),
        hours => format!("{} hours", count(hours.unsigned_abs())),
    }
}

/// The outcome for programs.
pub(crate) fn document(report: &PruneReport) -> Value {
    let plan = &report.plan;
    let damaged: Vec<String> = plan.damaged.iter().map(ToString::to_string).collect();
    json!({
        "dry_run": report.done.is_none(),
        "snapshots": report.snapshots,
        "unfinished": report.unfinished,
        "live_blobs": report.live_blobs,
        "packs": plan.packs,
        "bytes": plan.bytes,
        "deleted_packs": plan.swept(),
        "deleted_bytes": report.done.map_or(plan.swept_bytes, |done| done.freed_bytes),
        "condemned_packs": plan.condemned(),
        "condemned_bytes": plan.condemned_bytes,
        "repacked_packs": plan.repacked,
        "moved_bytes": plan.moved_bytes,
        "written_bytes": report.done.map(|done| done.written_bytes),
        "left_bytes": plan.left_bytes,
        "damaged_packs": damaged,
    })
}

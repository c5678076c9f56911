//! What a backup has done, for people and for programs.

use std::fmt::Write as _;

use dbsnap::backup::{BackupReport, Counts};
use serde_json::{Value, json};

use super::gaps::{self, Gap};
use super::table::{Align, Table};
use super::units::{bytes, count, duration, plural};

/// The summary at the end of a backup.
pub(crate) fn summary(report: &BackupReport) -> String {
    let snapshot = &report.snapshot;
    let mut table = Table::new([
        ("KIND", Align::Left),
        ("OBJECTS", Align::Right),
        ("NEW", Align::Right),
        ("CHANGED", Align::Right),
        ("GONE", Align::Right),
        ("KEPT", Align::Right),
        ("GAPS", Align::Right),
    ]);
    for (kind, totals) in &snapshot.kinds {
        let counts = report.counts.get(kind).copied().unwrap_or_default();
        table.row([
            kind.clone(),
            count(counts.objects()),
            unless_zero(counts.new),
            unless_zero(counts.changed),
            unless_zero(counts.removed),
            unless_zero(counts.carried_over),
            unless_zero(totals.gaps),
        ]);
    }
    let objects = report.counts.values().map(Counts::objects).sum();
    let mut text = table.render();
    let state = match snapshot.gaps.count {
        0 => "complete".to_owned(),
        gaps => format!("partial: {}", plural(gaps, "gap")),
    };
    let _ = writeln!(text, "\nsnapshot {:.8}, {state}", report.id);
    let _ = writeln!(
        text,
        "{}, {}; {} added to the store{} in {}",
        plural(objects, "object"),
        bytes(snapshot.root.totals.bytes),
        bytes(report.written.stored_bytes),
        match report.requests.requests {
            0 => String::new(),
            requests => format!("; {}", plural(requests, "request")),
        },
        duration(report.duration),
    );
    text
}

/// What could not be read, as a warning of several lines.
pub(crate) fn gaps(report: &BackupReport, listed: &[Gap]) -> String {
    let number = report.snapshot.gaps.count;
    let mut text = format!("not everything could be read; {}:\n", plural(number, "gap"));
    text += &gaps::table(listed);
    let left = number.saturating_sub(listed.len() as u64);
    if left > 0 {
        let _ = writeln!(
            text,
            "  ... and {} more: dbsnap show {:.8} --gaps",
            count(left),
            report.id
        );
    }
    text
}

/// The same as a document.
pub(crate) fn document(report: &BackupReport, listed: &[Gap]) -> Value {
    let counts: serde_json::Map<String, Value> = report
        .counts
        .iter()
        .map(|(kind, counts)| {
            let counts = json!({
                "new": counts.new,
                "changed": counts.changed,
                "unchanged": counts.unchanged,
                "removed": counts.removed,
                "carried_over": counts.carried_over,
            });
            (kind.clone(), counts)
        })
        .collect();
    json!({
        "id": report.id.to_string(),
        "complete": report.snapshot.complete,
        "host": report.snapshot.host,
        "time": report.snapshot.time,
        "parent": report.snapshot.parent.map(|id| id.to_string()),
        "kinds": report.snapshot.kinds,
        "changes": counts,
        "gaps": {"count": report.snapshot.gaps.count, "first": listed},
        "stored_bytes": report.written.stored_bytes,
        "requests": {
            "total": report.requests.requests,
            "repeats": report.requests.repeats,
            "throttled": report.requests.throttled,
            "by_family": report.requests.by_family,
        },
        "duration_ms": u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX),
    })
}

fn unless_zero(number: u64) -> String {
    match number {
        0 => String::new(),
        _ => count(number),
    }
}

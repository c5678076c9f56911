//! What a repair has done.

use std::fmt::Write as _;

use dbsnap::store::IndexRepair;
use serde_json::{Value, json};

use super::units::plural;

/// The new index for people.
pub(crate) fn index_summary(report: &IndexRepair, dry_run: bool) -> String {
    let would = if dry_run { "would have" } else { "has" };
    let mut text = format!(
        "the new index {would} {} in {}, in the place of {}\n",
        plural(report.entries, "blob"),
        plural(report.packs, "pack"),
        plural(report.superseded, "segment"),
    );
    for file in &report.removed {
        let verb = if dry_run { "would remove" } else { "removed" };
        let _ = writeln!(text, "{verb} {file}, which cannot be read");
    }
    for pack in &report.carried {
        let _ = writeln!(
            text,
            "pack {pack:.12} is damaged; what the old index said of it is kept"
        );
    }
    for pack in &report.unreadable {
        let _ = writeln!(
            text,
            "pack {pack:.12} is damaged, and nothing says what is in it"
        );
    }
    text
}

/// The new index for programs.
pub(crate) fn index_document(report: &IndexRepair, dry_run: bool) -> Value {
    let names = |packs: &[dbsnap::store::FileId]| -> Vec<String> {
        packs.iter().map(ToString::to_string).collect()
    };
    json!({
        "dry_run": dry_run,
        "packs": report.packs,
        "blobs": report.entries,
        "segments": report.segments,
        "superseded_segments": report.superseded,
        "removed": report.removed,
        "carried_packs": names(&report.carried),
        "unreadable_packs": names(&report.unreadable),
    })
}

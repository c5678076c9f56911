//! What a copy did.

use std::error::Error;
use std::fmt::Write as _;

use dbsnap::copy::{CopyReport, Failed};
use dbsnap::store::HeadName;
use serde_json::{Value, json};

use super::units::{bytes, plural, time};

/// The outcome for people.
pub(crate) fn summary(report: &CopyReport, dry_run: bool) -> String {
    let mut text = String::new();
    let verb = if dry_run { "would copy" } else { "copied" };
    for name in &report.copied {
        let _ = writeln!(text, "{verb} {:.8} of {}", name.id, time(name.time));
    }
    for failed in &report.failed {
        let Failed { name, error } = failed;
        let _ = writeln!(
            text,
            "not copied: {:.8} of {}: {error}",
            name.id,
            time(name.time)
        );
        let mut cause = error.source();
        while let Some(error) = cause {
            let _ = writeln!(text, "  caused by: {error}");
            cause = error.source();
        }
    }
    let copied = plural(report.copied.len() as u64, "snapshot");
    let _ = write!(text, "{verb} {copied}");
    if !report.present.is_empty() {
        let present = report.present.len() as u64;
        let _ = write!(text, "; {} there already", plural(present, "snapshot"));
    }
    if !dry_run {
        let added = bytes(report.written.stored_bytes);
        let _ = write!(text, "; {added} added to the store");
    }
    text + "\n"
}

/// The outcome for programs.
pub(crate) fn document(report: &CopyReport, dry_run: bool) -> Value {
    let ids = |names: &[HeadName]| -> Vec<String> {
        names.iter().map(|name| name.id.to_string()).collect()
    };
    let failed = report.failed.iter();
    let failed: Vec<Value> = failed
        .map(|failed| json!({"id": failed.name.id.to_string(), "reason": failed.error.to_string()}))
        .collect();
    json!({
        "dry_run": dry_run,
        "copied": ids(&report.copied),
        "present": ids(&report.present),
        "failed": failed,
        "blobs": report.written.blobs,
        "raw_bytes": report.written.raw_bytes,
        "stored_bytes": report.written.stored_bytes,
    })
}

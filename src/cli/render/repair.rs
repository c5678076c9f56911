//! What a repair has done.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use dbsnap::repair::{Repaired, SnapshotRepair};
use dbsnap::store::{ConfigRepair, FileId, HeadName, IndexRepair, PackRepair, PendingRepair};
use serde_json::{Value, json};

use super::units::{bytes, count, plural};

/// Lost blobs that are listed; `--json` lists all.
const LISTED: usize = 20;

/// The new configuration for people.
pub(crate) fn config_summary(report: Option<&ConfigRepair>, dry_run: bool) -> String {
    let Some(report) = report else {
        return "the configuration is there and not damaged\n".to_owned();
    };
    let mut text = String::new();
    if let Some(was) = &report.was {
        let _ = writeln!(text, "{was}");
    }
    let verb = if dry_run { "would make" } else { "made" };
    let what = if report.is_encrypted {
        "an encrypted store"
    } else {
        "a store"
    };
    let id = match report.is_new_id {
        true => "a new id, since nothing tells of the old one".to_owned(),
        false => format!("the id {}", report.id),
    };
    let _ = writeln!(text, "{verb} dbsnap.json anew, as that of {what} with {id}");
    text
}

/// The new configuration for programs.
pub(crate) fn config_document(report: Option<&ConfigRepair>, dry_run: bool) -> Value {
    json!({
        "dry_run": dry_run,
        "repaired": report.map(|report| json!({
            "id": report.id,
            "is_new_id": report.is_new_id,
            "encrypted": report.is_encrypted,
            "was": report.was,
        })),
    })
}

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
    let names =
        |packs: &[FileId]| -> Vec<String> { packs.iter().map(ToString::to_string).collect() };
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

/// What became of damaged intents, for people.
pub(crate) fn pending_summary(report: &PendingRepair, dry_run: bool, now: DateTime<Utc>) -> String {
    let whole = plural(report.whole, "unfinished snapshot");
    let mut text = format!("{whole} can be read\n");
    for name in &report.removed {
        let _ = writeln!(text, "removed pending/{name}, which is damaged");
    }
    for (name, free) in &report.waiting {
        let _ = match dry_run && *free <= now {
            true => writeln!(text, "would remove pending/{name}, which is damaged"),
            false => writeln!(
                text,
                "pending/{name} is damaged, but the backup that wrote it may still be running: repair it again after {}",
                free.format("%Y-%m-%d %H:%M UTC")
            ),
        };
    }
    text
}

/// What became of damaged intents, for programs.
pub(crate) fn pending_document(report: &PendingRepair, dry_run: bool) -> Value {
    let waiting = report
        .waiting
        .iter()
        .map(|(name, free)| json!({"file": format!("pending/{name}"), "removable_after": free}));
    let removed = report.removed.iter().map(|name| format!("pending/{name}"));
    json!({
        "dry_run": dry_run,
        "whole": report.whole,
        "removed": removed.collect::<Vec<_>>(),
        "waiting": waiting.collect::<Vec<_>>(),
    })
}

/// What was saved of damaged packs, for people.
pub(crate) fn packs_summary(report: &PackRepair, dry_run: bool) -> String {
    let mut text = String::new();
    let verb = if dry_run { "would remove" } else { "removed" };
    for record in &report.records {
        let _ = writeln!(
            text,
            "{verb} the damaged record {record} of packs to delete: they are kept until a prune condemns them anew"
        );
    }
    if dry_run && !report.records.is_empty() {
        text += "packs were not read, because nobody can say which of them are to be deleted\n";
        return text;
    }
    let _ = writeln!(text, "{} read", plural(report.packs, "pack"));
    if report.damaged.is_empty() && report.foreign.is_empty() {
        text += "no pack is damaged\n";
        return text;
    }
    let verb = if dry_run {
        "would condemn"
    } else {
        "condemned"
    };
    for pack in &report.damaged {
        let _ = writeln!(text, "{verb} pack {pack:.12}, which is damaged");
    }
    for pack in &report.foreign {
        let _ = writeln!(
            text,
            "{verb} pack {pack:.12}, which this store has not written: a prune deletes it; put it aside if somebody needs it"
        );
    }
    if report.damaged.is_empty() {
        return text;
    }
    let _ = writeln!(
        text,
        "{} {} of them, {}",
        if dry_run { "would save" } else { "saved" },
        plural(report.saved, "blob"),
        bytes(report.saved_bytes),
    );
    for blob in report.lost.iter().take(LISTED) {
        let _ = writeln!(text, "lost: blob {blob:.12}");
    }
    let left = report.lost.len().saturating_sub(LISTED) as u64;
    if left > 0 {
        let _ = writeln!(text, "... and {} more (--json lists them)", count(left));
    }
    if !report.lost.is_empty() {
        text += "`dbsnap check --read-data` says which snapshots lack that\n";
    }
    text
}

/// What was saved of damaged packs, for programs.
pub(crate) fn packs_document(report: &PackRepair, dry_run: bool) -> Value {
    let damaged: Vec<String> = report.damaged.iter().map(ToString::to_string).collect();
    let lost: Vec<String> = report.lost.iter().map(ToString::to_string).collect();
    json!({
        "dry_run": dry_run,
        "removed_records": report.records.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "packs": report.packs,
        "condemned_packs": damaged,
        "foreign_packs": report.foreign.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "saved_blobs": report.saved,
        "saved_bytes": report.saved_bytes,
        "lost_blobs": lost,
    })
}

/// What became of damaged snapshots, for people.
pub(crate) fn snapshots_summary(report: &SnapshotRepair, dry_run: bool) -> String {
    let lacking = if report.sound == 1 { "lacks" } else { "lack" };
    let mut text = format!("{} {lacking} nothing\n", plural(report.sound, "snapshot"));
    for repaired in &report.repaired {
        text += &self::repaired(repaired, dry_run);
    }
    for (damaged, new) in &report.repaired_before {
        let (id, new) = (damaged.id, new.id);
        let _ = writeln!(
            text,
            "snapshot {id:.8} is damaged and was repaired before, as {new:.8}; `dbsnap forget {id:.8}` lets it go"
        );
    }
    for (healed, new) in &report.healed {
        let (id, new) = (healed.id, new.id);
        let verb = if dry_run { "would let go" } else { "let go" };
        let _ = writeln!(
            text,
            "snapshot {id:.8} is whole again; {verb} what was left of it meanwhile, {new:.8}"
        );
    }
    for hopeless in &report.hopeless {
        let (id, error) = (hopeless.name.id, &hopeless.error);
        let _ = writeln!(
            text,
            "snapshot {id:.8}: nothing of it can be read: {error}; `dbsnap forget --force {id:.8}` lets it go"
        );
    }
    text
}

fn repaired(repaired: &Repaired, dry_run: bool) -> String {
    let id = repaired.name.id;
    let mut text = format!(
        "snapshot {id:.8} lacks something of {}",
        plural(repaired.lost, "object")
    );
    if !repaired.unknown.is_empty() {
        let kinds = repaired.unknown.iter().map(|kind| kind.as_str());
        let kinds: Vec<&str> = kinds.collect();
        let _ = write!(text, ", and a part of its list of {}", kinds.join(", "));
    }
    let objects = plural(repaired.objects, "object");
    let _ = match (repaired.new, dry_run) {
        (Some(new), _) => write!(
            text,
            "\n  what is left, {objects}, is snapshot {new:.8} now; `dbsnap forget {id:.8}` lets the damaged one go"
        ),
        (None, _) => write!(
            text,
            "\n  a new snapshot would have what is left, {objects}"
        ),
    };
    text + "\n"
}

/// What became of damaged snapshots, for programs.
pub(crate) fn snapshots_document(report: &SnapshotRepair, dry_run: bool) -> Value {
    let repaired = report.repaired.iter().map(|repaired| {
        let kinds = repaired.unknown.iter().map(|kind| kind.as_str());
        json!({
            "id": repaired.name.id.to_string(),
            "new_id": repaired.new.map(|id| id.to_string()),
            "objects": repaired.objects,
            "objects_with_losses": repaired.lost,
            "kinds_with_losses": kinds.collect::<Vec<_>>(),
        })
    });
    let pairs = |pairs: &[(HeadName, HeadName)]| -> Vec<Value> {
        let pairs = pairs.iter();
        let pair = |(of, new): &(HeadName, HeadName)| json!({"id": of.id.to_string(), "new_id": new.id.to_string()});
        pairs.map(pair).collect()
    };
    let hopeless = report.hopeless.iter().map(|hopeless| {
        json!({"id": hopeless.name.id.to_string(), "reason": hopeless.error.to_string()})
    });
    json!({
        "dry_run": dry_run,
        "sound": report.sound,
        "repaired": repaired.collect::<Vec<_>>(),
        "repaired_before": pairs(&report.repaired_before),
        "healed": pairs(&report.healed),
        "hopeless": hopeless.collect::<Vec<_>>(),
    })
}

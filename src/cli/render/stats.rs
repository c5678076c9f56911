//! What takes how much space in the store.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dbsnap::stats::{PartStats, StoreStats};
use dbsnap::store::HeadName;
use serde_json::{Value, json};

use super::table::{Align, Table};
use super::units::{bytes, count, plural, time};
use crate::cli::error::in_a_line;

/// Parts that are listed; `--json` lists all.
const LISTED: usize = 40;

/// The figures of a store for people.
pub(crate) fn store(stats: &StoreStats) -> String {
    let sizes = &stats.sizes;
    let all = sizes.pack_bytes + sizes.index_bytes + sizes.head_bytes;
    let mut text = format!(
        "{} on disk: {} in {}, {} of index, {} of heads\n",
        bytes(all),
        bytes(sizes.pack_bytes),
        plural(sizes.packs, "pack"),
        bytes(sizes.index_bytes),
        bytes(sizes.head_bytes),
    );
    let _ = write!(
        text,
        "{} with {} of data",
        plural(stats.blobs, "blob"),
        bytes(stats.raw_bytes)
    );
    if all > 0 {
        let _ = write!(
            text,
            ", {:.1} times what they take",
            stats.raw_bytes as f64 / all as f64
        );
    }
    text.push('\n');
    if stats.unneeded_bytes > 0 {
        let _ = writeln!(
            text,
            "{} that no snapshot needs; `dbsnap prune --dry-run` says what of it can go",
            bytes(stats.unneeded_bytes)
        );
    }
    if !stats.snapshots.is_empty() {
        text.push('\n');
        text += &snapshots(stats);
    }
    text
}

fn snapshots(stats: &StoreStats) -> String {
    let mut table = Table::new([
        ("ID", Align::Left),
        ("TIME", Align::Left),
        ("OBJECTS", Align::Right),
        ("SIZE", Align::Right),
        ("ADDED", Align::Right),
        ("ONLY HERE", Align::Right),
    ]);
    for snapshot in &stats.snapshots {
        let listed = &snapshot.listed;
        let totals = &listed.snapshot.root.totals;
        table.row([
            format!("{:.8}", listed.name.id),
            time(listed.snapshot.time),
            count(totals.entries),
            bytes(totals.bytes),
            bytes(snapshot.added_bytes),
            bytes(snapshot.own_bytes),
        ]);
    }
    table.render()
}

/// The figures of a store for programs.
pub(crate) fn store_document(stats: &StoreStats) -> Value {
    let snapshots = stats.snapshots.iter().map(|snapshot| {
        let listed = &snapshot.listed;
        json!({
            "id": listed.name.id.to_string(),
            "time": listed.snapshot.time,
            "objects": listed.snapshot.root.totals.entries,
            "raw_bytes": listed.snapshot.root.totals.bytes,
            "added_bytes": snapshot.added_bytes,
            "own_bytes": snapshot.own_bytes,
        })
    });
    let unreadable = stats.unreadable.iter().map(|unreadable| {
        json!({"id": unreadable.name.id.to_string(), "reason": in_a_line(&unreadable.error)})
    });
    json!({
        "packs": stats.sizes.packs,
        "pack_bytes": stats.sizes.pack_bytes,
        "index_bytes": stats.sizes.index_bytes,
        "head_bytes": stats.sizes.head_bytes,
        "blobs": stats.blobs,
        "raw_bytes": stats.raw_bytes,
        "blob_bytes": stats.blob_bytes,
        "unneeded_bytes": stats.unneeded_bytes,
        "snapshots": snapshots.collect::<Vec<_>>(),
        "unreadable": unreadable.collect::<Vec<_>>(),
    })
}

/// The parts of a snapshot for people, the largest first.
pub(crate) fn parts(parts: &BTreeMap<String, PartStats>) -> String {
    let mut table = Table::new([
        ("PART", Align::Left),
        ("OBJECTS", Align::Right),
        ("SIZE", Align::Right),
        ("STORED", Align::Right),
    ]);
    let mut largest: Vec<_> = parts.iter().collect();
    largest.sort_by_key(|(_, part)| std::cmp::Reverse((part.stored_bytes, part.raw_bytes)));
    for (name, part) in largest.iter().take(LISTED) {
        table.row([
            (*name).clone(),
            count(part.objects),
            bytes(part.raw_bytes),
            bytes(part.stored_bytes),
        ]);
    }
    let mut text = table.render();
    let left = parts.len().saturating_sub(LISTED) as u64;
    if left > 0 {
        let _ = writeln!(text, "... and {} more (--json lists them)", count(left));
    }
    text
}

/// The parts of a snapshot for programs.
pub(crate) fn parts_document(snapshot: &HeadName, parts: &BTreeMap<String, PartStats>) -> Value {
    let parts = parts.iter().map(|(name, part)| {
        json!({
            "part": name,
            "objects": part.objects,
            "raw_bytes": part.raw_bytes,
            "stored_bytes": part.stored_bytes,
        })
    });
    json!({"id": snapshot.id.to_string(), "parts": parts.collect::<Vec<_>>()})
}

//! Merging index segments, so that there are never many.
//!
//! Invariant: a merged segment says what those say that it supersedes, and is there before they go. Whoever has listed
//! one that is gone by the time it is opened finds the same places in the packs' own directories.

use std::collections::HashMap;
use std::sync::PoisonError;

use super::Store;
use super::error::StoreError;
use super::index::{IndexEntry, Segment, SegmentData};
use super::layout::{SegmentName, segment_name};
use super::view::View;

/// This many segments of a level become one of the next.
const FAN_IN: usize = 8;
/// Every backup writes a segment of the lowest level; these are let be for longer.
const FAN_IN_LOWEST: usize = 64;
/// No more entries than this are merged, which bounds memory.
const MAX_ENTRIES: usize = 2_000_000;

/// Merges segments of a level where there are too many.
pub(super) fn merge(store: &Store) -> Result<(), StoreError> {
    for level in 0..u8::MAX {
        let merged = {
            let view = store.0.view.read().unwrap_or_else(PoisonError::into_inner);
            collect(&view, level)?
        };
        let Some(mut data) = merged else { continue };
        let (name, _) = data.publish(store.files(), level + 1)?;
        let segment = Segment::open(store.files(), &name)?;
        let mut view = store.0.view.write().unwrap_or_else(PoisonError::into_inner);
        let replaced = view.replace(&data.supersedes, name, segment);
        drop(view);
        remove(store, &replaced)?;
    }
    Ok(())
}

/// Removes merged segments that everybody who uses them holds in memory; a prune removes the others when nobody can be
/// reading them any more.
fn remove(store: &Store, replaced: &[(Option<SegmentName>, Segment)]) -> Result<(), StoreError> {
    let held = replaced
        .iter()
        .filter(|(_, segment)| segment.is_in_memory());
    for name in held.filter_map(|(name, _)| name.as_ref()) {
        store.files().remove(&segment_name(name))?;
    }
    Ok(())
}

fn collect(view: &View, level: u8) -> Result<Option<SegmentData>, StoreError> {
    let of_level: Vec<(&SegmentName, &Segment)> = view
        .segments()
        .filter_map(|(name, segment)| Some((name.filter(|name| name.level == level)?, segment)))
        .collect();
    let too_many = if level == 0 { FAN_IN_LOWEST } else { FAN_IN };
    let entries: usize = of_level.iter().map(|(_, segment)| segment.len()).sum();
    if of_level.len() < too_many || entries > MAX_ENTRIES {
        return Ok(None);
    }
    let mut data = SegmentData::default();
    let mut slots = HashMap::new();
    for (name, segment) in of_level {
        data.supersedes.push(*name);
        // What is said of packs that are gone stays too: nothing else tells that patches on what was in them cannot be
        // read. A prune drops it.
        let slot_of = |pack: &super::index::IndexedPack| {
            *slots.entry(pack.id).or_insert_with(|| {
                data.packs.push(*pack);
                (data.packs.len() - 1) as u32
            })
        };
        let renumbered: Vec<u32> = segment.packs.iter().map(slot_of).collect();
        let keep = |entry: IndexEntry| {
            let pack = renumbered.get(entry.pack as usize).copied();
            data.entries
                .extend(pack.map(|pack| IndexEntry { pack, ..entry }));
        };
        segment.for_each(keep)?;
    }
    Ok(Some(data))
}

//! Patches that cannot be read any more, because what they are patches on is gone.
//!
//! Invariant: costs nothing in a store from which no pack is missing; in any other, and in one without an index, the
//! directories of all packs are read once. A patch of which it cannot be said counts as whole.

use std::collections::{HashMap, HashSet};

use super::backend::Files;
use super::id::{BlobId, FileId};
use super::pack;
use super::view::View;

/// A frame: its pack, and where it begins there.
pub(super) type FramePlace = (FileId, u32);

/// A frame that is a patch.
struct Patch {
    depth: u8,
    place: FramePlace,
    base: BlobId,
}

/// The patches of which the base has no copy left that is of use to them, and the patches on those.
pub(super) fn find(view: &View, files: &Files) -> HashSet<FramePlace> {
    // Without any index nothing tells that a pack is missing.
    let is_told = view.segments().any(|(name, _)| name.is_some());
    if is_told && !view.lacks_packs() {
        return HashSet::new();
    }
    let mut patches = patches(view, files);
    patches.sort_unstable_by_key(|patch| patch.depth);
    let depths: HashMap<FramePlace, u8> = patches
        .iter()
        .map(|patch| (patch.place, patch.depth))
        .collect();
    let mut orphans = HashSet::new();
    // A base lies less deep than the patch on it, so what becomes of it is known by then.
    for patch in patches {
        let Ok(places) = view.places(&patch.base) else {
            continue;
        };
        let has_base = places.iter().any(|place| {
            let place_of_base = (place.pack, place.spot.frame_offset);
            let depth = depths.get(&place_of_base).copied().unwrap_or(0);
            place.intact && depth < patch.depth && !orphans.contains(&place_of_base)
        });
        if !has_base {
            orphans.insert(patch.place);
        }
    }
    orphans
}

fn patches(view: &View, files: &Files) -> Vec<Patch> {
    let mut patches = Vec::new();
    for pack in view.existing_packs() {
        let Ok((directory, _)) = pack::read_directory(files, &pack) else {
            continue;
        };
        patches.extend(directory.frames().filter_map(|(offset, frame, _)| {
            Some(Patch {
                depth: frame.depth,
                place: (pack, offset),
                base: frame.base?,
            })
        }));
    }
    patches
}

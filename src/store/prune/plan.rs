//! What goes, what moves and what stays.
//!
//! Invariant: pure. Every live blob, and every blob that a patch in the way to one needs, keeps a copy in a pack that is
//! not condemned, or gets one before anything is deleted.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{KnownPack, Live, Pruning};
use crate::store::error::StoreError;
use crate::store::frame::MAX_DEPTH;
use crate::store::view::Place;
use crate::store::{BlobId, BlobKind, FileId};

/// A pack of which less than this is live is repacked.
const SPARSE_PERCENT: u64 = 75;
/// Packs below this size are put together when there are many.
const SMALL: u64 = 8 << 20;
/// So many of them are not yet many.
const FEW: usize = 16;
/// A version longer than this stays a patch: in a frame together, the earlier one would be out of the window's reach.
const LONG: u32 = 64 << 10;

/// What a prune is going to do.
#[derive(Debug, Default)]
pub struct PrunePlan {
    /// Packs that earlier runs condemned, and that go now.
    pub(super) sweep: Vec<FileId>,
    /// The files of the records that name them.
    pub(super) records: Vec<String>,
    /// Blobs of condemned packs that have become live again.
    pub(super) rescue: Vec<Move>,
    /// Blobs that leave sparse and small packs.
    pub(super) repack: Vec<Move>,
    /// Packs that nothing needs once the blobs have moved.
    pub(super) condemn: Vec<FileId>,
    /// Packs that nobody may rely on from now on.
    pub(super) avoid: Vec<FileId>,
    /// How many packs are there.
    pub packs: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// The size of the packs that go now.
    pub swept_bytes: u64,
    /// The size of the packs that are condemned now, and go later.
    pub condemned_bytes: u64,
    /// How many of those are only condemned because what is live in them moves.
    pub repacked: usize,
    /// The length, uncompressed, of what moves.
    pub moved_bytes: u64,
    /// The size of packs with something to free that are too young, or beyond the budget.
    pub left_bytes: u64,
    /// Packs whose directory cannot be read.
    pub damaged: Vec<FileId>,
}

impl PrunePlan {
    /// How many packs go now.
    pub fn swept(&self) -> usize {
        self.sweep.len()
    }

    /// How many packs are condemned now.
    pub fn condemned(&self) -> usize {
        self.condemn.len()
    }

    /// Whether no pack is touched.
    pub fn is_empty(&self) -> bool {
        self.sweep.is_empty()
            && self.records.is_empty()
            && self.condemn.is_empty()
            && self.rescue.is_empty()
    }
}

/// A blob that gets a new copy.
#[derive(Debug)]
pub(super) struct Move {
    pub(super) blob: BlobId,
    pub(super) from: Place,
    /// The frame is copied as it is, with everything in it.
    pub(super) verbatim: bool,
    /// Blobs of one group lie together.
    group: u32,
}

/// Where the copy of a blob lies that is kept.
#[derive(Clone, Copy)]
struct Home {
    pack: usize,
    frame: usize,
    depth: u8,
    needed: bool,
}

/// How much of a pack is needed.
#[derive(Clone, Copy, Default)]
struct Use {
    raw: u64,
    of_raw: u64,
}

pub(super) fn plan(view: &Pruning, live: &Live) -> Result<PrunePlan, StoreError> {
    let packs = &view.packs;
    let mut homes = homes(packs, live);
    let homeless = close(packs, live, &mut homes);
    let mut plan = PrunePlan {
        packs: packs.len(),
        bytes: packs.iter().map(|pack| pack.size).sum(),
        ..PrunePlan::default()
    };
    for pack in packs {
        match (pack.is_condemned, &pack.directory) {
            (true, _) => plan.avoid.push(pack.id),
            (false, None) => plan.damaged.push(pack.id),
            (false, Some(_)) => {}
        }
    }
    plan.rescue = rescue(packs, live, &homeless)?;
    sweep(view, &mut plan);
    condemn(view, live, &homes, &mut plan);
    plan.moved_bytes = [&plan.rescue, &plan.repack]
        .into_iter()
        .flatten()
        .map(|moved| u64::from(moved.from.spot.blob_len))
        .sum();
    Ok(plan)
}

/// The best copy of every blob that is live or the base of a patch: the one below the fewest patches, because others may
/// be patches on it, in the pack that is needed most.
fn homes(packs: &[KnownPack], live: &Live) -> HashMap<BlobId, Home> {
    let bases = packs.iter().filter_map(|pack| pack.directory.as_ref());
    let bases = bases.flat_map(|directory| directory.frames.iter().filter_map(|frame| frame.base));
    let bases: HashSet<BlobId> = bases.collect();
    let weight = |pack: &KnownPack| {
        let blobs = pack.directory.iter().flat_map(|directory| &directory.blobs);
        let live = blobs.filter(|(id, _)| live.blobs.contains_key(id));
        live.map(|(_, len)| u64::from(*len)).sum::<u64>()
    };
    let weights: Vec<u64> = packs.iter().map(weight).collect();
    let mut homes: HashMap<BlobId, Home> = HashMap::new();
    for (pack, known) in packs.iter().enumerate() {
        let Some(directory) = known.directory.as_ref().filter(|_| !known.is_condemned) else {
            continue;
        };
        let frames = directory.frames().enumerate();
        for (frame, (_, entry, blobs)) in
            frames.filter(|(_, (offset, ..))| !known.orphans.contains(offset))
        {
            for (id, _) in blobs {
                if !live.blobs.contains_key(id) && !bases.contains(id) {
                    continue;
                }
                let home = Home {
                    pack,
                    frame,
                    depth: entry.depth,
                    needed: false,
                };
                let rank = |home: &Home| (home.depth, std::cmp::Reverse(weights[home.pack]));
                homes
                    .entry(*id)
                    .and_modify(|best| {
                        if rank(&home) < rank(best) {
                            *best = home;
                        }
                    })
                    .or_insert(home);
            }
        }
    }
    homes
}

/// What lies nowhere but in condemned packs.
#[derive(Default)]
struct Homeless {
    /// Live, or the base of a patch in the way to something live.
    needed: BTreeSet<BlobId>,
    /// Only what an intent refers to, or the base of a patch that nobody needs, in a pack that stays.
    wished: BTreeSet<BlobId>,
}

/// Marks what is needed: live blobs, the bases of their patches, and so on. Beyond that every patch in a pack that stays
/// keeps its base, wanted or not: what is found in a store is readable, and who comes with the same bytes relies on it.
fn close(packs: &[KnownPack], live: &Live, homes: &mut HashMap<BlobId, Home>) -> Homeless {
    let mut homeless = Homeless::default();
    let all = |is_needed: bool| {
        let blobs = live.blobs.iter();
        let blobs = blobs.filter(move |(_, blob)| blob.is_needed == is_needed);
        blobs.map(|(id, _)| (*id, MAX_DEPTH + 1))
    };
    let mut to_visit: Vec<(BlobId, u8)> = all(true).collect();
    let mut stays: Vec<bool> = packs.iter().map(|pack| pack.is_young).collect();
    let mut expanded: Vec<bool> = packs.iter().map(|pack| pack.is_condemned).collect();
    let mut is_needed = true;
    loop {
        while let Some((blob, below)) = to_visit.pop() {
            let Some(home) = homes.get_mut(&blob).filter(|home| home.depth < below) else {
                match is_needed {
                    true => homeless.needed.insert(blob),
                    false => homeless.wished.insert(blob),
                };
                continue;
            };
            if std::mem::replace(&mut home.needed, true) {
                continue;
            }
            stays[home.pack] = true;
            let directory = packs[home.pack].directory.as_ref();
            let frame = directory.map(|directory| directory.frames[home.frame]);
            let base = frame.and_then(|frame| Some((frame.base?, frame.depth)));
            to_visit.extend(base);
        }
        if std::mem::take(&mut is_needed) {
            to_visit.extend(all(false));
            continue;
        }
        let next = (0..packs.len()).find(|&index| stays[index] && !expanded[index]);
        let Some(next) = next else {
            return homeless;
        };
        expanded[next] = true;
        let directory = packs[next].directory.iter();
        let frames = directory.flat_map(|directory| &directory.frames);
        to_visit.extend(frames.filter_map(|frame| Some((frame.base?, frame.depth))));
    }
}

/// Finds the blobs that have no home in condemned packs, where they can still be read.
fn rescue(packs: &[KnownPack], live: &Live, homeless: &Homeless) -> Result<Vec<Move>, StoreError> {
    let mut found: BTreeMap<BlobId, (u8, Move)> = BTreeMap::new();
    for pack in packs {
        each_spot(pack, |_, depth, blob, from| {
            let is_better = |(known, _): &(u8, Move)| *known <= depth;
            let is_homeless = homeless.needed.contains(&blob) || homeless.wished.contains(&blob);
            let is_orphan = pack.orphans.contains(&from.spot.frame_offset);
            if is_homeless && !is_orphan && !found.get(&blob).is_some_and(is_better) {
                let moved = Move {
                    blob,
                    from,
                    verbatim: false,
                    group: group(live, &blob),
                };
                found.insert(blob, (depth, moved));
            }
        });
    }
    if let Some(missing) = homeless
        .needed
        .iter()
        .find(|blob| !found.contains_key(blob))
    {
        return Err(StoreError::MissingBlob(*missing));
    }
    Ok(grouped(found.into_values().map(|(_, moved)| moved)))
}

fn sweep(view: &Pruning, plan: &mut PrunePlan) {
    for record in view.records.iter().filter(|record| record.is_old) {
        plan.records.push(record.file.clone());
        plan.sweep.extend(&record.packs);
    }
    plan.sweep.sort_unstable();
    plan.sweep.dedup();
    let there = view.packs.iter();
    let going = there.filter(|pack| plan.sweep.binary_search(&pack.id).is_ok());
    plan.swept_bytes = going.map(|pack| pack.size).sum();
}

fn condemn(view: &Pruning, live: &Live, homes: &HashMap<BlobId, Home>, plan: &mut PrunePlan) {
    let packs = &view.packs;
    let mut uses = vec![Use::default(); packs.len()];
    for (index, pack) in packs.iter().enumerate() {
        each_spot(pack, |frame, _, blob, from| {
            let len = u64::from(from.spot.blob_len);
            uses[index].of_raw += len;
            if is_home(homes, &blob, index, frame) {
                // An empty blob is needed as well.
                uses[index].raw += len.max(1);
            }
        });
    }
    let is_open = |pack: &KnownPack| !pack.is_condemned && pack.directory.is_some();
    let mut sparse = Vec::new();
    let mut small: BTreeMap<bool, Vec<usize>> = BTreeMap::new();
    for (index, pack) in packs.iter().enumerate().filter(|(_, pack)| is_open(pack)) {
        let used = uses[index];
        let is_sparse = used.raw * 100 < used.of_raw * SPARSE_PERCENT;
        match (used.raw, pack.is_young) {
            (0, false) => plan.condemn.push(pack.id),
            (0, true) => plan.left_bytes += pack.size,
            (_, true) if is_sparse => plan.left_bytes += pack.size,
            (_, false) if is_sparse => sparse.push(index),
            (_, false) if pack.size < SMALL => {
                let kind = pack.directory.as_ref().map(|directory| directory.kind);
                small
                    .entry(kind == Some(BlobKind::Node))
                    .or_default()
                    .push(index);
            }
            _ => {}
        }
    }
    // What frees the most for the least comes first.
    sparse.sort_by_key(|index| uses[*index].raw * 1000 / uses[*index].of_raw.max(1));
    let many = small.into_values().filter(|packs| packs.len() > FEW);
    let mut budget = view.options.max_repack;
    for index in sparse.into_iter().chain(many.flatten()) {
        let (pack, used) = (&packs[index], uses[index]);
        if used.raw > budget {
            plan.left_bytes += pack.size;
            continue;
        }
        budget -= used.raw;
        plan.repacked += 1;
        plan.condemn.push(pack.id);
        move_out(packs, index, live, homes, &mut plan.repack);
    }
    plan.repack = grouped(std::mem::take(&mut plan.repack).into_iter());
    plan.condemn.sort_unstable();
    plan.avoid.extend(&plan.condemn);
    let going = packs.iter();
    let going = going.filter(|pack| plan.condemn.binary_search(&pack.id).is_ok());
    plan.condemned_bytes = going.map(|pack| pack.size).sum();
}

/// What has to leave a pack so that it can go.
fn move_out(
    packs: &[KnownPack],
    index: usize,
    live: &Live,
    homes: &HashMap<BlobId, Home>,
    moves: &mut Vec<Move>,
) {
    each_spot(&packs[index], |frame, depth, blob, from| {
        if is_home(homes, &blob, index, frame) {
            moves.push(Move {
                blob,
                from,
                verbatim: depth > 0 && from.spot.blob_len > LONG,
                group: group(live, &blob),
            });
        }
    });
}

/// What nobody wants but as a base comes last.
fn group(live: &Live, blob: &BlobId) -> u32 {
    live.blobs.get(blob).map_or(u32::MAX, |blob| blob.group)
}

fn is_home(homes: &HashMap<BlobId, Home>, blob: &BlobId, pack: usize, frame: usize) -> bool {
    homes
        .get(blob)
        .is_some_and(|home| home.needed && (home.pack, home.frame) == (pack, frame))
}

/// Tells every blob of a pack: the number and the depth of its frame, and where it lies.
fn each_spot(pack: &KnownPack, mut each: impl FnMut(usize, u8, BlobId, Place)) {
    let Some(directory) = &pack.directory else {
        return;
    };
    let mut spots = directory.spots();
    for (number, (_, entry, blobs)) in directory.frames().enumerate() {
        for (id, spot) in spots.by_ref().take(blobs.len()) {
            let place = Place {
                pack: pack.id,
                kind: directory.kind,
                spot,
                intact: true,
            };
            each(number, entry.depth, id, place);
        }
    }
}

/// Versions of one thing one after the other.
fn grouped(moves: impl Iterator<Item = Move>) -> Vec<Move> {
    let mut moves: Vec<Move> = moves.collect();
    moves.sort_by_key(|moved| {
        (
            moved.from.kind == BlobKind::Node,
            moved.group,
            moved.from.pack,
            moved.from.spot.frame_offset,
            moved.from.spot.blob_offset,
        )
    });
    moves
}

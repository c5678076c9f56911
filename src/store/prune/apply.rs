//! Carrying out what was decided.
//!
//! Invariant: at every moment, and so after a kill at any, each live blob has a copy in a pack that is there. New copies
//! are durable before a record names the old ones, and a record goes only after its packs.

use std::collections::HashSet;

use super::Pruning;
use super::plan::{Move, PrunePlan};
use crate::report::{Event, Reporter};
use crate::store::error::{StoreError, corrupt};
use crate::store::frame::{Encoded, FrameHeader, MAX_DEPTH};
use crate::store::index::{IndexEntry, Segment, SegmentData};
use crate::store::layout::{self, CONDEMNED, INDEX, SNAPSHOTS, SegmentName, pack_name};
use crate::store::reader::Locate;
use crate::store::{FileId, HeadName, SnapshotId, Store, Writer, WriterOptions, history, look};

/// What moves is compressed well: it is going to stay for long, and nobody waits for it.
const LEVEL: i32 = 9;
/// And in large frames, for the same reason.
const FRAME_BYTES: usize = 1 << 20;

/// What a prune has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What the packs take that are gone.
    pub freed_bytes: u64,
    /// What was written anew.
    pub written_bytes: u64,
    /// Files removed beside packs: old segments, intents that were abandoned, unfinished files.
    pub leftovers: u64,
}

impl Pruning {
    /// Carries out a plan of this view. Killed anywhere, it is carried on by the next prune.
    pub fn apply(&self, plan: &PrunePlan, reporter: &dyn Reporter) -> Result<Pruned, StoreError> {
        if self.is_guessed {
            // It is no time to delete by; asking for the store's own says why.
            self.store.files().now()?;
            return Err(StoreError::WriterFailed);
        }
        let mut done = Pruned::default();
        let count = plan.rescue.len() + plan.repack.len() + plan.sweep.len();
        let name = "prune";
        reporter.report(Event::PhaseStarted { name });
        reporter.report(Event::Expected { more: count as u64 });
        // What was seen as forgotten must not come back when its blobs have gone, nor may copies go that others count on.
        self.store.files().settle(SNAPSHOTS)?;
        look::settle_unindexed(&self.store)?;
        if !plan.rescue.is_empty() || !plan.repack.is_empty() {
            done.written_bytes = self.move_all(plan, reporter)?;
        }
        self.sweep(plan, &mut done, reporter)?;
        if !plan.condemn.is_empty() {
            self.publish_record(plan)?;
        }
        self.remove_leftovers(&mut done)?;
        if self.options.without_lost {
            history::give_up(self.store.files())?;
        }
        reporter.report(Event::PhaseFinished);
        Ok(done)
    }

    fn move_all(&self, plan: &PrunePlan, reporter: &dyn Reporter) -> Result<u64, StoreError> {
        let options = WriterOptions {
            level: LEVEL,
            bulk_level: LEVEL,
            frame_bytes: FRAME_BYTES,
        };
        let writer = self.store.writer_with(options)?;
        writer.avoid(plan.avoid.iter().copied());
        for moved in &plan.rescue {
            match self.move_blob(&writer, moved) {
                Err(_) if self.is_elsewhere(moved, plan)? => {}
                result => result?,
            }
            reporter.report(Event::Done {
                count: 1,
                bytes: u64::from(moved.from.spot.blob_len),
            });
        }
        for moved in &plan.repack {
            self.move_blob(&writer, moved)?;
            reporter.report(Event::Done {
                count: 1,
                bytes: u64::from(moved.from.spot.blob_len),
            });
        }
        writer.flush()?;
        Ok(writer.written().stored_bytes)
    }

    fn move_blob(&self, writer: &Writer, moved: &Move) -> Result<(), StoreError> {
        let Move { blob, from, .. } = moved;
        if !moved.verbatim {
            let store = &self.store.0;
            let bytes = store
                .reader
                .read_place(&**store, blob, from, MAX_DEPTH + 1)?;
            return writer.move_in(from.kind, *blob, &bytes);
        }
        let file = pack_name(&from.pack);
        let spot = from.spot;
        let files = self.store.files();
        let bytes = files.read_at(&file, spot.frame_offset.into(), spot.frame_len as usize)?;
        let (header, _) = FrameHeader::parse(&bytes)
            .map_err(|error| corrupt(&files.path(&file), format!("blob {blob}: {error}")))?;
        let frame = Encoded { header, bytes };
        writer.move_frame(from.kind, frame, (*blob, spot.blob_len))
    }

    /// Whether somebody else has rescued a blob and swept the pack that it lay in.
    fn is_elsewhere(&self, moved: &Move, plan: &PrunePlan) -> Result<bool, StoreError> {
        let condemned = look::condemned(self.store.files())?;
        let places = self.store.reopened()?.0.places(&moved.blob)?;
        let is_good = |pack: &FileId| !condemned.contains(pack) && !plan.avoid.contains(pack);
        Ok(places.iter().any(|place| is_good(&place.pack)))
    }

    fn sweep(
        &self,
        plan: &PrunePlan,
        done: &mut Pruned,
        reporter: &dyn Reporter,
    ) -> Result<(), StoreError> {
        let files = self.store.files();
        let going: HashSet<FileId> = plan.sweep.iter().copied().collect();
        let forgotten = forget_packs(&self.store, &going);
        // On a full disk the packs go first: that makes room for an index without them, and who reads meanwhile finds
        // nothing there that it needs.
        let is_full = matches!(&forgotten, Err(error) if error.is_disk_full());
        if !is_full {
            forgotten?;
        }
        for pack in &plan.sweep {
            let name = pack_name(pack);
            // What is no pack at all has no length, and goes like any other.
            if let Some(size) = layout::unlisted_pack(files, pack)? {
                files.remove(&name)?;
                done.freed_bytes += size;
            }
            reporter.report(Event::Done { count: 1, bytes: 0 });
        }
        if is_full {
            forget_packs(&self.store, &going)?;
        }
        for record in &plan.records {
            files.remove(record)?;
        }
        Ok(())
    }

    fn publish_record(&self, plan: &PrunePlan) -> Result<(), StoreError> {
        let bytes = look::record(&look::Condemned {
            packs: plan.condemn.clone(),
            is_damage: false,
        });
        let name = HeadName::new(self.now, SnapshotId::of(&bytes));
        self.store
            .files()
            .put(&format!("{CONDEMNED}/{name}"), &bytes)
    }

    /// Removes superseded segments, and what runs that died have left.
    fn remove_leftovers(&self, done: &mut Pruned) -> Result<(), StoreError> {
        let files = self.store.files();
        let listed = files.list(INDEX)?;
        let segments = listed.iter().filter_map(|file| {
            let name: SegmentName = file.file_name().parse().ok()?;
            let segment = Segment::open(files, &name).ok()?;
            Some(segment.supersedes)
        });
        let superseded: HashSet<SegmentName> = segments.flatten().collect();
        let is_old = |modified| modified <= self.now - self.options.grace;
        let old = listed.iter().filter(|file| {
            let name = file.file_name().parse();
            is_old(file.modified) && name.is_ok_and(|name| superseded.contains(&name))
        });
        for name in old.map(|file| &file.name).chain(&self.leftovers) {
            files.remove(name)?;
            done.leftovers += 1;
        }
        Ok(())
    }
}

/// Writes the segments anew that name packs which go or are gone, without those.
fn forget_packs(store: &Store, going: &HashSet<FileId>) -> Result<(), StoreError> {
    let files = store.files();
    let mut names = layout::list::<SegmentName>(files, INDEX)?;
    names.reverse();
    // After the segments: a pack is written before the segment that names it, so one that is not found is gone.
    let packs = layout::list_packs(files)?.into_iter();
    let there: HashSet<FileId> = packs.map(|(id, _)| id).collect();
    let mut superseded: HashSet<SegmentName> = HashSet::new();
    for name in names {
        if superseded.contains(&name) {
            continue;
        }
        let Ok(segment) = Segment::open(files, &name) else {
            continue;
        };
        superseded.extend(segment.supersedes.iter().copied());
        let is_going = |pack: &FileId| going.contains(pack) || !there.contains(pack);
        if !segment.packs.iter().any(|pack| is_going(&pack.id)) {
            continue;
        }
        let mut data = SegmentData {
            supersedes: segment.supersedes.clone(),
            ..SegmentData::default()
        };
        data.supersedes.push(name);
        let mut slots = Vec::with_capacity(segment.packs.len());
        for pack in &segment.packs {
            let slot = data.packs.len() as u32;
            let stays = !is_going(&pack.id);
            slots.push(stays.then_some(slot));
            data.packs.extend(stays.then_some(*pack));
        }
        segment.for_each(|entry| {
            let slot = slots.get(entry.pack as usize).copied().flatten();
            let entry = slot.map(|pack| IndexEntry { pack, ..entry });
            data.entries.extend(entry);
        })?;
        data.publish(files, name.level)?;
    }
    Ok(())
}

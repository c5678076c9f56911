//! The index made anew from the packs' own directories.
//!
//! Invariant: all segments that were there at the beginning are superseded by their names, whether they can be read or
//! not, and no others: what a backup publishes meanwhile stays. Until the last new segment is there, none is superseded.

use std::collections::{BTreeMap, HashSet};
use std::mem;
use std::sync::PoisonError;

use crate::report::{Event, Reporter};
use crate::store::directory::Spot;
use crate::store::error::StoreError;
use crate::store::index::{IndexEntry, IndexedPack, Segment, SegmentData};
use crate::store::layout::{self, INDEX, SegmentName, segment_name};
use crate::store::view::View;
use crate::store::{BlobId, FileId, Store, look, pack};

/// No segment gets more entries than this, which bounds memory; a single pack with more has one of its own.
const MAX_ENTRIES: usize = 2_000_000;

/// What making the index anew has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexRepair {
    /// Packs that the new index names.
    pub packs: u64,
    /// Places of blobs in them.
    pub entries: u64,
    /// New segments.
    pub segments: u64,
    /// Segments that count no more.
    pub superseded: u64,
    /// Those of them that cannot be read: they are removed.
    pub removed: Vec<String>,
    /// Packs whose own directory cannot be read. What the segments before said of them is kept.
    pub carried: Vec<FileId>,
    /// Packs whose own directory cannot be read, and that are in no segment.
    pub unreadable: Vec<FileId>,
}

impl Store {
    /// Writes an index from the directories of all packs, in the place of all segments that there are. With `dry_run`
    /// only says what it would be.
    pub fn repair_index(
        &self,
        dry_run: bool,
        reporter: &dyn Reporter,
    ) -> Result<IndexRepair, StoreError> {
        self.repair_index_by(MAX_ENTRIES, dry_run, reporter)
    }

    /// The same with segments of other than the usual size.
    pub(in crate::store) fn repair_index_by(
        &self,
        max_entries: usize,
        dry_run: bool,
        reporter: &dyn Reporter,
    ) -> Result<IndexRepair, StoreError> {
        self.require_writable()?;
        let files = self.files();
        // Before the packs: of a pack that comes later the segment comes later as well, and that one stays.
        let old = layout::list::<SegmentName>(files, INDEX)?;
        let packs = layout::list_packs(files)?;
        let mut rebuilding = Rebuilding {
            store: self,
            max_entries,
            dry_run,
            level: old.last().map_or(0, |name| name.level.saturating_add(1)),
            data: SegmentData::default(),
            done: IndexRepair::default(),
            old,
        };
        let name = "reading the directories of packs";
        reporter.report(Event::PhaseStarted { name });
        let more = packs.len() as u64;
        reporter.report(Event::Expected { more });
        if !dry_run {
            // What a segment names has to be durable.
            look::settle_packs(files, packs.iter().map(|(id, _)| *id))?;
        }
        rebuilding.add_packs(packs, reporter)?;
        reporter.report(Event::PhaseFinished);
        let done = rebuilding.finish()?;
        if !dry_run {
            let mut view = self.0.view.write().unwrap_or_else(PoisonError::into_inner);
            *view = View::load(files, true)?;
        }
        Ok(done)
    }
}

/// Blobs of a pack, and where they lie in it.
type Spots = Vec<(BlobId, Spot)>;

struct Rebuilding<'a> {
    store: &'a Store,
    max_entries: usize,
    dry_run: bool,
    old: Vec<SegmentName>,
    level: u8,
    data: SegmentData,
    done: IndexRepair,
}

impl Rebuilding<'_> {
    fn add_packs(
        &mut self,
        packs: Vec<(FileId, u64)>,
        reporter: &dyn Reporter,
    ) -> Result<(), StoreError> {
        let files = self.store.files();
        let there: HashSet<FileId> = packs.iter().map(|(id, _)| *id).collect();
        let mut unreadable = Vec::new();
        for (id, bytes) in packs {
            match pack::read_directory(files, &id) {
                Ok((directory, size)) => {
                    let kind = directory.kind;
                    let spots = directory.spots().collect();
                    self.add(IndexedPack { id, size, kind }, spots)?;
                }
                Err(_) => unreadable.push(id),
            }
            reporter.report(Event::Done { count: 1, bytes });
        }
        // What was given up is no concern of anybody any more.
        let given_up = look::given_up(files).unwrap_or_default();
        for id in unreadable {
            if files.len_stored(&layout::pack_name(&id))?.is_none() {
                // A prune has swept it meanwhile.
                continue;
            }
            match self.known_places(&id)? {
                Some((pack, spots)) => {
                    self.done.carried.push(id);
                    self.add(pack, spots)?;
                }
                None if given_up.contains(&id) => {}
                None => self.done.unreadable.push(id),
            }
        }
        self.add_gone(&there)
    }

    /// Keeps what the segments say of packs that are gone, though no prune has deleted them: nothing else tells that
    /// patches on what was in them cannot be read.
    fn add_gone(&mut self, there: &HashSet<FileId>) -> Result<(), StoreError> {
        let condemned = look::condemned(self.store.files()).unwrap_or_default();
        let mut gone: BTreeMap<FileId, (IndexedPack, HashSet<(BlobId, Spot)>)> = BTreeMap::new();
        for segment in self.segments()? {
            let is_gone = |pack: &IndexedPack| {
                (!there.contains(&pack.id) && !condemned.contains(&pack.id)).then_some(*pack)
            };
            let packs: Vec<Option<IndexedPack>> = segment.packs.iter().map(is_gone).collect();
            if packs.iter().all(Option::is_none) {
                continue;
            }
            let note = |entry: IndexEntry| {
                if let Some(pack) = packs.get(entry.pack as usize).copied().flatten() {
                    let (_, spots) = gone.entry(pack.id).or_insert((pack, HashSet::new()));
                    spots.insert((entry.id, entry.spot));
                }
            };
            match segment.for_each(note) {
                // What follows there tells nothing any more; the segment is superseded all the same.
                Err(StoreError::Corrupt { .. }) => {}
                done => done?,
            }
        }
        for (pack, spots) in gone.into_values() {
            self.add(pack, spots.into_iter().collect())?;
        }
        Ok(())
    }

    /// The old segments that can be read and that no other supersedes.
    fn segments(&self) -> Result<Vec<Segment>, StoreError> {
        let mut segments = Vec::new();
        for name in &self.old {
            match Segment::open(self.store.files(), name) {
                Ok(segment) => segments.push((*name, segment)),
                Err(StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let superseded = segments.iter().flat_map(|(_, segment)| &segment.supersedes);
        let superseded: HashSet<SegmentName> = superseded.copied().collect();
        segments.retain(|(name, _)| !superseded.contains(name));
        Ok(segments.into_iter().map(|(_, segment)| segment).collect())
    }

    /// What the segments say of a pack: without a directory it can be read by nothing else.
    fn known_places(&self, id: &FileId) -> Result<Option<(IndexedPack, Spots)>, StoreError> {
        let mut known: HashSet<(BlobId, Spot)> = HashSet::new();
        let mut found = None;
        for name in &self.old {
            let segment = match Segment::open(self.store.files(), name) {
                // What can only not be read now must not be superseded by something that knows less.
                Err(error) if !matches!(error, StoreError::Corrupt { .. }) => return Err(error),
                Err(_) => continue,
                Ok(segment) => segment,
            };
            let Some(slot) = segment.packs.iter().position(|pack| pack.id == *id) else {
                continue;
            };
            found = Some(segment.packs[slot]);
            segment.for_each(|entry| {
                if entry.pack as usize == slot {
                    known.insert((entry.id, entry.spot));
                }
            })?;
        }
        Ok(found.map(|pack| (pack, known.into_iter().collect())))
    }

    fn add(&mut self, pack: IndexedPack, spots: Spots) -> Result<(), StoreError> {
        let is_full = self.data.entries.len() + spots.len() > self.max_entries;
        if is_full && !self.data.packs.is_empty() {
            // A name that nobody has, so that this segment has another name than all that were superseded before.
            let names: Vec<String> = self.old.iter().map(ToString::to_string).collect();
            let id = FileId::of(names.concat().as_bytes());
            self.publish(vec![SegmentName { level: 0, id }])?;
        }
        self.data.add(pack, spots.into_iter());
        Ok(())
    }

    fn publish(&mut self, supersedes: Vec<SegmentName>) -> Result<(), StoreError> {
        let mut data = mem::take(&mut self.data);
        data.supersedes = supersedes;
        self.done.segments += 1;
        self.done.packs += data.packs.len() as u64;
        self.done.entries += data.entries.len() as u64;
        if !self.dry_run {
            data.publish(self.store.files(), self.level)?;
        }
        Ok(())
    }

    /// Publishes the last segment, which supersedes the old ones, and removes of those what cannot be read. The others
    /// may be in use, and a prune removes them later.
    fn finish(mut self) -> Result<IndexRepair, StoreError> {
        let files = self.store.files();
        if self.data.packs.is_empty() && self.old.is_empty() {
            return Ok(self.done);
        }
        let old = mem::take(&mut self.old);
        self.done.superseded = old.len() as u64;
        self.publish(old.clone())?;
        for name in &old {
            let file = segment_name(name);
            let opened = Segment::open(files, name);
            if matches!(opened, Err(StoreError::Corrupt { .. }))
                && files.len_stored(&file)?.is_some()
            {
                if !self.dry_run {
                    files.remove(&file)?;
                }
                self.done.removed.push(file);
            }
        }
        Ok(self.done)
    }
}

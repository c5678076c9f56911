//! What a store knows of its packs: which there are, and which blobs lie where.
//!
//! Invariant: a pack that exists is known, through the index or through its own directory.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use super::backend::Files;
use super::directory::Spot;
use super::error::StoreError;
use super::id::{BlobId, BlobKind, FileId};
use super::index::{IndexedPack, Segment, SegmentData};
use super::layout::{self, INDEX, SegmentName};
use super::orphans::{self, FramePlace};
use super::{look, pack};

/// A place where a blob lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pack: FileId,
    pub(super) kind: BlobKind,
    pub(super) spot: Spot,
    /// The pack is there, as long as it has to be, and was not given up as damaged.
    pub(super) intact: bool,
}

/// Packs and segments as they were when the store was opened, and what writers have added since.
#[derive(Debug, Default)]
pub(super) struct View {
    packs: HashMap<FileId, KnownPack>,
    segments: Vec<(Option<SegmentName>, Segment)>,
    /// Segments and packs that could not be read, and why.
    damage: Vec<StoreError>,
    /// Packs that were condemned because they are damaged: what can be read in them has a copy elsewhere.
    given_up: HashSet<FileId>,
    orphans: OnceLock<HashSet<FramePlace>>,
}

#[derive(Debug, Clone, Copy)]
struct KnownPack {
    /// The size it ought to have, where a segment or its own directory says so.
    size: Option<u32>,
    /// The size it has, if it is there.
    found: Option<u64>,
}

impl View {
    /// Reads the index, and the directories of packs that it does not know; of all packs when the index is not
    /// `trusted`.
    pub(super) fn load(files: &Files, trusted: bool) -> Result<Self, StoreError> {
        let mut view = Self::default();
        view.load_segments(files)?;
        // After the segments: a pack is written before the segment that names it, so one that is not found is gone.
        let found = layout::list_packs(files)?;
        let indexed: HashSet<FileId> = view.packs.keys().copied().collect();
        for &(id, size) in &found {
            let pack = view.packs.entry(id).or_insert(KnownPack {
                size: None,
                found: None,
            });
            pack.found = Some(size);
        }
        let unlisted = view
            .packs
            .iter_mut()
            .filter(|(_, pack)| pack.found.is_none());
        for (id, pack) in unlisted {
            pack.found = layout::unlisted_pack(files, id)?;
        }
        let unknown = found
            .iter()
            .filter(|(id, _)| !trusted || !indexed.contains(id));
        // A record that cannot be read gives up nothing; a check tells of it.
        view.given_up = look::given_up(files).unwrap_or_default();
        view.load_directories(files, unknown.map(|(id, _)| *id))?;
        Ok(view)
    }

    /// All places of a blob.
    pub(super) fn places(&self, id: &BlobId) -> Result<Vec<Place>, StoreError> {
        let mut places = Vec::new();
        self.find(id, |place| {
            if !places.contains(&place) {
                places.push(place);
            }
            None::<()>
        })?;
        Ok(places)
    }

    /// The first of a blob's places that is good for something, and for what. Segments after that are not asked.
    pub(super) fn find<T>(
        &self,
        id: &BlobId,
        mut good_for: impl FnMut(Place) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        for (_, segment) in &self.segments {
            let entries = match segment.find(id) {
                // What this one says, the directories of the packs say too, when they are asked.
                Err(StoreError::Corrupt { .. }) => continue,
                entries => entries?,
            };
            let places = entries.iter().filter_map(|entry| {
                let pack = segment.packs.get(entry.pack as usize)?;
                self.place(pack, entry.spot)
            });
            let found = places.map(&mut good_for).find(Option::is_some);
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Adds a segment that a writer has published, whose packs exist.
    pub(super) fn add(&mut self, name: Option<SegmentName>, segment: Segment) {
        for pack in &segment.packs {
            let found = Some(u64::from(pack.size));
            self.packs.insert(
                pack.id,
                KnownPack {
                    size: Some(pack.size),
                    found,
                },
            );
        }
        self.segments.push((name, segment));
    }

    /// Puts a merged segment in the place of those that it supersedes, which it returns.
    pub(super) fn replace(
        &mut self,
        superseded: &[SegmentName],
        name: SegmentName,
        segment: Segment,
    ) -> Vec<(Option<SegmentName>, Segment)> {
        let is_replaced =
            |name: &Option<SegmentName>| name.is_some_and(|name| superseded.contains(&name));
        let segments = self.segments.extract_if(.., |(name, _)| is_replaced(name));
        let replaced = segments.collect();
        self.segments.push((Some(name), segment));
        replaced
    }

    /// Whether the pack was there.
    pub(super) fn exists(&self, pack: &FileId) -> bool {
        self.packs
            .get(pack)
            .is_some_and(|pack| pack.found.is_some())
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = (Option<&SegmentName>, &Segment)> {
        self.segments
            .iter()
            .map(|(name, segment)| (name.as_ref(), segment))
    }

    /// What could not be read when the view was loaded.
    pub(super) fn damage(&self) -> &[StoreError] {
        &self.damage
    }

    /// Packs that are not as long as the index says: which, how long they are, if they are there, and should be.
    pub(super) fn misfits(&self) -> impl Iterator<Item = (FileId, Option<u64>, u32)> {
        self.packs.iter().filter_map(|(id, pack)| {
            let size = pack.size?;
            (pack.found != Some(size.into())).then_some((*id, pack.found, size))
        })
    }

    /// Whether blobs may be gone: a pack is missing, cut short or given up, or what is in it cannot be found out.
    pub(super) fn lacks_packs(&self) -> bool {
        let is_whole = |pack: &KnownPack| {
            let (size, found) = (pack.size.map(u64::from), pack.found);
            size.is_some() && size == found
        };
        !self.given_up.is_empty() || !self.packs.values().all(is_whole)
    }

    /// Patches that cannot be read because their bases are gone; found out when first asked for.
    pub(super) fn orphans(&self, files: &Files) -> &HashSet<FramePlace> {
        self.orphans.get_or_init(|| orphans::find(self, files))
    }

    /// Whether the pack was condemned because it is damaged.
    pub(super) fn is_given_up(&self, pack: &FileId) -> bool {
        self.given_up.contains(pack)
    }

    /// Packs that no segment names: somebody is writing them now, or was killed.
    pub(super) fn unindexed_packs(&self) -> impl Iterator<Item = FileId> {
        let unnamed = self.segments.iter().filter(|(name, _)| name.is_none());
        unnamed.flat_map(|(_, segment)| segment.packs.iter().map(|pack| pack.id))
    }

    /// Every pack that was there.
    pub(super) fn existing_packs(&self) -> impl Iterator<Item = FileId> {
        self.packs
            .iter()
            .filter(|(_, pack)| pack.found.is_some())
            .map(|(id, _)| *id)
    }

    fn place(&self, pack: &IndexedPack, spot: Spot) -> Option<Place> {
        let known = self.packs.get(&pack.id)?;
        let found = known.found?;
        let intact = known.size.is_none_or(|size| u64::from(size) == found)
            && !self.given_up.contains(&pack.id);
        Some(Place {
            pack: pack.id,
            kind: pack.kind,
            spot,
            intact,
        })
    }

    fn load_segments(&mut self, files: &Files) -> Result<(), StoreError> {
        let mut superseded = HashSet::new();
        // The highest level first: what it supersedes need not be opened.
        for name in layout::list::<SegmentName>(files, INDEX)?.into_iter().rev() {
            if superseded.contains(&name) {
                continue;
            }
            match Segment::open(files, &name) {
                Ok(segment) => {
                    superseded.extend(segment.supersedes.iter().copied());
                    self.segments.push((Some(name), segment));
                }
                Err(error) => self.damage.push(error),
            }
        }
        self.segments
            .retain(|(name, _)| name.is_none_or(|name| !superseded.contains(&name)));
        for (_, segment) in &self.segments {
            for pack in &segment.packs {
                self.packs.insert(
                    pack.id,
                    KnownPack {
                        size: Some(pack.size),
                        found: None,
                    },
                );
            }
        }
        Ok(())
    }

    fn load_directories(
        &mut self,
        files: &Files,
        packs: impl Iterator<Item = FileId>,
    ) -> Result<(), StoreError> {
        let mut data = SegmentData::default();
        for id in packs {
            match pack::read_directory(files, &id) {
                Ok((directory, size)) => {
                    if let Some(known) = self.packs.get_mut(&id) {
                        known.size.get_or_insert(size);
                    }
                    let kind = directory.kind;
                    data.add(IndexedPack { id, size, kind }, directory.spots());
                }
                Err(_) if self.given_up.contains(&id) => {}
                Err(error) => self.damage.push(error),
            }
        }
        if !data.packs.is_empty() {
            let segment =
                Segment::from_bytes(data.encode()).expect("what was encoded here can be decoded");
            self.segments.push((None, segment));
        }
        Ok(())
    }
}

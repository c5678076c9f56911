//! What is left of damaged packs, copied to new ones.
//!
//! Invariant: the copies are durable before a record condemns the damaged packs, and nothing is deleted here: a prune does
//! that, after a look at whether anything has come to need them.

use std::collections::{BTreeSet, HashSet};
use std::sync::PoisonError;

use crate::report::{Event, Reporter};
use crate::store::error::StoreError;
use crate::store::frame::MAX_DEPTH;
use crate::store::layout::{self, CONDEMNED, pack_name};
use crate::store::look::Condemned;
use crate::store::view::Place;
use crate::store::{BlobId, FileId, HeadName, SnapshotId, Store, Writer, crypt, look, pack};

/// How a sealed file begins whose format is known.
const SEAL_FORMAT: [u8; 9] = *b"DBSNSEAL\x01";

/// What mending packs and the records of condemned ones has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackRepair {
    /// Records of condemned packs that cannot be believed. They are removed now, and their packs count again.
    pub records: Vec<HeadName>,
    /// Packs that were read.
    pub packs: u64,
    /// Those whose content does not match their name. They are condemned now.
    pub damaged: Vec<FileId>,
    /// Packs that are what their names say, but none of this store: not sealed by its key, or no packs at all. They are
    /// condemned as well.
    pub foreign: Vec<FileId>,
    /// Blobs that could still be read in them, and have a new copy.
    pub saved: u64,
    /// The length of those, uncompressed.
    pub saved_bytes: u64,
    /// Blobs that lay in them and cannot be read there or anywhere else.
    pub lost: Vec<BlobId>,
}

impl Store {
    /// Copies what can be read in damaged packs to new ones, and condemns the damaged ones; removes damaged records of
    /// condemned packs first. With `dry_run` only says what it would do, and reads no packs beside such records.
    pub fn repair_packs(
        &self,
        dry_run: bool,
        reporter: &dyn Reporter,
    ) -> Result<PackRepair, StoreError> {
        self.require_writable()?;
        let mut done = PackRepair {
            records: look::damaged_records(self.files())?,
            ..PackRepair::default()
        };
        if dry_run && !done.records.is_empty() {
            return Ok(done);
        }
        for record in &done.records {
            self.files().remove(&format!("{CONDEMNED}/{record}"))?;
        }
        let store = self.reopened()?;
        store.find_damaged(&mut done, reporter)?;
        if done.damaged.is_empty() && done.foreign.is_empty() {
            return Ok(done);
        }
        let going: Vec<FileId> = [&done.damaged[..], &done.foreign].concat();
        let mut missed = BTreeSet::new();
        let writer = match dry_run {
            true => None,
            false => Some(store.writer()?),
        };
        if let Some(writer) = &writer {
            writer.avoid(going.iter().copied());
        }
        for id in done.damaged.clone() {
            store.save_blobs(&id, writer.as_ref(), &mut done, &mut missed)?;
        }
        if let Some(writer) = writer {
            writer.flush()?;
            let bytes = look::record(&Condemned {
                packs: going,
                is_damage: true,
            });
            let name = HeadName::new(store.files().now()?, SnapshotId::of(&bytes));
            store.files().put(&format!("{CONDEMNED}/{name}"), &bytes)?;
        }
        let lost = missed.into_iter().filter(|id| store.read(id).is_err());
        done.lost = lost.collect();
        Ok(done)
    }

    /// Reads every pack that is not condemned. One that is what its name says was written that way: if this store wrote it,
    /// it is none of those that are mended here, even if it cannot be understood.
    fn find_damaged(
        &self,
        done: &mut PackRepair,
        reporter: &dyn Reporter,
    ) -> Result<(), StoreError> {
        let condemned = look::condemned(self.files())?;
        let mut packs = layout::list_packs(self.files())?;
        packs.retain(|(id, _)| !condemned.contains(id));
        let name = "reading all packs";
        reporter.report(Event::PhaseStarted { name });
        let more = packs.len() as u64;
        reporter.report(Event::Expected { more });
        for (id, bytes) in packs {
            let name = pack_name(&id);
            match self.files().hash(&name) {
                Ok((hash, _)) if hash == id => {
                    if self.is_foreign(&name)? {
                        done.foreign.push(id);
                    }
                }
                Ok(_) => done.damaged.push(id),
                // Somebody has swept it.
                Err(_) if self.files().len_stored(&name)?.is_none() => continue,
                Err(error) => return Err(error),
            }
            done.packs += 1;
            reporter.report(Event::Done { count: 1, bytes });
        }
        reporter.report(Event::PhaseFinished);
        Ok(())
    }

    /// Whether what is named like a pack was never written by this store: a reader has to refuse it, and always will.
    fn is_foreign(&self, name: &str) -> Result<bool, StoreError> {
        match self.files().read_at(name, 0, pack::MAGIC.len()) {
            // It may be of a format to come.
            Ok(start) => return Ok(start != pack::MAGIC),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
        let len = self.files().len_stored(name)?.unwrap_or_default();
        if !self.is_encrypted() || len < SEAL_FORMAT.len() as u64 {
            return Ok(true);
        }
        let mut start = [0; SEAL_FORMAT.len()];
        self.files().fill_stored(name, &mut start)?;
        let is_of_another_format = start.starts_with(crypt::MAGIC) && start != SEAL_FORMAT;
        Ok(!is_of_another_format)
    }

    fn save_blobs(
        &self,
        pack: &FileId,
        writer: Option<&Writer>,
        done: &mut PackRepair,
        missed: &mut BTreeSet<BlobId>,
    ) -> Result<(), StoreError> {
        let reader = &self.0.reader;
        for (id, place) in self.places_in(pack)? {
            let bytes = match reader.read_place(&*self.0, &id, &place, MAX_DEPTH + 1) {
                Ok(bytes) => bytes,
                Err(error) if error.is_damage() => {
                    missed.insert(id);
                    continue;
                }
                // What can only not be read now, or not by this version, is not given up.
                Err(error) => return Err(error),
            };
            if let Some(writer) = writer {
                writer.move_in(place.kind, id, &bytes)?;
            }
            done.saved += 1;
            done.saved_bytes += bytes.len() as u64;
        }
        Ok(())
    }

    /// What a pack holds, by its own directory or else by the index.
    fn places_in(&self, id: &FileId) -> Result<Vec<(BlobId, Place)>, StoreError> {
        let place = |kind, spot| Place {
            pack: *id,
            kind,
            spot,
            intact: true,
        };
        match pack::read_directory(self.files(), id) {
            Ok((directory, _)) => {
                let spots = directory.spots();
                let places = spots.map(|(id, spot)| (id, place(directory.kind, spot)));
                return Ok(places.collect());
            }
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
        let mut known = HashSet::new();
        let mut places = Vec::new();
        let view = self.0.view.read().unwrap_or_else(PoisonError::into_inner);
        for (_, segment) in view.segments() {
            let Some(slot) = segment.packs.iter().position(|pack| pack.id == *id) else {
                continue;
            };
            let kind = segment.packs[slot].kind;
            segment.for_each(|entry| {
                if entry.pack as usize == slot && known.insert((entry.id, entry.spot)) {
                    places.push((entry.id, place(kind, entry.spot)));
                }
            })?;
        }
        places.sort_by_key(|(_, place)| (place.spot.frame_offset, place.spot.blob_offset));
        Ok(places)
    }
}

//! Proving that a store is whole: every file against its name, every blob against its id.
//!
//! Invariant: damage is a value, never an error, and names every blob that is lost by it; one bad file does not keep
//! the others from being looked at.

mod amount;
mod index;
mod packs;
mod small;
mod strangers;
mod verified;

use std::path::Path;
use std::sync::PoisonError;

use chrono::{DateTime, Utc};

use super::backend::Files;
use super::config::Config;
use super::error::{StoreError, corrupt};
use super::id::{BlobId, FileId};
use super::layout::{self, CONDEMNED, CONFIG, INDEX, PENDING, SNAPSHOTS, SegmentName};
use super::{Store, look};
use crate::report::{Reporter, chain};
pub use amount::{Amount, ParseAmountError};
use verified::Verified;

/// What a verification has looked at, and what it has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Packs that were read.
    pub packs: u64,
    /// Packs that there are.
    pub packs_there: u64,
    /// Packs that were never read and found good, by what is remembered.
    pub packs_never_read: u64,
    /// Every other pack was read and found good since then.
    pub read_since: Option<DateTime<Utc>>,
    /// Frames that were decoded.
    pub frames: u64,
    /// Blobs that hash to their ids.
    pub blobs: u64,
    /// Index segments that were read.
    pub segments: u64,
    /// Heads of snapshots that hash to their ids.
    pub heads: u64,
    /// The size of all packs and segments.
    pub stored_bytes: u64,
    /// The length of all blobs that were verified.
    pub raw_bytes: u64,
    /// What is damaged.
    pub problems: Vec<Problem>,
    /// Packs that the index names and that are gone, with what was in them, and what is damaged in packs that are
    /// condemned. Whether anything is lost by it hangs on who needs that, and on whether it lies elsewhere as well.
    pub gone: Vec<Problem>,
    /// Packs with patches that cannot be read because what they are patches on is gone or damaged; again whether anything
    /// is lost by it hangs on who needs them.
    pub hanging: Vec<Problem>,
    /// What is odd but harmless.
    pub notes: Vec<String>,
}

/// A damaged file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, below the root of the store.
    pub file: String,
    /// The blobs that cannot be read because of it, as far as this place is concerned.
    pub blobs: Vec<BlobId>,
    /// What is wrong.
    pub what: String,
    /// It is the system that refuses to read the file; what is in it is not known.
    pub out_of_reach: bool,
}

impl Store {
    /// Reads everything there is and proves that it is what it should be.
    ///
    /// Damage is in the result; an error means that the store could not be looked at. Nothing is remembered.
    pub fn verify(&self, report: &dyn Reporter) -> Result<Verification, StoreError> {
        Ok(self
            .verify_by(Amount::All, DateTime::<Utc>::MAX_UTC, report)?
            .1)
    }

    /// Reads everything but packs, and of those as many as it is told to, and proves that it is what it should be.
    ///
    /// Which packs were read at `now` is remembered in the store, so that others come first the next time.
    pub fn verify_some(
        &self,
        amount: Amount,
        now: DateTime<Utc>,
        report: &dyn Reporter,
    ) -> Result<Verification, StoreError> {
        let (verified, mut found) = self.verify_by(amount, now, report)?;
        let writable = self.require_writable();
        if let Err(error) = writable.and_then(|()| verified.save(self.files(), now)) {
            let why = chain(&error);
            let note = format!("which packs were read is not remembered: {why}");
            found.notes.push(note);
        }
        Ok(found)
    }

    fn verify_by(
        &self,
        amount: Amount,
        now: DateTime<Utc>,
        report: &dyn Reporter,
    ) -> Result<(Verified, Verification), StoreError> {
        // What lies on disk is what counts, not what this store remembers.
        let store = self.reopened()?;
        let mut found = Verification::default();
        check_config(&store, &mut found);
        small::check(&store, &[SNAPSHOTS, PENDING, CONDEMNED], &mut found)?;
        index::check(&store, report, &mut found)?;
        let packs = layout::list_packs(store.files())?;
        let mut verified = Verified::load(store.files(), &packs, now);
        found.notes.extend(verified.notes());
        let chosen = amount.choose(packs.clone(), &verified);
        for (id, is_good) in packs::check(&store, &chosen, report, &mut found) {
            match is_good {
                Some(true) => verified.insert(id, now),
                Some(false) => verified.insert_damaged(id),
                None => {}
            }
        }
        found.packs_there = packs.len() as u64;
        (found.read_since, found.packs_never_read) = verified.oldest(&packs);
        strangers::note(&store, &mut found)?;
        Ok((verified, found))
    }

    /// Packs that an earlier check has read and found damaged, as far as they were there when the store was opened.
    pub fn damage_found_before(&self) -> Result<Vec<Problem>, StoreError> {
        let view = self.0.view.read().unwrap_or_else(PoisonError::into_inner);
        let mut packs: Vec<(FileId, u64)> = view.existing_packs().map(|id| (id, 0)).collect();
        drop(view);
        packs.sort_unstable();
        let verified = Verified::load(self.files(), &packs, DateTime::<Utc>::MAX_UTC);
        packs.retain(|(id, _)| verified.is_damaged(id));
        if packs.is_empty() {
            return Ok(Vec::new());
        }
        // A record that cannot be read condemns nothing.
        let condemned = look::condemned(self.files()).unwrap_or_default();
        packs.retain(|(id, _)| !condemned.contains(id));
        let problems = packs.iter().map(|(id, _)| {
            let path = self.files().path(&layout::pack_name(id));
            let what = "an earlier check read it and found it damaged";
            Problem::new(self.path(), &path, Vec::new(), &corrupt(&path, what))
        });
        Ok(problems.collect())
    }

    /// Whether there are packs, but no index at all.
    pub fn lacks_index(&self) -> Result<bool, StoreError> {
        let segments = layout::list::<SegmentName>(self.files(), INDEX)?;
        Ok(segments.is_empty() && !layout::list_packs(self.files())?.is_empty())
    }

    /// Packs that the index names and that are gone or have another length, without a look into any.
    pub fn misfits(&self) -> Vec<Problem> {
        let view = self.0.view.read().unwrap_or_else(PoisonError::into_inner);
        let misfits = view.misfits().map(|(pack, found, size)| {
            let path = self.files().path(&layout::pack_name(&pack));
            let what = match found {
                None => "the index names this pack, but it is gone".to_owned(),
                Some(found) => format!("it has {found} bytes instead of {size}"),
            };
            Problem::new(self.path(), &path, Vec::new(), &corrupt(&path, what))
        });
        let mut misfits: Vec<Problem> = misfits.collect();
        misfits.sort_by(|a, b| a.file.cmp(&b.file));
        misfits
    }
}

/// What is wrong with the configuration, and what the view of a store says cannot be read; what is gone by now was
/// removed in the meantime.
pub(super) fn damage(store: &Store) -> Vec<Problem> {
    let config = config_damage(store).map(|error| {
        let path = store.path().join(CONFIG);
        Problem::new(store.path(), &path, Vec::new(), &error)
    });
    let view = store.0.view.read().unwrap_or_else(PoisonError::into_inner);
    let damage = view.damage().iter().filter_map(|error| match error {
        StoreError::Corrupt { file, .. } | StoreError::Io { path: file, .. } => {
            let name = layout::relative(store.path(), file);
            let is_there = !matches!(store.files().len_stored(&name), Ok(None));
            is_there.then(|| Problem::new(store.path(), file, Vec::new(), error))
        }
        _ => None,
    });
    config.into_iter().chain(damage).collect()
}

impl Verification {
    /// Nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, root: &Path, file: &Path, blobs: Vec<BlobId>, error: &StoreError) {
        self.problems.push(Problem::new(root, file, blobs, error));
    }
}

impl Problem {
    fn new(root: &Path, file: &Path, blobs: Vec<BlobId>, error: &StoreError) -> Self {
        let what = match error {
            StoreError::Corrupt { file: named, what } if named == file => what.clone(),
            error => chain(error),
        };
        let file = layout::relative(root, file);
        Self {
            file,
            blobs,
            what,
            out_of_reach: error.is_out_of_reach(),
        }
    }
}

fn check_config(store: &Store, found: &mut Verification) {
    if let Some(error) = config_damage(store) {
        found.problem(store.path(), &store.path().join(CONFIG), Vec::new(), &error);
    }
}

fn config_damage(store: &Store) -> Option<StoreError> {
    match Config::load(store.files()) {
        Ok(Some(config)) => match config.fault(store.files()) {
            Ok(fault) => fault,
            Err(error) => Some(error),
        },
        Ok(None) => Some(StoreError::NoStore(store.path().to_owned())),
        Err(error) => Some(error),
    }
}

/// Checks a file against the hash that is its name, and says how long it is.
fn check_hash(files: &Files, name: &str, id: &FileId) -> Result<u64, StoreError> {
    let (hash, len) = files.hash(name)?;
    if hash != *id {
        let what = "the content does not match the name";
        return Err(corrupt(&files.path(name), what));
    }
    Ok(len)
}

//! Encrypted stores: making one, and who can open it.
//!
//! Invariant: an encrypted store has slots before it has anything else, and each of them has been made for a key that
//! somebody has.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::backend::Files;
use super::config::Encryption;
use super::crypt::{Crypt, MasterKey};
use super::error::{IoContext, StoreError};
use super::keys::{NewSlot, Passphrase, Ring, Slot, SlotName, WorkFactor};
use super::layout::README;
use super::lines::LineSeal;
use super::view::View;
use super::{Store, create_config, empty_directory};

pub(super) const README_TEXT: &str = "\
This directory is an encrypted dbsnap store, format 1: snapshots of Databricks workspaces.

Do not change or remove anything in here by hand. Keep a copy of the directory keys/ elsewhere: each file in it opens the
store for one password or one age identity, and without all of them nothing in here can ever be read again.
`dbsnap snapshots --store <this directory>` lists what the store holds, `dbsnap check --read-data` proves that it is
whole. Without dbsnap and without a key at hand: every file in packs/ is named by the BLAKE3 hash of what is in it
(`b3sum` prints it). With a key: `age --decrypt` opens a file in keys/, and FORMAT.md in the source of dbsnap
(src/store/FORMAT.md) says how to read the rest.
";

impl Store {
    /// Creates an encrypted store in a missing or empty directory, which each of the `slots` opens.
    ///
    /// As with [`Store::create`], of several who do that at once one succeeds.
    pub fn create_encrypted(
        path: &Path,
        now: DateTime<Utc>,
        slots: &[NewSlot],
    ) -> Result<Self, StoreError> {
        if slots.is_empty() {
            return Err(StoreError::NoSlot(path.to_owned()));
        }
        let master = MasterKey::generate().when("get random bytes for", path)?;
        Self::create_sealed(empty_directory(path)?, now, &master, slots)
    }

    /// Whether the store is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.crypt.is_some()
    }

    /// What seals files that are kept beside the store.
    pub fn line_seal(&self) -> LineSeal {
        LineSeal(self.0.crypt.clone())
    }

    /// A salt for secrets of this name that only who can open the store knows; none if it is not encrypted. A scratch store
    /// has that of the store below, so that what it gets compares with what is there.
    pub fn salt(&self, name: &str) -> Option<[u8; 32]> {
        match (self.below(), &self.0.crypt) {
            (Some(below), _) => below.salt(name),
            (None, crypt) => crypt.as_ref().map(|crypt| crypt.salt(name)),
        }
    }

    /// The key slots, as far as they show without a key. A store that is not encrypted has none.
    pub fn slots(&self) -> Result<Vec<Slot>, StoreError> {
        self.ring().list()
    }

    /// Lets somebody else open the store.
    pub fn add_slot(&self, slot: &NewSlot) -> Result<SlotName, StoreError> {
        self.ring().add(self.master()?, slot)
    }

    /// Takes a slot away, unless it is the last one.
    ///
    /// Who had a key to it may have kept the master key; only a new store shuts them out.
    pub fn remove_slot(&self, name: &SlotName) -> Result<(), StoreError> {
        self.ring().remove(name)
    }

    /// Puts a new passphrase in the place of an old one.
    pub fn change_passphrase(
        &self,
        old: &Passphrase,
        new: &Passphrase,
        work: WorkFactor,
    ) -> Result<SlotName, StoreError> {
        self.ring().change(old, new, work)
    }

    pub(super) fn create_sealed(
        files: Files,
        now: DateTime<Utc>,
        master: &MasterKey,
        slots: &[NewSlot],
    ) -> Result<Self, StoreError> {
        let config = create_config(&files, now, Encryption::XChaCha20Poly1305)?;
        let ring = Ring {
            files: &files,
            store: &config.id,
        };
        for slot in slots {
            ring.add(master, slot)?;
        }
        files.create(README, README_TEXT.as_bytes())?;
        let crypt = Crypt::new(master.clone());
        let files = files.sealed(crypt.clone());
        Ok(Self::new(files, config, Some(crypt), View::default()))
    }

    fn ring(&self) -> Ring<'_> {
        Ring {
            files: self.files(),
            store: self.id(),
        }
    }

    fn master(&self) -> Result<&MasterKey, StoreError> {
        let crypt = self.0.crypt.as_ref();
        let crypt = crypt.ok_or_else(|| StoreError::NotEncrypted(self.path().to_owned()))?;
        Ok(crypt.master())
    }
}

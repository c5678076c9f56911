//! The slots of one store together.

use std::cell::RefCell;
use std::path::PathBuf;

use super::secret::{Passphrase, Secret};
use super::slot::{self, Lock, MAX_SLOT, NewSlot, Slot, SlotName, WorkFactor};
use crate::store::backend::Files;
use crate::store::crypt::MasterKey;
use crate::store::error::{StoreError, corrupt};
use crate::store::id::FileId;
use crate::store::layout::{self, KEYS};

/// The slots of the store with the id `store`.
pub(in crate::store) struct Ring<'a> {
    pub(in crate::store) files: &'a Files,
    pub(in crate::store) store: &'a str,
}

impl Ring<'_> {
    /// All slots, as far as they show without a key.
    pub(in crate::store) fn list(&self) -> Result<Vec<Slot>, StoreError> {
        let slots = self.read_all()?.into_iter();
        let slots = slots.map(|(name, bytes)| {
            let kind = slot::kind(&bytes);
            Slot { name, kind }
        });
        Ok(slots.collect())
    }

    /// The master key, if one of the secrets opens one of the slots.
    #[cfg(test)]
    pub(in crate::store) fn open(&self, secrets: &[Secret]) -> Result<MasterKey, StoreError> {
        self.open_or_tell(secrets).map_err(|(error, _)| error)
    }

    /// The master key, if one of the secrets opens one of the slots. If it opens only slots of another store, the id of that
    /// is told beside the error: a slot takes about a second to try, so it is tried once.
    pub(in crate::store) fn open_or_tell(
        &self,
        secrets: &[Secret],
    ) -> Result<MasterKey, (StoreError, Option<String>)> {
        let other = RefCell::new(None);
        let own = |slot: &[u8], secret: &Secret| {
            let (store, master) = slot::open_any(slot, secret)?;
            if store == self.store {
                return Some(master);
            }
            other.borrow_mut().get_or_insert(store);
            None
        };
        let opened = self.open_by(secrets, own);
        opened.map_err(|error| (error, other.take()))
    }

    /// The id of the store that the slots are of, if one of the secrets opens one of them.
    pub(in crate::store) fn store_of(&self, secrets: &[Secret]) -> Result<String, StoreError> {
        self.open_by(secrets, slot::store_of)
    }

    fn open_by<T>(
        &self,
        secrets: &[Secret],
        open: impl Fn(&[u8], &Secret) -> Option<T>,
    ) -> Result<T, StoreError> {
        let slots = self.read_all()?;
        if slots.is_empty() {
            return Err(StoreError::NoSlot(self.root()));
        }
        if secrets.is_empty() {
            return Err(StoreError::KeyNeeded(self.root()));
        }
        // Identities first: to try one takes no time.
        let (identities, passphrases): (Vec<&Secret>, Vec<&Secret>) = secrets
            .iter()
            .partition(|secret| matches!(secret, Secret::Identity(_)));
        for secret in identities.into_iter().chain(passphrases) {
            for (_, bytes) in &slots {
                if let Some(opened) = open(bytes, secret) {
                    return Ok(opened);
                }
            }
        }
        Err(self.wrong(&slots))
    }

    /// Makes a slot and opens nothing.
    pub(in crate::store) fn add(
        &self,
        master: &MasterKey,
        new: &NewSlot,
    ) -> Result<SlotName, StoreError> {
        let bytes = new.lock(self.store, master);
        let name = SlotName {
            label: new.label.clone(),
            id: FileId::of(&bytes),
        };
        self.files.put(&file(&name), &bytes)?;
        Ok(name)
    }

    /// Removes a slot, but never the last whole one: nothing opens a damaged one.
    pub(in crate::store) fn remove(&self, name: &SlotName) -> Result<(), StoreError> {
        let bytes = self.files.read(&file(name), MAX_SLOT)?;
        let bytes = bytes.ok_or_else(|| StoreError::MissingSlot(Box::new(name.clone())))?;
        if !self.has_other_than(name)? {
            return Err(StoreError::LastSlot(self.root()));
        }
        self.files.remove(&file(name))?;
        // Somebody may have removed the other one at the same time. Then both come back, which harms nobody.
        if !self.has_other_than(name)? {
            self.files.put(&file(name), &bytes)?;
            return Err(StoreError::LastSlot(self.root()));
        }
        Ok(())
    }

    /// Whether there is a whole slot beside this one.
    fn has_other_than(&self, name: &SlotName) -> Result<bool, StoreError> {
        let slots = self.read_all()?;
        let mut others = slots.iter().filter(|(other, _)| other != name);
        Ok(others.any(|(other, bytes)| FileId::of(bytes) == other.id))
    }

    /// Puts a new passphrase in the place of an old one, in this order: a run that is killed between leaves both.
    pub(in crate::store) fn change(
        &self,
        old: &Passphrase,
        new: &Passphrase,
        work: WorkFactor,
    ) -> Result<SlotName, StoreError> {
        let slots = self.read_all()?;
        let old = Secret::Passphrase(old.clone());
        let opened: Vec<(&SlotName, MasterKey)> = slots
            .iter()
            .filter_map(|(name, bytes)| {
                let master = slot::open(bytes, &old, self.store)?;
                Some((name, master))
            })
            .collect();
        let Some((first, master)) = opened.first() else {
            return Err(self.wrong(&slots));
        };
        let added = self.add(
            master,
            &NewSlot {
                label: first.label.clone(),
                lock: Lock::Passphrase(new.clone(), work),
            },
        )?;
        self.prove(&added, &Secret::Passphrase(new.clone()))?;
        for (name, _) in &opened {
            self.remove(name)?;
        }
        Ok(added)
    }

    /// Opens a slot that was just made, from where it lies.
    fn prove(&self, name: &SlotName, secret: &Secret) -> Result<(), StoreError> {
        let bytes = self.files.read(&file(name), MAX_SLOT)?;
        let bytes = bytes.ok_or_else(|| StoreError::MissingSlot(Box::new(name.clone())))?;
        match slot::open(&bytes, secret, self.store) {
            Some(_) => Ok(()),
            None => Err(corrupt(
                &self.files.path(&file(name)),
                "the slot does not open with what it was made for",
            )),
        }
    }

    fn root(&self) -> PathBuf {
        self.files.root().to_owned()
    }

    fn names(&self) -> Result<Vec<SlotName>, StoreError> {
        layout::list(self.files, KEYS)
    }

    fn read_all(&self) -> Result<Vec<(SlotName, Vec<u8>)>, StoreError> {
        let mut slots = Vec::new();
        for name in self.names()? {
            // One that goes while we look has gone.
            if let Some(bytes) = self.files.read(&file(&name), MAX_SLOT)? {
                slots.push((name, bytes));
            }
        }
        Ok(slots)
    }

    fn wrong(&self, slots: &[(SlotName, Vec<u8>)]) -> StoreError {
        let damaged = slots
            .iter()
            .filter(|(name, bytes)| FileId::of(bytes) != name.id);
        StoreError::WrongKey {
            path: self.root(),
            slots: slots.len(),
            damaged: damaged.count(),
        }
    }
}

fn file(name: &SlotName) -> String {
    format!("{KEYS}/{name}")
}

//! A temporary store layered over another one: reads fall through, writes stay above and go with it.
//!
//! Invariant: nothing that is done to a scratch store changes the store below it.

use std::path::Path;

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::backend::{Files, Local};
use super::crypt::MasterKey;
use super::error::{IoContext, StoreError};
use super::{HeadName, Inner, Store, layout};

/// What a scratch store lies over.
pub(super) struct Layer {
    pub(super) below: Store,
    /// Removed with the last clone of the store.
    _dir: TempDir,
}

impl Store {
    /// Creates a store in a temporary directory that shows everything `below` has beside what it gets itself. Blobs that
    /// are put are looked for in the upper store only, so a few may be in both.
    pub fn scratch(below: &Self, now: DateTime<Utc>) -> Result<Self, StoreError> {
        let dir = tempfile::tempdir().when(
            "make a temporary directory for",
            Path::new("a scratch store"),
        )?;
        let root = dir.path().join("store");
        Local::make_root(&root)?;
        let files = Files::local(&root);
        let Self(inner) = match &below.0.crypt {
            // What may not lie bare in the store may not lie bare beside it. Nobody needs the key later.
            Some(_) => {
                let master = MasterKey::generate().when("get random bytes for", &root)?;
                Self::create_sealed(files, now, &master, &[])?
            }
            None => Self::create_in(files, now)?,
        };
        let layer = Layer {
            below: below.clone(),
            _dir: dir,
        };
        let inner = std::sync::Arc::into_inner(inner).expect("nobody else has the new store yet");
        Ok(Self(std::sync::Arc::new(Inner {
            layer: Some(layer),
            ..inner
        })))
    }

    /// The store below, if this one is a scratch store.
    pub(super) fn below(&self) -> Option<&Self> {
        self.0.layer.as_ref().map(|layer| &layer.below)
    }

    /// The names in a directory of this store and of those below, in order.
    pub(super) fn names(&self, dir: &str) -> Result<Vec<HeadName>, StoreError> {
        let mut names: Vec<HeadName> = layout::list(self.files(), dir)?;
        if let Some(below) = self.below() {
            names.extend(below.names(dir)?);
            names.sort_unstable();
            names.dedup();
        }
        Ok(names)
    }
}

//! All snapshots of a store.
//!
//! Invariant: a head that cannot be read hides no other; it is told with the reason.

use super::{ManifestError, Snapshot};
use crate::store::{HeadName, SnapshotId, Store, StoreError};

/// What a store holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// The snapshots, oldest first.
    pub snapshots: Vec<Listed>,
    /// The heads that could not be read, oldest first.
    pub unreadable: Vec<Unreadable>,
}

impl Listing {
    /// The snapshot that was made of what was left of a damaged one, if any was.
    pub fn repaired_as(&self, damaged: &SnapshotId) -> Option<&HeadName> {
        let repairs = |listed: &&Listed| listed.snapshot.repairs.as_ref() == Some(damaged);
        let repaired = self.snapshots.iter().rev().find(repairs);
        repaired.map(|listed| &listed.name)
    }
}

/// A snapshot and its name in the store.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The name: time and id.
    pub name: HeadName,
    /// What the snapshot says of itself.
    pub snapshot: Snapshot,
}

/// A head that could not be read: damaged, or written by a newer dbsnap.
#[derive(Debug)]
pub struct Unreadable {
    /// The name: time and id.
    pub name: HeadName,
    /// Why it could not be read.
    pub error: ManifestError,
}

/// Reads all heads of a store.
pub fn snapshots(store: &Store) -> Result<Listing, ManifestError> {
    let names = store.heads().map_err(ManifestError::ListHeads)?;
    Ok(read_all(names, |name| read(store, name)))
}

/// Reads the heads of snapshots that were begun but not finished.
pub fn pending(store: &Store) -> Result<Listing, ManifestError> {
    let names = store.pending().map_err(ManifestError::ListHeads)?;
    Ok(read_all(names, |name| {
        let bytes = store
            .read_pending(name)
            .map_err(|source| unread(name, source))?;
        Snapshot::parse(&bytes)
    }))
}

/// Reads one head.
pub fn read(store: &Store, name: &HeadName) -> Result<Snapshot, ManifestError> {
    let bytes = store
        .read_head(name)
        .map_err(|source| unread(name, source))?;
    Snapshot::parse(&bytes)
}

fn unread(name: &HeadName, source: crate::store::StoreError) -> ManifestError {
    ManifestError::ReadHead {
        name: *name,
        source,
    }
}

fn read_all(
    names: Vec<HeadName>,
    read: impl Fn(&HeadName) -> Result<Snapshot, ManifestError>,
) -> Listing {
    let mut listing = Listing::default();
    for name in names {
        match read(&name) {
            Ok(snapshot) => listing.snapshots.push(Listed { name, snapshot }),
            // It was forgotten since it was listed.
            Err(ManifestError::ReadHead {
                source: StoreError::MissingHead(_),
                ..
            }) => {}
            Err(error) => listing.unreadable.push(Unreadable { name, error }),
        }
    }
    listing
}

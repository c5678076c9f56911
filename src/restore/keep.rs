//! The safety snapshot: what was captured into a passing store becomes a snapshot of one that lasts.
//!
//! Invariant: the snapshot is committed only with everything it needs; what the passing store showed of the lasting one is
//! there already, and stays because the new snapshot relies on its parent.

use super::run::Source;
use crate::manifest::{self, ManifestError, Tree, TreeWriter};
use crate::store::{BlobKind, SnapshotId, Store, StoreError};

/// Why something could not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// The store does not take or give something.
    #[error("failed to use the store")]
    Store(#[from] StoreError),
    /// The manifest cannot be copied.
    #[error("failed to copy the manifest")]
    Manifest(#[from] ManifestError),
    /// What was captured builds upon a snapshot that was there then.
    #[error("snapshot {0:.8}, which it builds upon, is not in the store any more")]
    ParentGone(SnapshotId),
}

/// Makes what was captured, over `store` or anywhere else, a snapshot of `store`.
pub(super) fn keep(captured: &Source, store: &Store) -> Result<SnapshotId, KeepError> {
    let writer = store.writer()?;
    let before = match captured.snapshot.parent {
        Some(parent) => {
            let heads = store.heads()?;
            let name = heads.into_iter().find(|name| name.id == parent);
            let name = name.ok_or(KeepError::ParentGone(parent))?;
            writer.rely_on(name);
            Some(Tree::open(store, &manifest::read(store, &name)?.root)?)
        }
        None => None,
    };
    // Opened anew, a scratch store shows only what was written to it, without what lies below.
    let own = captured.store.reopened()?;
    let tree = Tree::open(&captured.store, &captured.snapshot.root)?;
    manifest::require_key(&tree, store)?;
    let mut copy = TreeWriter::new(&writer, before.as_ref());
    for entry in tree.iter() {
        let entry = entry?;
        for payload in entry.payloads() {
            // A list of chunks that cannot be read is none that was captured just now, but an old one that is damaged.
            for blob in payload.blobs(&captured.store).unwrap_or_default() {
                if own.contains(&blob) {
                    writer.put(BlobKind::Data, &captured.store.read(&blob)?, None)?;
                }
            }
        }
        copy.push(&entry)?;
    }
    let mut head = captured.snapshot.clone();
    head.root = copy.finish()?;
    head.store = store.id().to_owned();
    Ok(writer.commit(&head.to_bytes(), head.time)?)
}

//! Everything that a manifest needs to be in the store, for those who check, copy or throw away.
//!
//! Invariant: nothing that a manifest refers to is left out, and a node that was seen before is not visited again.

use super::cursor::{Cursor, Head};
use super::{ManifestError, Tree};
use crate::store::BlobId;

/// A blob that a manifest refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// A node of the manifest.
    Node(BlobId),
    /// Content, a body, permissions, one of their chunks, or a list of chunks.
    Data(BlobId),
}

/// Tells every blob that the tree needs. `mark` answers whether the blob is new to it: what lies below a node that
/// is not new is left out, because it was told before.
pub fn mark(tree: &Tree, mark: &mut dyn FnMut(Marked) -> bool) -> Result<(), ManifestError> {
    let mut cursor = Cursor::new(tree.clone());
    loop {
        match cursor.head()? {
            None => return Ok(()),
            Some(Head::Subtree { child, .. }) => {
                if mark(Marked::Node(child.id)) {
                    cursor.descend()?;
                } else {
                    cursor.advance();
                }
            }
            Some(Head::Entry { .. }) => {
                let entry = tree.entry(&cursor)?;
                for payload in entry.payloads() {
                    for blob in payload.blobs(tree.store())? {
                        mark(Marked::Data(blob));
                    }
                }
                cursor.advance();
            }
        }
    }
}

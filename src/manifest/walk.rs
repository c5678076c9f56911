//! Everything that a manifest needs to be in the store, for those who check, copy or throw away.
//!
//! Invariant: nothing that a manifest refers to is left out, and a node that was seen before is not visited again.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::cursor::{Cursor, Head};
use super::{Entry, ManifestError, Tree};
use crate::resource::ObjectKey;
use crate::store::BlobId;

/// A blob that a manifest refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// The blob: a node, or content, a body, permissions, one of their chunks, or a list of chunks.
    pub blob: BlobId,
    /// Whether it is a node of the manifest.
    pub is_node: bool,
    /// The same for what is stored of one object, and for nodes at one place, in all manifests.
    pub group: u64,
}

/// Tells every blob that the tree needs. `mark` answers whether the blob is new to it: what lies below a node that
/// is not new is left out, because it was told before.
pub fn mark(tree: &Tree, mark: &mut dyn FnMut(Marked) -> bool) -> Result<(), ManifestError> {
    let mut cursor = Cursor::new(tree.clone());
    loop {
        match cursor.head()? {
            None => return Ok(()),
            Some(Head::Subtree {
                child,
                first,
                level,
            }) => {
                let marked = Marked {
                    blob: child.id,
                    is_node: true,
                    group: group(&(first, level)),
                };
                if mark(marked) {
                    cursor.descend()?;
                } else {
                    cursor.advance();
                }
            }
            Some(Head::Entry { node, row }) => {
                let key = group(node.key(row));
                let entry = cursor.take()?;
                for (part, payload) in entry.payloads().enumerate() {
                    for blob in payload.blobs(tree.store())? {
                        mark(Marked {
                            blob,
                            is_node: false,
                            group: key.wrapping_add(part as u64),
                        });
                    }
                }
            }
        }
    }
}

fn group(of: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// What a [`survey`] comes upon.
#[derive(Debug)]
pub enum Surveyed {
    /// An entry.
    Entry(Box<Entry>),
    /// A part of the manifest that cannot be read: the entries from `first` on, and before `end` if there is one.
    Lost {
        /// The first of them, where it is known.
        first: Option<Box<ObjectKey>>,
        /// The first entry that is not among them.
        end: Option<Box<ObjectKey>>,
        /// Why they cannot be read.
        error: Box<ManifestError>,
    },
}

/// Tells all entries of a tree, and which parts of it cannot be read, instead of ending at the first of those. What lies
/// below a node is left out unless `enter` wants it.
pub fn survey(
    tree: &Tree,
    enter: &mut dyn FnMut(&BlobId) -> bool,
    found: &mut dyn FnMut(Surveyed),
) {
    let mut survey = Survey::new(tree);
    while let Some(next) = survey.step(enter) {
        found(next);
    }
}

/// The iterator over all that a [`survey`] comes upon.
pub struct Survey(Cursor);

impl Survey {
    /// Before the first entry of a tree.
    pub fn new(tree: &Tree) -> Self {
        Self(Cursor::new(tree.clone()))
    }

    fn step(&mut self, enter: &mut dyn FnMut(&BlobId) -> bool) -> Option<Surveyed> {
        let cursor = &mut self.0;
        loop {
            let step = match cursor.head() {
                Ok(None) => return None,
                Ok(Some(Head::Subtree { child, .. })) if enter(&child.id) => cursor.descend(),
                Ok(Some(Head::Subtree { .. })) => {
                    cursor.advance();
                    Ok(())
                }
                Ok(Some(Head::Entry { .. })) => match cursor.take() {
                    Ok(entry) => return Some(Surveyed::Entry(Box::new(entry))),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            if let Err(error) = step {
                let first = cursor.head().ok().flatten();
                let first = first.and_then(|head| ObjectKey::from_bytes(head.key()).map(Box::new));
                let end = cursor.end().and_then(ObjectKey::from_bytes).map(Box::new);
                let error = Box::new(error);
                cursor.advance();
                return Some(Surveyed::Lost { first, end, error });
            }
        }
    }
}

impl Iterator for Survey {
    type Item = Surveyed;

    fn next(&mut self) -> Option<Surveyed> {
        self.step(&mut |_| true)
    }
}

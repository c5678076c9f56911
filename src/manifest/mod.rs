//! What a snapshot says: the sorted list of all objects with what is stored of them, and the head above it.
//!
//! Invariant: the same objects give the same manifest, byte for byte, and what could not be read is part of it.
//! This room knows neither HTTP nor how the store lays out its files.
#![doc = include_str!("FORMAT.md")]

mod bytes;
mod changes;
mod column;
mod cursor;
mod dbfs;
mod entry;
mod error;
mod head;
mod ledger;
mod list;
mod node;
mod payload;
mod rows;
mod runs;
mod secrets;
mod select;
mod selection;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tree;
mod walk;
mod write;

pub use changes::{Changes, KeyRange, Pair, changes, changes_and_gaps};
pub use dbfs::DbfsFiles;
pub use entry::{Attributes, Entry, Extent, Gap, LOST, Stored};
pub use error::{ManifestError, NodeError, SelectError};
pub use head::{GapSummary, KindSummary, Root, Snapshot, SpelledGap};
pub use ledger::{Ledger, Record};
pub use list::{Listed, Listing, Unreadable, pending, read, snapshots};
pub use payload::{LONGEST_BLOB, LONGEST_INLINE, Payload};
pub use rows::Totals;
pub use runs::{Artifacts, Runs};
pub use secrets::{SecretContent, require_key};
pub use select::{SnapshotRef, resolve};
pub use selection::{Databases, Selection};
pub use tree::{Entries, Tree};
pub use walk::{Marked, Survey, Surveyed, mark, survey};
pub use write::{TreeWriter, write_tree};

//! Mending what is damaged, beside running backups and without locks.
//!
//! Invariant: what could be read before can be read afterwards, and at every moment between.

pub(super) mod config;
mod index;
mod packs;
mod pending;

pub use config::ConfigRepair;
pub use index::IndexRepair;
pub use packs::PackRepair;
pub use pending::PendingRepair;

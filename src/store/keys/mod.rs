//! Keys: who can open an encrypted store.
//!
//! The master key lies in the store several times, each time locked for somebody: in `keys/` are *slots*, ordinary age
//! files, each for one passphrase or one age recipient. Slots come and go, the master key stays.
//!
//! Invariant: a store never loses its last slot to dbsnap, and a slot that replaces another is there, and has been opened
//! from there, before the other goes.

mod ring;
mod secret;
mod slot;
#[cfg(test)]
mod tests;

pub use secret::{Identity, KeyError, Passphrase, Recipient, Secret};
pub use slot::{Label, Lock, NewSlot, Slot, SlotKind, SlotName, WorkFactor};

pub(super) use ring::Ring;

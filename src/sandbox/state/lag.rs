//! Reads that do not see a write yet.
//!
//! Invariant: with no lag asked for, nothing is remembered and nothing is looked up.

use std::collections::HashMap;

use serde_json::Value;

/// What the first reads after a write still see.
pub(crate) struct Lag {
    reads: u32,
    stale: HashMap<String, (u32, Option<Value>)>,
}

/// What a read finds of the time before a write.
pub(crate) enum Stale {
    /// The object was not there.
    Absent,
    /// The object looked like this.
    Old(Value),
}

impl Lag {
    pub(crate) fn new(reads: u32) -> Lag {
        Lag {
            reads,
            stale: HashMap::new(),
        }
    }

    /// From now on, writes are seen only after so many reads.
    pub(crate) fn set_reads(&mut self, reads: u32) {
        self.reads = reads;
        self.stale.clear();
    }

    pub(crate) fn is_on(&self) -> bool {
        self.reads > 0
    }

    /// Remembers what was there before a write; a write that comes before the last one was seen keeps the older view.
    pub(crate) fn remember(&mut self, key: String, old: Option<Value>) {
        if self.reads > 0 {
            let reads = self.reads;
            self.stale.entry(key).or_insert((reads, old)).0 = reads;
        }
    }

    /// What a read still sees, until enough reads have been made.
    pub(crate) fn look(&mut self, key: &str) -> Option<Stale> {
        let (left, old) = self.stale.get_mut(key)?;
        if *left == 0 {
            self.stale.remove(key);
            return None;
        }
        *left -= 1;
        Some(old.clone().map_or(Stale::Absent, Stale::Old))
    }
}

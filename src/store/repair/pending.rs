//! Damaged intents, beside which no prune deletes anything.
//!
//! Invariant: an intent goes only when nobody can commit by it any more, since until then it is what protects a running
//! backup, whether it can be read or not: a prune that finds one that it cannot read deletes nothing.

use chrono::{DateTime, Utc};

use crate::store::error::StoreError;
use crate::store::layout::PENDING;
use crate::store::writer::PATIENCE;
use crate::store::{HeadName, MAX_HEAD, SnapshotId, Store};

/// What became of damaged intents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingRepair {
    /// Intents that are whole.
    pub whole: u64,
    /// Damaged ones that were removed. What they protected the next backup reads again, where nobody else needs it.
    pub removed: Vec<HeadName>,
    /// Damaged ones that a backup may still commit by, and from when on not.
    pub waiting: Vec<(HeadName, DateTime<Utc>)>,
}

impl Store {
    /// Removes damaged heads of snapshots that were begun and never committed, once nobody can commit them any more. With
    /// `dry_run` only says which those are.
    pub fn repair_pending(&self, dry_run: bool) -> Result<PendingRepair, StoreError> {
        self.require_writable()?;
        let mut done = PendingRepair::default();
        let files = self.files();
        let now = match dry_run {
            // To know the time of the store something has to be written.
            true => None,
            false => Some(files.now()?),
        };
        for file in files.list(PENDING)? {
            let Ok(name) = file.file_name().parse::<HeadName>() else {
                continue;
            };
            match files.read(&file.name, MAX_HEAD) {
                Ok(Some(bytes)) if SnapshotId::of(&bytes) != name.id => {}
                Ok(Some(_)) => {
                    done.whole += 1;
                    continue;
                }
                Ok(None) => continue,
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
            // Whoever finds an intent of that name leaves it for as long as it is younger than a writer's patience.
            let free = file.modified + PATIENCE * 2;
            match now {
                Some(now) if free <= now => {
                    files.remove(&file.name)?;
                    done.removed.push(name);
                }
                _ => done.waiting.push((name, free)),
            }
        }
        Ok(done)
    }
}

//! When each pack was last read as a whole and found good, remembered beside the store from one check to the next.
//!
//! Invariant: nothing hangs on it but which packs a check reads first. A record that is lost, damaged or made up costs
//! an early or a late reading; one from the future counts as none. What was found damaged is read every time, so that
//! nobody hears of it once and never again.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::store::backend::Files;
use crate::store::error::StoreError;
use crate::store::id::{FileId, SnapshotId};
use crate::store::layout::{self, HeadName, VERIFIED};
use crate::store::look::MAX_RECORD;

/// When packs were last read.
#[derive(Debug, Default)]
pub(super) struct Verified {
    times: HashMap<FileId, DateTime<Utc>>,
    damaged: HashSet<FileId>,
    /// The records that this was read from.
    records: Vec<HeadName>,
    /// Those of them that do not hash to their names, of which nothing is believed.
    broken: Vec<HeadName>,
}

/// What stands in a record instead of a time.
const DAMAGED: &str = "damaged";

/// The stored form of a record: times by pack.
#[derive(Serialize, Deserialize)]
struct Record {
    dbsnap: String,
    format: u64,
    packs: HashMap<String, String>,
}

impl Verified {
    /// Puts together what all records say of packs that are there. What cannot be read says nothing.
    pub(super) fn load(files: &Files, packs: &[(FileId, u64)], now: DateTime<Utc>) -> Self {
        let mut verified = Self::default();
        for name in layout::list::<HeadName>(files, VERIFIED).unwrap_or_default() {
            verified.records.push(name);
            let Ok(Some(bytes)) = files.read(&file(&name), MAX_RECORD) else {
                continue;
            };
            match SnapshotId::of(&bytes) == name.id {
                true => verified.learn(&bytes, packs, now),
                false => verified.broken.push(name),
            }
        }
        verified
    }

    /// Takes note of what a record says of these packs. One that cannot be understood says nothing.
    fn learn(&mut self, record: &[u8], packs: &[(FileId, u64)], now: DateTime<Utc>) {
        let Ok(record) = serde_json::from_slice::<Record>(record) else {
            return;
        };
        if record.dbsnap != "verified" || record.format != 1 {
            return;
        }
        for (id, _) in packs {
            let said = record.packs.get(&id.to_string());
            if said.is_some_and(|said| said == DAMAGED) {
                self.damaged.insert(*id);
            }
            let time = said.and_then(|time| DateTime::parse_from_rfc3339(time).ok());
            let time = time.map(|time| time.to_utc()).filter(|time| *time <= now);
            if let Some(time) = time.max(self.when(id)) {
                self.times.insert(*id, time);
            }
        }
    }

    /// What is to be said of records that are damaged. The next one takes their place.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.broken.iter().map(|name| {
            let file = file(name);
            format!("{file} is damaged: what it says of earlier checks is not believed")
        })
    }

    /// When the pack was last read; never is before everything.
    pub(super) fn when(&self, id: &FileId) -> Option<DateTime<Utc>> {
        self.times.get(id).copied()
    }

    /// Notes that a pack was read and is good.
    pub(super) fn insert(&mut self, id: FileId, now: DateTime<Utc>) {
        self.times.insert(id, now);
        self.damaged.remove(&id);
    }

    /// Notes that a pack is damaged.
    pub(super) fn insert_damaged(&mut self, id: FileId) {
        self.times.remove(&id);
        self.damaged.insert(id);
    }

    /// Whether the pack was found damaged.
    pub(super) fn is_damaged(&self, id: &FileId) -> bool {
        self.damaged.contains(id)
    }

    /// Of so many packs the time of the oldest reading, and how many were never read.
    pub(super) fn oldest(&self, packs: &[(FileId, u64)]) -> (Option<DateTime<Utc>>, u64) {
        let times = packs.iter().map(|(id, _)| self.when(id));
        let never = times.clone().filter(Option::is_none).count();
        (times.flatten().min(), never as u64)
    }

    /// Writes one record in the place of those that it was read from. Two checks at once leave two, which the next puts
    /// together.
    pub(super) fn save(&self, files: &Files, now: DateTime<Utc>) -> Result<(), StoreError> {
        let time = |time: &DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let good = self.times.iter().map(|(id, at)| (id, time(at)));
        let damaged = self.damaged.iter().map(|id| (id, DAMAGED.to_owned()));
        let packs = good.chain(damaged);
        let record = Record {
            dbsnap: "verified".into(),
            format: 1,
            packs: packs.map(|(id, said)| (id.to_string(), said)).collect(),
        };
        let bytes = serde_json::to_vec(&record).expect("texts and numbers are JSON");
        let name = HeadName::new(now, SnapshotId::of(&bytes));
        files.put(&file(&name), &bytes)?;
        for old in self.records.iter().filter(|old| **old != name) {
            files.remove(&file(old))?;
        }
        Ok(())
    }
}

fn file(name: &HeadName) -> String {
    format!("{VERIFIED}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fuzz;

    #[test]
    fn fuzzed_records_of_readings_say_nothing_or_a_time_that_is_past() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let packs = [(FileId::of(b"a"), 1), (FileId::of(b"b"), 2)];
        let record = format!(
            r#"{{"dbsnap":"verified","format":1,"packs":{{"{}":"2023-11-14T22:13:20Z","{}":"damaged"}}}}"#,
            packs[0].0, packs[1].0
        );
        let fuzzed = fuzz("records of readings", &[record.into_bytes()], |bytes| {
            let mut verified = Verified::default();
            verified.learn(bytes, &packs, now);
            assert!(packs.iter().all(|(id, _)| verified.when(id) <= Some(now)));
            !verified.times.is_empty() || !verified.damaged.is_empty()
        });
        assert!(fuzzed.accepted > 0);
    }
}

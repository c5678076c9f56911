//! Looking at the snapshots of a store as [`retention`](crate::retention) does, and removing those that do not stay.
//!
//! Invariant: a snapshot whose head or time cannot be read is no candidate, so nothing that decides here forgets it;
//! and only heads are removed. A backup that builds on a snapshot which is being forgotten notices when it commits.

use std::collections::HashMap;

use crate::manifest::{self, ManifestError, Snapshot, Unreadable};
use crate::retention::Candidate;
use crate::store::{HeadName, SnapshotId, Store, StoreError};

/// What there is to decide upon.
#[derive(Debug, Default)]
pub struct Survey {
    /// The snapshots, oldest first.
    pub candidates: Vec<Candidate>,
    /// The snapshots of which too little is known to forget them.
    pub unreadable: Vec<Unreadable>,
}

/// What a removal came to.
#[derive(Debug, Default)]
pub struct Removal {
    /// The snapshots that are gone.
    pub forgotten: Vec<HeadName>,
    /// Those that could not be removed, with the reasons.
    pub failed: Vec<(HeadName, StoreError)>,
}

/// Reads all heads, and when the store got them. `is_safety` tells what a restore captured before it wrote.
pub fn survey(
    store: &Store,
    is_safety: impl Fn(&Snapshot) -> bool,
) -> Result<Survey, ManifestError> {
    let listing = manifest::snapshots(store)?;
    let mut survey = Survey {
        candidates: Vec::new(),
        unreadable: listing.unreadable,
    };
    let repairs = listing.snapshots.iter();
    let repairs = repairs.filter_map(|listed| Some((listed.snapshot.repairs?, listed.name.id)));
    let repairs: HashMap<SnapshotId, SnapshotId> = repairs.collect();
    for listed in &listing.snapshots {
        match store.committed_at(&listed.name) {
            Ok(stored) => {
                let safety = is_safety(&listed.snapshot);
                let mut candidate = Candidate::new(listed, stored, safety);
                candidate.repaired_as = repairs.get(&listed.name.id).copied();
                // Its head says how it was when it was taken.
                candidate.complete &= candidate.repaired_as.is_none();
                survey.candidates.push(candidate);
            }
            // Somebody else has forgotten it since it was listed.
            Err(StoreError::MissingHead(_)) => {}
            Err(source) => survey.unreadable.push(Unreadable {
                name: listed.name,
                error: ManifestError::ReadHead {
                    name: listed.name,
                    source,
                },
            }),
        }
    }
    Ok(survey)
}

/// Removes the heads, one by one; one that cannot be removed stops none of the others.
pub fn remove(store: &Store, names: impl IntoIterator<Item = HeadName>) -> Removal {
    let mut removal = Removal::default();
    let names: Vec<HeadName> = names.into_iter().collect();
    // Who cannot note that leaves a store that is taken for one that has lost its snapshots: no more is lost by it.
    let _ = store.note_forgetting(&names);
    for name in names {
        match store.forget(&name) {
            Ok(()) => removal.forgotten.push(name),
            Err(error) => removal.failed.push((name, error)),
        }
    }
    removal
}

#[cfg(test)]
mod tests {
    use std::fs;

    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::manifest::{Tree, write_tree};

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    /// Commits an empty snapshot with these tags.
    fn commit(store: &Store, second: i64, tags: &[&str]) -> HeadName {
        let writer = store.writer().unwrap();
        let root = write_tree(&writer, [], None).unwrap();
        writer.stage_pending(b"{}", at(0)).unwrap();
        let tree = Tree::open(store, &root).unwrap();
        let mut snapshot = Snapshot::of(&tree, at(second), "https://a").unwrap();
        snapshot.tags = tags.iter().map(ToString::to_string).collect();
        let id = writer.commit(&snapshot.to_bytes(), snapshot.time).unwrap();
        HeadName {
            time: snapshot.time,
            id,
        }
    }

    fn new_store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("store"), at(0)).unwrap();
        (dir, store)
    }

    #[test]
    fn a_survey_tells_what_is_known_and_names_what_cannot_be_read() {
        let (_dir, store) = new_store();
        let first = commit(&store, 1, &["s"]);
        let second = commit(&store, 2, &["keep"]);
        let path = |name: HeadName| store.path().join("snapshots").join(name.to_string());
        let file = fs::File::options().write(true).open(path(first)).unwrap();
        file.set_modified(at(77).into()).unwrap();
        fs::write(path(second), "{}").unwrap();
        let survey = survey(&store, |snapshot| snapshot.tags == ["s"]).unwrap();
        assert_eq!(survey.candidates.len(), 1);
        let candidate = &survey.candidates[0];
        assert_eq!((candidate.name, candidate.stored), (first, at(77)));
        assert_eq!(candidate.workspace, "https://a");
        assert!(candidate.safety && candidate.complete);
        assert_eq!(survey.unreadable.len(), 1);
        assert_eq!(survey.unreadable[0].name, second);
    }

    #[test]
    fn one_head_that_cannot_be_removed_stops_no_other() {
        let (_dir, store) = new_store();
        let names = [1, 2, 3].map(|second| commit(&store, second, &[]));
        // A directory cannot be removed as a file, not even by root.
        let path = store.path().join("snapshots").join(names[1].to_string());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let removal = remove(&store, names);
        assert_eq!(removal.forgotten, [names[0], names[2]]);
        assert_eq!(removal.failed[0].0, names[1]);
        assert!(store.heads().unwrap().is_empty() && path.is_dir());
    }
}

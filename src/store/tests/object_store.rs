//! Backups, prunes and reading on an object store with troubles, beside a model of what has to be there.
//!
//! `DBSNAP_SEEDS=1000 cargo test --release --lib object_store` plays as many histories as you like, `cargo test` a hundred.

use std::collections::BTreeMap;

use super::flaky::{Flaky, LAG, Trouble};
use super::schedule::Random;
use super::*;
use crate::report::Silent;
use crate::store::backend::{Backend, Files, Listed, Memory, Retrying};
use crate::store::crypt::MasterKey;

/// What a snapshot has.
type Blobs = BTreeMap<BlobId, Vec<u8>>;

/// A store, and what has to be in it.
struct World {
    memory: Memory,
    flaky: Flaky,
    random: Random,
    /// Snapshots that are there.
    snapshots: BTreeMap<HeadName, Blobs>,
    /// Snapshots that were there once.
    forgotten: BTreeMap<HeadName, Blobs>,
    is_sealed: bool,
    case: String,
}

impl World {
    fn new(seed: u64) -> Self {
        let memory = Memory::new(at(0));
        let world = Self {
            flaky: Flaky::new(memory.clone(), seed),
            memory,
            random: Random(seed ^ 0x5eed),
            snapshots: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            is_sealed: seed % 4 == 3,
            case: format!("seed {seed}"),
        };
        Store::create_in(world.files(), at(0)).unwrap();
        world
    }

    /// The files as somebody on some machine gets to them.
    fn files(&self) -> Files {
        let clock = self.memory.clone();
        let pause = move |wait| clock.pass(TimeDelta::from_std(wait).unwrap());
        self.sealed(Files::new(
            "bucket",
            Retrying::new(self.flaky.clone(), pause),
        ))
    }

    fn sealed(&self, files: Files) -> Files {
        match self.is_sealed {
            true => files.sealed(Crypt::new(MasterKey::from_bytes(&[7; 32]))),
            false => files,
        }
    }

    fn open(&self) -> Store {
        Store::open_in(self.files(), &[]).unwrap().unwrap()
    }

    fn back_up(&mut self) {
        let store = self.open();
        let writer = store.writer().unwrap();
        let mut blobs = Blobs::new();
        if self.random.below(2) == 0
            && let Some((parent, reused)) = self.snapshots.last_key_value()
        {
            writer.rely_on(*parent);
            for (id, blob) in reused {
                // What a manifest does that shares nodes: it puts only those that are not there.
                if !writer.reuse(id).unwrap() {
                    writer.put(BlobKind::Data, blob, None).unwrap();
                }
            }
            blobs.extend(reused.clone());
        }
        for object in 0..5 {
            let n = self.random.below(6) as u32;
            let blob = edited(&notebook(object + 1, 20), n);
            let base = BlobId::of(&edited(&notebook(object + 1, 20), n + 1));
            let id = writer.put(BlobKind::Data, &blob, Some(&base)).unwrap();
            blobs.insert(id, blob);
        }
        let now = self.memory.now().unwrap();
        let head = format!("{now} {:?}", blobs.keys()).into_bytes();
        let name = HeadName::new(now, SnapshotId::of(&head));
        let done = writer.commit(&head, now);
        assert_eq!(done.ok(), Some(name.id), "{}", self.case);
        self.snapshots.insert(name, blobs);
    }

    fn forget(&mut self) {
        let count = self.snapshots.len() as u64;
        if count > 1 {
            let which = self.random.below(count) as usize;
            let name = *self.snapshots.keys().nth(which).unwrap();
            self.open().forget(&name).unwrap();
            let blobs = self.snapshots.remove(&name).unwrap();
            self.forgotten.insert(name, blobs);
        }
    }

    fn prune(&self) -> Result<(), StoreError> {
        let pruning = self.open().prune(PruneOptions {
            grace: LAG * 4,
            ..PruneOptions::default()
        })?;
        let mut live = Live::default();
        for head in pruning.heads() {
            let blobs = self.snapshots.get(head);
            let blobs = blobs.or_else(|| self.forgotten.get(head)).unwrap();
            for id in blobs.keys() {
                live.add(*id, 0);
            }
        }
        let plan = pruning.plan(&live)?;
        pruning.apply(&plan, &Silent).map(drop)
    }

    /// Everything that was committed is there, and has the bytes it had.
    fn read_all(&self) -> Result<(), StoreError> {
        let store = self.open();
        let heads = store.heads()?;
        for (name, blobs) in &self.snapshots {
            store.read_head(name)?;
            for (id, blob) in blobs {
                assert_eq!(store.read(id)?, *blob, "{}", self.case);
            }
        }
        for name in heads {
            assert!(self.snapshots.contains_key(&name) || self.forgotten.contains_key(&name));
        }
        Ok(())
    }

    /// Does something for which new files have to show, now or when all listings are up to date.
    fn soon(&self, act: impl Fn(&Self) -> Result<(), StoreError>) {
        let Err(error) = act(self) else { return };
        // It has taken a while, too.
        let now = self.memory.now().unwrap();
        let is_new = |file: &Listed| file.modified > now - LAG * 2;
        let files = Files::new("bucket", self.memory.clone());
        let has_new = files.list("").unwrap().iter().any(is_new);
        let is_missing = matches!(error, StoreError::MissingBlob(_));
        assert!(has_new && is_missing, "{}: {error:?}", self.case);
        self.memory.pass(LAG);
        act(self).unwrap_or_else(|error| panic!("{}: {error:?}", self.case));
    }
}

/// Plays one seed, and says which troubles there were.
fn play(seed: u64) -> BTreeMap<Trouble, u64> {
    let mut world = World::new(seed);
    world.back_up();
    for _ in 0..14 {
        match world.random.below(8) {
            0..=2 => world.back_up(),
            3 => world.forget(),
            4 | 5 => world.soon(World::prune),
            6 => world.soon(World::read_all),
            _ => {
                let minutes = [1, 10, 100][world.random.below(3) as usize];
                world.memory.pass(TimeDelta::minutes(minutes));
            }
        }
    }
    world.memory.pass(LAG * 5);
    world.soon(World::read_all);
    world.soon(World::prune);
    world.memory.pass(LAG * 5);
    world.soon(World::prune);
    world.soon(World::read_all);
    // Looked at by daylight, it is a store like any other.
    let files = world.sealed(Files::new("bucket", world.memory.clone()));
    let store = Store::open_in(files, &[]).unwrap().unwrap();
    let found = store.verify(&Silent).unwrap();
    assert_eq!(found.problems, [], "{}", world.case);
    let heads = store.heads().unwrap();
    assert!(world.snapshots.keys().all(|name| heads.contains(name)));
    world.flaky.troubles()
}

#[test]
fn no_trouble_of_an_object_store_loses_anything_or_fails_what_can_be_tried_again() {
    let seeds = std::env::var("DBSNAP_SEEDS").ok();
    let seeds = seeds.map_or(100, |seeds| seeds.parse().unwrap());
    let mut troubles: BTreeMap<Trouble, u64> = BTreeMap::new();
    for seed in 0..seeds {
        for (trouble, count) in play(seed) {
            *troubles.entry(trouble).or_default() += count;
        }
    }
    // All of them must have come, or nothing was tried.
    assert!(
        troubles.len() == 8 && troubles.values().all(|count| *count > seeds),
        "{troubles:?}"
    );
}

#[test]
fn packs_that_no_listing_shows_yet_are_asked_for_by_their_names() {
    let mut world = World::new(1);
    world.flaky = world.flaky.lagging("packs");
    for _ in 0..5 {
        world.back_up();
        world.read_all().unwrap();
    }
}

#[test]
fn a_backup_can_build_on_a_snapshot_that_no_listing_shows_yet() {
    let mut world = World::new(1);
    world.flaky = world.flaky.lagging("snapshots");
    for _ in 0..5 {
        world.back_up();
    }
    assert_eq!(world.open().heads().unwrap(), []);
}

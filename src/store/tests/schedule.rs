//! Writers, prunes and somebody who forgets, all at once on one store, in every order that a seed can think of: each call
//! to the backend waits for its turn, some never return, and no grace is given.
//!
//! `DBSNAP_SEEDS=100000 cargo test --release --lib schedule` runs as many as you like.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::*;
use crate::report::Silent;
use crate::store::backend::{Fate, Files, Memory, Op};

/// A small generator: the orders need to differ, and to be the same again for the same seed.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Waiting,
    Ended,
}

#[derive(Debug)]
struct Actor {
    state: State,
    turns: u32,
    is_dead: bool,
}

/// Whose turn it is.
#[derive(Debug, Default)]
struct Stage {
    actors: Mutex<Vec<Actor>>,
    changed: Condvar,
    /// A pack went or a head came since the last look.
    is_critical: Mutex<bool>,
}

impl Stage {
    /// Waits for a turn; an actor that died never does anything again.
    fn turn(&self, actor: usize, op: Op<'_>) -> Fate {
        let mut actors = self.actors.lock().unwrap();
        loop {
            if actors[actor].is_dead {
                return Fate::Refused(std::io::Error::other("dead"));
            }
            if actors[actor].turns > 0 {
                actors[actor].turns -= 1;
                actors[actor].state = State::Running;
                break;
            }
            actors[actor].state = State::Waiting;
            self.changed.notify_all();
            actors = self.changed.wait(actors).unwrap();
        }
        if let Op::Remove(name) | Op::Put(name) = op {
            *self.is_critical.lock().unwrap() |=
                name.starts_with("packs/") || name.starts_with("snapshots/");
        }
        Fate::Done
    }

    fn end(&self, actor: usize) {
        self.actors.lock().unwrap()[actor].state = State::Ended;
        self.changed.notify_all();
    }

    /// The actors that wait, when all do that have not ended; none when all have.
    fn waiting(&self) -> Vec<usize> {
        let mut actors = self.actors.lock().unwrap();
        loop {
            let running = actors.iter().any(|actor| actor.state == State::Running);
            let waiting = actors.iter().enumerate();
            let waiting = waiting.filter(|(_, actor)| actor.state == State::Waiting);
            let waiting: Vec<usize> = waiting.map(|(index, _)| index).collect();
            if !running {
                return waiting;
            }
            let patience = Duration::from_millis(20);
            let (guard, timeout) = self.changed.wait_timeout(actors, patience).unwrap();
            actors = guard;
            // One thread of an actor may wait while another is at work.
            if timeout.timed_out() && !waiting.is_empty() {
                return waiting;
            }
        }
    }

    fn give(&self, actor: usize, turns: u32, dies: bool) {
        let mut actors = self.actors.lock().unwrap();
        actors[actor].turns = turns;
        actors[actor].is_dead |= dies;
        actors[actor].state = State::Running;
        self.changed.notify_all();
    }
}

/// Version `n` of an object: much like its other versions.
fn version(object: u64, n: u64) -> Vec<u8> {
    let text = format!("object {object} version {n}\n");
    [notebook(object as u32 + 1, 12), text.into_bytes()].concat()
}

fn ids_of(head: &[u8]) -> Vec<BlobId> {
    let text = std::str::from_utf8(head).unwrap();
    text.split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}

fn write(files: Files, random: &mut Random, time: i64) -> Result<(), StoreError> {
    let store = Store::open_in(files, &[])?.unwrap();
    let writer = store.writer()?;
    let mut ids = Vec::new();
    if random.below(2) == 0
        && let Some(parent) = store.heads()?.last()
    {
        // What a manifest does that shares nodes: nobody puts them again.
        let head = store.read_head(parent)?;
        writer.rely_on(*parent);
        ids.extend(ids_of(&head));
    }
    for object in 0..4 {
        if random.below(2) == 0 {
            let n = random.below(4);
            let base = BlobId::of(&version(object, n + 1));
            ids.push(writer.put(BlobKind::Data, &version(object, n), Some(&base))?);
        }
    }
    ids.sort();
    ids.dedup();
    let words: Vec<String> = ids.iter().map(ToString::to_string).collect();
    writer
        .commit(words.join(" ").as_bytes(), at(time))
        .map(drop)
}

fn prune(files: Files, random: &mut Random) -> Result<(), StoreError> {
    let store = Store::open_in(files, &[])?.unwrap();
    let pruning = store.prune(PruneOptions {
        grace: TimeDelta::zero(),
        max_repack: [0, 3_000, u64::MAX][random.below(3) as usize],
        without_snapshots: true,
        without_lost: true,
        now: None,
    })?;
    let mut live = Live::default();
    for head in pruning.heads() {
        match pruning.store().read_head(head) {
            Ok(bytes) => {
                for id in ids_of(&bytes) {
                    live.add(id, 0);
                }
            }
            Err(StoreError::MissingHead(_)) => {}
            Err(error) => return Err(error),
        }
    }
    for (_, bytes) in pruning.intents() {
        for id in ids_of(bytes) {
            live.wish(id, 0);
        }
    }
    let plan = pruning.plan(&live)?;
    pruning.apply(&plan, &Silent).map(drop)
}

fn forget(files: &Files, random: &mut Random) -> Result<(), StoreError> {
    let heads = files.list("snapshots")?;
    if heads.is_empty() {
        return Ok(());
    }
    files.remove(&heads[random.below(heads.len() as u64) as usize].name)
}

fn files(memory: &Memory) -> Files {
    Files::new("memory", memory.clone())
}

/// Every snapshot can be read.
fn assert_whole(memory: &Memory, seed: u64) {
    let store = Store::open_in(files(&memory.copy()), &[]).unwrap().unwrap();
    for head in store.heads().unwrap() {
        for id in ids_of(&store.read_head(&head).unwrap()) {
            let read = store.read(&id);
            assert!(read.is_ok(), "seed {seed}: {read:?}, {:?}", memory.names());
        }
    }
}

/// Plays one seed and says how many actors did what they wanted.
fn play(seed: u64) -> HashMap<&'static str, u32> {
    let mut random = Random(seed);
    let memory = Memory::new(at(0));
    Store::create_in(files(&memory), at(0)).unwrap();
    for time in 1..=2 {
        write(files(&memory), &mut random, time).unwrap();
    }
    let stage = Arc::new(Stage::default());
    let count = 3 + random.below(4) as usize;
    let done = Mutex::new(HashMap::new());
    thread::scope(|scope| {
        let mut kinds = Vec::new();
        for actor in 0..count {
            kinds.push(["write", "write", "prune", "prune", "forget"][random.below(5) as usize]);
            stage.actors.lock().unwrap().push(Actor {
                state: State::Running,
                turns: 0,
                is_dead: false,
            });
            let hook = {
                let stage = Arc::clone(&stage);
                move |op: Op<'_>| stage.turn(actor, op)
            };
            let files = files(&memory.hooked(Arc::new(hook)));
            let mut random = Random(seed ^ ((actor as u64 + 1) << 40));
            let (stage, kind, done) = (Arc::clone(&stage), kinds[actor], &done);
            scope.spawn(move || {
                let result = match kind {
                    "write" => write(files, &mut random, 10 + actor as i64),
                    "prune" => {
                        prune(files.clone(), &mut random).and_then(|()| prune(files, &mut random))
                    }
                    _ => forget(&files, &mut random),
                };
                if result.is_ok() {
                    *done.lock().unwrap().entry(kind).or_default() += 1;
                }
                stage.end(actor);
            });
        }
        loop {
            let waiting = stage.waiting();
            if std::mem::take(&mut *stage.is_critical.lock().unwrap()) {
                assert_whole(&memory, seed);
            }
            if waiting.is_empty() {
                break;
            }
            let actor = waiting[random.below(waiting.len() as u64) as usize];
            let turns = [1, 1, 1, 2, 4, 30][random.below(6) as usize];
            stage.give(actor, turns, random.below(100) == 0);
        }
    });
    assert_whole(&memory, seed);
    // Whatever has happened, the store takes another snapshot and can be pruned, and loses nothing by it.
    write(files(&memory), &mut random, 100).unwrap();
    for _ in 0..3 {
        let pruned = prune(files(&memory), &mut random);
        assert!(pruned.is_ok(), "seed {seed}: {pruned:?}");
        assert_whole(&memory, seed);
    }
    done.into_inner().unwrap()
}

#[test]
fn no_order_of_backups_prunes_and_kills_leaves_a_snapshot_without_its_blobs() {
    let seeds = std::env::var("DBSNAP_SEEDS").ok();
    let seeds = seeds.map_or(300, |seeds| seeds.parse().unwrap());
    let mut done = HashMap::new();
    for seed in 0..seeds {
        for (kind, count) in play(seed) {
            *done.entry(kind).or_insert(0_u64) += u64::from(count);
        }
    }
    // Most of them must get through, or nothing was tried.
    assert!(
        done["write"] > seeds && done["prune"] > seeds / 2,
        "{done:?}"
    );
}

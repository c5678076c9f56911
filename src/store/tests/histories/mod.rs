//! Random histories of two stores against a naive model of them: imports, prunes without grace, copies, losses of the
//! index, and beside all that one run that stands still at some call to the store, goes on a little, and finishes or
//! dies. After every step each snapshot is there that should be, and says what its directory held.
//!
//! `DBSNAP_SEEDS=10000 cargo test --release --lib histories` runs as many as you like, `DBSNAP_FIRST_SEED` says from where
//! on. A history that fails is shortened for as long as it fails, and told step by step with its seed.

mod beside;
mod gate;
mod shelf;
mod source;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use gate::Until;
use source::{Edit, edit};
use world::World;

/// So many on the average.
const STEPS: usize = 30;

/// Something that is done to one of two stores, or by the run that stands still.
#[derive(Clone, Debug)]
enum Step {
    /// Some files are edited, and the directory is imported.
    Import {
        shelf: usize,
        edits: Vec<Edit>,
        how: How,
    },
    Forget {
        shelf: usize,
        which: Which,
    },
    /// Once, or often enough for a pack to go that nobody needs.
    Prune {
        shelf: usize,
        max_repack: u64,
        times: u32,
    },
    /// Into the other store.
    Copy {
        from: usize,
        which: Which,
    },
    Export {
        shelf: usize,
        which: Which,
    },
    /// A file of the index is lost, and the index is made anew.
    Repair {
        shelf: usize,
        lost: Option<Index>,
    },
    Check {
        shelf: usize,
    },
    Pass {
        hours: i64,
    },
    /// A run begins, and stands still somewhere.
    Begin {
        shelf: usize,
        errand: Errand,
        until: Until,
    },
    /// It goes on to somewhere else.
    GoOn {
        until: Until,
    },
    Kill {
        is_torn: bool,
    },
}

/// Some snapshots of a store.
#[derive(Clone, Copy, Debug)]
enum Which {
    One(Index),
    Newest,
    All,
}

/// What the run beside the others is doing.
#[derive(Clone, Debug)]
enum Errand {
    Import { edits: Vec<Edit>, how: How },
    Prune { max_repack: u64 },
    Copy,
}

/// How a directory is imported.
#[derive(Clone, Copy, Debug)]
struct How {
    full: bool,
    /// By its clock the files have been as they are for long; otherwise they are from the future.
    is_settled: bool,
}

fn how() -> impl Strategy<Value = How> {
    (prop::bool::weighted(0.15), prop::bool::weighted(0.85))
        .prop_map(|(full, is_settled)| How { full, is_settled })
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(edit(), 0..5)
}

fn budget() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![0, 3_000, u64::MAX])
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        4 => any::<Index>().prop_map(Which::One),
        3 => Just(Which::Newest),
        1 => Just(Which::All),
    ]
}

/// Any call, and often one that begins a step of a commit or of a prune.
fn until(changes: &[&'static str]) -> impl Strategy<Value = Until> + use<> {
    prop_oneof![
        1 => (1..40_usize).prop_map(Until::Calls),
        2 => prop::sample::select(changes.to_vec()).prop_map(Until::Change),
    ]
}

const COMMIT: [&str; 4] = ["packs/", "index/", "pending/", "snapshots/"];
const PRUNE: [&str; 3] = ["packs/", "index/", "condemned/"];

fn begin() -> impl Strategy<Value = Step> {
    let import = (edits(), how()).prop_map(|(edits, how)| Errand::Import { edits, how });
    let prune = budget().prop_map(|max_repack| Errand::Prune { max_repack });
    let errand = prop_oneof![
        4 => (import, until(&COMMIT)),
        2 => (prune, until(&PRUNE)),
        1 => (Just(Errand::Copy), until(&COMMIT)),
    ];
    (shelf(), errand).prop_map(|(shelf, (errand, until))| Step::Begin {
        shelf,
        errand,
        until,
    })
}

/// Most happens in one of the two stores, so that more happens at once.
fn shelf() -> impl Strategy<Value = usize> {
    prop::bool::weighted(0.2).prop_map(usize::from)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (shelf(), edits(), how()).prop_map(|(shelf, edits, how)| Step::Import { shelf, edits, how }),
        4 => (shelf(), which()).prop_map(|(shelf, which)| Step::Forget { shelf, which }),
        6 => (shelf(), budget(), 1..3_u32)
            .prop_map(|(shelf, max_repack, times)| Step::Prune { shelf, max_repack, times }),
        2 => (shelf(), which()).prop_map(|(from, which)| Step::Copy { from, which }),
        1 => (shelf(), which()).prop_map(|(shelf, which)| Step::Export { shelf, which }),
        1 => (shelf(), any::<Option<Index>>()).prop_map(|(shelf, lost)| Step::Repair { shelf, lost }),
        1 => shelf().prop_map(|shelf| Step::Check { shelf }),
        1 => prop::sample::select(vec![1, 23, 25, 31 * 24]).prop_map(|hours| Step::Pass { hours }),
        6 => begin(),
        3 => until(&COMMIT).prop_map(|until| Step::GoOn { until }),
        1 => Just(Step::GoOn { until: Until::End }),
        1 => any::<bool>().prop_map(|is_torn| Step::Kill { is_torn }),
    ]
}

/// What was done how often, so that a test which tries nothing is seen.
type Tally = BTreeMap<&'static str, u64>;

fn play(steps: &[Step], is_sealed: bool, tally: &RefCell<Tally>) {
    let mut world = World::new(is_sealed);
    for step in steps {
        world.step(step);
        world.look();
    }
    world.end();
    for (what, count) in world.tally() {
        *tally.borrow_mut().entry(what).or_default() += count;
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn every_snapshot_of_any_history_says_what_its_directory_held() {
    let first = number("DBSNAP_FIRST_SEED").unwrap_or(0);
    let seeds = number("DBSNAP_SEEDS").unwrap_or(200);
    let tally = RefCell::new(Tally::new());
    for seed in first..first + seeds {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config {
            cases: 1,
            failure_persistence: None,
            max_shrink_iters: 1_000,
            max_shrink_time: 60_000,
            ..Config::default()
        };
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let history = (
            prop::collection::vec(step(), 1..2 * STEPS),
            prop::bool::weighted(0.25),
        );
        let result =
            TestRunner::new_with_rng(config, random).run(&history, |(steps, is_sealed)| {
                play(&steps, is_sealed, &tally);
                Ok(())
            });
        assert!(result.is_ok(), "seed {seed}: {}", result.unwrap_err());
    }
    let tally = tally.into_inner();
    // Most of them must get through, or nothing was tried.
    for (what, least) in [
        ("import", 600),
        ("prune", 600),
        ("pack swept", 600),
        ("import beside", 30),
    ] {
        let count = tally.get(what).copied().unwrap_or(0);
        assert!(
            count >= least * seeds / 100,
            "{what}: {count} of {tally:#?}"
        );
    }
}

//! Losing the power at every step of whatever writes. A fake disk under the real [`Local`] keeps what was synced, file
//! contents and names each for themselves; of the rest any part may be left.
//!
//! Of up to 12 things that may be lost, every subset is one case, else 200 subsets are. `cargo test` tries a hundred cases
//! of each kind, and `DBSNAP_POWER_CUTS=all cargo test --release --lib power_cut` all of them.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::crash::{assert_well_in, backup, sealed_if_asked, version};
use super::prune::{NOW, prune};
use super::schedule::Random;
use super::*;
use crate::report::Silent;
use crate::store::backend::{FakeDisk, Files, Image, Lie, Local, Moment};

pub(super) const ROOT: &str = "/disk/store";
/// Of so many things every subset is a case.
const MOST_PENDING: usize = 12;
/// So many cases are tried if nobody asks for all.
const FEW_CASES: usize = 100;
const SUBSETS: u64 = 200;

pub(super) fn files(disk: &FakeDisk) -> Files {
    sealed_if_asked(Files::new(ROOT, Local::on(disk.clone(), Path::new(ROOT))))
}

pub(super) fn open(disk: &FakeDisk) -> Result<Store, StoreError> {
    Ok(Store::open_in(files(disk), &[])?.expect("there is a store on the disk"))
}

/// A disk with a store that has these snapshots.
pub(super) fn disk_with(versions: &[u32]) -> FakeDisk {
    let disk = FakeDisk::new(Path::new(ROOT), at(0));
    let store = Store::create_in(files(&disk), at(0)).unwrap();
    for &n in versions {
        backup(&store, n).unwrap();
    }
    FakeDisk::from_image(disk.image(), at(1))
}

pub(super) fn forget(disk: &FakeDisk, n: u32) -> Result<(), StoreError> {
    let store = open(disk)?;
    let heads = store.heads()?;
    let head = heads
        .iter()
        .find(|head| head.time == at(n.into()))
        .expect("the snapshot is there");
    store.forget(head)
}

/// Cuts a pack short that has something which only the snapshot 2 has, and a segment that does not name it.
pub(super) fn damage(disk: &FakeDisk) {
    let files = files(disk);
    let store = open(disk).unwrap();
    let pack = store.0.places(&BlobId::of(&version(2)[2])).unwrap()[0].pack;
    let is_other = |name: &layout::SegmentName| {
        let segment = index::Segment::open(&files, name).unwrap();
        segment.packs.iter().all(|named| named.id != pack)
    };
    let mut segments = layout::list(&files, layout::INDEX).unwrap().into_iter();
    let segment = layout::segment_name(&segments.find(is_other).unwrap());
    for name in [layout::pack_name(&pack), segment] {
        let whole = files.read(&name, 1 << 20).unwrap().unwrap();
        files.put(&name, &whole[..whole.len() - 10]).unwrap();
    }
}

/// What may be on the disk after the power has gone at one of these moments, each only once, with the moment.
fn survivors(moments: &[Moment]) -> Vec<(usize, Image)> {
    let mut random = Random(1);
    let mut seen = HashSet::new();
    let mut survivors = Vec::new();
    for (step, moment) in moments.iter().enumerate() {
        let pending = moment.pending();
        let subsets: Vec<u64> = match pending <= MOST_PENDING {
            true => (0..1 << pending).collect(),
            false => {
                let mut any = || random.below(1 << 31) << 31 | random.below(1 << 31);
                (0..SUBSETS).map(|_| any()).collect()
            }
        };
        for subset in subsets {
            let image = moment.survivor(|number| subset >> (number % 62) & 1 == 1);
            if seen.insert(image.hash()) {
                survivors.push((step, image));
            }
        }
    }
    survivors
}

/// The snapshots that can be found, all of which must be whole.
fn found(image: &Image) -> Result<HashSet<u32>, String> {
    let disk = FakeDisk::from_image(image.clone(), at(50));
    let store = Store::open_in(files(&disk), &[]).map_err(|error| error.to_string())?;
    let store = store.ok_or("there is no store")?;
    let mut versions = HashSet::new();
    for head in store.heads().map_err(|error| error.to_string())? {
        let text = store.read_head(&head).map_err(|error| error.to_string())?;
        let text = String::from_utf8(text).map_err(|error| error.to_string())?;
        let n = text.split(' ').next().and_then(|n| n.parse().ok());
        let n = n.ok_or("a head says something else")?;
        for blob in version(n) {
            let read = store.read(&BlobId::of(&blob));
            match read.map_err(|error| format!("snapshot {n}: {error}"))? == blob {
                true => {}
                false => return Err(format!("snapshot {n} has other bytes")),
            }
        }
        versions.insert(n);
    }
    Ok(versions)
}

/// What has to be after a power cut.
struct Expected<'a> {
    /// These snapshots are there.
    kept: &'a [u32],
    /// These are not.
    gone: &'a [u32],
    /// What somebody does again who was interrupted.
    again: &'a dyn Fn(&Store),
}

impl Expected<'_> {
    const fn kept(kept: &[u32]) -> Expected<'_> {
        Expected {
            kept,
            gone: &[],
            again: &|_| {},
        }
    }

    fn check(&self, moments: &[Moment], what: &str) {
        let survivors = survivors(moments);
        let stride = match std::env::var("DBSNAP_POWER_CUTS").as_deref() {
            Ok("all") => 1,
            _ => survivors.len().div_ceil(FEW_CASES),
        };
        for (step, image) in survivors.into_iter().step_by(stride) {
            let case = format!("{what}, power cut at step {step} of {}", moments.len());
            let found = found(&image).unwrap_or_else(|why| panic!("{case}: {why}"));
            let is_kept = self.kept.iter().all(|n| found.contains(n));
            let is_gone = !self.gone.iter().any(|n| found.contains(n));
            assert!(is_kept && is_gone, "{case}: {found:?}");
            let disk = FakeDisk::from_image(image, at(50));
            (self.again)(&open(&disk).unwrap());
            assert_well_in(&files(&disk), &case);
            prune(&open(&disk).unwrap(), NOW).unwrap();
            let left = disk.image();
            let mut names = left.files().map(|(path, _)| path.display().to_string());
            assert!(names.all(|name| !name.contains(".tmp-")), "{case}");
        }
    }
}

/// The moments of what is done to a disk, and the one when it has been done.
fn moments(disk: &FakeDisk, act: impl FnOnce(&FakeDisk)) -> (Vec<Moment>, Moment) {
    disk.take_moments();
    act(disk);
    let moments = disk.take_moments();
    let last = moments.last().cloned().unwrap();
    (moments, last)
}

#[test]
pub(super) fn a_backup_loses_nothing_when_the_power_goes_at_any_step() {
    let disk = disk_with(&[1]);
    let (moments, last) = moments(&disk, |disk| {
        backup(&open(disk).unwrap(), 2).unwrap();
    });
    assert!(moments.len() > 40, "{} steps", moments.len());
    Expected::kept(&[1]).check(&moments, "backup");
    Expected::kept(&[1, 2]).check(&[last], "after the backup");
}

#[test]
fn what_is_forgotten_is_forgotten_for_good_and_nothing_else_is() {
    let disk = disk_with(&[1, 2]);
    let (moments, last) = moments(&disk, |disk| forget(disk, 1).unwrap());
    Expected::kept(&[2]).check(&moments, "forget");
    let forgotten = Expected {
        gone: &[1],
        ..Expected::kept(&[2])
    };
    forgotten.check(&[last], "after the forget");
}

#[test]
pub(super) fn a_prune_loses_nothing_when_the_power_goes_at_any_step() {
    let disk = disk_with(&[1, 2, 3, 4, 5, 6, 7]);
    for n in [1, 3, 4, 6, 7] {
        forget(&disk, n).unwrap();
    }
    for round in 1..=2 {
        let (moments, last) = moments(&disk, |disk| {
            prune(&open(disk).unwrap(), NOW).unwrap();
        });
        assert!(moments.len() > 10, "{} steps", moments.len());
        Expected::kept(&[2, 5]).check(&moments, &format!("prune {round}"));
        Expected::kept(&[2, 5]).check(&[last], &format!("after prune {round}"));
    }
}

#[test]
fn a_repair_loses_nothing_when_the_power_goes_at_any_step() {
    let repair = |store: &Store| {
        store.repair_index(false, &Silent).unwrap();
        store.repair_packs(false, &Silent).unwrap();
    };
    let disk = disk_with(&[1, 2, 3]);
    damage(&disk);
    let (moments, _) = moments(&disk, |disk| repair(&open(disk).unwrap()));
    assert!(moments.len() > 20, "{} steps", moments.len());
    let repaired = Expected {
        again: &repair,
        ..Expected::kept(&[1, 2, 3])
    };
    repaired.check(&moments, "repair");
}

#[test]
fn creating_a_store_can_be_done_again_when_the_power_goes_at_any_step() {
    let disk = FakeDisk::new(Path::new(ROOT), at(0));
    let (moments, last) = moments(&disk, |disk| {
        Store::create_in(files(disk), at(0)).unwrap();
    });
    for (_, image) in survivors(&moments) {
        let disk = FakeDisk::from_image(image, at(1));
        if Store::open_in(files(&disk), &[]).unwrap().is_none() {
            Store::create_in(files(&disk), at(0)).unwrap();
        }
        assert_well_in(&files(&disk), "creation");
    }
    Expected::kept(&[]).check(&[last], "after the creation");
}

/// The same disk for a process that is killed before its change of this number.
fn killed(disk: &FakeDisk, at: usize) -> (FakeDisk, Arc<AtomicUsize>) {
    let changes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&changes);
    let mortal = disk.failing(Arc::new(move |act| {
        let is_alive = match act.changes() {
            true => count.fetch_add(1, Ordering::SeqCst) < at,
            false => count.load(Ordering::SeqCst) <= at,
        };
        match is_alive {
            true => Ok(()),
            false => Err(io::Error::other("dead")),
        }
    }));
    (mortal, changes)
}

/// Somebody is killed at every step, others go on, and then the power goes: what the others finished stays, though it
/// rests on what the one who was killed had left unsynced.
fn kill_go_on_and_cut(
    versions: &[u32],
    first: impl Fn(&FakeDisk) -> Result<(), StoreError>,
    others: impl Fn(&FakeDisk),
    expected: &Expected<'_>,
) {
    let before = disk_with(versions).image();
    for number in 0.. {
        let disk = FakeDisk::from_image(before.clone(), at(1));
        let (mortal, changes) = killed(&disk, number);
        let done = first(&mortal);
        if changes.load(Ordering::SeqCst) <= number {
            assert!(done.is_ok() && number > 1, "{number} steps");
            return;
        }
        others(&disk);
        let moment = disk.take_moments().pop().unwrap();
        let what = format!("killed at step {number}, and more done");
        expected.check(&[moment], &what);
    }
}

#[test]
fn a_backup_can_rest_on_what_a_killed_one_had_not_synced() {
    kill_go_on_and_cut(
        &[1],
        |disk| backup(&open(disk)?, 2).map(drop),
        |disk| {
            // The same again, so that whatever is there is relied on.
            backup(&open(disk).unwrap(), 2).unwrap();
        },
        &Expected::kept(&[1, 2]),
    );
}

#[test]
fn a_backup_can_rest_on_directories_that_a_killed_one_had_not_synced() {
    kill_go_on_and_cut(
        &[],
        |disk| backup(&open(disk)?, 1).map(drop),
        |disk| {
            backup(&open(disk).unwrap(), 2).unwrap();
        },
        &Expected::kept(&[2]),
    );
}

#[test]
fn a_new_index_can_rest_on_what_a_killed_backup_had_not_synced() {
    kill_go_on_and_cut(
        &[1],
        |disk| backup(&open(disk)?, 2).map(drop),
        |disk| {
            let store = open(disk).unwrap();
            store.repair_index(false, &Silent).unwrap();
            backup(&open(disk).unwrap(), 2).unwrap();
        },
        &Expected::kept(&[1, 2]),
    );
}

#[test]
fn a_prune_can_rest_on_what_a_killed_backup_had_not_synced() {
    kill_go_on_and_cut(
        &[1, 2],
        |disk| {
            // A second copy of everything, so that a prune may choose which of them stays.
            let store = open(disk)?;
            let writer = store.writer()?;
            for blob in version(1).iter().chain(&version(2)) {
                writer.move_in(BlobKind::Data, BlobId::of(blob), blob)?;
            }
            writer.stage_pending(b"1 copies", at(9)).map(drop)
        },
        |disk| {
            for _ in 0..2 {
                prune(&open(disk).unwrap(), NOW).unwrap();
            }
        },
        &Expected::kept(&[1, 2]),
    );
}

#[test]
fn a_prune_frees_nothing_that_a_killed_forget_had_not_forgotten_for_good() {
    kill_go_on_and_cut(
        &[1, 2],
        |disk| forget(disk, 2),
        |disk| {
            for _ in 0..2 {
                prune(&open(disk).unwrap(), NOW).unwrap();
            }
        },
        &Expected::kept(&[1]),
    );
}

#[test]
fn forgetting_what_a_killed_forget_has_removed_makes_that_last() {
    kill_go_on_and_cut(
        &[1, 2],
        |disk| forget(disk, 1),
        |disk| {
            let ids: Vec<BlobId> = version(1).iter().map(|blob| BlobId::of(blob)).collect();
            let id = SnapshotId::of(format!("1 {ids:?}").as_bytes());
            let store = open(disk).unwrap();
            store.forget(&HeadName::new(at(1), id)).unwrap();
        },
        &Expected {
            gone: &[1],
            ..Expected::kept(&[2])
        },
    );
}

#[test]
fn a_disk_that_only_says_that_it_synced_does_lose_snapshots_here() {
    for lie in [Lie::Files, Lie::Dirs] {
        let disk = disk_with(&[1]);
        let (_, last) = moments(&disk, |disk| {
            backup(&open(&disk.lying(lie)).unwrap(), 2).unwrap();
        });
        let lost = survivors(&[last]).into_iter().filter(|(_, image)| {
            let found = found(image);
            !found.is_ok_and(|found| found.contains(&1) && found.contains(&2))
        });
        assert!(lost.count() > 10, "{lie:?}");
    }
}

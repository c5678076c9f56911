//! Disks that are full, broken or read-only, under the real [`Local`], while something is written: the error is clean,
//! nothing that was there is lost, no room is wasted, and on a mended disk it works.
//!
//! `cargo test` lets a part of the calls fail, `DBSNAP_FAULTS=all cargo test --release --lib disk_faults` every one.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::crash::{assert_well_in, backup};
use super::power_cut::{ROOT, damage, disk_with, files, forget, open};
use super::prune::{NOW, prune};
use super::*;
use crate::report::Silent;
use crate::store::backend::{Act, FakeDisk, Fault, Image};

const EIO: i32 = 5;
const EMFILE: i32 = 24;
const EROFS: i32 = 30;

/// Something that writes to a store.
struct Job {
    name: &'static str,
    before: Image,
    run: fn(&FakeDisk) -> Result<(), StoreError>,
}

fn repair(disk: &FakeDisk) -> Result<(), StoreError> {
    let store = open(disk)?;
    store.repair_index(false, &Silent)?;
    store.repair_packs(false, &Silent).map(drop)
}

fn jobs() -> Vec<Job> {
    let to_prune = disk_with(&[1, 2, 3, 4, 5]);
    for n in [1, 4, 5] {
        forget(&to_prune, n).unwrap();
    }
    let run: fn(&FakeDisk) -> _ = |disk| prune(&open(disk)?, NOW).map(drop);
    let condemn = Job {
        name: "first prune",
        before: to_prune.image(),
        run,
    };
    run(&to_prune).unwrap();
    let to_repair = disk_with(&[1, 2]);
    damage(&to_repair);
    vec![
        Job {
            name: "backup",
            before: disk_with(&[1]).image(),
            run: |disk| backup(&open(disk)?, 2).map(drop),
        },
        Job {
            name: "forget",
            before: disk_with(&[1, 2]).image(),
            run: |disk| forget(disk, 1),
        },
        condemn,
        Job {
            name: "second prune",
            before: to_prune.image(),
            run,
        },
        Job {
            name: "repair",
            before: to_repair.image(),
            run: repair,
        },
    ]
}

impl Job {
    fn disk(&self) -> FakeDisk {
        FakeDisk::from_image(self.before.clone(), at(50))
    }

    /// On a disk that is in order again, all is well, also after a power cut right then, and the job can be done.
    fn assert_mends(&self, disk: &FakeDisk, case: &str) {
        let moment = disk.take_moments().pop().unwrap();
        let images = [
            disk.image(),
            moment.survivor(|_| true),
            moment.survivor(|_| false),
        ];
        let mut seen = BTreeSet::new();
        for image in images {
            if !seen.insert(*image.hash().as_bytes()) {
                continue;
            }
            let disk = FakeDisk::from_image(image, at(60));
            if self.name != "forget" || open(&disk).unwrap().heads().unwrap().len() == 2 {
                (self.run)(&disk).unwrap_or_else(|error| panic!("{case}: {error:?}"));
            }
            assert_well_in(&files(&disk), case);
            prune(&open(&disk).unwrap(), NOW).unwrap();
            assert_eq!(unfinished(&disk), 0, "{case}");
        }
    }

    /// How many calls it makes on a disk in order.
    fn calls(&self) -> usize {
        let (disk, calls) = failing(&self.disk(), |_, _| None);
        (self.run)(&disk).unwrap();
        calls.load(Ordering::SeqCst)
    }
}

fn unfinished(disk: &FakeDisk) -> usize {
    let image = disk.image();
    let names = image
        .files()
        .map(|(path, _)| path.to_string_lossy().into_owned());
    names.filter(|name| name.contains(".tmp-")).count()
}

/// The error says which file, why, and what to do.
fn assert_clean(error: &StoreError, code: i32, case: &str) {
    let StoreError::Io { path, source, .. } = error else {
        panic!("{case}: {error:?}");
    };
    assert!(path.starts_with(ROOT), "{case}: {path:?}");
    let is_named = error.to_string().contains(&path.display().to_string());
    assert!(is_named && error.source().is_some(), "{case}: {error}");
    assert_eq!(source.raw_os_error(), Some(code), "{case}: {error:?}");
    assert!(error.hint().is_some(), "{case}: {error:?}");
}

/// A disk where a call fails with what this makes of it and its number.
fn failing(
    disk: &FakeDisk,
    fails: impl Fn(Act<'_>, usize) -> Option<i32> + Send + Sync + 'static,
) -> (FakeDisk, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let fault: Fault = Arc::new(move |act| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        match fails(act, number) {
            Some(code) => Err(io::Error::from_raw_os_error(code)),
            None => Ok(()),
        }
    });
    (disk.failing(fault), calls)
}

/// Some of so many, or all if that was asked for.
fn some(count: usize, few: usize) -> impl Iterator<Item = usize> {
    let stride = match std::env::var("DBSNAP_FAULTS").as_deref() {
        Ok("all") => 1,
        _ => count.div_ceil(few).max(1),
    };
    (0..count).step_by(stride)
}

#[test]
fn a_disk_that_is_full_at_any_byte_loses_nothing_and_gets_its_room_back() {
    for job in jobs() {
        let disk = job.disk();
        (job.run)(&disk).unwrap();
        let mut positions = BTreeSet::new();
        let mut written = 0;
        for len in disk.writes() {
            let inside = [0, 1, len / 2, len - 1];
            positions.extend(inside.map(|inside| written + inside));
            written += len;
        }
        positions.extend((0..50).map(|n| written * n / 50));
        let positions = Vec::from_iter(positions);
        let mut full = 0;
        for index in some(positions.len(), 40) {
            let room = positions[index];
            let case = format!("{}, room for {room} of {written} bytes", job.name);
            let disk = job.disk();
            disk.set_room(Some(room));
            let done = (job.run)(&disk);
            if let Err(error) = &done {
                let StoreError::Io { source, path, .. } = error else {
                    panic!("{case}: {error:?}");
                };
                assert_eq!(source.kind(), io::ErrorKind::StorageFull, "{case}");
                assert!(path.starts_with(ROOT), "{case}: {error}");
                assert!(error.hint().unwrap().contains("full"), "{case}");
                full += 1;
            }
            assert_eq!(unfinished(&disk), 0, "{case}");
            disk.set_room(None);
            job.assert_mends(&disk, &case);
        }
        match job.name {
            // It makes the room that it needs.
            "second prune" => assert_eq!(full, 0, "{}", job.name),
            _ => assert!(full > 0 || written == 0, "{}", job.name),
        }
    }
}

#[test]
fn any_call_may_fail_once_or_for_good_and_the_store_is_well_on_a_mended_disk() {
    let mut failures = 0;
    for job in jobs() {
        let calls = job.calls();
        for number in some(calls, 25) {
            for is_for_good in [false, true] {
                let disk = job.disk();
                let (broken, _) = failing(&disk, move |_, n| {
                    (n == number || is_for_good && n > number).then_some(EIO)
                });
                let case = format!(
                    "{}, call {number} of {calls}, for good: {is_for_good}",
                    job.name
                );
                if let Err(error) = (job.run)(&broken) {
                    assert_clean(&error, EIO, &case);
                    failures += 1;
                }
                job.assert_mends(&disk, &case);
            }
        }
    }
    assert!(failures > 50, "{failures} failures");
}

#[test]
fn a_disk_that_becomes_read_only_is_said_to_be_so() {
    for job in jobs() {
        let calls = job.calls();
        for number in some(calls, 12) {
            let disk = job.disk();
            let is_over = move |act: Act<'_>, n| n >= number && act.changes();
            let (broken, _) = failing(&disk, move |act, n| is_over(act, n).then_some(EROFS));
            let case = format!("{}, read-only from call {number} of {calls}", job.name);
            match (job.run)(&broken) {
                Err(error) => assert_clean(&error, EROFS, &case),
                Ok(()) => assert!(number > 0, "{case}"),
            }
            job.assert_mends(&disk, &case);
        }
    }
}

#[test]
fn when_no_more_files_can_be_opened_that_is_said_and_nothing_is_lost() {
    for job in jobs() {
        let opens = |act: Act<'_>| {
            matches!(
                act,
                Act::Open(_) | Act::Create(_) | Act::List(_) | Act::SyncDir(_)
            )
        };
        let calls = job.calls();
        for number in some(calls, 12) {
            let disk = job.disk();
            let (broken, _) = failing(&disk, move |act, n| {
                (n >= number && opens(act)).then_some(EMFILE)
            });
            let case = format!("{}, no file from call {number} of {calls}", job.name);
            match (job.run)(&broken) {
                Err(error) => assert_clean(&error, EMFILE, &case),
                Ok(()) => assert!(number > 0, "{case}"),
            }
            job.assert_mends(&disk, &case);
        }
    }
}

#[test]
fn a_full_disk_leaves_no_part_of_a_configuration_where_renames_cannot_spare_what_is_there() {
    let empty = FakeDisk::new(Path::new(ROOT), at(0));
    let mut full = 0;
    for room in (0..2500).step_by(50) {
        let disk = FakeDisk::from_image(empty.image(), at(0));
        disk.set_room(Some(room));
        let (limited, _) = failing(&disk, |act, _| {
            // Not supported.
            matches!(act, Act::RenameNew(_)).then_some(95)
        });
        full += u32::from(Store::create_in(files(&limited), at(0)).is_err());
        assert_eq!(unfinished(&disk), 0);
        disk.set_room(None);
        if Store::open_in(files(&limited), &[]).unwrap().is_none() {
            Store::create_in(files(&limited), at(0)).unwrap();
        }
        backup(&open(&limited).unwrap(), 1).unwrap();
        assert_well_in(&files(&limited), "where renames replace");
    }
    assert!((10..50).contains(&full), "{full}");
}

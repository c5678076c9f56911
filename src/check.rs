//! Proving that a store gives back what its snapshots say.
//!
//! Invariant: damage is a value and names what it costs: the snapshot, and the objects of it that cannot be had any more.

mod found;
mod walk;

use std::error::Error;

use chrono::{DateTime, Utc};
use thiserror::Error;

pub use found::{CheckReport, Loss, Problem};
pub(crate) use walk::Check;

use crate::manifest::{self, ManifestError};
use crate::report::{Event, Reporter, chain};
use crate::store::{Amount, LostSnapshots, Store, StoreError};

/// How deep a check looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Depth {
    /// Heads, the index, and whether packs are there and have the right length: nothing is read but that.
    Structure,
    /// All that, and the lists of all snapshots, and whether everything is there that they refer to.
    Manifests,
    /// All that, and so much of the data. It is remembered what was read at `now`.
    Data {
        /// How much.
        amount: Amount,
        /// The time.
        now: DateTime<Utc>,
    },
}

/// So often heads are listed anew when others have changed the store meanwhile.
const TRIES: usize = 5;

/// Why a check could not be made.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The store could not be looked at.
    #[error("failed to look at the store")]
    Store(#[from] StoreError),
    /// The snapshots could not be listed.
    #[error("failed to list the snapshots")]
    Manifest(#[from] ManifestError),
}

/// Checks that a store is whole, as deep as it is told to. Unless data is read, only the tables of large segments of the
/// index are checked.
pub fn run(
    store: &Store,
    depth: Depth,
    reporter: &dyn Reporter,
) -> Result<CheckReport, CheckError> {
    let mut report = CheckReport::default();
    if let Depth::Data { amount, now } = depth {
        let verification = store.verify_some(amount, now, reporter)?;
        report.note_damage(&verification.problems);
        report.notes.clone_from(&verification.notes);
        report.verification = Some(verification);
    } else {
        let mut damage = store.damage();
        damage.extend(store.damage_found_before()?);
        let small = store.verify_small()?;
        damage.extend(small.problems);
        report.note_damage(&damage);
        report.notes.extend(small.notes);
    }
    let mut tries = 1;
    loop {
        let before = store.names_now()?;
        let listing = manifest::snapshots(store)?;
        // After the heads, so that everything shows that they refer to.
        let view = store.reopened()?;
        let mut found = CheckReport {
            verification: report.verification.take(),
            problems: report.problems.clone(),
            notes: report.notes.clone(),
            out_of_reach: report.out_of_reach,
            ..CheckReport::default()
        };
        look_at(&view, &listing, depth, &mut found, reporter)?;
        let is_new = found.problems.len() > report.problems.len();
        // What was forgotten meanwhile and deleted by a prune, or moved by one, is not lost.
        if is_new && tries < TRIES && store.names_now()? != before {
            tries += 1;
            report.verification = found.verification;
            continue;
        }
        return Ok(found);
    }
}

/// Looks at heads, and as deep as it is told to at what they refer to.
fn look_at(
    store: &Store,
    listing: &manifest::Listing,
    depth: Depth,
    report: &mut CheckReport,
    reporter: &dyn Reporter,
) -> Result<(), CheckError> {
    report.snapshots = listing.snapshots.len() as u64;
    let mut unreadable = listing.unreadable.iter();
    report.out_of_reach |= unreadable.any(|head| is_out_of_reach(&head.error));
    report
        .problems
        .extend(listing.unreadable.iter().map(|head| Problem::Head {
            head: head.name.to_string(),
            what: chain(&head.error),
        }));
    report.problems.extend(lost_snapshots(store)?);
    let has_heads = !listing.snapshots.is_empty() || !listing.unreadable.is_empty();
    if has_heads && store.lacks_index()? {
        // A backup that was killed right after its snapshot was there leaves none either.
        let note = "there is no index, so that all packs are asked what is in them; `dbsnap repair index` makes it";
        report.notes.push(note.to_owned());
    }
    if depth == Depth::Structure {
        report
            .problems
            .extend(store.misfits().iter().map(Problem::of));
        return Ok(());
    }
    report.manifests = true;
    reporter.report(Event::PhaseStarted {
        name: "checking the manifests",
    });
    reporter.report(Event::Expected {
        more: listing.snapshots.len() as u64,
    });
    let mut check = Check::new(store, report.verification.as_ref());
    for listed in &listing.snapshots {
        check.visit(&listed.snapshot.root, report);
        reporter.report(Event::Done { count: 1, bytes: 0 });
    }
    if check.any_lost {
        // Nodes were looked at once; who else has what is lost in them shows only in a walk of each snapshot.
        for listed in &listing.snapshots {
            let (losses, count) = check.losses(&listed.snapshot.root);
            if count > 0 {
                report.problems.push(Problem::Snapshot {
                    id: listed.name.id,
                    losses,
                    count,
                    repaired: listing.repaired_as(&listed.name.id).map(|name| name.id),
                });
            }
        }
    }
    report.out_of_reach |= check.out_of_reach;
    check.lists_lost |= !listing.unreadable.is_empty();
    check.judge_gone(report);
    report.note_healed(listing);
    reporter.report(Event::PhaseFinished);
    report.blobs = check.present.len() as u64;
    Ok(())
}

/// What is to be said of a store that has lost snapshots, heads and all.
fn lost_snapshots(store: &Store) -> Result<Option<Problem>, StoreError> {
    Ok(store.lost_snapshots()?.map(|lost| match lost {
        LostSnapshots::All { packs, bytes } => Problem::NoSnapshot { packs, bytes },
        LostSnapshots::Before(before) => Problem::LostSnapshots { before },
    }))
}

/// Whether the system refused to read something.
pub(crate) fn is_out_of_reach(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<StoreError>() {
            return error.is_out_of_reach();
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests;

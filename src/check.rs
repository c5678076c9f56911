//! Proving that a store gives back what its snapshots say.
//!
//! Invariant: damage is a value and names what it costs: the snapshot, and the objects of it that cannot be had any more.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;

use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::manifest::{self, Entry, ManifestError, Stored, Surveyed, Tree, survey};
use crate::report::{Event, Reporter, chain};
use crate::resource::ObjectKey;
use crate::store::{self, Amount, BlobId, SnapshotId, Store, StoreError, Verification};

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

/// Losses of one snapshot that are spelt out; the others are counted.
const LOSSES_SPELT_OUT: usize = 1_000;

/// So often heads are listed anew when others have changed the store meanwhile.
const TRIES: usize = 5;

const GONE_IS_HARMLESS: &str =
    "no snapshot lacks anything by it, and a prune (or `dbsnap repair index`) mends that";

const NOBODY_KNOWS: &str = "whether a snapshot lacks anything by it is not known, because a part of what snapshots list is lost";

/// What a check has found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Snapshots whose heads were read.
    pub snapshots: u64,
    /// Their manifests were walked.
    pub manifests: bool,
    /// Entries that were looked at; what several snapshots share is looked at once.
    pub entries: u64,
    /// Blobs that entries refer to.
    pub blobs: u64,
    /// What the store itself is like, if its data was read.
    pub verification: Option<Verification>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is odd but harmless.
    pub notes: Vec<String>,
    /// The system refused to read something, which so counts as lost here. It may well be there: no time for repairs.
    pub out_of_reach: bool,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A file of the store is damaged.
    Store {
        /// The file, below the root of the store.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// The head of a snapshot cannot be read: nothing is known of the snapshot but that it was there.
    Head {
        /// The name of the head.
        head: String,
        /// Why it cannot be read.
        what: String,
    },
    /// There is data, but no snapshot that it is of.
    NoSnapshot {
        /// How many packs there are, those left out that are about to be deleted.
        packs: u64,
        /// Their size.
        bytes: u64,
    },
    /// A snapshot lacks something.
    Snapshot {
        /// The snapshot.
        id: SnapshotId,
        /// What it lacks; the first thousand.
        losses: Vec<Loss>,
        /// How many losses there are.
        count: u64,
        /// The snapshot that was made of what is left of it, if that was done.
        repaired: Option<SnapshotId>,
    },
}

/// Something that a snapshot lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Something of an object cannot be read.
    Object {
        /// The object.
        key: ObjectKey,
        /// What of it.
        part: Stored,
    },
    /// A part of the list of objects cannot be read.
    Entries {
        /// The first object of the part, where it is known.
        first: Option<ObjectKey>,
        /// The first object after it; none if nothing comes after it.
        end: Option<ObjectKey>,
        /// Why it cannot be read.
        what: String,
    },
}

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

impl CheckReport {
    /// Nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether the file is told of as damaged.
    fn tells_of(&self, name: &str) -> bool {
        let is_it =
            |problem: &Problem| matches!(problem, Problem::Store { file, .. } if file == name);
        self.problems.iter().any(is_it)
    }

    fn note_damage(&mut self, damage: &[store::Problem]) {
        self.out_of_reach |= damage.iter().any(|problem| problem.out_of_reach);
        self.problems.extend(damage.iter().map(Problem::of));
        // Of a pack that cannot be read at all, each frame cannot.
        self.problems.dedup();
    }

    /// Notes which snapshots lack nothing any more, although they were repaired.
    fn note_healed(&mut self, listing: &manifest::Listing) {
        for listed in &listing.snapshots {
            let (Some(id), new) = (listed.snapshot.repairs, listed.name.id) else {
                continue;
            };
            let lacks = |problem: &Problem| matches!(problem, Problem::Snapshot { id: of, .. } if *of == id);
            let is_there = listing.snapshots.iter().any(|listed| listed.name.id == id);
            if is_there && !self.problems.iter().any(lacks) {
                self.notes.push(format!(
                    "snapshot {id:.8} lacks nothing any more; `dbsnap repair snapshots` reads everything, and if that is so, lets \
                     go what was left of it meanwhile, {new:.8}, which stands before it as long as it is there"
                ));
            }
        }
    }
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
    if listing.snapshots.is_empty() && listing.unreadable.is_empty() {
        report.problems.extend(no_snapshot(store)?);
    } else if store.lacks_index()? {
        report.problems.push(Problem::Store {
            file: "index".into(),
            what: "there is no index, so that all packs are asked what is in them".into(),
        });
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

/// What is to be said of a store that has no snapshot.
fn no_snapshot(store: &Store) -> Result<Option<Problem>, StoreError> {
    let (packs, bytes) = store.kept_packs()?;
    Ok((packs > 0).then_some(Problem::NoSnapshot { packs, bytes }))
}

/// Blobs of damaged files that lie nowhere else.
fn lost_blobs(store: &Store, verification: Option<&Verification>) -> HashSet<BlobId> {
    let problems = verification.into_iter().flat_map(|found| &found.problems);
    let gone = verification.into_iter().flat_map(|found| &found.gone);
    let hanging = verification.into_iter().flat_map(|found| &found.hanging);
    let blobs = problems.chain(gone).chain(hanging);
    let blobs = blobs.flat_map(|problem| problem.blobs.iter().copied());
    blobs.filter(|blob| store.read(blob).is_err()).collect()
}

/// What is there and what is lost, found out bit by bit.
pub(crate) struct Check<'a> {
    store: &'a Store,
    lost: HashSet<BlobId>,
    present: HashSet<BlobId>,
    visited: HashSet<BlobId>,
    any_lost: bool,
    /// A part of what snapshots refer to cannot be had.
    lists_lost: bool,
    out_of_reach: bool,
    /// What some snapshot refers to and what cannot be had, nodes left out.
    missed: HashSet<BlobId>,
}

impl<'a> Check<'a> {
    /// Begins with what a verification found damaged.
    pub(crate) fn new(store: &'a Store, verification: Option<&Verification>) -> Self {
        Self {
            store,
            lost: lost_blobs(store, verification),
            present: HashSet::new(),
            visited: HashSet::new(),
            any_lost: false,
            lists_lost: false,
            out_of_reach: false,
            missed: HashSet::new(),
        }
    }
}

impl Check<'_> {
    /// Walks the nodes of a snapshot that no other snapshot had.
    fn visit(&mut self, root: &manifest::Root, report: &mut CheckReport) {
        let Ok(tree) = Tree::open(self.store, root) else {
            self.any_lost = true;
            self.lists_lost = true;
            self.missed.insert(root.node);
            return;
        };
        let mut visited = std::mem::take(&mut self.visited);
        let mut lists_lost = false;
        survey(
            &tree,
            &mut |node| visited.insert(*node),
            &mut |found| match found {
                Surveyed::Entry(entry) => {
                    report.entries += u64::from(!entry.key.is_whole_kind());
                    self.any_lost |= !self.lost_parts(&entry).is_empty();
                }
                Surveyed::Lost { .. } => lists_lost = true,
            },
        );
        self.any_lost |= lists_lost;
        self.lists_lost |= lists_lost;
        self.visited = visited;
    }

    /// A pack that is gone is a problem if a snapshot lost something by it, and else only a wrong name in the index. A
    /// patch on what is gone is a problem likewise.
    fn judge_gone(&self, report: &mut CheckReport) {
        let is_needed = |blob: &BlobId| {
            self.lost.contains(blob) && (self.missed.contains(blob) || self.visited.contains(blob))
        };
        let Some(found) = &report.verification else {
            return;
        };
        let gone = found.gone.iter().map(|gone| (gone, GONE_IS_HARMLESS));
        let hanging = found.hanging.iter();
        let hanging = hanging.map(|hanging| (hanging, "no snapshot lacks anything by it"));
        let is_lost = |blob: &BlobId| self.lost.contains(blob);
        for (problem, harmless) in gone.chain(hanging) {
            let (file, what) = (&problem.file, &problem.what);
            if problem.blobs.iter().any(is_needed) {
                report.problems.push(Problem::of(problem));
            } else if self.lists_lost && problem.blobs.iter().any(is_lost) {
                let what = format!("{what}; {NOBODY_KNOWS}");
                let file = file.clone();
                report.problems.push(Problem::Store { file, what });
            } else if !report.tells_of(file) {
                report.notes.push(format!("{file}: {what}; {harmless}"));
            }
        }
    }

    /// Everything that a snapshot lacks.
    fn losses(&mut self, root: &manifest::Root) -> (Vec<Loss>, u64) {
        let mut losses = Vec::new();
        let mut count = 0;
        let mut out_of_reach = false;
        let mut add = |loss| {
            count += 1;
            if losses.len() < LOSSES_SPELT_OUT {
                losses.push(loss);
            }
        };
        match Tree::open(self.store, root) {
            Err(error) => {
                out_of_reach |= is_out_of_reach(&error);
                add(Loss::Entries {
                    first: None,
                    end: None,
                    what: chain(&error),
                });
            }
            Ok(tree) => survey(&tree, &mut |_| true, &mut |found| match found {
                Surveyed::Entry(entry) => {
                    for part in self.lost_parts(&entry) {
                        let key = entry.key.clone();
                        add(Loss::Object { key, part });
                    }
                }
                Surveyed::Lost { first, end, error } => {
                    out_of_reach |= is_out_of_reach(&*error);
                    let what = chain(&*error);
                    let [first, end] = [first, end].map(|key| key.map(|key| *key));
                    add(Loss::Entries { first, end, what });
                }
            }),
        }
        self.out_of_reach |= out_of_reach;
        (losses, count)
    }

    /// The parts of an object that are not all there.
    pub(crate) fn lost_parts(&mut self, entry: &Entry) -> Vec<Stored> {
        let lost = entry
            .parts()
            .filter(|(_, payload)| match payload.blobs(self.store) {
                Ok(blobs) => !blobs.iter().all(|blob| self.is_there(blob)),
                Err(_) => true,
            });
        lost.map(|(part, _)| part).collect()
    }

    fn is_there(&mut self, blob: &BlobId) -> bool {
        if self.lost.contains(blob) {
            self.missed.insert(*blob);
            return false;
        }
        if self.present.contains(blob) {
            return true;
        }
        let is_there = self.store.contains(blob);
        if is_there {
            self.present.insert(*blob);
        } else {
            self.lost.insert(*blob);
            self.missed.insert(*blob);
        }
        is_there
    }
}

impl Problem {
    fn of(found: &store::Problem) -> Self {
        Self::Store {
            file: found.file.clone(),
            what: found.what.clone(),
        }
    }
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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { file, what } => write!(f, "{file}: {what}"),
            Self::Head { head, what } => write!(f, "snapshot {head} cannot be read: {what}"),
            Self::NoSnapshot { packs, bytes } => {
                write!(
                    f,
                    "{packs} packs with {bytes} bytes are there, but no snapshot"
                )
            }
            Self::Snapshot { id, count: 1, .. } => write!(f, "snapshot {id:.8} has a loss"),
            Self::Snapshot { id, count, .. } => write!(f, "snapshot {id:.8} has {count} losses"),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { key, part } => write!(f, "the {part} of {key} is lost"),
            Self::Entries { first, end, what } => {
                f.write_str("the list of objects is lost")?;
                if let Some(first) = first {
                    write!(f, " from {first}")?;
                }
                if let Some(end) = end {
                    write!(f, " up to {end}")?;
                }
                write!(f, ": {what}")
            }
        }
    }
}

#[cfg(test)]
mod tests;

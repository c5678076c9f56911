//! Freeing what no snapshot needs.
//!
//! Invariant: what any head or intent refers to is live. One that cannot be read may refer to anything, so then nothing is
//! deleted at all.

use std::error::Error as _;

use thiserror::Error;

use crate::manifest::{ManifestError, Marked, Snapshot, Tree, mark};
use crate::report::{Event, Reporter};
use crate::store::{HeadName, Live, PruneOptions, PrunePlan, Pruned, Pruning, Store, StoreError};

/// So often a view is taken anew when others have changed the store meanwhile.
const TRIES: usize = 5;

/// What a prune has found, and done.
#[derive(Debug)]
pub struct PruneReport {
    /// Snapshots that need something.
    pub snapshots: usize,
    /// Snapshots that are being made, or of which the making was given up, and that need something as well.
    pub unfinished: usize,
    /// How many blobs they need.
    pub live_blobs: usize,
    /// What was decided.
    pub plan: PrunePlan,
    /// What was done; none if it was only to be planned.
    pub done: Option<Pruned>,
}

/// Why nothing was deleted, or not everything.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PruneError {
    /// The store could not be looked at.
    #[error("failed to look at the store")]
    Look(#[source] StoreError),
    /// A head could not be read: what it needs is not known, so nothing may go.
    #[error(
        "failed to read the head of snapshot {name}, which may need anything: nothing was deleted"
    )]
    Head {
        /// The head.
        name: HeadName,
        /// Why it could not be read.
        source: Box<ManifestError>,
    },
    /// A manifest could not be walked.
    #[error("failed to find out what snapshot {name} needs: nothing was deleted")]
    Walk {
        /// The snapshot.
        name: HeadName,
        /// Why it could not.
        source: Box<ManifestError>,
    },
    /// Something that a snapshot needs is missing.
    #[error("something that a snapshot needs is missing: nothing was deleted")]
    Damaged(#[source] StoreError),
    /// There is no snapshot, and nobody has said that this is meant.
    #[error("a store without snapshots is not pruned unless that is meant")]
    NoSnapshots(#[source] StoreError),
    /// Snapshots are gone that nobody forgot, and nobody has said that they are given up.
    #[error("a store that has lost snapshots is not pruned unless that is meant")]
    SnapshotsLost(#[source] StoreError),
    /// It failed on the way. Nothing that is needed is lost, and the next prune carries on.
    #[error("failed to prune; nothing that is needed is lost, and the next prune carries on")]
    Apply(#[source] StoreError),
}

impl PruneError {
    /// Whether something of the store is missing or damaged, and not only out of reach for now.
    fn is_loss(&self) -> bool {
        let mut cause = self.source();
        while let Some(error) = cause {
            if let Some(StoreError::MissingBlob(_) | StoreError::Corrupt { .. }) =
                error.downcast_ref()
            {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// Frees what no snapshot needs; only says what it would do if `dry_run`.
pub fn run(
    store: &Store,
    options: PruneOptions,
    dry_run: bool,
    reporter: &dyn Reporter,
) -> Result<PruneReport, PruneError> {
    let mut tries = 1;
    loop {
        let pruning = store.prune(options).map_err(PruneError::Look)?;
        match attempt(&pruning, dry_run, reporter) {
            // What was forgotten meanwhile, or deleted by another prune, is no damage.
            Err(_) if tries < TRIES && pruning.is_outdated().map_err(PruneError::Look)? => {
                tries += 1;
            }
            result => return result,
        }
    }
}

/// Prunes by one view of the store.
fn attempt(
    pruning: &Pruning,
    dry_run: bool,
    reporter: &dyn Reporter,
) -> Result<PruneReport, PruneError> {
    let (snapshots, unfinished, live, plan) = decide(pruning, reporter)?;
    let done = match dry_run {
        true => None,
        false => Some(pruning.apply(&plan, reporter).map_err(PruneError::Apply)?),
    };
    Ok(PruneReport {
        snapshots,
        unfinished,
        live_blobs: live.len(),
        plan,
        done,
    })
}

/// Finds out what is needed, and decides what goes.
fn decide(
    pruning: &Pruning,
    reporter: &dyn Reporter,
) -> Result<(usize, usize, Live, PrunePlan), PruneError> {
    let mut live = Live::default();
    let heads = pruning.heads().len() + pruning.intents().len();
    let name = "finding what snapshots need";
    reporter.report(Event::PhaseStarted { name });
    let more = heads as u64;
    reporter.report(Event::Expected { more });
    let (mut snapshots, mut unfinished) = (0, 0);
    for (name, snapshot) in needed(pruning)? {
        walk(pruning, &name, &snapshot, &mut |marked| {
            live.add(marked.blob, marked.group)
        })?;
        snapshots += 1;
        reporter.report(Event::Done { count: 1, bytes: 0 });
    }
    for (name, snapshot) in begun(pruning)? {
        let walked = walk(pruning, &name, &snapshot, &mut |marked| {
            live.wish(marked.blob, marked.group)
        });
        match walked {
            // Whoever goes on with it looks before the commit, and sees that too.
            Err(error) if error.is_loss() => {}
            walked => walked?,
        }
        unfinished += 1;
        reporter.report(Event::Done { count: 1, bytes: 0 });
    }
    reporter.report(Event::PhaseFinished);
    let plan = pruning.plan(&live).map_err(|error| match error {
        error if error.is_out_of_reach() => PruneError::Look(error),
        error @ StoreError::NoSnapshots { .. } => PruneError::NoSnapshots(error),
        error @ StoreError::SnapshotsLost { .. } => PruneError::SnapshotsLost(error),
        error => PruneError::Damaged(error),
    })?;
    Ok((snapshots, unfinished, live, plan))
}

/// The heads of all snapshots.
fn needed(pruning: &Pruning) -> Result<Vec<(HeadName, Snapshot)>, PruneError> {
    let mut snapshots = Vec::new();
    for &name in pruning.heads() {
        let unread = |source| PruneError::Head {
            name,
            source: Box::new(source),
        };
        match pruning.store().read_head(&name) {
            Ok(bytes) => snapshots.push((name, Snapshot::parse(&bytes).map_err(unread)?)),
            // Somebody has forgotten it since the view was taken.
            Err(StoreError::MissingHead(_)) => {}
            Err(source) => return Err(unread(ManifestError::ReadHead { name, source })),
        }
    }
    Ok(snapshots)
}

/// The heads of snapshots that are being made, or of which the making was given up.
fn begun(pruning: &Pruning) -> Result<Vec<(HeadName, Snapshot)>, PruneError> {
    let mut snapshots = Vec::new();
    for (name, bytes) in pruning.intents() {
        let name = *name;
        let snapshot = Snapshot::parse(bytes).map_err(|source| PruneError::Head {
            name,
            source: Box::new(source),
        })?;
        snapshots.push((name, snapshot));
    }
    Ok(snapshots)
}

fn walk(
    pruning: &Pruning,
    name: &HeadName,
    snapshot: &Snapshot,
    each: &mut dyn FnMut(Marked) -> bool,
) -> Result<(), PruneError> {
    let unwalked = |source| PruneError::Walk {
        name: *name,
        source: Box::new(source),
    };
    let tree = Tree::open(pruning.store(), &snapshot.root).map_err(unwalked)?;
    mark(&tree, each).map_err(unwalked)
}

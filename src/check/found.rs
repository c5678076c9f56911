//! What a check finds, as values.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::manifest::{self, Stored};
use crate::resource::ObjectKey;
use crate::store::{self, SnapshotId, Verification};

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
    /// Snapshots from before this moment are gone although nobody forgot them.
    LostSnapshots {
        /// They were gone when a snapshot of this time came.
        before: DateTime<Utc>,
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

impl CheckReport {
    /// Nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether the file is told of as damaged.
    pub(super) fn tells_of(&self, name: &str) -> bool {
        let is_it =
            |problem: &Problem| matches!(problem, Problem::Store { file, .. } if file == name);
        self.problems.iter().any(is_it)
    }

    pub(super) fn note_damage(&mut self, damage: &[store::Problem]) {
        self.out_of_reach |= damage.iter().any(|problem| problem.out_of_reach);
        self.problems.extend(damage.iter().map(Problem::of));
        // Of a pack that cannot be read at all, each frame cannot.
        self.problems.dedup();
    }

    /// Notes which snapshots lack nothing any more, although they were repaired.
    pub(super) fn note_healed(&mut self, listing: &manifest::Listing) {
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

impl Problem {
    pub(super) fn of(found: &store::Problem) -> Self {
        Self::Store {
            file: found.file.clone(),
            what: found.what.clone(),
        }
    }
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
            Self::LostSnapshots { before } => {
                let before = before.format("%Y-%m-%d %H:%M:%S");
                write!(
                    f,
                    "the snapshots from before {before} UTC are gone, and nobody forgot them"
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

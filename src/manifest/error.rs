//! What can go wrong with manifests and heads.
//!
//! Invariant: a message names the thing it speaks of; what went wrong below is the source.

use chrono::{DateTime, Utc};

use crate::resource::ObjectKey;
use crate::store::{BlobId, HeadName, StoreError};

/// What went wrong with a manifest, a payload or a head.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The store could not give a node.
    #[error("failed to read node {id:.12} of the manifest")]
    ReadNode {
        /// The node.
        id: BlobId,
        /// Why not.
        source: StoreError,
    },
    /// A node was read, but does not say what a node must say.
    #[error("node {id:.12} of the manifest is damaged")]
    BadNode {
        /// The node.
        id: BlobId,
        /// What is wrong with it.
        source: NodeError,
    },
    /// The store did not take a node.
    #[error("failed to store a node of the manifest")]
    WriteNode(#[source] StoreError),
    /// The entries came out of order, or one came twice.
    #[error("{next} came after {previous}, which is not the order of a manifest")]
    OutOfOrder {
        /// The entry before.
        previous: Box<ObjectKey>,
        /// The entry that should have come earlier, or not again.
        next: Box<ObjectKey>,
    },
    /// Whoever finds the store could read them.
    #[error("it has secret values, and those are kept only in an encrypted store")]
    SecretsNeedKey,
    /// The key cannot be written down.
    #[error("{key} cannot be recorded: {why}")]
    BadKey {
        /// The key.
        key: Box<ObjectKey>,
        /// Why it cannot.
        why: &'static str,
    },
    /// The store could not give a part of a payload.
    #[error("failed to read blob {id:.12}")]
    ReadPayload {
        /// The blob.
        id: BlobId,
        /// Why not.
        source: StoreError,
    },
    /// The store did not take a part of a payload.
    #[error("failed to store {len} bytes of content")]
    WritePayload {
        /// How many bytes it was about.
        len: u64,
        /// Why not.
        source: StoreError,
    },
    /// What was to be stored could not be read.
    #[error("failed to read the content")]
    ReadSource(#[source] std::io::Error),
    /// Nobody took what was read.
    #[error("failed to write the content")]
    WriteTarget(#[source] std::io::Error),
    /// The parts of a payload do not make up the whole.
    #[error("the parts of {id:.12} do not add up: {what}")]
    BadPayload {
        /// The hash of the whole.
        id: BlobId,
        /// What does not fit.
        what: &'static str,
    },
    /// The store could not list or give heads.
    #[error("failed to list the snapshots")]
    ListHeads(#[source] StoreError),
    /// The store could not give a head.
    #[error("failed to read the head of snapshot {:.8}", name.id)]
    ReadHead {
        /// The head.
        name: HeadName,
        /// Why not.
        source: StoreError,
    },
    /// A head is not what a head must be.
    #[error("the head of the snapshot is damaged")]
    BadHead(#[source] serde_json::Error),
    /// A newer dbsnap wrote the head.
    #[error("the head has format {format}, and this dbsnap knows format {known}", known = super::head::FORMAT)]
    NewerHead {
        /// The format it has.
        format: u64,
    },
}

/// Why some bytes are not a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The bytes end too early.
    #[error("it ends too early")]
    Truncated,
    /// A newer dbsnap wrote it.
    #[error("it has node format {0}, which needs a newer dbsnap")]
    Newer(u8),
    /// The bytes break a rule.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Why a snapshot that was asked for was not found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// The text names no snapshot in any known way.
    #[error(
        "`{0}` is not a snapshot: give `latest`, `latest~1`, the beginning of an id, a date like 2024-05-31 or a time like 2024-05-31T18:00:00Z"
    )]
    NotAReference(String),
    /// There are no snapshots at all.
    #[error("there are no snapshots yet")]
    Empty,
    /// There are fewer snapshots than asked for.
    #[error("there is no `latest~{back}`: there {}", few(*count))]
    TooFarBack {
        /// How many steps back from the latest.
        back: usize,
        /// How many there are.
        count: usize,
    },
    /// No id begins like that.
    #[error("no snapshot has an id that begins with {0}")]
    NoSuchId(String),
    /// Several ids begin like that.
    #[error("{prefix} may be any of {}", list(candidates))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// All that begin like that.
        candidates: Vec<HeadName>,
    },
    /// All snapshots are newer.
    #[error(
        "there is no snapshot of {} or before: the oldest is of {}",
        stamp(at),
        stamp(oldest)
    )]
    NoneBefore {
        /// The time asked for.
        at: DateTime<Utc>,
        /// The time of the oldest snapshot.
        oldest: DateTime<Utc>,
    },
    /// The workspace itself was named where only a snapshot will do.
    #[error("`live` is the workspace itself, and a snapshot is needed here")]
    LiveIsNoSnapshot,
}

pub(super) fn stamp(time: &DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// More than these only drown the message.
const CANDIDATES_NAMED: usize = 8;

fn list(candidates: &[HeadName]) -> String {
    let mut named: Vec<String> = candidates
        .iter()
        .take(CANDIDATES_NAMED)
        .map(|head| format!("{:.12} ({})", head.id, stamp(&head.time)))
        .collect();
    if candidates.len() > CANDIDATES_NAMED {
        named.push(format!("{} more", candidates.len() - CANDIDATES_NAMED));
    }
    named.join(", ")
}

fn few(snapshots: usize) -> String {
    match snapshots {
        1 => "is only 1 snapshot".to_owned(),
        snapshots => format!("are only {snapshots} snapshots"),
    }
}

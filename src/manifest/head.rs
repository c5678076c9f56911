//! The head of a snapshot: a page of JSON that a person can read.
//!
//! Invariant: a head is never edited, and what a newer dbsnap of the same format wrote into it is not lost when it
//! is written again.

use std::collections::BTreeMap;
use std::ops::Deref;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Extent, ManifestError, Selection, Totals, Tree};
use crate::resource::{ObjectKey, kind};
use crate::store::{BlobId, SnapshotId};

/// The version of the head.
pub(super) const FORMAT: u64 = 1;

/// A head spells out this many gaps; the manifest has them all.
const GAPS_SPELLED_OUT: usize = 100;

/// What a snapshot says of itself. Its id is the hash of [`Snapshot::to_bytes`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    format: u64,
    /// When the snapshot was begun, in whole milliseconds.
    pub time: DateTime<Utc>,
    /// The host of the workspace, `https://...`.
    pub host: String,
    /// The workspace's numeric id, where it is known.
    #[serde(default)]
    pub workspace_id: Option<String>,
    /// `aws`, `azure` or `gcp`, where it is known.
    #[serde(default)]
    pub cloud: Option<String>,
    /// Nothing is missing: no gaps, and not [`Snapshot::unfinished`].
    pub complete: bool,
    /// A checkpoint of a backup that was still running.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unfinished: bool,
    /// The snapshot that this one was built upon.
    #[serde(default, with = "as_text_option")]
    pub parent: Option<SnapshotId>,
    /// The damaged snapshot of which this one is what was left.
    #[serde(
        default,
        with = "as_text_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub repairs: Option<SnapshotId>,
    /// The directory with another tool's export of the workspace that the snapshot was made of. It may lack what a
    /// backup has, and no backup is built upon it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<String>,
    /// What was asked for.
    #[serde(default)]
    pub selection: Selection,
    /// How much there is of every kind.
    pub kinds: BTreeMap<String, KindSummary>,
    /// What could not be read.
    pub gaps: GapSummary,
    /// Words that somebody attached to the snapshot.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The machine that took the snapshot.
    #[serde(default)]
    pub hostname: String,
    /// Who took it, as the workspace knows them.
    #[serde(default)]
    pub user: String,
    /// The version of dbsnap that took it.
    #[serde(default)]
    pub tool_version: String,
    /// How long it took.
    #[serde(default)]
    pub duration_ms: u64,
    /// How many requests it took.
    #[serde(default)]
    pub requests: u64,
    /// The id of the store that the snapshot was taken into, should its configuration be lost. A copy in another store
    /// says the same: it has the same bytes.
    #[serde(default)]
    pub store: String,
    /// Where the manifest begins.
    pub root: Root,
    /// What a newer dbsnap wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Snapshot {
    /// The head of a finished snapshot of `tree`, of which everything that the tree can tell is filled in.
    pub fn of(
        tree: &Tree,
        time: DateTime<Utc>,
        host: impl Into<String>,
    ) -> Result<Self, ManifestError> {
        let gaps = GapSummary::of(tree)?;
        Ok(Self {
            format: FORMAT,
            time: time.trunc_subsecs(3),
            host: host.into(),
            workspace_id: None,
            cloud: None,
            complete: gaps.count == 0,
            unfinished: false,
            parent: None,
            repairs: None,
            imported_from: None,
            selection: Selection::default(),
            kinds: summaries(tree)?,
            gaps,
            tags: Vec::new(),
            hostname: String::new(),
            user: String::new(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            duration_ms: 0,
            requests: 0,
            store: tree.store().id().to_owned(),
            root: tree.root().clone(),
            other: Map::new(),
        })
    }

    /// The same as a checkpoint of a backup that still runs.
    #[must_use]
    pub fn unfinished(self) -> Self {
        Self {
            unfinished: true,
            complete: false,
            ..self
        }
    }

    /// The bytes of the head.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .expect("a head has text keys only, so it is always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a head.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Version {
            format: u64,
        }
        let version: Version = serde_json::from_slice(bytes).map_err(ManifestError::BadHead)?;
        if version.format > FORMAT {
            return Err(ManifestError::NewerHead {
                format: version.format,
            });
        }
        serde_json::from_slice(bytes).map_err(ManifestError::BadHead)
    }

    /// The id that the snapshot has with just these words in its head.
    pub fn id(&self) -> SnapshotId {
        SnapshotId::of(&self.to_bytes())
    }

    /// What tells workspaces apart: the id where it is known, else the host.
    pub fn workspace(&self) -> &str {
        self.workspace_id.as_deref().unwrap_or(&self.host)
    }

    /// Whether anything of the Hive metastore is in it.
    pub fn has_metastore(&self) -> bool {
        let mut kinds = self.kinds.keys().filter_map(|name| kind(name));
        kinds.any(|kind| kind.securable().is_some())
    }

    /// Whether both are of the same workspace, so that its ids mean the same in both.
    pub fn is_same_workspace(&self, other: &Self) -> bool {
        match (&self.workspace_id, &other.workspace_id) {
            (Some(a), Some(b)) => a == b,
            _ => self.host == other.host,
        }
    }
}

/// Where a tree begins, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The topmost node.
    #[serde(with = "as_text")]
    pub node: BlobId,
    /// How many levels of nodes there are; 1 when the topmost node is a leaf.
    pub levels: u8,
    /// What all of it holds.
    #[serde(flatten)]
    pub totals: Totals,
    /// What a newer dbsnap wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Root {
    /// A root as this version describes it.
    pub(super) fn new(node: BlobId, levels: u8, totals: Totals) -> Self {
        Self {
            node,
            levels,
            totals,
            other: Map::new(),
        }
    }
}

/// How much there is of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindSummary {
    /// The numbers.
    #[serde(flatten)]
    pub totals: Totals,
    /// What a newer dbsnap wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A summary is its numbers; the rest is only kept.
impl Deref for KindSummary {
    type Target = Totals;

    fn deref(&self) -> &Totals {
        &self.totals
    }
}

fn summaries(tree: &Tree) -> Result<BTreeMap<String, KindSummary>, ManifestError> {
    let summary = |totals| KindSummary {
        totals,
        other: Map::new(),
    };
    let kinds = tree.kinds()?.into_iter();
    Ok(kinds
        .map(|(kind, totals)| (kind, summary(totals)))
        .collect())
}

/// What could not be read, in short.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GapSummary {
    /// How many gaps there are.
    pub count: u64,
    /// The first hundred of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<SpelledGap>,
    /// What a newer dbsnap wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl GapSummary {
    fn of(tree: &Tree) -> Result<Self, ManifestError> {
        let mut first = Vec::new();
        for entry in tree.uncertain() {
            let entry = entry?;
            if let Some(gap) = entry.gap {
                first.push(SpelledGap::new(&entry.key, gap.extent, gap.reason));
            }
            if first.len() == GAPS_SPELLED_OUT {
                break;
            }
        }
        Ok(Self {
            count: tree.root().totals.gaps,
            first,
            other: Map::new(),
        })
    }
}

/// A gap of an object, in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpelledGap {
    /// The object's kind.
    pub kind: String,
    /// The object's name; empty when the whole kind is missing.
    pub name: String,
    /// The object's id, where names are not unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How much is missing.
    pub extent: Extent,
    /// Why it is missing.
    pub reason: String,
    /// What a newer dbsnap wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl SpelledGap {
    fn new(key: &ObjectKey, extent: Extent, reason: String) -> Self {
        Self {
            kind: key.kind.to_string(),
            name: key.name.clone(),
            id: key.id.clone(),
            extent,
            reason,
            other: Map::new(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Ids as the hexadecimal text that everybody sees.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// The same for an id that may be missing.
mod as_text_option {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        Option::<String>::deserialize(deserializer)?
            .map(|text| text.parse().map_err(D::Error::custom))
            .transpose()
    }
}

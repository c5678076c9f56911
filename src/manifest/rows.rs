//! What the columns of a node mean: entries in leaves, children above.
//!
//! Invariant: the numbers below are for ever; a new attribute takes a new number, and a number that is not known
//! here is carried along in [`Attributes`].

use serde::{Deserialize, Serialize};

use super::bytes::{fold_sign, unfold_sign, whole_number};
use super::column::{Layout, Value};
use super::node::{Node, NodeBuilder};
use super::{Attributes, Entry, Extent, Gap, NodeError, Payload};
use crate::resource::ObjectKey;
use crate::store::BlobId;

// Columns of leaves.
const OBJECT_ID: u64 = 1;
const MODIFIED_AT: u64 = 2;
const SIZE: u64 = 3;
const GAP_EXTENT: u64 = 4;
const GAP_REASON: u64 = 5;
const CARRIED_OVER: u64 = 6;
const STAMP: u64 = 14;
const BODY: u64 = 8;
const CONTENT: u64 = 16;
const PERMISSIONS: u64 = 24;

// Columns of a payload, counted from one of the last three.
const INLINE: u64 = 0;
const BLOB: u64 = 1;
const LEN: u64 = 2;
const CHUNKS: u64 = 3;
const LIST: u64 = 4;

const fn is_known(number: u64) -> bool {
    matches!(number, OBJECT_ID..=CARRIED_OVER | STAMP)
        || (number >= BODY && number < PERMISSIONS + 8 && number % 8 <= LIST)
}

// Columns of the nodes above.
const CHILD: u64 = 1;
const ENTRIES: u64 = 2;
const BYTES: u64 = 3;
const GAPS: u64 = 4;
const CARRIED: u64 = 5;

/// What lies below some place of a tree, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// How many entries there are.
    pub entries: u64,
    /// The length of everything stored for them, before compression.
    pub bytes: u64,
    /// How many of them have a gap.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gaps: u64,
    /// How many of them were taken over from the parent snapshot.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub carried_over: u64,
}

impl Totals {
    pub(super) const ZERO: Self = Self {
        entries: 0,
        bytes: 0,
        gaps: 0,
        carried_over: 0,
    };

    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            entries: 1,
            bytes: entry.bytes(),
            gaps: entry.gap.is_some().into(),
            carried_over: entry.carried_over.into(),
        }
    }

    /// Whether anything below has a gap or was taken over.
    pub(super) const fn is_uncertain(&self) -> bool {
        self.gaps > 0 || self.carried_over > 0
    }

    // Saturating, because the numbers may come from a damaged node.
    pub(super) const fn add(&mut self, other: &Self) {
        self.entries = self.entries.saturating_add(other.entries);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.gaps = self.gaps.saturating_add(other.gaps);
        self.carried_over = self.carried_over.saturating_add(other.carried_over);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A node as the node above knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child {
    pub(super) id: BlobId,
    pub(super) totals: Totals,
}

/// Adds an entry to a leaf.
pub(super) fn push_entry(node: &mut NodeBuilder, key: &[u8], entry: &Entry) {
    node.push(key);
    if let Some(object_id) = &entry.object_id {
        node.set(OBJECT_ID, Layout::Bytes, object_id.as_bytes());
    }
    if let Some(modified_at) = entry.modified_at {
        node.set_number(MODIFIED_AT, fold_sign(modified_at));
    }
    if let Some(size) = entry.size {
        node.set_number(SIZE, size);
    }
    if let Some(gap) = &entry.gap {
        node.set_number(GAP_EXTENT, gap.extent.code());
        if !gap.reason.is_empty() {
            node.set(GAP_REASON, Layout::Bytes, gap.reason.as_bytes());
        }
    }
    if entry.carried_over {
        node.set(CARRIED_OVER, Layout::Flag, &[]);
    }
    if let Some(stamp) = entry.stamp {
        node.set_number(STAMP, stamp);
    }
    for (base, payload) in [
        (BODY, &entry.body),
        (CONTENT, &entry.content),
        (PERMISSIONS, &entry.permissions),
    ] {
        if let Some(payload) = payload {
            push_payload(node, base, payload);
        }
    }
    for (number, value) in &entry.other.0 {
        push_value(node, *number, value);
    }
}

fn push_payload(node: &mut NodeBuilder, base: u64, payload: &Payload) {
    match payload {
        Payload::Inline(bytes) => return node.set(base + INLINE, Layout::Bytes, bytes),
        Payload::Blob { .. } => {}
        Payload::Chunked { chunks, .. } => {
            let ids: Vec<u8> = chunks.iter().flat_map(|id| *id.as_bytes()).collect();
            node.set(base + CHUNKS, Layout::Bytes, &ids);
        }
        Payload::Listed { list, .. } => node.set(base + LIST, Layout::Id, list.as_bytes()),
    }
    node.set(base + BLOB, Layout::Id, payload.digest().as_bytes());
    node.set_number(base + LEN, payload.len());
}

fn push_value(node: &mut NodeBuilder, number: u64, value: &Value) {
    match value {
        Value::Flag => node.set(number, Layout::Flag, &[]),
        Value::Number(value) => node.set_number(number, *value),
        Value::Bytes(bytes) => node.set(number, Layout::Bytes, bytes),
        Value::Id(id) => node.set(number, Layout::Id, id),
    }
}

/// Adds a node to the node above it.
pub(super) fn push_child(node: &mut NodeBuilder, first_key: &[u8], child: &Child) {
    node.push(first_key);
    node.set(CHILD, Layout::Id, child.id.as_bytes());
    let totals = &child.totals;
    for (number, value) in [
        (ENTRIES, totals.entries),
        (BYTES, totals.bytes),
        (GAPS, totals.gaps),
        (CARRIED, totals.carried_over),
    ] {
        if value > 0 {
            node.set_number(number, value);
        }
    }
}

impl Node {
    /// The entry of a leaf's row.
    pub(super) fn entry(&self, row: usize) -> Result<Entry, NodeError> {
        let key =
            ObjectKey::from_bytes(self.key(row)).ok_or(NodeError::Malformed("a key is no key"))?;
        Ok(Entry {
            key,
            object_id: self.text(OBJECT_ID, row)?,
            modified_at: self.number(MODIFIED_AT, row)?.map(unfold_sign),
            size: self.number(SIZE, row)?,
            stamp: self.number(STAMP, row)?,
            body: self.payload(BODY, row)?,
            content: self.payload(CONTENT, row)?,
            permissions: self.payload(PERMISSIONS, row)?,
            gap: self.gap(row)?,
            carried_over: self.value(CARRIED_OVER, Layout::Flag, row)?.is_some(),
            other: self.other(row)?,
        })
    }

    fn gap(&self, row: usize) -> Result<Option<Gap>, NodeError> {
        let reason = self.text(GAP_REASON, row)?;
        let Some(code) = self.number(GAP_EXTENT, row)? else {
            return match reason {
                None => Ok(None),
                Some(_) => Err(NodeError::Malformed(
                    "there is a reason for a gap, and no gap",
                )),
            };
        };
        let extent = Extent::from_code(code);
        if reason.as_ref().is_some_and(String::is_empty) {
            return Err(NodeError::Malformed(
                "the reason of a gap is empty, and there",
            ));
        }
        Ok(Some(Gap {
            extent: extent.ok_or(NodeError::Malformed("a gap is of an unknown extent"))?,
            reason: reason.unwrap_or_default(),
        }))
    }

    /// Whether any row of a leaf may have a gap or may have been taken over.
    pub(super) fn may_be_uncertain(&self) -> bool {
        self.has_columns(&|number| matches!(number, GAP_EXTENT | CARRIED_OVER))
    }

    /// Whether a leaf's row has a gap or was taken over.
    pub(super) fn is_uncertain(&self, row: usize) -> Result<bool, NodeError> {
        Ok(self.value(GAP_EXTENT, Layout::Number, row)?.is_some()
            || self.value(CARRIED_OVER, Layout::Flag, row)?.is_some())
    }

    /// The child of a row of a node above the leaves.
    pub(super) fn child(&self, row: usize) -> Result<Child, NodeError> {
        let id = self
            .id(CHILD, row)?
            .ok_or(NodeError::Malformed("a child has no id"))?;
        let totals = Totals {
            entries: self.number(ENTRIES, row)?.unwrap_or(0),
            bytes: self.number(BYTES, row)?.unwrap_or(0),
            gaps: self.number(GAPS, row)?.unwrap_or(0),
            carried_over: self.number(CARRIED, row)?.unwrap_or(0),
        };
        Ok(Child { id, totals })
    }

    fn payload(&self, base: u64, row: usize) -> Result<Option<Payload>, NodeError> {
        let inline = self.value(base + INLINE, Layout::Bytes, row)?;
        let id = self.id(base + BLOB, row)?;
        let len = self.number(base + LEN, row)?;
        let chunks = self.value(base + CHUNKS, Layout::Bytes, row)?;
        let list = self.id(base + LIST, row)?;
        Ok(Some(match (inline, id, len, chunks, list) {
            (None, None, None, None, None) => return Ok(None),
            (Some(bytes), None, None, None, None) => Payload::Inline(bytes.to_vec()),
            (None, Some(id), Some(len), None, None) => Payload::Blob { id, len },
            (None, Some(id), Some(len), Some(ids), None) => Payload::Chunked {
                id,
                len,
                chunks: split_ids(ids)?,
            },
            (None, Some(id), Some(len), None, Some(list)) => Payload::Listed { id, len, list },
            _ => {
                return Err(NodeError::Malformed(
                    "a payload is stored in two ways at once",
                ));
            }
        }))
    }

    fn other(&self, row: usize) -> Result<Attributes, NodeError> {
        if !self.has_columns(&|number| !is_known(number)) {
            return Ok(Attributes::default());
        }
        let values = self.values(row)?.into_iter();
        values
            .filter(|(number, ..)| !is_known(*number))
            .map(|(number, layout, bytes)| Ok((number, Value::read(layout, bytes)?)))
            .collect::<Result<_, _>>()
            .map(Attributes)
    }

    fn number(&self, number: u64, row: usize) -> Result<Option<u64>, NodeError> {
        self.value(number, Layout::Number, row)?
            .map(whole_number)
            .transpose()
    }

    fn text(&self, number: u64, row: usize) -> Result<Option<String>, NodeError> {
        let Some(bytes) = self.value(number, Layout::Bytes, row)? else {
            return Ok(None);
        };
        let text =
            std::str::from_utf8(bytes).map_err(|_| NodeError::Malformed("a text is not UTF-8"))?;
        Ok(Some(text.to_owned()))
    }

    fn id(&self, number: u64, row: usize) -> Result<Option<BlobId>, NodeError> {
        let Some(bytes) = self.value(number, Layout::Id, row)? else {
            return Ok(None);
        };
        Ok(bytes.try_into().ok().map(BlobId::from_bytes))
    }
}

/// Takes apart ids that lie one behind the other.
pub(super) fn split_ids(bytes: &[u8]) -> Result<Vec<BlobId>, NodeError> {
    let (ids, rest) = bytes.as_chunks::<32>();
    if ids.is_empty() || !rest.is_empty() {
        return Err(NodeError::Malformed("a list of chunks is cut short"));
    }
    Ok(ids.iter().map(|id| BlobId::from_bytes(*id)).collect())
}

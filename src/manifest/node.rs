//! The bytes of one node of a manifest: keys that share their beginnings, then one column per attribute.
//!
//! Invariant: the same rows give the same bytes, and bytes that read as a node write back to themselves; everything
//! else is refused, whatever its length fields claim.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::NodeError;
use super::bytes::{Reader, push_number};
use super::column::{Column, Filling, Layout};
use crate::store::BlobId;

/// The version of the layout, the first byte of every node.
const FORMAT: u8 = 1;

/// A node never has more rows.
pub(super) const MOST_ROWS: usize = 2048;

/// A node ends once its keys have this many bytes. It keeps nodes of absurdly long names within bounds; a node
/// of ordinary paths has about a hundredth of it.
pub(super) const MOST_KEY_BYTES: usize = 1 << 20;

/// A longer key is refused: nothing in a workspace comes near it.
pub(super) const LONGEST_KEY: usize = 64 << 10;

/// More columns than any version will have; each costs memory for all rows.
const MOST_COLUMNS: usize = 64;

/// The places within a node are 32-bit numbers.
const LONGEST_NODE: usize = 256 << 20;

/// A column's number and layout with the stored bytes of one row's value.
pub(super) type Stored<'a> = (u64, Layout, &'a [u8]);

/// A decoded node. It stays in its stored form; values are looked up in place.
pub(super) struct Node {
    level: u8,
    rows: usize,
    keys: Vec<u8>,
    key_ends: Vec<u32>,
    columns: Vec<Column>,
    bytes: Bytes,
}

impl Node {
    /// Takes a node apart.
    pub(super) fn decode(bytes: impl Into<Bytes>) -> Result<Self, NodeError> {
        let bytes = bytes.into();
        if bytes.len() > LONGEST_NODE {
            return Err(NodeError::Malformed("it is too long"));
        }
        let mut reader = Reader::new(&bytes);
        match reader.byte()? {
            FORMAT => {}
            newer if newer > FORMAT => return Err(NodeError::Newer(newer)),
            _ => return Err(NodeError::Malformed("it has no format number")),
        }
        let level = reader.byte()?;
        let rows = reader.count(MOST_ROWS, "it has too many rows")?;
        if rows == 0 && level > 0 {
            return Err(NodeError::Malformed("it has no rows"));
        }
        let (keys, key_ends) = read_keys(&mut reader, rows)?;
        let columns = read_columns(&mut reader)?;
        if rows == 0 && !columns.is_empty() {
            return Err(NodeError::Malformed("it has columns and no rows"));
        }
        Ok(Self {
            level,
            rows,
            keys,
            key_ends,
            columns,
            bytes,
        })
    }

    /// 0 for a node of entries, more for nodes above.
    pub(super) const fn level(&self) -> u8 {
        self.level
    }

    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// About how much memory the node takes.
    pub(super) fn weight(&self) -> usize {
        self.bytes.len() + self.keys.len() + 4 * self.rows * (1 + self.columns.len())
    }

    pub(super) fn key(&self, row: usize) -> &[u8] {
        let start = if row == 0 {
            0
        } else {
            self.key_ends[row - 1] as usize
        };
        &self.keys[start..self.key_ends[row] as usize]
    }

    /// The first row whose key is not below `key`.
    pub(super) fn seek(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low.midpoint(high);
            match self.key(middle).cmp(key) {
                Ordering::Less => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// The stored bytes of a row's value.
    pub(super) fn value(
        &self,
        number: u64,
        layout: Layout,
        row: usize,
    ) -> Result<Option<&[u8]>, NodeError> {
        let Ok(at) = self
            .columns
            .binary_search_by_key(&number, |column| column.number)
        else {
            return Ok(None);
        };
        if self.columns[at].layout != layout {
            return Err(NodeError::Malformed("a column has the wrong layout"));
        }
        Ok(self.columns[at].values(&self.bytes, self.rows)?.get(row))
    }

    /// Whether there are columns with such numbers.
    pub(super) fn has_columns(&self, such: &dyn Fn(u64) -> bool) -> bool {
        self.columns.iter().any(|column| such(column.number))
    }

    /// All values of a row with their columns.
    pub(super) fn values(&self, row: usize) -> Result<Vec<Stored<'_>>, NodeError> {
        let mut values = Vec::new();
        for column in &self.columns {
            if let Some(value) = column.values(&self.bytes, self.rows)?.get(row) {
                values.push((column.number, column.layout, value));
            }
        }
        Ok(values)
    }

    /// Whether two rows have the same values, whatever their keys.
    pub(super) fn same_values(
        &self,
        row: usize,
        other: &Self,
        other_row: usize,
    ) -> Result<bool, NodeError> {
        Ok(self.values(row)? == other.values(other_row)?)
    }

    /// The rows whose values differ between two nodes that have the same keys; `None` when they do not. Columns that
    /// are the same as a whole are not looked into.
    pub(super) fn differing_rows(&self, other: &Self) -> Result<Option<Vec<usize>>, NodeError> {
        if self.key_ends != other.key_ends || self.keys != other.keys {
            return Ok(None);
        }
        let mut differs = vec![false; self.rows];
        for column in &self.columns {
            let same = other
                .columns
                .iter()
                .find(|same| same.number == column.number && same.layout == column.layout);
            if same.is_some_and(|same| same.bytes(&other.bytes) == column.bytes(&self.bytes)) {
                continue;
            }
            let values = column.values(&self.bytes, self.rows)?;
            let others = same.map(|same| same.values(&other.bytes, other.rows));
            let others = others.transpose()?;
            for (row, differs) in differs.iter_mut().enumerate() {
                *differs |= values.get(row) != others.as_ref().and_then(|others| others.get(row));
            }
        }
        for column in &other.columns {
            if self
                .columns
                .iter()
                .any(|same| same.number == column.number && same.layout == column.layout)
            {
                continue;
            }
            let values = column.values(&other.bytes, other.rows)?;
            for (row, differs) in differs.iter_mut().enumerate() {
                *differs |= values.get(row).is_some();
            }
        }
        Ok(Some((0..self.rows).filter(|row| differs[*row]).collect()))
    }
}

/// The key of an encoded node that has one row, without taking the node apart.
pub(super) fn only_key(node: &[u8]) -> Result<&[u8], NodeError> {
    let mut reader = Reader::new(node);
    // The format, the level, one row, and nothing shared with the row before.
    let [_, _, 1, 0] = *reader.take(4)? else {
        return Err(NodeError::Malformed("it has not one row"));
    };
    let len = reader.count(LONGEST_KEY, "a key is too long")?;
    reader.take(len)
}

/// Counts shared with the key before, then lengths of the rest, then the rests.
fn read_keys(reader: &mut Reader<'_>, rows: usize) -> Result<(Vec<u8>, Vec<u32>), NodeError> {
    let mut shared = Vec::with_capacity(rows);
    for _ in 0..rows {
        shared.push(reader.count(LONGEST_KEY, "a key is too long")?);
    }
    let mut rests = Vec::with_capacity(rows);
    for _ in 0..rows {
        rests.push(reader.count(LONGEST_KEY, "a key is too long")?);
    }
    let len: usize = shared.iter().chain(&rests).sum();
    let mut keys: Vec<u8> = Vec::with_capacity(len.min(MOST_KEY_BYTES));
    let mut ends = Vec::with_capacity(rows);
    let mut previous = 0..0;
    for (shared, rest) in shared.into_iter().zip(rests) {
        let rest = reader.take(rest)?;
        if keys.len() >= MOST_KEY_BYTES || shared + rest.len() > LONGEST_KEY {
            return Err(NodeError::Malformed("its keys are too long"));
        }
        // The key must come after the one before, and share with it no more bytes than it says.
        let differs = keys
            .get(previous.start + shared)
            .filter(|_| shared < previous.len());
        let rises = match (differs, rest.first()) {
            (Some(before), Some(now)) => before < now,
            (None, Some(_)) => shared == previous.len(),
            (_, None) => ends.is_empty() && shared == 0,
        };
        if !rises {
            return Err(NodeError::Malformed("its keys are out of order"));
        }
        let start = keys.len();
        keys.extend_from_within(previous.start..previous.start + shared);
        keys.extend_from_slice(rest);
        previous = start..keys.len();
        ends.push(keys.len() as u32);
    }
    Ok((keys, ends))
}

fn read_columns(reader: &mut Reader<'_>) -> Result<Vec<Column>, NodeError> {
    let mut columns: Vec<Column> = Vec::new();
    while !reader.is_at_end() {
        let column = Column::read(reader)?;
        let rises = columns
            .last()
            .is_none_or(|before| before.number < column.number);
        if !rises || columns.len() == MOST_COLUMNS {
            return Err(NodeError::Malformed("its columns are out of order"));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// A node that is being filled, row after row.
pub(super) struct NodeBuilder {
    level: u8,
    rows: usize,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
    key_bytes: usize,
    shared: Vec<u8>,
    lens: Vec<u8>,
    rests: Vec<u8>,
    columns: BTreeMap<u64, Filling>,
}

impl NodeBuilder {
    pub(super) const fn new(level: u8) -> Self {
        Self {
            level,
            rows: 0,
            first_key: Vec::new(),
            last_key: Vec::new(),
            key_bytes: 0,
            shared: Vec::new(),
            lens: Vec::new(),
            rests: Vec::new(),
            columns: BTreeMap::new(),
        }
    }

    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn first_key(&self) -> &[u8] {
        &self.first_key
    }

    /// Begins the next row. Keys come in rising order: the tree sees to that.
    pub(super) fn push(&mut self, key: &[u8]) {
        let shared = self
            .last_key
            .iter()
            .zip(key)
            .take_while(|(a, b)| a == b)
            .count();
        push_number(&mut self.shared, shared as u64);
        push_number(&mut self.lens, (key.len() - shared) as u64);
        self.rests.extend_from_slice(&key[shared..]);
        if self.rows == 0 {
            self.first_key.extend_from_slice(key);
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.key_bytes += key.len();
        self.rows += 1;
    }

    /// Gives the newest row a value. A column is set at most once per row.
    pub(super) fn set(&mut self, number: u64, layout: Layout, value: &[u8]) {
        let row = self.rows - 1;
        self.columns
            .entry(number)
            .or_insert_with(|| Filling::new(layout))
            .set(row, value);
    }

    /// Gives the newest row a number.
    pub(super) fn set_number(&mut self, number: u64, value: u64) {
        let mut bytes = Vec::with_capacity(10);
        push_number(&mut bytes, value);
        self.set(number, Layout::Number, &bytes);
    }

    /// Whether the node ends with the newest row. It depends on keys alone, so that a changed value moves no
    /// boundary and the node it replaces is easily found.
    pub(super) fn is_complete(&self) -> bool {
        let boundary = BlobId::of(&self.last_key).as_bytes()[0] == 0;
        // Above the entries a node of one row would let a chain of boundaries build an endless tower.
        let wide_enough = self.level == 0 || self.rows >= 2;
        (boundary && wide_enough) || self.rows == MOST_ROWS || self.key_bytes >= MOST_KEY_BYTES
    }

    /// The stored form of the node; the builder is empty again.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let done = std::mem::replace(self, Self::new(self.level));
        let mut out = Vec::with_capacity(done.rests.len() + done.rows * 80 + 16);
        out.extend_from_slice(&[FORMAT, done.level]);
        push_number(&mut out, done.rows as u64);
        out.extend_from_slice(&done.shared);
        out.extend_from_slice(&done.lens);
        out.extend_from_slice(&done.rests);
        for (number, column) in &done.columns {
            column.write(&mut out, *number, done.rows);
        }
        out
    }
}

#[cfg(test)]
mod tests;

//! One attribute of all rows of a node, stored side by side.
//!
//! Invariant: a column says by itself how its values are laid out, so one that this version has never heard of
//! can still be taken apart, carried along row by row and written back.

use std::ops::Range;
use std::sync::OnceLock;

use super::NodeError;
use super::bytes::{Reader, push_number, whole_number};

/// How the values of a column are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Present or not, and nothing else.
    Flag,
    /// Numbers, seven bits to a byte.
    Number,
    /// Lengths, then the bytes of all values.
    Bytes,
    /// 32 bytes each.
    Id,
}

const LAYOUT_BITS: u32 = 2;
/// The bytes of an id.
const ID: usize = 32;

impl Layout {
    const fn code(self) -> u64 {
        match self {
            Self::Flag => 0,
            Self::Number => 1,
            Self::Bytes => 2,
            Self::Id => 3,
        }
    }

    const fn of_tag(tag: u64) -> Self {
        match tag & ((1 << LAYOUT_BITS) - 1) {
            0 => Self::Flag,
            1 => Self::Number,
            2 => Self::Bytes,
            _ => Self::Id,
        }
    }
}

/// A value as such, apart from its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Flag,
    Number(u64),
    Bytes(Vec<u8>),
    Id([u8; 32]),
}

impl Value {
    pub(super) fn read(layout: Layout, bytes: &[u8]) -> Result<Self, NodeError> {
        Ok(match layout {
            Layout::Flag => Self::Flag,
            Layout::Number => Self::Number(whole_number(bytes)?),
            Layout::Bytes => Self::Bytes(bytes.to_vec()),
            Layout::Id => Self::Id(bytes.try_into().map_err(|_| NodeError::Truncated)?),
        })
    }
}

/// A column of a decoded node. It is taken apart when a value is first asked for: most are never asked, because a
/// column of a changed node is mostly the same as before.
pub(super) struct Column {
    pub(super) number: u64,
    pub(super) layout: Layout,
    /// Where it lies in the node's bytes.
    body: Range<usize>,
    parts: OnceLock<Result<Parts, NodeError>>,
}

/// Where the parts of a column lie in the node's bytes.
struct Parts {
    /// Which rows have a value; without it, all.
    bitmap: Option<Range<usize>>,
    /// Where the first value begins; each of the others begins where the one before it ends.
    start: usize,
    /// Where values end that may be of any length.
    ends: Vec<u32>,
}

impl Column {
    /// Reads the column that `reader` stands before; the reader began at the beginning of the node.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, NodeError> {
        let tag = reader.number()?;
        let len = reader.count(u32::MAX as usize, "a column is too long")?;
        let start = reader.at();
        reader.take(len)?;
        Ok(Self {
            number: tag >> LAYOUT_BITS,
            layout: Layout::of_tag(tag),
            body: start..start + len,
            parts: OnceLock::new(),
        })
    }

    /// The values, of which there is at most one for each of so many rows.
    pub(super) fn values<'a>(
        &'a self,
        node: &'a [u8],
        rows: usize,
    ) -> Result<Values<'a>, NodeError> {
        let parts = self.parts.get_or_init(|| self.take_apart(node, rows));
        let parts = parts.as_ref().map_err(|error| *error)?;
        Ok(Values {
            layout: self.layout,
            parts,
            bitmap: parts.bitmap.as_ref().map(|bitmap| &node[bitmap.clone()]),
            node,
            rows,
        })
    }

    /// The whole column as it is stored, but for its number and layout.
    pub(super) fn bytes<'a>(&self, node: &'a [u8]) -> &'a [u8] {
        &node[self.body.clone()]
    }

    /// Finds the parts, which fill the column to its end. Whether a number is in its shortest form finds out who reads it.
    fn take_apart(&self, node: &[u8], rows: usize) -> Result<Parts, NodeError> {
        let mut body = Reader::new(self.bytes(node));
        let bitmap = read_bitmap(&mut body, self.layout, rows)?;
        let count = bitmap.map_or(rows, count_ones);
        let bitmap = bitmap.map(|bitmap| {
            let end = self.body.start + body.at();
            end - bitmap.len()..end
        });
        let mut ends = Vec::new();
        let mut start = self.body.start + body.at();
        match self.layout {
            Layout::Flag => {}
            Layout::Id => drop(body.take(ID * count)?),
            Layout::Number => {
                ends.reserve_exact(count);
                ends.extend(ends_of_numbers(&node[start..self.body.end], start));
                if ends.len() != count {
                    return Err(NodeError::Malformed(
                        "a column has another count of numbers",
                    ));
                }
                body.take(ends.last().map_or(0, |end| *end as usize - start))?;
            }
            Layout::Bytes => {
                let lens = (0..count).map(|_| body.count(self.body.len(), TOO_LONG));
                let lens = lens.collect::<Result<Vec<_>, _>>()?;
                start = self.body.start + body.at();
                body.take(lens.iter().sum())?;
                let mut end = start;
                ends.extend(lens.iter().map(|len| {
                    end += len;
                    end as u32
                }));
            }
        }
        body.end()?;
        Ok(Parts {
            bitmap,
            start,
            ends,
        })
    }
}

/// The values of a column.
pub(super) struct Values<'a> {
    layout: Layout,
    parts: &'a Parts,
    bitmap: Option<&'a [u8]>,
    node: &'a [u8],
    rows: usize,
}

impl<'a> Values<'a> {
    /// The bytes of a row's value, if the row has one.
    pub(super) fn get(&self, row: usize) -> Option<&'a [u8]> {
        let parts = self.parts;
        let index = match self.bitmap {
            None if row < self.rows => row,
            Some(bitmap) if row < self.rows && has(bitmap, row) => count_before(bitmap, row),
            _ => return None,
        };
        let value = match self.layout {
            Layout::Flag => parts.start..parts.start,
            Layout::Id => parts.start + ID * index..parts.start + ID * (index + 1),
            Layout::Number | Layout::Bytes => {
                let before = index
                    .checked_sub(1)
                    .map(|before| parts.ends[before] as usize);
                before.unwrap_or(parts.start)..parts.ends[index] as usize
            }
        };
        Some(&self.node[value])
    }
}

const TOO_LONG: &str = "a value is longer than its column";

/// Where numbers end that lie one behind the other from `start` on: each at its only byte without the highest bit.
fn ends_of_numbers(numbers: &[u8], start: usize) -> impl Iterator<Item = u32> {
    let bytes = numbers.iter().zip(start as u32 + 1..);
    bytes.filter(|(byte, _)| **byte < 0x80).map(|(_, end)| end)
}

const ALL_PRESENT: u8 = 0;
const SOME_PRESENT: u8 = 1;

/// Which rows have a value, a bit for each; `None` when all have. A column without any is never written.
fn read_bitmap<'a>(
    body: &mut Reader<'a>,
    layout: Layout,
    rows: usize,
) -> Result<Option<&'a [u8]>, NodeError> {
    if layout != Layout::Flag {
        match body.byte()? {
            ALL_PRESENT if rows > 0 => return Ok(None),
            SOME_PRESENT => {}
            _ => {
                return Err(NodeError::Malformed(
                    "a column does not say which rows it is for",
                ));
            }
        }
    }
    let bitmap = body.take(rows.div_ceil(8))?;
    let count = count_ones(bitmap);
    let spare_bits = bitmap
        .last()
        .is_some_and(|last| !rows.is_multiple_of(8) && last >> (rows % 8) != 0);
    if spare_bits || count == 0 || (count == rows && layout != Layout::Flag) {
        return Err(NodeError::Malformed(
            "a column names its rows in an unusual way",
        ));
    }
    Ok(Some(bitmap))
}

const fn has(bitmap: &[u8], row: usize) -> bool {
    bitmap[row / 8] >> (row % 8) & 1 == 1
}

fn count_ones(bitmap: &[u8]) -> usize {
    bitmap.iter().map(|bits| bits.count_ones() as usize).sum()
}

/// How many of the rows before one have a value.
fn count_before(bitmap: &[u8], row: usize) -> usize {
    let below = bitmap[row / 8] & ((1 << (row % 8)) - 1);
    count_ones(&bitmap[..row / 8]) + below.count_ones() as usize
}

/// A column that is being filled, row after row.
pub(super) struct Filling {
    layout: Layout,
    present: Vec<u8>,
    count: usize,
    lens: Vec<u8>,
    data: Vec<u8>,
}

impl Filling {
    pub(super) const fn new(layout: Layout) -> Self {
        Self {
            layout,
            present: Vec::new(),
            count: 0,
            lens: Vec::new(),
            data: Vec::new(),
        }
    }

    /// Gives `row` the value; rows come in rising order, and each at most once.
    pub(super) fn set(&mut self, row: usize, value: &[u8]) {
        self.present.resize(row / 8 + 1, 0);
        self.present[row / 8] |= 1 << (row % 8);
        self.count += 1;
        if self.layout == Layout::Bytes {
            push_number(&mut self.lens, value.len() as u64);
        }
        self.data.extend_from_slice(value);
    }

    /// Appends the column as it is stored in a node of that many rows.
    pub(super) fn write(&self, out: &mut Vec<u8>, number: u64, rows: usize) {
        let mut body = Vec::with_capacity(self.data.len() + self.lens.len() + rows / 8 + 2);
        let bitmap = self.layout == Layout::Flag || self.count < rows;
        if self.layout != Layout::Flag {
            body.push(if bitmap { SOME_PRESENT } else { ALL_PRESENT });
        }
        if bitmap {
            body.extend_from_slice(&self.present);
            body.resize(body.len() + rows.div_ceil(8) - self.present.len(), 0);
        }
        body.extend_from_slice(&self.lens);
        body.extend_from_slice(&self.data);
        push_number(out, number << LAYOUT_BITS | self.layout.code());
        push_number(out, body.len() as u64);
        out.extend_from_slice(&body);
    }
}

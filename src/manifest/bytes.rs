//! Reading and writing the small pieces that nodes are made of.
//!
//! Invariant: a reader never looks past its end and accepts each number in its shortest form only, so that
//! whatever was read writes back to the same bytes.

use super::NodeError;

/// The most bytes a 64-bit number takes.
const LONGEST_NUMBER: usize = 10;

/// Appends `number`, seven bits to a byte, the lowest first.
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Maps signed numbers to unsigned ones such that small ones stay small.
pub(super) const fn fold_sign(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// Takes back [`fold_sign`].
pub(super) const fn unfold_sign(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Reads a number that takes up all of `bytes`.
pub(super) fn whole_number(bytes: &[u8]) -> Result<u64, NodeError> {
    let mut reader = Reader::new(bytes);
    let number = reader.number()?;
    reader.end()?;
    Ok(number)
}

/// A place in a run of bytes.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, NodeError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], NodeError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..len).ok_or(NodeError::Truncated)?;
        self.at += len;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Result<u64, NodeError> {
        // Most numbers are lengths of a single byte, and a node has many.
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(byte.into())
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Result<u64, NodeError> {
        let mut number = 0u64;
        for position in 0..LONGEST_NUMBER {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * position);
            if shifted >> (7 * position) != bits {
                break;
            }
            number |= shifted;
            if byte < 0x80 {
                if byte == 0 && position > 0 {
                    break;
                }
                return Ok(number);
            }
        }
        Err(NodeError::Malformed("a number is not in its shortest form"))
    }

    /// A number that counts bytes or rows, refused above `limit`.
    pub(super) fn count(&mut self, limit: usize, what: &'static str) -> Result<usize, NodeError> {
        let number = self.number()?;
        match usize::try_from(number) {
            Ok(count) if count <= limit => Ok(count),
            _ => Err(NodeError::Malformed(what)),
        }
    }

    pub(super) fn end(&self) -> Result<(), NodeError> {
        if self.is_at_end() {
            Ok(())
        } else {
            Err(NodeError::Malformed("there are bytes after the end"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_survives(number: u64, signed: i64) {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            prop_assert_eq!(whole_number(&bytes).unwrap(), number);
            prop_assert_eq!(unfold_sign(fold_sign(signed)), signed);
        }

        #[test]
        fn what_reads_as_a_number_writes_back_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(number) = whole_number(&bytes) {
                let mut again = Vec::new();
                push_number(&mut again, number);
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn a_longer_form_of_a_number_is_refused() {
        for bytes in [&[0x80, 0x00][..], &[0xff; 10], &[0xff; 11], &[0x80], &[]] {
            assert!(whole_number(bytes).is_err(), "{bytes:?}");
        }
    }
}

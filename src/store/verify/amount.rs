//! How much of the data a verification reads.
//!
//! Invariant: whoever goes on and on with the same share has read everything in the end.

use std::fmt;
use std::str::FromStr;

use super::verified::Verified;
use crate::store::id::FileId;

/// How much of the data is read: whole packs, and of a share those first whose last reading is the longest ago. What was
/// found damaged before is read again beside that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// Everything.
    All,
    /// So many hundredths of the bytes.
    Percent(f64),
    /// So many bytes, rounded up to whole packs.
    Bytes(u64),
    /// One of several parts of about the same number of packs, whenever they were last read.
    Part {
        /// Which of them, from 1.
        number: u32,
        /// How many parts there are.
        of: u32,
    },
}

/// The text says no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a share (5%), nor a part (1/7), nor a size (500M, 2G)")]
pub struct ParseAmountError(String);

impl Amount {
    /// Those of the packs that are to be read.
    pub(super) fn choose(
        self,
        mut packs: Vec<(FileId, u64)>,
        verified: &Verified,
    ) -> Vec<(FileId, u64)> {
        let total: u64 = packs.iter().map(|(_, bytes)| bytes).sum();
        let budget = match self {
            Self::All => return packs,
            Self::Part { number, of } => {
                packs.retain(|(id, _)| part_of(id, of) == number || verified.is_damaged(id));
                return packs;
            }
            Self::Percent(percent) => (total as f64 * percent / 100.0).ceil() as u64,
            Self::Bytes(bytes) => bytes,
        };
        packs.sort_by_key(|(id, _)| (verified.when(id), *id));
        let mut read = 0;
        packs.retain(|(id, bytes)| {
            if verified.is_damaged(id) {
                return true;
            }
            let is_within = read < budget;
            read += bytes;
            is_within
        });
        packs.sort_unstable();
        packs
    }
}

/// The number of the part that a pack belongs to for ever: packs have random names.
fn part_of(id: &FileId, of: u32) -> u32 {
    let [a, b, c, d, ..] = *id.as_bytes();
    u32::from_be_bytes([a, b, c, d]) % of + 1
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, ParseAmountError> {
        let read = || {
            if let Some(percent) = text.strip_suffix('%') {
                let percent: f64 = percent.parse().ok()?;
                return (percent > 0.0 && percent <= 100.0).then_some(Self::Percent(percent));
            }
            if let Some((number, of)) = text.split_once('/') {
                let (number, of) = (number.parse().ok()?, of.parse().ok()?);
                return (1..=of)
                    .contains(&number)
                    .then_some(Self::Part { number, of });
            }
            let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
            let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
                "K" => 10,
                "M" => 20,
                "G" => 30,
                "T" => 40,
                _ => return None,
            };
            let bytes = digits.parse::<u64>().ok()?.checked_mul(1 << shift)?;
            (bytes > 0).then_some(Self::Bytes(bytes))
        };
        read().ok_or_else(|| ParseAmountError(text.to_owned()))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Self::Part { number, of } => write!(f, "{number}/{of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs(count: u8) -> Vec<(FileId, u64)> {
        let mut packs: Vec<_> = (0..count).map(|n| (FileId::of(&[n]), 100)).collect();
        packs.sort_unstable();
        packs
    }

    #[test]
    fn shares_parts_and_sizes_are_read_and_everything_else_is_refused() {
        for (text, amount) in [
            ("5%", Amount::Percent(5.0)),
            ("0.5%", Amount::Percent(0.5)),
            ("1/7", Amount::Part { number: 1, of: 7 }),
            ("2G", Amount::Bytes(2 << 30)),
            ("500m", Amount::Bytes(500 << 20)),
        ] {
            assert_eq!(text.parse(), Ok(amount), "{text}");
        }
        for text in [
            "",
            "5",
            "%",
            "0%",
            "101%",
            "-1%",
            "NaN%",
            "0/7",
            "8/7",
            "1/0",
            "/",
            "G",
            "0G",
            "-2G",
            "99999999999T",
            "2X",
            "2GG",
        ] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }

    #[test]
    fn all_parts_together_are_everything_and_no_two_have_a_pack_in_common() {
        let parts = (1..=7).flat_map(|number| {
            Amount::Part { number, of: 7 }.choose(packs(100), &Verified::default())
        });
        let mut together: Vec<_> = parts.collect();
        together.sort_unstable();
        assert_eq!(together, packs(100));
    }

    #[test]
    fn shares_one_after_the_other_come_to_everything_and_never_twice_to_one_pack_before() {
        let mut verified = Verified::default();
        let mut left = packs(20);
        for day in 0..10 {
            let chosen = Amount::Percent(10.0).choose(packs(20), &verified);
            assert_eq!(chosen.len(), 2);
            left.retain(|pack| !chosen.contains(pack));
            assert_eq!(left.len(), 18 - 2 * day as usize);
            for (id, _) in chosen {
                verified.insert(id, crate::store::tests::at(day));
            }
        }
    }

    #[test]
    fn an_amount_of_bytes_is_rounded_up_to_packs() {
        let chosen = |bytes| {
            Amount::Bytes(bytes)
                .choose(packs(9), &Verified::default())
                .len()
        };
        assert_eq!([1, 100, 101, 10_000].map(chosen), [1, 1, 2, 9]);
    }
}

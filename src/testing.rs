//! What the tests of all rooms share: a fuzzer that needs nothing but a seed, and how often laws are tried.
//!
//! A test hands [`fuzz`] a decoder and some good inputs, and `fuzz` hands the decoder thousands of inputs that are good
//! almost everywhere. The same seed gives the same inputs on every machine, so that what fails once fails always; what
//! the decoder accepted is changed further, so that damage reaches what lies behind the first check.
//!
//! | variable | |
//! |---|---|
//! | `DBSNAP_FUZZ` | inputs per decoder; a few thousand if it is not set |
//! | `DBSNAP_FUZZ_SEED` | another seed than 1, for other inputs |
//! | `DBSNAP_CASES` | random cases per law of manifests, comparisons and the store; a dozen or more if it is not set |
//!
//! The long run, in which no decoder may take more memory than it should (an allocation beyond the limit aborts):
//!
//! ```text
//! cargo test --release --no-run
//! MALLOC_ARENA_MAX=1 DBSNAP_FUZZ=1000000 prlimit --as=400000000 target/release/deps/dbsnap-... fuzz --test-threads=1
//! ```

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use proptest::prelude::ProptestConfig;

/// Inputs per decoder unless the environment says otherwise: a second or so without optimisation.
const USUAL: u64 = 3_000;
/// No input is made longer than this, unless a good one is.
const LONGEST: usize = 32 << 10;
/// So many accepted inputs are changed further.
const MOST_ACCEPTED: usize = 256;

/// What came of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fuzzed {
    /// Inputs that the decoder was given.
    pub(crate) executions: u64,
    /// Those that it took.
    pub(crate) accepted: u64,
}

/// Gives `decode` changed inputs. It says whether it took an input, and panics if it did something it must not, or if it
/// refuses one of the good inputs.
#[expect(
    clippy::print_stdout,
    reason = "the figures are what the long run is made for"
)]
pub(crate) fn fuzz(name: &str, good: &[Vec<u8>], decode: impl Fn(&[u8]) -> bool) -> Fuzzed {
    for input in good {
        assert!(decode(input), "{name}: a good input is refused");
    }
    let mut random = Random::new(name, number_from("DBSNAP_FUZZ_SEED").unwrap_or(1));
    let mut inputs = good.to_vec();
    let longest = good.iter().map(Vec::len).max().unwrap_or(0).max(LONGEST);
    let mut fuzzed = Fuzzed::default();
    for _ in 0..number_from("DBSNAP_FUZZ").unwrap_or(USUAL) {
        // What was accepted may be so because little is left of it.
        let from_good = random.below(2) == 0;
        let from = &inputs[..if from_good { good.len() } else { inputs.len() }];
        let input = random.changed(from, longest);
        let taken = catch_unwind(AssertUnwindSafe(|| decode(&input)));
        let taken = taken.unwrap_or_else(|panic| {
            println!(
                "{name}: input {}: {}",
                fuzzed.executions,
                input.escape_ascii()
            );
            resume_unwind(panic)
        });
        fuzzed.executions += 1;
        fuzzed.accepted += u64::from(taken);
        if taken && inputs.len() < good.len() + MOST_ACCEPTED {
            inputs.push(input);
        } else if taken {
            let at = good.len() + random.below(MOST_ACCEPTED);
            inputs[at] = input;
        }
    }
    println!(
        "{name}: {} inputs, {} taken",
        fuzzed.executions, fuzzed.accepted
    );
    fuzzed
}

/// How many cases of a law are tried: `usual` unless `DBSNAP_CASES` says otherwise.
#[allow(
    dead_code,
    reason = "the program itself has settings to fuzz and no laws"
)]
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let cases =
        number_from("DBSNAP_CASES").map_or(usual, |cases| cases.try_into().unwrap_or(u32::MAX));
    ProptestConfig::with_cases(cases)
}

/// A number that the environment gives.
pub(crate) fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("the variable is a number"))
}

/// A sequence of numbers that only its seed decides (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    /// The sequence for this purpose.
    pub(crate) fn new(purpose: &str, seed: u64) -> Self {
        let mut random = Self(seed);
        for byte in purpose.bytes() {
            random.0 = random.next() ^ u64::from(byte);
        }
        random
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        match end {
            0 => 0,
            end => (self.next() % end as u64) as usize,
        }
    }

    /// A part of something of this length, mostly a short one.
    fn part(&mut self, len: usize) -> Range<usize> {
        let start = self.below(len + 1);
        let most = match self.below(4) {
            0 => len - start,
            _ => (len - start).min(16),
        };
        start..start + self.below(most + 1)
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// One of the inputs with one to four changes.
    fn changed(&mut self, inputs: &[Vec<u8>], longest: usize) -> Vec<u8> {
        let mut input = self.one_of(inputs).clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input, inputs);
        }
        input.truncate(longest);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let at = self.below(input.len());
        match self.below(11) {
            0 | 1 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            2 if !input.is_empty() => input[at] = *self.one_of(&[0, 1, 0x7f, 0x80, 0xff]),
            3 if !input.is_empty() => input[at] = self.next() as u8,
            4 | 5 => self.set_number(input),
            6 => input.truncate(at),
            7 => drop(input.drain(self.part(input.len()))),
            8 => {
                let copied = input[self.part(input.len())].to_vec();
                input.splice(at..at, copied);
            }
            9 => {
                let other = self.one_of(inputs);
                let from = &other[self.part(other.len())];
                let to = self.part(input.len());
                input.splice(to, from.iter().copied());
            }
            _ => {
                let word = self.one_of(WORDS);
                let to = at..at + self.below((input.len() - at).min(word.len()) + 1);
                input.splice(to, word.bytes());
            }
        }
    }

    /// Makes two, four or eight bytes an extreme number, or one near the length of the input, or near what was there.
    fn set_number(&mut self, input: &mut [u8]) {
        let width = *self.one_of(&[2, 4, 4, 8]);
        if input.len() < width {
            return;
        }
        let at = self.below(input.len() - width + 1);
        let place = &mut input[at..at + width];
        let mut before = [0; 8];
        before[..width].copy_from_slice(place);
        let step = self.below(5) as u64;
        let number = match self.below(6) {
            0 => 0,
            1 => u64::MAX.wrapping_sub(step),
            2 => 1 << self.below(64),
            3 => (1 << (8 * width - 1)) - step,
            4 => (place.len() as u64).wrapping_sub(2).wrapping_add(step),
            _ => u64::from_le_bytes(before)
                .wrapping_add(step)
                .wrapping_sub(2),
        };
        place.copy_from_slice(&number.to_le_bytes()[..width]);
    }
}

/// What means something in texts: JSON, TOML, CSV and profiles.
const WORDS: &[&str] = &[
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "[[[[[[[[[[[[[[[[",
    "{\"a\":",
    ",",
    ":",
    "=",
    "\n",
    "\r\n",
    "#",
    ";",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "18446744073709551616",
    "9223372036854775808",
    "-0.0",
    "NaN",
    "..",
    "/",
    "\u{feff}",
    "\u{0}",
    "é",
    "\u{10ffff}",
    "[a]\n",
    "'''",
    "\"\"\"",
    "2026-02-30T25:61:61Z",
    "%",
    "<pre>",
    "@",
];

mod tests {
    use super::*;

    #[test]
    fn a_fuzzer_finds_what_lies_behind_two_checks_and_says_with_which_input() {
        let decode = |input: &[u8]| {
            if input.first() != Some(&b'a') {
                return false;
            }
            assert!(input.get(1) != Some(&0xff), "found");
            true
        };
        let found = catch_unwind(|| fuzz("the fuzzer itself", &[b"abc".to_vec()], decode));
        let said = *found.unwrap_err().downcast::<&str>().unwrap();
        assert_eq!(said, "found");
    }

    #[test]
    fn the_same_seed_gives_the_same_inputs_and_another_seed_others() {
        let inputs = |seed| {
            let mut random = Random::new("x", seed);
            let good = [b"abcdef".to_vec(), vec![0; 100]];
            let inputs = (0..500).map(|_| random.changed(&good, 200));
            inputs.collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        assert!(inputs(1).iter().all(|input| input.len() <= 200));
    }
}

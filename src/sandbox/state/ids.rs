//! Ids and timestamps that depend on nothing but the options.
//!
//! Invariant: numeric ids grow, never repeat, and lie above 2^53, where a reader that goes through floats loses digits.

use crate::sandbox::options::Clock;

/// Scrambles a number (the finaliser of splitmix64): neighbours in, strangers out.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Makes ids.
pub(crate) struct Ids {
    seed: u64,
    made: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Ids {
        Ids {
            seed: mix(seed),
            made: 0,
        }
    }

    /// The next numeric id.
    pub(crate) fn next(&mut self) -> i64 {
        let jitter = self.draw() & 0xf_ffff;
        let base = (1 << 53) + ((self.seed & 0xffff) << 45);
        (base + (self.made << 20) + jitter) as i64
    }

    /// Sixteen upper-case hex digits, sometimes with leading zeros.
    pub(crate) fn hex(&mut self) -> String {
        let number = self.draw();
        let number = if self.made.is_multiple_of(3) {
            number >> 12
        } else {
            number
        };
        format!("{number:016X}")
    }

    /// An id in the style of clusters and pools: date, time, a word of letters and digits.
    pub(crate) fn dated(&mut self, now: i64, middle: &str) -> String {
        const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut number = self.draw();
        let mut tail = String::new();
        for _ in 0..8 {
            tail.push(LETTERS[(number % 36) as usize] as char);
            number /= 36;
        }
        let time = chrono::DateTime::from_timestamp_millis(now).unwrap_or_default();
        format!("{}-{middle}{tail}", time.format("%m%d-%H%M%S"))
    }

    /// Forty hex digits, as a commit id.
    pub(crate) fn commit(&mut self) -> String {
        let (a, b, c) = (self.draw(), self.draw(), self.draw());
        format!("{a:016x}{b:016x}{:08x}", c as u32)
    }

    /// A UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.draw(), self.draw());
        let (head, rest) = (a >> 32, a & 0xffff_ffff);
        format!(
            "{head:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            rest >> 16,
            rest & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }

    fn draw(&mut self) -> u64 {
        self.made += 1;
        mix(self.seed.wrapping_add(self.made))
    }
}

/// Tells the time.
pub(crate) struct Ticker {
    clock: Clock,
    now: i64,
}

impl Ticker {
    /// The clock samples are made with: the same whatever the options say, so that a sample is always the same.
    pub(crate) fn for_samples() -> Ticker {
        let clock = Clock::Ticking {
            start: 1_726_316_611_000,
            step: 61_001,
        };
        Ticker {
            clock,
            now: 1_726_316_611_000,
        }
    }

    /// From now on, time comes from `clock`.
    pub(crate) fn switch_to(&mut self, clock: Clock) {
        self.clock = clock;
        if let Clock::Ticking { start, .. } = clock {
            self.now = self.now.max(start);
        }
    }

    /// The time in milliseconds since 1970.
    pub(crate) fn now(&mut self) -> i64 {
        match self.clock {
            Clock::System => chrono::Utc::now().timestamp_millis(),
            Clock::Ticking { step, .. } => {
                self.now += step;
                self.now
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_ids_grow_above_what_a_float_holds_and_follow_the_seed() {
        let take = |seed: u64| -> Vec<i64> {
            let mut ids = Ids::new(seed);
            (0..100).map(|_| ids.next()).collect()
        };
        let ids = take(1);
        assert!(ids.iter().all(|id| *id > 1 << 53));
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids, take(1));
        assert_ne!(ids, take(2));
    }

    #[test]
    fn hex_ids_keep_their_leading_zeros() {
        let mut ids = Ids::new(7);
        let all: Vec<String> = (0..20).map(|_| ids.hex()).collect();
        assert!(all.iter().all(|id| id.len() == 16));
        assert!(all.iter().any(|id| id.starts_with("000")));
    }

    #[test]
    fn a_uuid_has_its_usual_shape() {
        let mut ids = Ids::new(3);
        for _ in 0..50 {
            let uuid = ids.uuid();
            let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{uuid}");
        }
    }
}

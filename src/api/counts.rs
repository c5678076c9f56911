//! What a client has asked of the service.
//!
//! Invariant: every request that was sent is counted once, repeats among them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::limiter::Family;

/// Requests made so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// All requests, repeats included.
    pub requests: u64,
    /// Those that were repeats of an earlier one.
    pub repeats: u64,
    /// Those answered with "too many requests".
    pub throttled: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of answers, after decompression.
    pub bytes_received: u64,
    /// Requests by family; families without any are left out.
    pub by_family: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    by_family: [AtomicU64; Family::ALL.len()],
    pub(super) repeats: AtomicU64,
    pub(super) throttled: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) bytes_received: AtomicU64,
}

impl Counters {
    pub(super) fn sent(&self, family: Family, bytes: usize) {
        self.by_family[family.index()].fetch_add(1, Relaxed);
        self.bytes_sent.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn read(&self) -> RequestCounts {
        let counts =
            Family::ALL.map(|family| (family.name(), self.by_family[family.index()].load(Relaxed)));
        RequestCounts {
            requests: counts.iter().map(|(_, count)| count).sum(),
            repeats: self.repeats.load(Relaxed),
            throttled: self.throttled.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            by_family: counts.into_iter().filter(|(_, count)| *count > 0).collect(),
        }
    }
}

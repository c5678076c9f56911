//! What the file system says of a file, and the number that stands for it.
//!
//! Invariant: a file with the same stamp has the same content, as far as any file system can tell without reading it.

use std::fs::Metadata;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

use crate::store::BlobId;

/// The coarsest clock of a file system that is in use. A file that was written less than this before it was read may be
/// written again without any of its times moving.
const TICK: Duration = Duration::from_secs(2);

/// A file as its directory has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub(super) size: u64,
    /// When the content was written, in milliseconds since 1970.
    pub(super) modified_at: Option<i64>,
    /// The last of its times.
    touched: Option<SystemTime>,
    stamp: u64,
    /// Device and number, where files have them.
    identity: (u64, u64),
}

impl Stat {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let (identity, changed) = identity(metadata);
        let mut bytes = [0; 48];
        let parts = [metadata.len(), identity.1, nanos(modified), nanos(changed)];
        for (place, part) in bytes.chunks_exact_mut(8).zip(parts) {
            place.copy_from_slice(&part.to_le_bytes());
        }
        let hash = BlobId::of(&bytes);
        let stamp = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        Self {
            size: metadata.len(),
            modified_at: modified.map(|time| DateTime::<Utc>::from(time).timestamp_millis()),
            touched: modified.max(changed),
            stamp: u64::from_le_bytes(stamp),
            identity,
        }
    }

    /// The stamp to look the file up by.
    pub(super) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The stamp to keep by a reading that began at `began`; none when the file is so fresh that it proves nothing.
    pub(super) fn lasting_stamp(&self, began: SystemTime) -> Option<u64> {
        let settled = self.touched?.checked_add(TICK)?;
        (settled < began).then_some(self.stamp)
    }

    /// Whether both are the same file, whatever became of it.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

/// Device and number of a file, and the time that nobody can set.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> ((u64, u64), Option<SystemTime>) {
    use std::os::unix::fs::MetadataExt;
    let nanos = u32::try_from(metadata.ctime_nsec()).unwrap_or(0);
    let changed = u64::try_from(metadata.ctime())
        .ok()
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::new(seconds, nanos)));
    ((metadata.dev(), metadata.ino()), changed)
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> ((u64, u64), Option<SystemTime>) {
    ((0, 0), metadata.created().ok())
}

fn nanos(time: Option<SystemTime>) -> u64 {
    let Some(time) = time else { return 0 };
    let nanos = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as u64,
        Err(before) => (before.duration().as_nanos() as u64).wrapping_neg(),
    };
    nanos.wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_written_just_now_has_no_lasting_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "a").unwrap();
        let stat = Stat::of(&std::fs::metadata(&path).unwrap());
        let now = SystemTime::now();
        assert_eq!(stat.lasting_stamp(now), None);
        let later = now + Duration::from_secs(9);
        assert_eq!(stat.lasting_stamp(later), Some(stat.stamp()));
    }

    #[test]
    #[cfg(unix)]
    fn a_file_put_in_the_place_of_another_has_another_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        let stat = |path| Stat::of(&std::fs::metadata(path).unwrap());
        for path in [&a, &b] {
            std::fs::write(path, "x").unwrap();
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(UNIX_EPOCH).unwrap();
        }
        let before = stat(&a);
        assert_eq!(before.stamp(), stat(&a).stamp());
        assert_eq!(before.modified_at, Some(0));
        std::fs::rename(&b, &a).unwrap();
        assert_ne!(before.stamp(), stat(&a).stamp());
        assert!(!before.is_same_file(&stat(&a)));
    }
}

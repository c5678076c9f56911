//! Where everything lies in a store, and what the names say.
//!
//! Invariant: only well-formed names are read. Whatever else lies in a store, unfinished or foreign, is passed over.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};

use super::backend::Files;
use super::error::StoreError;
use super::id::{FileId, SnapshotId};

pub(super) const CONFIG: &str = "dbsnap.json";
pub(super) const README: &str = "README.txt";
pub(super) const PACKS: &str = "packs";
pub(super) const INDEX: &str = "index";
pub(super) const SNAPSHOTS: &str = "snapshots";
pub(super) const PENDING: &str = "pending";
pub(super) const CONDEMNED: &str = "condemned";
/// Journals of restores, which are kept beside a local store and are no part of its format.
pub(super) const RESTORES: &str = "restores";
/// Which jobs ran before they were paused, kept beside a local store as well.
pub(super) const PAUSED: &str = "paused";
/// When checks have read packs, which is no part of the format either.
pub(super) const VERIFIED: &str = "verified";
/// That there was a first snapshot.
pub(super) const BEGUN: &str = "begun";
/// That snapshots were gone when another one came.
pub(super) const LOST: &str = "lost";
/// Keys, each sealed for somebody who may read the store.
pub(super) const KEYS: &str = "keys";

const TIME: &str = "%Y%m%dT%H%M%S%.3fZ";

/// The name of a head: when it was taken and which bytes it has. Sorts by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadName {
    /// The time the writer claimed, in whole milliseconds.
    pub time: DateTime<Utc>,
    /// The hash of the head's bytes.
    pub id: SnapshotId,
}

impl HeadName {
    pub(super) fn new(time: DateTime<Utc>, id: SnapshotId) -> Self {
        let time = time.trunc_subsecs(3);
        Self { time, id }
    }
}

/// Prints the name of the head's file.
impl fmt::Display for HeadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.time.format(TIME), self.id)
    }
}

impl FromStr for HeadName {
    type Err = ParseHeadNameError;

    fn from_str(text: &str) -> Result<Self, ParseHeadNameError> {
        let (time, id) = text.split_once('-').ok_or(ParseHeadNameError)?;
        let time = NaiveDateTime::parse_from_str(time, TIME).map_err(|_| ParseHeadNameError)?;
        let id = id.parse().map_err(|_| ParseHeadNameError)?;
        let name = Self::new(time.and_utc(), id);
        // One head has one name: what a lenient parser accepts beyond it is not ours.
        (name.to_string() == text)
            .then_some(name)
            .ok_or(ParseHeadNameError)
    }
}

/// The text is not the name of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a head is named <time>-<id>")]
pub struct ParseHeadNameError;

/// The name of an index segment. A higher level is made by merging segments of lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SegmentName {
    pub(super) level: u8,
    pub(super) id: FileId,
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.level, self.id)
    }
}

impl FromStr for SegmentName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (level, id) = text.split_once('-').ok_or(())?;
        let name = Self {
            level: level.parse().map_err(|_| ())?,
            id: id.parse().map_err(|_| ())?,
        };
        (name.to_string() == text).then_some(name).ok_or(())
    }
}

/// The name of a pack's file.
pub(super) fn pack_name(id: &FileId) -> String {
    format!("{}/{id}", pack_dir(id))
}

/// The directory that a pack lies in.
pub(super) fn pack_dir(id: &FileId) -> String {
    format!("{PACKS}/{:02x}", id.as_bytes()[0])
}

pub(super) fn segment_name(name: &SegmentName) -> String {
    format!("{INDEX}/{name}")
}

/// A path as it is told to people: below the root, with forward slashes.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// The well-formed names in a directory of the store, sorted. A missing directory is empty.
pub(super) fn list<T: FromStr + Ord>(files: &Files, dir: &str) -> Result<Vec<T>, StoreError> {
    let listed = files.list(dir)?;
    let names = listed.iter().filter_map(|file| {
        let name = file.name.strip_prefix(dir)?.strip_prefix('/')?;
        name.parse().ok()
    });
    let mut names: Vec<T> = names.collect();
    names.sort();
    Ok(names)
}

/// Every pack with its size, sorted. A pack in the wrong directory is not one of ours.
pub(super) fn list_packs(files: &Files) -> Result<Vec<(FileId, u64)>, StoreError> {
    let listed = files.list(PACKS)?;
    let packs = listed.iter().filter_map(|file| {
        let id = file.file_name().parse().ok()?;
        (pack_name(&id) == file.name).then_some((id, file.len))
    });
    let mut packs: Vec<_> = packs.collect();
    packs.sort_unstable();
    Ok(packs)
}

/// How long a pack is that no listing shows; none if it is not there. A listing may lag behind, but whoever asks for the
/// very file knows.
pub(super) fn unlisted_pack(files: &Files, id: &FileId) -> Result<Option<u64>, StoreError> {
    match files.len(&pack_name(id)) {
        // As in a listing: what cannot be a pack has the length of none.
        Err(error) if error.is_damage() => Ok(Some(0)),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn time(second: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, 9, 7, 5, second).unwrap()
    }

    #[test]
    fn a_head_name_survives_printing_and_parsing() {
        let name = HeadName::new(time(4), SnapshotId::of(b"head"));
        assert!(name.to_string().starts_with("20260309T070504.000Z-"));
        assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[test]
    fn heads_sort_by_time_whatever_their_ids() {
        let mut names: Vec<_> = (0..9)
            .rev()
            .map(|s| HeadName::new(time(s), SnapshotId::of(&[s as u8])))
            .collect();
        names.sort();
        assert!(names.is_sorted_by_key(|name| name.time));
    }

    #[test]
    fn names_that_are_almost_right_are_not_ours() {
        let id = SnapshotId::of(b"head");
        for bad in [
            format!("2026-03-09-{id}"),
            format!("20260309T070504.000-{id}"),
            format!("20260309T070504Z-{id}"),
            format!("+20260309T070504.000Z-{id}"),
            format!("20260309T070504.000Z-{id}.bak"),
            format!("20260309T070504.000Z-{id:.8}"),
            format!("20261309T070504.000Z-{id}"),
            format!(".tmp-{id}"),
        ] {
            assert_eq!(bad.parse::<HeadName>(), Err(ParseHeadNameError), "{bad}");
        }
        assert!(format!("01-{id}").parse::<SegmentName>().is_err());
        assert!(format!("1-{id}").parse::<SegmentName>().is_ok());
    }
}

//! Where everything lies in a store, and what the names say.
//!
//! Invariant: only well-formed names are read. Whatever else lies in a store, unfinished or foreign, is passed over.

use std::fmt;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};

use super::error::{IoContext, StoreError};
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
/// Every directory of a store.
pub(super) const DIRECTORIES: [&str; 5] = [PACKS, INDEX, SNAPSHOTS, PENDING, CONDEMNED];

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

/// Where a pack lies below the root of a store.
pub(super) fn pack_path(root: &Path, id: &FileId) -> PathBuf {
    let name = id.to_string();
    root.join(PACKS).join(&name[..2]).join(&name)
}

pub(super) fn segment_path(root: &Path, name: &SegmentName) -> PathBuf {
    root.join(INDEX).join(name.to_string())
}

/// A path as it is told to people: below the root, with forward slashes.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// The well-formed names in a directory of the store, sorted. A missing directory is empty.
pub(super) fn list<T: FromStr + Ord>(root: &Path, dir: &str) -> Result<Vec<T>, StoreError> {
    let mut names: Vec<T> = entries(&root.join(dir))?
        .iter()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Every pack with its size. A pack in the wrong directory is not one of ours.
pub(super) fn list_packs(root: &Path) -> Result<Vec<(FileId, u64)>, StoreError> {
    let mut packs = Vec::new();
    for dir in entries(&root.join(PACKS))? {
        let prefix = dir.file_name();
        if prefix.len() != 2 || dir.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        for entry in entries(&dir.path())? {
            let Some(id) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<FileId>().ok())
            else {
                continue;
            };
            if prefix
                .to_str()
                .is_none_or(|prefix| !id.to_string().starts_with(prefix))
            {
                continue;
            }
            match entry.metadata() {
                Ok(found) => packs.push((id, found.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).when("look at", &entry.path()),
            }
        }
    }
    packs.sort();
    Ok(packs)
}

/// What lies in a directory, sorted by name. A missing directory is empty.
pub(super) fn entries(dir: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let listing = match fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).when("list", dir),
    };
    let mut entries = listing.collect::<io::Result<Vec<_>>>().when("list", dir)?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
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

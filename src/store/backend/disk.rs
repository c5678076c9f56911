//! What [`Local`](super::Local) asks of the file system: small steps, none of which does more than its name says.
//!
//! Invariant: nothing is decided here. What is synced when, and what happens after an error, `Local` says, so that its own
//! code also runs over a disk that forgets or fails where a test wants it to.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempPath;

use super::Stat;

/// A file system.
pub(in crate::store) trait Disk: Send + Sync + fmt::Debug + 'static {
    /// An open file.
    type File: Send + Sync + fmt::Debug;

    /// Makes an empty file; `AlreadyExists` if there is anything of that name.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Adds bytes at the end of a file that was created here.
    fn write(&self, file: &Self::File, bytes: &[u8]) -> io::Result<()>;

    /// Makes durable what is in a file; its name is another matter.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Fills `buffer` from a place in a file; `UnexpectedEof` if it ends before.
    fn read_at(&self, file: &Self::File, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Gives a file another name, in one step, in the place of the file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// The same unless there is anything of that name: `AlreadyExists`. Not every file system can.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the name of a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory; `AlreadyExists` if there is anything of that name.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes durable which names there are in a directory.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// What there is of that name.
    fn stat(&self, path: &Path) -> io::Result<Found>;

    /// What there is in a directory, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<(OsString, Found)>>;
}

/// What has a name on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Found {
    /// A directory.
    Dir,
    /// A file, or something that is none and will not be read.
    File(Stat),
}

/// The file system of this machine.
#[derive(Debug)]
pub(in crate::store) struct System;

impl Disk for System {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        File::create_new(path)
    }

    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    fn read_at(&self, file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        read_exact_at(file, buffer, offset)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut from = TempPath::try_from_path(from)?;
        // It is not this call's to remove.
        from.disable_cleanup(true);
        from.persist_noclobber(to).map_err(|failed| failed.error)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    /// Windows has no such call and needs none.
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if !cfg!(unix) {
            return Ok(());
        }
        match File::open(path)?.sync_all() {
            // Some network file systems cannot sync a directory; they have nothing to lose by it either.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Found> {
        let found = fs::metadata(path)?;
        match found.is_dir() {
            true => Ok(Found::Dir),
            false => Ok(Found::File(stat(&found)?)),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(OsString, Found)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let found = match entry.file_type()?.is_dir() {
                true => Found::Dir,
                false => match entry.metadata() {
                    Ok(found) => Found::File(stat(&found)?),
                    // Somebody finished or removed it meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                },
            };
            all.push((entry.file_name(), found));
        }
        Ok(all)
    }
}

fn stat(found: &Metadata) -> io::Result<Stat> {
    Ok(Stat {
        len: found.len(),
        modified: date(found.modified()?),
    })
}

/// A damaged file system may date a file by any number. What is beyond all calendars counts as the last moment of them:
/// a file that seems young is left alone.
fn date(time: SystemTime) -> DateTime<Utc> {
    let since = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => TimeDelta::from_std(after).ok(),
        Err(before) => TimeDelta::from_std(before.duration()).ok().map(|d| -d),
    };
    let date = since.and_then(|since| DateTime::UNIX_EPOCH.checked_add_signed(since));
    date.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Fills `buffer` from a place in the file without moving a cursor.
#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Fills `buffer` from a place in the file. Here the cursor does move, but nobody relies on it.
#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_date_beyond_all_calendars_is_young() {
        assert_eq!(date(SystemTime::UNIX_EPOCH), DateTime::UNIX_EPOCH);
        let never = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 62);
        assert_eq!(date(never), DateTime::<Utc>::MAX_UTC);
    }
}

//! A store in a directory of this machine, or of one that looks like it.
//!
//! Invariant: a file with a proper name is complete. It is written under a temporary name, synced, renamed, and the
//! directory is synced after it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::NamedTempFile;

use super::{Backend, Listed, Stat, TEMPORARY};
use crate::store::error::{IoContext, StoreError};

/// A directory.
#[derive(Debug)]
pub(in crate::store) struct Local {
    root: PathBuf,
    open: Mutex<OpenFiles>,
}

/// The files that were read last, the newest at the end. Opening one takes several times as long as reading an entry of
/// the index from it.
type OpenFiles = Vec<(String, Arc<File>)>;

/// Far fewer than any system allows.
const MOST_OPEN: usize = 32;

impl Local {
    pub(in crate::store) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            open: Mutex::default(),
        }
    }

    /// Makes the directory of a new store, which is for its owner only; one that is there keeps its mode.
    pub(in crate::store) fn make_root(path: &Path) -> Result<(), StoreError> {
        if path.is_dir() {
            return Ok(());
        }
        make_dir(path).when("create the directory", path)?;
        #[cfg(unix)]
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .when("set the mode of", path)?;
        Ok(())
    }

    /// Whether nothing is in a directory but what a killed `create` or the making of a file system leaves there.
    pub(in crate::store) fn is_empty(path: &Path) -> Result<bool, StoreError> {
        for entry in fs::read_dir(path).when("list", path)? {
            let name = entry.when("list", path)?.file_name();
            if name != LOST_AND_FOUND && !name.to_string_lossy().starts_with(TEMPORARY) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn opened(&self, name: &str) -> io::Result<Arc<File>> {
        let mut open = self.open();
        let known = open.iter().position(|(known, _)| known == name);
        let newest = match known.map(|at| open.remove(at)) {
            Some(known) => known,
            None => {
                drop(open);
                let file = File::open(self.path(name))?;
                open = self.open();
                (name.to_owned(), Arc::new(file))
            }
        };
        if open.len() == MOST_OPEN {
            open.remove(0);
        }
        let file = Arc::clone(&newest.1);
        open.push(newest);
        Ok(file)
    }

    /// Another file may have the name now.
    fn close(&self, name: &str) {
        self.open().retain(|(known, _)| known != name);
    }

    fn open(&self) -> MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the making of a file system leaves in its root, and only root may look into.
const LOST_AND_FOUND: &str = "lost+found";

impl Backend for Local {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let file = temporary(&path, bytes)?;
        if let Err(error) = file.persist_noclobber(&path) {
            let is_same = fs::metadata(&path)
                .is_ok_and(|found| found.is_file() && found.len() == bytes.len() as u64);
            if !is_same {
                // Either the file system cannot rename without replacing, or what is there is a damaged file of our name.
                error.file.persist(&path).map_err(|error| error.error)?;
                self.close(name);
            }
        }
        sync_dir(parent(&path))
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let path = self.path(name);
        match temporary(&path, bytes)?.persist_noclobber(&path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            // No rename without replacing here: then the name is made first and filled after.
            Err(_) => match File::create_new(&path) {
                Ok(mut file) => {
                    file.write_all(bytes)?;
                    file.sync_all()?;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                Err(error) => return Err(error),
            },
        }
        sync_dir(parent(&path))?;
        Ok(true)
    }

    fn stat(&self, name: &str) -> io::Result<Stat> {
        let found = fs::metadata(self.path(name))?;
        Ok(Stat {
            len: found.len(),
            modified: date(found.modified()?),
        })
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        read_exact_at(&*self.opened(name)?, buffer, offset)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<Listed>> {
        let mut found = Vec::new();
        match list_into(&self.path(dir), dir, &mut found) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
        found.sort_unstable();
        Ok(found)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        self.close(name);
        match fs::remove_file(&path) {
            Ok(()) => sync_dir(parent(&path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn now(&self) -> io::Result<DateTime<Utc>> {
        // On a network file system the server dates the files, by a clock that need not be this machine's.
        let mut probe = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempfile_in(&self.root)?;
        probe.write_all(b"?")?;
        Ok(date(probe.as_file().metadata()?.modified()?))
    }
}

fn list_into(path: &Path, name: &str, found: &mut Vec<Listed>) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let file_name = entry.file_name();
        // Strangers are told of by their name; one that is no text can only be told of inexactly.
        let file_name = file_name.to_string_lossy();
        let name = match name {
            "" => file_name.into_owned(),
            _ => format!("{name}/{file_name}"),
        };
        let result = match entry.file_type()?.is_dir() {
            true if name == LOST_AND_FOUND => Ok(()),
            true => list_into(&entry.path(), &name, found),
            false => entry.metadata().and_then(|is| {
                found.push(Listed {
                    name,
                    len: is.len(),
                    modified: date(is.modified()?),
                });
                Ok(())
            }),
        };
        match result {
            // Somebody finished or removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
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

/// A synced file that has no proper name yet. Dropping it removes it.
fn temporary(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let dir = parent(path);
    make_dir(dir)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    // The directory above everything is private; inside, the administrator's umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes a directory and those above it, each synced into its parent.
fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let above = parent(dir);
    make_dir(above)?;
    match fs::create_dir(dir) {
        Ok(()) => sync_dir(above),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match dir.is_dir() {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{} is not a directory", dir.display()),
            )),
        },
        Err(error) => Err(error),
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
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

/// A rename is durable only once the directory is. Windows has no such call and needs none.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(dir)?.sync_all() {
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

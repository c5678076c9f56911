//! Files as the store needs them: written whole or not at all, read at positions.
//!
//! Invariant: a file with a proper name is complete. It is written under a temporary name, synced, renamed, and the
//! directory is synced after it; that and the order of the calls are all the ordering there is.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::error::{IoContext, StoreError};

/// What the names of unfinished files begin with. Readers never look at them.
pub(super) const TEMPORARY: &str = ".tmp-";

/// Starts an unfinished file in `dir`, which is made if it is missing. Dropping it removes it.
pub(super) fn temporary_in(dir: &Path) -> Result<NamedTempFile, StoreError> {
    make_dir(dir)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    // The directory above everything is private; inside, the administrator's umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(dir).when("create a file in", dir)
}

/// Gives a finished file its name. The name must be a hash of the content: a file that has it already is the same.
pub(super) fn publish(file: NamedTempFile, path: &Path) -> Result<(), StoreError> {
    sync(file.as_file(), path)?;
    let len = file.as_file().metadata().when("look at", path)?.len();
    let dir = path.parent().unwrap_or(Path::new("."));
    make_dir(dir)?;
    if let Err(error) = file.persist_noclobber(path) {
        let same = fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == len);
        if !same {
            // Either the file system cannot rename without replacing, or what is there is a damaged file of our name.
            error
                .file
                .persist(path)
                .map_err(|e| e.error)
                .when("rename a file to", path)?;
        }
    }
    sync_dir(dir)
}

/// Writes a small file whose name is a hash of its content.
pub(super) fn publish_bytes(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = temporary_in(dir)?;
    file.write_all(bytes).when("write", path)?;
    publish(file, path)
}

/// Writes a small file unless there is one already; says whether it was written.
pub(super) fn create_bytes(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = temporary_in(dir)?;
    file.write_all(bytes).when("write", path)?;
    sync(file.as_file(), path)?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        // No rename without replacing here: then the name is made first and filled after.
        Err(_) => match File::create_new(path) {
            Ok(mut file) => {
                file.write_all(bytes).when("write", path)?;
                sync(&file, path)?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error).when("create", path),
        },
    }
    sync_dir(dir)?;
    Ok(true)
}

/// Makes a directory and those above it, each synced into its parent.
pub(super) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(Path::new("."));
    make_dir(parent)?;
    match fs::create_dir(dir) {
        Ok(()) => sync_dir(parent),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error).when("create the directory", dir),
    }
}

/// Removes a file; one that is gone already is fine.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).when("remove", path),
        _ => Ok(()),
    }
}

/// Reads a whole file of at most `limit` bytes; `None` when there is none.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).when("open", path),
    };
    let len = file.metadata().when("look at", path)?.len();
    if len > limit {
        return Err(super::error::corrupt(
            path,
            format!("{len} bytes are absurdly many"),
        ));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    read_exact_at(&file, &mut bytes, 0).when("read", path)?;
    Ok(Some(bytes))
}

/// Fills `buffer` from a place in the file without moving a cursor.
#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Fills `buffer` from a place in the file. Here the cursor does move, but nobody relies on it.
#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
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

fn sync(file: &File, path: &Path) -> Result<(), StoreError> {
    file.sync_all().when("sync", path)
}

/// A rename is durable only once the directory is. Windows has no such call and needs none.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        let handle = File::open(dir).when("open", dir)?;
        match handle.sync_all() {
            // Some network file systems cannot sync a directory; they have nothing to lose by it either.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                ) => {}
            result => result.when("sync the directory", dir)?,
        }
    }
    Ok(())
}

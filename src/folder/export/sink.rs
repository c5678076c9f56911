//! Where an export goes: a directory, or a tar archive.
//!
//! Invariant: nothing that exists is overwritten, and a file has its whole content or is not there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tar::{Builder, EntryType, Header};

use crate::manifest::{ManifestError, Payload};
use crate::store::{BlobId, Store};

/// Takes what is written, in order.
pub(super) enum Sink {
    Directory(PathBuf),
    Tar {
        archive: Box<Builder<Box<dyn Write + Send>>>,
        /// The time of what has none of its own.
        time: u64,
    },
}

impl Sink {
    pub(super) fn tar(target: Box<dyn Write + Send>, time: DateTime<Utc>) -> Self {
        let target: Box<dyn Write + Send> = Box::new(BufWriter::with_capacity(256 << 10, target));
        Self::Tar {
            archive: Box::new(Builder::new(target)),
            time: u64::try_from(time.timestamp()).unwrap_or(0),
        }
    }

    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::Tar { .. } => None,
        }
    }

    /// Makes a directory, with those above it.
    pub(super) fn make_directory(&mut self, place: &str) -> io::Result<()> {
        match self {
            Self::Directory(root) => fs::create_dir_all(root.join(place)),
            Self::Tar { archive, time } => {
                let mut header = header(0, *time);
                header.set_entry_type(EntryType::Directory);
                header.set_mode(0o755);
                archive.append_data(&mut header, format!("{place}/"), io::empty())
            }
        }
    }

    /// Writes a whole file.
    pub(super) fn file(
        &mut self,
        place: &str,
        bytes: &[u8],
        modified_at: Option<i64>,
    ) -> io::Result<()> {
        match self {
            Self::Directory(root) => create(&root.join(place))?.write_all(bytes),
            Self::Tar { archive, time } => {
                let mut header = header(bytes.len() as u64, seconds(modified_at, *time));
                archive.append_data(&mut header, place, bytes)
            }
        }
    }

    /// Writes a file that is too long to be held.
    pub(super) fn long_file(
        &mut self,
        place: &str,
        payload: &Payload,
        store: &Store,
        modified_at: Option<i64>,
    ) -> io::Result<()> {
        match self {
            Self::Directory(root) => {
                let written = write_file(&root.join(place), payload, store, modified_at);
                written.map_err(io::Error::other)
            }
            Self::Tar { archive, time } => {
                let mut blobs = payload.blobs(store).map_err(io::Error::other)?;
                if matches!(payload, Payload::Listed { .. }) {
                    // The last of them is the list of the others.
                    blobs.pop();
                }
                let pieces = Pieces {
                    store,
                    blobs: blobs.into_iter(),
                    current: Cursor::default(),
                };
                let mut header = header(payload.len(), seconds(modified_at, *time));
                archive.append_data(&mut header, place, pieces)
            }
        }
    }

    /// Writes a file that was put together on disk.
    pub(super) fn spooled(&mut self, place: &str, mut spool: File) -> io::Result<()> {
        spool.rewind()?;
        match self {
            Self::Directory(root) => {
                io::copy(&mut spool, &mut create(&root.join(place))?).map(drop)
            }
            Self::Tar { archive, time } => {
                let mut header = header(spool.metadata()?.len(), *time);
                archive.append_data(&mut header, place, spool)
            }
        }
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Directory(_) => Ok(()),
            Self::Tar { archive, .. } => archive.into_inner()?.flush(),
        }
    }
}

/// Whether a payload is written piece by piece.
pub(super) const fn is_long(payload: &Payload) -> bool {
    matches!(payload, Payload::Chunked { .. } | Payload::Listed { .. })
}

/// Writes a payload as a new file; after an error there is none.
pub(super) fn write_file(
    path: &Path,
    payload: &Payload,
    store: &Store,
    modified_at: Option<i64>,
) -> Result<(), ManifestError> {
    if !is_long(payload) {
        // Read first: for what is damaged there is no file then.
        let bytes = payload.read(store)?;
        let write = || {
            let mut file = create(path)?;
            file.write_all(&bytes)?;
            date(&file, modified_at);
            Ok(())
        };
        return write().map_err(ManifestError::WriteTarget);
    }
    let mut file = create(path).map_err(ManifestError::WriteTarget)?;
    let written = payload.write_to(store, &mut file);
    date(&file, modified_at);
    drop(file);
    if written.is_err() {
        // What stays behind after a second failure is in a directory that is told to be incomplete.
        let _ = fs::remove_file(path);
    }
    written
}

/// Creates a file that is not there yet, and the directories above it if they are missing.
fn create(path: &Path) -> io::Result<File> {
    match File::create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            File::create_new(path)
        }
        other => other,
    }
}

/// Dates are a courtesy: a file system that takes none has the content all the same.
fn date(file: &File, modified_at: Option<i64>) {
    let millis = modified_at.and_then(|millis| u64::try_from(millis).ok());
    let time = millis.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
    if let Some(time) = time {
        let _ = file.set_modified(time);
    }
}

fn seconds(modified_at: Option<i64>, otherwise: u64) -> u64 {
    let seconds = modified_at.map(|millis| millis.div_euclid(1000));
    seconds.map_or(otherwise, |seconds| u64::try_from(seconds).unwrap_or(0))
}

fn header(size: u64, time: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(time);
    header
}

/// The pieces of a payload, one behind the other.
struct Pieces<'a> {
    store: &'a Store,
    blobs: std::vec::IntoIter<BlobId>,
    current: Cursor<Bytes>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.current.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(next) = self.blobs.next() else {
                return Ok(0);
            };
            let bytes = self.store.read(&next).map_err(io::Error::other)?;
            self.current = Cursor::new(bytes);
        }
    }
}

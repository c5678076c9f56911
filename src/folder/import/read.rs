//! Reading files, several at a time.
//!
//! Invariant: what is read is the file that the walk saw, or one that took its place under the same name; never something
//! that a link leads to.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};

use super::stamp::Stat;
use super::walk::{Content, Found, Item, Work};
use crate::manifest::LONGEST_BLOB;

/// A file that is replaced over and over is not chased for ever.
const ATTEMPTS: usize = 3;

/// Reads batches until there are no more.
pub(super) fn read_all(work: &Mutex<Receiver<Work>>) {
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Work { mut items, done }) = next else {
            return;
        };
        for item in &mut items {
            if let Item::File(found) = item
                && found.stat.size <= LONGEST_BLOB as u64
            {
                found.content = match read(found) {
                    Ok(bytes) => Content::Read(bytes),
                    Err(error) => Content::Failed(error),
                };
            }
        }
        // Nobody waits for it when the import failed meanwhile.
        let _ = done.send(items);
    }
}

/// Opens the file that was found, and brings up to date what is known of it.
pub(super) fn open(path: &Path, stat: &mut Stat) -> io::Result<File> {
    for _ in 0..ATTEMPTS {
        let file = File::open(path)?;
        let now = file.metadata()?;
        let opened = Stat::of(&now);
        if now.is_file() && opened.is_same_file(stat) {
            *stat = opened;
            return Ok(file);
        }
        // Editors replace a file by a new one; a link in its place is another matter.
        let now = fs::symlink_metadata(path)?;
        if !now.is_file() {
            break;
        }
        *stat = Stat::of(&now);
    }
    Err(io::Error::other(
        "something else took its place while it was read",
    ))
}

fn read(found: &mut Found) -> io::Result<Vec<u8>> {
    let mut file = open(&found.disk, &mut found.stat)?;
    let expected = usize::try_from(found.stat.size).unwrap_or(0);
    // One byte more than there should be: then a short answer is the end, and nobody has to ask for it.
    let mut bytes = vec![0; expected + 1];
    let mut len = 0;
    while len <= expected {
        match file.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if len == expected {
            break;
        }
    }
    bytes.truncate(len);
    if len > expected {
        // It grows while it is read; all there is now belongs to it.
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

//! An encrypted store, which is a store of which every file is sealed: a backend over another one.
//!
//! Invariant: who reads and writes through it sees the store as if it were not encrypted, and nothing of that reaches
//! what lies below but lengths, times and hashes of sealed bytes.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::{Backend, Listed, Stat};
use crate::store::crypt::{Boxes, Class, Crypt, HEADER, Seal, SealError};
use crate::store::id::{FileId, SnapshotId};
use crate::store::layout::{BEGUN, CONDEMNED, HeadName, INDEX, LOST, PACKS, PENDING, SNAPSHOTS};

/// A backend whose files are sealed.
pub(super) struct Sealed {
    below: Arc<dyn Backend>,
    crypt: Crypt,
    /// Files that are read in parts, so that a part is read in one go.
    open: Mutex<HashMap<String, Arc<OpenFile>>>,
}

/// What it takes to open the boxes of a file.
struct OpenFile {
    seal: Seal,
    boxes: Boxes,
}

impl Sealed {
    pub(super) fn new(below: Arc<dyn Backend>, crypt: Crypt) -> Self {
        Self {
            below,
            crypt,
            open: Mutex::default(),
        }
    }

    fn seal(&self, class: Class, stored: &str, text: &[u8]) -> io::Result<Vec<u8>> {
        self.crypt.seal(class, bound(class, stored), text)
    }

    fn open_file(&self, class: Class, stored: &str) -> io::Result<Arc<OpenFile>> {
        if let Some(file) = self.opened().get(stored) {
            return Ok(Arc::clone(file));
        }
        let len = self.below.stat(stored)?.len;
        let mut header = [0; HEADER];
        if len < HEADER as u64 {
            return Err(broken(SealError::Broken));
        }
        self.below.read_at(stored, 0, &mut header)?;
        let seal = self.crypt.seal_of(class, bound(class, stored), &header);
        let seal = seal.map_err(broken)?;
        let boxes = Boxes::of_file(class, len).ok_or_else(|| broken(SealError::Broken))?;
        let file = Arc::new(OpenFile { seal, boxes });
        // Other files are read once and as a whole.
        if [Class::Pack, Class::Segment].contains(&class) {
            self.opened().insert(stored.to_owned(), Arc::clone(&file));
        }
        Ok(file)
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<String, Arc<OpenFile>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name below as it is known above.
    fn known(&self, stored: String) -> String {
        self.renamed(&stored, |id| self.crypt.unveil(id))
            .unwrap_or(stored)
    }

    fn renamed(&self, name: &str, change: impl Fn(&[u8; 32]) -> [u8; 32]) -> Option<String> {
        let (dir, rest) = name.split_once('/')?;
        if ![SNAPSHOTS, PENDING, CONDEMNED, BEGUN, LOST].contains(&dir) {
            return None;
        }
        let HeadName { time, id } = rest.parse().ok()?;
        let id = SnapshotId::from_bytes(change(id.as_bytes()));
        Some(format!("{dir}/{}", HeadName { time, id }))
    }
}

impl Backend for Sealed {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let Some(class) = class(name) else {
            return self.below.put(&self.stored_name(name), bytes);
        };
        let stored = self.stored_name(name);
        let sealed = self.seal(class, &stored, bytes)?;
        self.opened().remove(&stored);
        self.below.put(&stored, &sealed)
    }

    fn put_hashed(&self, name: &dyn Fn(&FileId) -> String, bytes: &[u8]) -> io::Result<FileId> {
        // What kind of file it is does not hang on the hash.
        let Some(class) = class(&name(&FileId::from_bytes([0; 32]))) else {
            return self.below.put_hashed(name, bytes);
        };
        let sealed = self.seal(class, "", bytes)?;
        self.below.put_hashed(name, &sealed)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let Some(class) = class(name) else {
            return self.below.create(&self.stored_name(name), bytes);
        };
        let stored = self.stored_name(name);
        let sealed = self.seal(class, &stored, bytes)?;
        self.below.create(&stored, &sealed)
    }

    fn stat(&self, name: &str) -> io::Result<Stat> {
        let stored = self.stored_name(name);
        let stat = self.below.stat(&stored)?;
        let Some(class) = class(name) else {
            return Ok(stat);
        };
        let len = match Boxes::of_file(class, stat.len) {
            Some(boxes) => boxes.len,
            // Opening it tells what is wrong.
            None => self.open_file(class, &stored)?.boxes.len,
        };
        Ok(Stat { len, ..stat })
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let Some(class) = class(name) else {
            return self.below.read_at(&self.stored_name(name), offset, buffer);
        };
        let stored = self.stored_name(name);
        let file = self.open_file(class, &stored)?;
        let end = offset.checked_add(buffer.len() as u64);
        let end = end.filter(|&end| end <= file.boxes.len);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        if buffer.is_empty() && offset > 0 {
            return Ok(());
        }
        // Of an empty file the empty box is opened, which proves that it is empty.
        let (first, place) = file.boxes.covering(offset..end.max(1));
        let mut sealed = vec![0; (place.end - place.start) as usize];
        self.below.read_at(&stored, place.start, &mut sealed)?;
        let text = file.seal.open(&file.boxes, first, &sealed);
        let text = text.map_err(broken)?;
        let skip = (offset - file.boxes.start_of(first)) as usize;
        let end = skip + buffer.len();
        buffer.copy_from_slice(&text[skip..end]);
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<Listed>> {
        let mut listed = self.below.list(dir)?;
        for file in &mut listed {
            if let Some(class) = class(&file.name) {
                // A file that cannot be a sealed one has the length of none.
                file.len = Boxes::of_file(class, file.len).map_or(0, |boxes| boxes.len);
            }
            file.name = self.known(std::mem::take(&mut file.name));
        }
        listed.sort_unstable();
        Ok(listed)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let stored = self.stored_name(name);
        self.opened().remove(&stored);
        self.below.remove(&stored)
    }

    fn settle(&self, dir: &str) -> io::Result<()> {
        self.below.settle(dir)
    }

    fn now(&self) -> io::Result<DateTime<Utc>> {
        self.below.now()
    }

    fn stored_name(&self, name: &str) -> String {
        self.renamed(name, |id| self.crypt.veil(id))
            .unwrap_or_else(|| name.to_owned())
    }

    fn stored_len(&self, name: &str) -> io::Result<u64> {
        Ok(self.below.stat(&self.stored_name(name))?.len)
    }

    fn read_stored(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let stored = self.stored_name(name);
        self.below.read_at(&stored, offset, buffer)
    }

    fn unsealed(&self, name: &str, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let Some(class) = class(name) else {
            return Ok(bytes);
        };
        let stored = self.stored_name(name);
        let text = self.crypt.open(class, bound(class, &stored), &bytes);
        text.map_err(broken)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sealed").field(&self.below).finish()
    }
}

/// What a file of this name is, if it is one that is sealed.
fn class(name: &str) -> Option<Class> {
    match name.split_once('/')?.0 {
        PACKS => Some(Class::Pack),
        INDEX => Some(Class::Segment),
        SNAPSHOTS => Some(Class::Head),
        PENDING => Some(Class::Intent),
        CONDEMNED => Some(Class::Record),
        _ => None,
    }
}

/// The part of a name that boxes are bound to. Packs and segments are named by the hash of their boxes.
fn bound(class: Class, stored: &str) -> &str {
    match class {
        Class::Pack | Class::Segment | Class::Line => "",
        Class::Head | Class::Intent | Class::Record => stored.rsplit('/').next().unwrap_or(stored),
    }
}

fn broken(error: SealError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

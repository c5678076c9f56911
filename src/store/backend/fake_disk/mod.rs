//! A disk in memory, for tests: it has only so much room, fails where it is told to, and of what was not synced it keeps
//! only what a test lets it keep when the power goes.
//!
//! Invariant: whatever a disk may lose, this one may lose, and each piece for itself: the two halves of what one call
//! wrote, a new name, the loss of an old one. Syncing a file keeps what is in it, but not its name; syncing a directory
//! keeps its names, but not what is in the files.

mod image;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, Utc};

use super::disk::{Disk, Found};
use image::{Change, Entry, FileNumber};
pub(in crate::store) use image::{Image, Moment};

/// What is about to be done to which file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Act<'a> {
    Create(&'a Path),
    Write(&'a Path),
    Sync(&'a Path),
    Open(&'a Path),
    Read(&'a Path),
    Rename(&'a Path),
    RenameNew(&'a Path),
    Remove(&'a Path),
    MakeDir(&'a Path),
    SyncDir(&'a Path),
    Stat(&'a Path),
    List(&'a Path),
}

impl Act<'_> {
    /// Whether it leaves the disk other than it was.
    pub(in crate::store) fn changes(&self) -> bool {
        !matches!(
            self,
            Self::Open(_) | Self::Read(_) | Self::Stat(_) | Self::List(_)
        )
    }
}

/// Decides which calls fail, and how.
pub(in crate::store) type Fault = Arc<dyn Fn(Act<'_>) -> io::Result<()> + Send + Sync>;

/// What a disk says it has synced, and has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Lie {
    Files,
    Dirs,
}

/// A disk. A clone is another way to the same files.
#[derive(Clone)]
pub(in crate::store) struct FakeDisk {
    state: Arc<Mutex<State>>,
    fault: Option<Fault>,
    lie: Option<Lie>,
}

#[derive(Default)]
struct State {
    /// What everybody sees.
    seen: Image,
    behind: Moment,
    files: FileNumber,
    /// How many bytes fit, if not as many as you like.
    room: Option<u64>,
    /// The length of each write.
    writes: Vec<u64>,
    now: DateTime<Utc>,
    moments: Vec<Moment>,
}

impl FakeDisk {
    /// An empty disk with a directory.
    pub(in crate::store) fn new(root: &Path, now: DateTime<Utc>) -> Self {
        let mut image = Image::default();
        for path in root.ancestors() {
            image.names.insert(path.to_owned(), Entry::Dir);
        }
        Self::from_image(image, now)
    }

    /// A disk on which everything is durable.
    pub(in crate::store) fn from_image(image: Image, now: DateTime<Utc>) -> Self {
        let files = image.contents.keys().max().map_or(0, |last| last + 1);
        let behind = Moment {
            durable: image.clone(),
            pending: Vec::new(),
        };
        let state = State {
            seen: image,
            behind,
            files,
            now,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            fault: None,
            lie: None,
        }
    }

    /// The same disk, for somebody to whom this happens.
    pub(in crate::store) fn failing(&self, fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..self.clone()
        }
    }

    /// The same disk, which does not do what it says.
    pub(in crate::store) fn lying(&self, lie: Lie) -> Self {
        Self {
            lie: Some(lie),
            ..self.clone()
        }
    }

    /// From now on so many more bytes fit; none for as many as you like.
    pub(in crate::store) fn set_room(&self, more: Option<u64>) {
        let mut state = self.state();
        let used = state.seen.bytes();
        state.room = more.map(|more| used + more);
    }

    /// What is seen at this moment.
    pub(in crate::store) fn image(&self) -> Image {
        self.state().seen.reachable()
    }

    /// The disk after every change since it was made, or since this was last asked, and as it was before the first.
    pub(in crate::store) fn take_moments(&self) -> Vec<Moment> {
        let mut state = self.state();
        let mut moments = std::mem::take(&mut state.moments);
        moments.push(state.behind.clone());
        moments
    }

    /// How long each write was since the disk was made.
    pub(in crate::store) fn writes(&self) -> Vec<u64> {
        self.state().writes.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn act(&self, act: Act<'_>) -> io::Result<MutexGuard<'_, State>> {
        if let Some(fault) = &self.fault {
            fault(act)?;
        }
        let mut state = self.state();
        if act.changes() {
            let moment = state.behind.clone();
            state.moments.push(moment);
        }
        Ok(state)
    }
}

impl State {
    fn change(&mut self, change: Change) {
        self.seen.apply(&change);
        self.behind.pending.push(change);
    }

    fn settle(&mut self, is_settled: impl Fn(&Change) -> bool) {
        let Moment { durable, pending } = &mut self.behind;
        for change in pending.extract_if(.., |change| is_settled(change)) {
            durable.apply(&change);
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.seen.check_parent(to)?;
        let entry = self.seen.names.get(from).copied();
        let entry = entry.ok_or(io::ErrorKind::NotFound)?;
        if self.seen.names.get(to) == Some(&Entry::Dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.change(Change::Name(to.to_owned(), Some(entry)));
        self.change(Change::Name(from.to_owned(), None));
        Ok(())
    }
}

/// A file that was opened, which stays readable when its name has gone.
#[derive(Debug)]
pub(in crate::store) struct FakeFile {
    path: PathBuf,
    number: FileNumber,
}

impl Disk for FakeDisk {
    type File = FakeFile;

    fn create(&self, path: &Path) -> io::Result<FakeFile> {
        let mut state = self.act(Act::Create(path))?;
        state.seen.check_parent(path)?;
        if state.seen.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = state.files;
        state.files += 1;
        state.change(Change::Name(path.to_owned(), Some(Entry::File(number))));
        let path = path.to_owned();
        Ok(FakeFile { path, number })
    }

    fn write(&self, file: &FakeFile, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.act(Act::Write(&file.path))?;
        state.writes.push(bytes.len() as u64);
        let used = state.seen.bytes();
        let fits = state.room.map(|room| room.saturating_sub(used) as usize);
        let fits = fits.map_or(bytes.len(), |fits| fits.min(bytes.len()));
        let mut offset = state.seen.content(file.number).len();
        let (first, second) = bytes[..fits].split_at(fits / 2);
        for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
            state.change(Change::Bytes(file.number, offset, Arc::from(part)));
            offset += part.len();
        }
        match fits == bytes.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn sync(&self, file: &FakeFile) -> io::Result<()> {
        let mut state = self.act(Act::Sync(&file.path))?;
        if self.lie == Some(Lie::Files) {
            return Ok(());
        }
        state
            .settle(|change| matches!(change, Change::Bytes(number, ..) if *number == file.number));
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<FakeFile> {
        let state = self.act(Act::Open(path))?;
        let number = match state.seen.names.get(path) {
            None => return Err(io::ErrorKind::NotFound.into()),
            Some(Entry::Dir) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Entry::File(number)) => *number,
        };
        let path = path.to_owned();
        Ok(FakeFile { path, number })
    }

    fn read_at(&self, file: &FakeFile, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.act(Act::Read(&file.path))?;
        let content = state.seen.content(file.number);
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(buffer.len());
        let part = end.and_then(|end| content.get(start..end));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.act(Act::Rename(to))?.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.act(Act::RenameNew(to))?;
        if state.seen.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.act(Act::Remove(path))?;
        match state.seen.names.get(path) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(Entry::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            Some(Entry::File(_)) => {
                state.change(Change::Name(path.to_owned(), None));
                Ok(())
            }
        }
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.act(Act::MakeDir(path))?;
        state.seen.check_parent(path)?;
        if state.seen.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change(Change::Name(path.to_owned(), Some(Entry::Dir)));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.act(Act::SyncDir(dir))?;
        if state.seen.names.get(dir) != Some(&Entry::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.lie == Some(Lie::Dirs) {
            return Ok(());
        }
        state
            .settle(|change| matches!(change, Change::Name(path, _) if path.parent() == Some(dir)));
        Ok(())
    }

    fn stat(&self, path: &Path) -> io::Result<Found> {
        let state = self.act(Act::Stat(path))?;
        state.seen.found(path, state.now)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(OsString, Found)>> {
        let state = self.act(Act::List(dir))?;
        if state.seen.names.get(dir) != Some(&Entry::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let all = state.seen.names.keys();
        let inside = all.filter(|path| path.parent() == Some(dir));
        let found = inside.filter_map(|path| {
            let found = state.seen.found(path, state.now).ok()?;
            Some((path.file_name()?.to_owned(), found))
        });
        Ok(found.collect())
    }
}

impl fmt::Debug for FakeDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = self.image();
        f.debug_set()
            .entries(image.files().map(|(path, _)| path))
            .finish()
    }
}

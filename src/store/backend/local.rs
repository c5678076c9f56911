//! A store in a directory of this machine, or of one that looks like it.
//!
//! Invariant: a file with a proper name is complete. It is written under a temporary name, synced, renamed, and the
//! directory is synced after it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};

use super::disk::{Disk, Found, System};
use super::{Backend, Listed, Stat, TEMPORARY};
use crate::store::error::{IoContext, StoreError};
use crate::store::lock;

/// A directory.
#[derive(Debug)]
pub(in crate::store) struct Local<D: Disk = System> {
    root: PathBuf,
    disk: D,
    open: Mutex<OpenFiles<D::File>>,
    /// Directories that are known to stay.
    settled: Mutex<HashSet<PathBuf>>,
}

/// The files that were read last, the newest at the end. Opening one takes several times as long as reading an entry of
/// the index from it.
type OpenFiles<F> = Vec<(String, Arc<F>)>;

/// Far fewer than any system allows.
const MOST_OPEN: usize = 32;
/// What the making of a file system leaves in its root, and only root may look into.
const LOST_AND_FOUND: &str = "lost+found";

impl Local {
    pub(in crate::store) fn new(root: &Path) -> Self {
        Self::on(System, root)
    }

    /// Makes the directory of a new store, which is for its owner only; one that is there keeps its mode.
    pub(in crate::store) fn make_root(path: &Path) -> Result<(), StoreError> {
        if path.is_dir() {
            return Ok(());
        }
        Self::new(path)
            .make_dir(path)
            .when("create the directory", path)?;
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
}

impl<D: Disk> Local<D> {
    /// A directory of some disk.
    pub(in crate::store) fn on(disk: D, root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            disk,
            open: Mutex::default(),
            settled: Mutex::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn opened(&self, name: &str) -> io::Result<Arc<D::File>> {
        let mut open = lock(&self.open);
        let known = open.iter().position(|(known, _)| known == name);
        let newest = match known.map(|at| open.remove(at)) {
            Some(known) => known,
            None => {
                drop(open);
                let file = self.disk.open(&self.path(name))?;
                open = lock(&self.open);
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
        lock(&self.open).retain(|(known, _)| known != name);
    }

    /// A synced file that has no proper name yet, in the directory where it is going to have one.
    fn unnamed(&self, path: &Path, bytes: &[u8]) -> io::Result<Unnamed<'_, D>> {
        let dir = parent(path);
        self.make_dir(dir)?;
        let (unnamed, file) = Unnamed::create(&self.disk, dir)?;
        self.disk.write(&file, bytes)?;
        self.disk.sync(&file)?;
        Ok(unnamed)
    }

    /// Makes a directory and those above it, each synced into its parent. One that is there may be the work of somebody
    /// who was killed before the sync, so for those of the store that is done once more.
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let above = parent(dir);
        let is_ours = dir.starts_with(&self.root) && dir != self.root && dir != above;
        let is_settled = !is_ours || lock(&self.settled).contains(dir);
        if is_settled && self.is_dir(dir)? {
            return Ok(());
        }
        if above != dir {
            self.make_dir(above)?;
        }
        match self.disk.make_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !self.is_dir(dir)? {
                    let what = format!("{} is not a directory", dir.display());
                    return Err(io::Error::new(io::ErrorKind::NotADirectory, what));
                }
            }
            result => result?,
        }
        self.disk.sync_dir(above)?;
        lock(&self.settled).insert(dir.to_owned());
        Ok(())
    }

    /// Syncs a directory, if there is one.
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match self.disk.sync_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            synced => synced,
        }
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        match self.disk.stat(path) {
            // A file where a directory above it should be is found when that is made.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(false)
            }
            found => Ok(found? == Found::Dir),
        }
    }

    fn fill_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.disk.create(path)?;
        let written = self.disk.write(&file, bytes);
        let filled = written.and_then(|()| self.disk.sync(&file));
        if filled.is_err() {
            // It has its proper name already, and a part of it is worse than nothing.
            let _ = self.disk.remove(path);
        }
        filled
    }

    fn list_into(&self, path: &Path, name: &str, all: &mut Vec<Listed>) -> io::Result<()> {
        for (file_name, found) in self.disk.list(path)? {
            let path = path.join(&file_name);
            // Strangers are told of by their name; one that is no text can only be told of inexactly.
            let file_name = file_name.to_string_lossy();
            let name = match name {
                "" => file_name.into_owned(),
                _ => format!("{name}/{file_name}"),
            };
            match found {
                Found::Dir if name == LOST_AND_FOUND => {}
                Found::Dir => match self.list_into(&path, &name, all) {
                    // Somebody removed it meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    result => result?,
                },
                Found::File(Stat { len, modified }) => all.push(Listed {
                    name,
                    len,
                    modified,
                }),
            }
        }
        Ok(())
    }
}

impl<D: Disk> Backend for Local<D> {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let mut unnamed = self.unnamed(&path, bytes)?;
        if unnamed.rename_new(&path).is_err() {
            let is_same = matches!(
                self.disk.stat(&path),
                Ok(Found::File(found)) if found.len == bytes.len() as u64
            );
            if !is_same {
                // Either the file system cannot rename without replacing, or what is there is a damaged file of our name.
                unnamed.rename(&path)?;
                self.close(name);
            }
        }
        self.disk.sync_dir(parent(&path))
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let path = self.path(name);
        let created = match self.unnamed(&path, bytes)?.rename_new(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                // No rename without replacing here: then the name is made first and filled after.
                self.fill_new(&path, bytes)
            }
            created => created,
        };
        match created {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            created => created?,
        }
        self.disk.sync_dir(parent(&path))?;
        Ok(true)
    }

    fn stat(&self, name: &str) -> io::Result<Stat> {
        match self.disk.stat(&self.path(name))? {
            Found::File(found) => Ok(found),
            Found::Dir => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let read = self.disk.read_at(&*self.opened(name)?, offset, buffer);
        if read.is_err() {
            // On a network file system the file may have to be opened anew.
            self.close(name);
        }
        read
    }

    fn list(&self, dir: &str) -> io::Result<Vec<Listed>> {
        let mut all = Vec::new();
        match self.list_into(&self.path(dir), dir, &mut all) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
        all.sort_unstable();
        Ok(all)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        self.close(name);
        match self.disk.remove(&path) {
            // Somebody else may have removed it, and not come to the sync.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        self.sync_dir(parent(&path))
    }

    fn settle(&self, dir: &str) -> io::Result<()> {
        let path = self.path(dir);
        let dirs = path.ancestors();
        let mut ours = dirs.take_while(|dir| dir.starts_with(&self.root));
        ours.try_for_each(|dir| self.sync_dir(dir))
    }

    fn now(&self) -> io::Result<DateTime<Utc>> {
        // On a network file system the server dates the files, by a clock that need not be this machine's.
        let (probe, file) = Unnamed::create(&self.disk, &self.root)?;
        match self.disk.write(&file, b"?") {
            // A prune that is to make room must not need any. An empty file has a date too.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
            written => written?,
        }
        match self.disk.stat(&probe.path)? {
            Found::File(found) => Ok(found.modified),
            Found::Dir => Err(io::ErrorKind::IsADirectory.into()),
        }
    }
}

/// A file that has no proper name yet. Dropping it removes it.
struct Unnamed<'a, D: Disk> {
    disk: &'a D,
    path: PathBuf,
    is_named: bool,
}

impl<'a, D: Disk> Unnamed<'a, D> {
    /// The directory above everything is private; inside, the administrator's umask decides.
    fn create(disk: &'a D, dir: &Path) -> io::Result<(Self, D::File)> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let path = dir.join(format!("{TEMPORARY}{:016x}", u64::from_ne_bytes(random)));
        let file = disk.create(&path)?;
        let is_named = false;
        Ok((
            Self {
                disk,
                path,
                is_named,
            },
            file,
        ))
    }

    fn rename(&mut self, to: &Path) -> io::Result<()> {
        self.disk.rename(&self.path, to)?;
        self.is_named = true;
        Ok(())
    }

    fn rename_new(&mut self, to: &Path) -> io::Result<()> {
        self.disk.rename_new(&self.path, to)?;
        self.is_named = true;
        Ok(())
    }
}

impl<D: Disk> Drop for Unnamed<'_, D> {
    fn drop(&mut self) {
        if !self.is_named {
            // If that fails as well, a prune does it later.
            let _ = self.disk.remove(&self.path);
        }
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

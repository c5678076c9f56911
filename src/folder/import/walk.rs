//! The walk over a directory: what is there, what of it must be read, and what cannot be.
//!
//! Invariant: every name that a directory lists ends in an item or in an entry that is kept; symbolic links are named, not
//! followed, so nothing outside is read and no walk goes in circles.

use std::fs::{self, FileType};
use std::io;
use std::path::{Path as DiskPath, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::known::{Known, Path};
use super::stamp::Stat;
use super::{NodeKind, chain};
use crate::folder::notebook;
use crate::report::{Event, Reporter};

/// So much is read at a time.
const BATCH_BYTES: u64 = 1 << 20;
const BATCH_ITEMS: usize = 256;

/// Something that was found.
#[derive(Debug)]
pub(super) enum Item {
    /// A directory; with the reason when not all of it could be listed.
    Directory(String, Option<String>),
    /// Something that is no directory and cannot be read, and why.
    Unread(String, String),
    /// A file that is new or was touched.
    File(Box<Found>),
}

/// A file to be read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) disk: PathBuf,
    /// Where it is in the snapshot, under its full name.
    pub(super) path: String,
    pub(super) stat: Stat,
    pub(super) stem: Stem,
    pub(super) content: Content,
}

/// Whether a file could be known by its name without extension, were it a notebook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stem {
    /// It has no extension of notebooks.
    Never,
    /// It could.
    Free,
    /// Others could as well; the first notebook among them is.
    Shared,
    /// Something else is called so.
    Taken,
}

/// What became of the reading of a file.
#[derive(Debug)]
pub(super) enum Content {
    /// It is still to be done: the file is too long to be held in memory.
    Ahead,
    /// All of it.
    Read(Vec<u8>),
    /// It failed.
    Failed(io::Error),
}

/// Items to be read together, and where they go then.
pub(super) struct Work {
    pub(super) items: Vec<Item>,
    pub(super) done: SyncSender<Vec<Item>>,
}

/// The items of a batch, as soon as they are read.
pub(super) type Ticket = Receiver<Vec<Item>>;

/// A walk.
pub(super) struct Walk<'a> {
    pub(super) known: &'a Known,
    pub(super) reporter: &'a dyn Reporter,
    /// The directory of the store, which is not imported into itself.
    pub(super) store: Option<PathBuf>,
    pub(super) stop: &'a (dyn Fn() -> bool + Sync),
    pub(super) work: SyncSender<Work>,
    pub(super) tickets: SyncSender<Ticket>,
    pub(super) batch: Vec<Item>,
    pub(super) batch_bytes: u64,
}

/// Nobody wants to know any more.
pub(super) struct Abandoned;

struct Child {
    name: String,
    kind: Kind,
}

enum Kind {
    Directory,
    File(Stat),
    Unread(String),
}

impl Walk<'_> {
    /// Walks over the directory `disk`, which is `path` in the snapshot and could be listed a moment ago.
    pub(super) fn run(mut self, disk: PathBuf, path: &str) -> Result<(), Abandoned> {
        let mut ahead = vec![(disk, path.trim_end_matches('/').to_owned())];
        while let Some((disk, path)) = ahead.pop() {
            if (self.stop)() {
                return Err(Abandoned);
            }
            let below = self.folder(&disk, &path)?;
            ahead.extend(below.into_iter().rev());
        }
        self.send()
    }

    /// Takes a directory's files; gives back its directories.
    fn folder(&mut self, disk: &DiskPath, path: &str) -> Result<Vec<(PathBuf, String)>, Abandoned> {
        let mut children = Vec::new();
        let mut odd = Vec::new();
        let listed = self.list(disk, &mut children, &mut odd);
        children.sort_unstable_by(|a: &Child, b| a.name.cmp(&b.name));
        let (above, name) = path.rsplit_once('/').unwrap_or_default();
        let own = Path {
            folder: above,
            name,
        };
        let gap = listed.err().map(|error| chain(&error));
        let is_kept = gap.is_none() && self.known.keep(NodeKind::Directory, own, 0);
        if !is_kept {
            let name = if path.is_empty() { "/" } else { path };
            self.push(Item::Directory(name.to_owned(), gap), 0)?;
        }
        for (name, is_directory) in odd {
            self.odd_name(path, &name, is_directory, &children)?;
        }
        let mut below = Vec::new();
        for (at, child) in children.iter().enumerate() {
            match &child.kind {
                Kind::Directory => {
                    below.push((disk.join(&child.name), format!("{path}/{}", child.name)));
                }
                Kind::Unread(reason) => {
                    let path = format!("{path}/{}", child.name);
                    self.push(Item::Unread(path, reason.clone()), 0)?;
                }
                Kind::File(stat) => self.file(disk, path, stat, (at, &children))?,
            }
        }
        Ok(below)
    }

    /// Lists a directory: names of every kind, and apart from them those that are not Unicode.
    fn list(
        &self,
        disk: &DiskPath,
        children: &mut Vec<Child>,
        odd: &mut Vec<(Vec<u8>, bool)>,
    ) -> io::Result<()> {
        for entry in fs::read_dir(disk)? {
            let entry = entry?;
            let name = entry.file_name();
            let kind = entry.file_type()?;
            let Some(name) = name.to_str() else {
                odd.push((name.as_encoded_bytes().to_vec(), kind.is_dir()));
                continue;
            };
            let kind = if kind.is_file() {
                match entry.metadata() {
                    Ok(metadata) => Kind::File(Stat::of(&metadata)),
                    // It was there when the directory was listed, and is deleted.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => Kind::Unread(chain(&error)),
                }
            } else if kind.is_dir() {
                if self.is_store(disk, name) {
                    continue;
                }
                Kind::Directory
            } else {
                Kind::Unread(refusal(kind, &entry.path()))
            };
            let name = name.to_owned();
            children.push(Child { name, kind });
        }
        Ok(())
    }

    fn file(
        &mut self,
        disk: &DiskPath,
        folder: &str,
        stat: &Stat,
        (at, children): (usize, &[Child]),
    ) -> Result<(), Abandoned> {
        let name = &children[at].name;
        let stem = stem(at, children);
        if self.is_unchanged(folder, name, stem, stat.stamp()) {
            return Ok(());
        }
        let found = Found {
            disk: disk.join(name),
            path: format!("{folder}/{name}"),
            stat: *stat,
            stem,
            content: Content::Ahead,
        };
        self.push(Item::File(Box::new(found)), stat.size)
    }

    /// Keeps the parent's entry of a file if reading it anew would give the same entry.
    fn is_unchanged(&self, folder: &str, name: &str, stem: Stem, stamp: u64) -> bool {
        let keep = |kind, name| self.known.keep(kind, Path { folder, name }, stamp);
        let bare = notebook::split(name).map_or(name, |(bare, _)| bare);
        match stem {
            Stem::Never | Stem::Taken => keep(NodeKind::File, name),
            // Which of them is the notebook, only their contents say.
            Stem::Shared => false,
            Stem::Free => {
                // A file with something under its stem may be a notebook that had to keep its extension then.
                let had = |kind| self.known.has(kind, Path { folder, name: bare });
                let was_free = || {
                    ![NodeKind::Directory, NodeKind::File, NodeKind::Notebook]
                        .iter()
                        .any(|kind| had(*kind))
                };
                keep(NodeKind::Notebook, bare) || (was_free() && keep(NodeKind::File, name))
            }
        }
    }

    /// A name that no key of a snapshot can hold is told with its odd bytes as `%XX`.
    fn odd_name(
        &mut self,
        path: &str,
        name: &[u8],
        is_directory: bool,
        children: &[Child],
    ) -> Result<(), Abandoned> {
        let mut shown = String::new();
        for chunk in name.utf8_chunks() {
            shown += chunk.valid();
            for byte in chunk.invalid() {
                shown += &format!("%{byte:02X}");
            }
        }
        while children.iter().any(|child| child.name == shown) {
            shown.push('~');
        }
        let path = format!("{path}/{shown}");
        let reason = "its name is not Unicode".to_owned();
        if is_directory {
            self.push(Item::Directory(path, Some(reason)), 0)
        } else {
            self.push(Item::Unread(path, reason), 0)
        }
    }

    fn is_store(&self, disk: &DiskPath, name: &str) -> bool {
        let is_it = |store: &PathBuf| {
            store.parent() == Some(disk) && store.file_name().is_some_and(|of| of == name)
        };
        let found = self.store.as_ref().is_some_and(is_it);
        if found {
            let disk = disk.join(name);
            self.reporter.report(Event::Warning(&format!(
                "{} is the store itself and is left out",
                disk.display()
            )));
        }
        found
    }

    fn push(&mut self, item: Item, bytes: u64) -> Result<(), Abandoned> {
        self.batch.push(item);
        self.batch_bytes += bytes;
        if self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_ITEMS {
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), Abandoned> {
        let items = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let (done, ticket) = sync_channel(1);
        // Work before ticket: whoever waits for a batch waits for one that the readers have got.
        self.work
            .send(Work { items, done })
            .map_err(|_| Abandoned)?;
        self.tickets.send(ticket).map_err(|_| Abandoned)
    }
}

/// Whether the child at this place could be called by its stem.
fn stem(at: usize, children: &[Child]) -> Stem {
    let Some((bare, _)) = notebook::split(&children[at].name) else {
        return Stem::Never;
    };
    let by_name = |child: &Child| child.name.as_str().cmp(bare);
    if children.binary_search_by(by_name).is_ok() {
        return Stem::Taken;
    }
    // All that begin with the stem and a dot stand together.
    let begins = |child: &&Child| {
        let rest = child.name.strip_prefix(bare);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    let rivals = |child: &Child| {
        let is_file = matches!(child.kind, Kind::File(_));
        is_file && notebook::split(&child.name).is_some_and(|(of, _)| of == bare)
    };
    let before = children[..at].iter().rev().take_while(begins);
    let after = children[at + 1..].iter().take_while(begins);
    if before.chain(after).any(rivals) {
        Stem::Shared
    } else {
        Stem::Free
    }
}

/// Why something that is neither a file nor a directory is not read.
fn refusal(kind: FileType, path: &DiskPath) -> String {
    if kind.is_symlink() {
        return match fs::read_link(path) {
            Ok(target) => format!(
                "it is a symbolic link to {}, and links are not followed",
                target.display()
            ),
            Err(_) => "it is a symbolic link, and links are not followed".to_owned(),
        };
    }
    format!("it is {}, not a file", special(kind))
}

#[cfg(unix)]
fn special(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_socket() => "a socket",
        kind if kind.is_fifo() => "a named pipe",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn special(_: FileType) -> &'static str {
    "something special"
}

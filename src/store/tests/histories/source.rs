//! A directory on disk, and what a snapshot of it must say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::super::notebook;
use crate::resource::{KindName, ObjectKey};
use crate::store::BlobId;

const HEADER: &[u8] = b"# Databricks notebook source\n";

/// Kind and name of an object, and its content if it has one.
pub(super) type Contents = BTreeMap<(String, String), Option<Vec<u8>>>;

/// Something that is done to a file. Paths are numbers of [`paths`].
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// It is written anew.
    Write {
        path: usize,
        seed: u32,
        lines: u32,
    },
    /// It gets longer, and keeps the time of its last change.
    Append {
        path: usize,
        lines: u32,
    },
    /// It keeps its length.
    Flip {
        path: usize,
    },
    /// Two files change places.
    Swap {
        path: usize,
        other: usize,
    },
    /// Nothing but its time changes.
    Touch {
        path: usize,
    },
    Remove {
        path: usize,
    },
    RemoveFolder {
        folder: usize,
    },
}

const FOLDERS: [&str; 4] = ["b", "d", "d/e", "f"];

pub(super) fn edit() -> impl Strategy<Value = Edit> {
    let path = || 0..paths().len();
    prop_oneof![
        5 => (path(), 0..6_u32, 0..90_u32).prop_map(|(path, seed, lines)| Edit::Write { path, seed, lines }),
        3 => (path(), 1..3_u32).prop_map(|(path, lines)| Edit::Append { path, lines }),
        2 => path().prop_map(|path| Edit::Flip { path }),
        1 => (path(), path()).prop_map(|(path, other)| Edit::Swap { path, other }),
        1 => path().prop_map(|path| Edit::Touch { path }),
        2 => path().prop_map(|path| Edit::Remove { path }),
        1 => (0..FOLDERS.len()).prop_map(|folder| Edit::RemoveFolder { folder }),
    ]
}

/// All files that there may be. Behind some of them a node of the manifest ends, so that small trees have several.
fn paths() -> &'static [String] {
    static PATHS: OnceLock<Vec<String>> = OnceLock::new();
    PATHS.get_or_init(|| {
        let names = ["a.py", "b.py", "b.txt", "m.py", "z.txt"];
        let folders = ["", "b/", "d/", "d/e/"];
        let all = |folder| names.map(|name| format!("{folder}{name}"));
        let ordinary = folders.into_iter().flat_map(all);
        let last_of_node = |folder: &'static str| {
            let names = (0..).map(move |number| format!("{folder}/{number}.txt"));
            let ends = |path: &String| {
                let key = ObjectKey::new(KindName::known("file"), format!("/{path}"));
                BlobId::of(&key.to_bytes()).as_bytes()[0] == 0
            };
            names.filter(ends).take(2)
        };
        ordinary
            .chain(FOLDERS.into_iter().flat_map(last_of_node))
            .collect()
    })
}

/// A directory, and a copy of it in memory.
pub(super) struct Source {
    pub(super) directory: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
    /// No two edits happen at the same time.
    clock: u64,
}

impl Source {
    pub(super) fn new(directory: PathBuf) -> Self {
        fs::create_dir(&directory).unwrap();
        Self {
            directory,
            files: BTreeMap::new(),
            folders: BTreeSet::new(),
            clock: 1_600_000_000,
        }
    }

    pub(super) fn edit(&mut self, edit: &Edit) {
        let paths = paths();
        match *edit {
            Edit::Write { path, seed, lines } => {
                let path = &paths[path];
                let mut bytes = notebook(seed + 1, lines);
                if path.ends_with(".py") {
                    bytes.splice(..0, HEADER.iter().copied());
                }
                bytes.extend_from_slice(b"end\n");
                self.write(path, bytes, None);
            }
            Edit::Append { path, lines } => self.change(&paths[path], |bytes, time| {
                bytes.extend_from_slice("more\n".repeat(lines as usize).as_bytes());
                time
            }),
            Edit::Flip { path } => self.change(&paths[path], |bytes, _| {
                let last = bytes.last_mut().unwrap();
                *last = if *last == b'#' { b'\n' } else { b'#' };
                None
            }),
            Edit::Swap { path, other } => self.swap(&paths[path], &paths[other]),
            Edit::Touch { path } => self.change(&paths[path], |_, _| None),
            Edit::Remove { path } => {
                if self.files.remove(&paths[path]).is_some() {
                    fs::remove_file(self.directory.join(&paths[path])).unwrap();
                }
            }
            Edit::RemoveFolder { folder } => self.remove_folder(FOLDERS[folder]),
        }
    }

    fn write(&mut self, path: &str, bytes: Vec<u8>, time: Option<SystemTime>) {
        let folders = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        self.folders.extend(folders);
        let on_disk = self.directory.join(path);
        fs::create_dir_all(on_disk.parent().unwrap()).unwrap();
        fs::write(&on_disk, &bytes).unwrap();
        self.clock += 1;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock);
        let file = File::options().write(true).open(&on_disk).unwrap();
        file.set_modified(time.unwrap_or(now)).unwrap();
        self.files.insert(path.to_owned(), bytes);
    }

    /// Changes a file if it is there. `how` is told the time of its last change, and says what is to be told of this one.
    fn change(
        &mut self,
        path: &str,
        how: impl FnOnce(&mut Vec<u8>, Option<SystemTime>) -> Option<SystemTime>,
    ) {
        let Some(mut bytes) = self.files.get(path).cloned() else {
            return;
        };
        let time = fs::metadata(self.directory.join(path)).unwrap().modified();
        let time = how(&mut bytes, time.ok());
        self.write(path, bytes, time);
    }

    fn swap(&mut self, path: &str, other: &str) {
        if path == other || !self.files.contains_key(path) || !self.files.contains_key(other) {
            return;
        }
        let [first, second] = [path, other].map(|path| self.directory.join(path));
        let aside = self.directory.with_extension("aside");
        for (from, to) in [(&first, &aside), (&second, &first), (&aside, &second)] {
            fs::rename(from, to).unwrap();
        }
        let bytes = self.files.remove(path).unwrap();
        let bytes = self.files.insert(other.to_owned(), bytes).unwrap();
        self.files.insert(path.to_owned(), bytes);
    }

    fn remove_folder(&mut self, folder: &str) {
        if !self.folders.contains(folder) {
            return;
        }
        fs::remove_dir_all(self.directory.join(folder)).unwrap();
        let is_below = |path: &str| Path::new(path).starts_with(folder);
        self.folders.retain(|path| !is_below(path));
        self.files.retain(|path, _| !is_below(path));
    }

    /// What a snapshot must say of it.
    pub(super) fn contents(&self) -> Contents {
        let name = |kind: &str, path: &str| (kind.to_owned(), format!("/{path}"));
        let folders = self.folders.iter().map(String::as_str).chain([""]);
        let folders = folders.map(|folder| (name("directory", folder), None));
        let files = self.files.iter().map(|(path, bytes)| {
            let stem = path.strip_suffix(".py");
            let is_free = |stem: &&str| bytes.starts_with(HEADER) && !self.folders.contains(*stem);
            let name = match stem.filter(is_free) {
                Some(stem) => name("notebook", stem),
                None => name("file", path),
            };
            (name, Some(bytes.clone()))
        });
        folders.chain(files).collect()
    }
}

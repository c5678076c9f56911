//! The files of an export.
//!
//! Invariant: nothing is opened but plain files inside the export; links are named, not followed.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::book::Book;
use super::lines::Lines;
use super::{ImportError, chain};

/// A directory with an export.
pub(super) struct Export {
    /// Without links.
    pub(super) root: PathBuf,
}

impl Export {
    /// Opens a plain file; none when there is none.
    pub(super) fn open(&self, name: &str) -> io::Result<Option<File>> {
        open(&self.root, name)
    }

    /// Whether there is a directory of this name, and no link to one.
    pub(super) fn has_directory(&self, name: &str) -> bool {
        fs::symlink_metadata(self.root.join(name)).is_ok_and(|metadata| metadata.is_dir())
    }

    /// The lines of a file about a kind. One that is there and cannot be opened makes the kind unknown.
    pub(super) fn lines(&self, book: &mut Book<'_>, name: &str, kind: &str) -> Option<Lines<File>> {
        match self.open(name) {
            Ok(file) => Some(Lines::new(name, file?)),
            Err(error) => {
                book.lost(kind, format!("{name} cannot be read: {}", chain(&error)));
                None
            }
        }
    }
}

/// Opens the plain file `name` below `root`, which has no links above it; none when there is none.
pub(super) fn open(root: &Path, name: &str) -> io::Result<Option<File>> {
    let mut path = root.to_owned();
    let mut parts = Path::new(name).components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(part) = part else {
            return Err(io::Error::other("its name leads out of the export"));
        };
        path.push(part);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_right = match parts.peek() {
            Some(_) => metadata.is_dir(),
            None => metadata.is_file(),
        };
        if metadata.is_symlink() {
            return Err(io::Error::other(
                "it is a symbolic link, which is not followed",
            ));
        }
        if !is_right {
            return Err(io::Error::other("it is something else than a file"));
        }
    }
    let file = File::open(&path)?;
    match file.metadata()?.is_file() {
        true => Ok(Some(file)),
        false => Err(io::Error::other(
            "something else took its place while it was read",
        )),
    }
}

/// A part of the path may be a file where a directory would have to be.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

/// What a directory of the export holds, in order of names: files, and directories. Everything else, and a directory
/// that cannot be listed, is noted as not understood.
pub(super) fn list(
    book: &mut Book<'_>,
    export: &Export,
    name: &str,
) -> Result<(Vec<String>, Vec<String>), ImportError> {
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    let entries =
        fs::read_dir(export.root.join(name)).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            book.not_understood(name, &chain(&error))?;
            return Ok((files, directories));
        }
    };
    for entry in entries {
        let shown = format!("{name}/{}", entry.file_name().to_string_lossy());
        match (entry.file_name().into_string(), entry.file_type()) {
            (Ok(own), Ok(of)) if of.is_file() => files.push(own),
            (Ok(own), Ok(of)) if of.is_dir() => directories.push(own),
            (_, Err(error)) => book.not_understood(&shown, &chain(&error))?,
            (Err(_), _) => book.not_understood(&shown, "its name is not UTF-8")?,
            (_, Ok(of)) if of.is_symlink() => {
                book.not_understood(&shown, "it is a symbolic link, which is not followed")?;
            }
            _ => book.not_understood(&shown, "it is neither a file nor a directory")?,
        }
    }
    files.sort_unstable();
    directories.sort_unstable();
    Ok((files, directories))
}

//! The files of notebooks.
//!
//! Invariant: content is read from plain files inside the export, piece by piece if it is long.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};

use super::book::{Book, add_gap};
use super::dbc;
use super::files::{Export, list};
use super::{ImportError, chain};
use crate::folder::notebook::Form;
use crate::manifest::{Entry, Extent, ManifestError, Payload};
use crate::resource::{KindName, ObjectKey};

/// Extensions of the files of notebooks, in the order in which they are preferred.
const EXTENSIONS: &[&str] = &["py", "sql", "scala", "r", "dbc", "html"];

/// A directory of files, each named as the workspace names a notebook, and with an extension.
pub(super) struct Artifacts<'a> {
    export: &'a Export,
    directory: String,
    /// The names in the folder that was looked at last: listings go folder by folder.
    folder: Option<(String, HashSet<String>)>,
}

impl<'a> Artifacts<'a> {
    pub(super) fn new(export: &'a Export, directory: &str) -> Self {
        Self {
            export,
            directory: directory.to_owned(),
            folder: None,
        }
    }

    /// Reads the content of the notebook at `path`, or says why there is none.
    pub(super) fn fill(
        &mut self,
        book: &mut Book<'_>,
        entry: &mut Entry,
        path: &str,
    ) -> Result<(), ImportError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or_default();
        let names = self.names(folder);
        let is_there = |extension: &&&str| names.contains(&format!("{name}.{extension}"));
        let extension = EXTENSIONS.iter().find(is_there);
        match extension {
            Some(extension) => {
                let file = format!("{}{path}.{extension}", self.directory);
                read(book, self.export, entry, (&file, extension))
            }
            None => {
                let reason = format!("there is no file of it in {}", self.directory);
                add_gap(entry, Extent::Object, reason);
                Ok(())
            }
        }
    }

    /// The names of everything in a folder.
    fn names(&mut self, folder: &str) -> &HashSet<String> {
        if self.folder.as_ref().is_none_or(|(of, _)| of != folder) {
            let path = self.export.root.join(format!("{}{folder}", self.directory));
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            self.folder = Some((folder.to_owned(), names.collect()));
        }
        &self.folder.as_ref().expect("it was set above").1
    }

    /// Notes the files that no listing has a notebook for.
    pub(super) fn leftovers(&self, book: &mut Book<'_>) -> Result<(), ImportError> {
        let mut ahead = vec![String::new()];
        if !self.export.has_directory(&self.directory) {
            return Ok(());
        }
        while let Some(folder) = ahead.pop() {
            let shown = format!("{}{folder}", self.directory);
            let (files, directories) = list(book, self.export, &shown)?;
            for name in files {
                let file = format!("{shown}/{name}");
                let known = name.rsplit_once('.');
                let known = known.filter(|(_, extension)| EXTENSIONS.contains(extension));
                let Some((stem, extension)) = known else {
                    book.not_understood(&file, "it has no extension of notebooks")?;
                    continue;
                };
                let path = format!("{folder}/{stem}");
                let key = ObjectKey::new(KindName::known("notebook"), path.as_str()).fit(None);
                if book.has(&key) {
                    continue;
                }
                let mut entry = Entry::new(key);
                let reason =
                    format!("no listing has it: {file} may be left from an earlier export");
                add_gap(&mut entry, Extent::Object, reason);
                read(book, self.export, &mut entry, (&file, extension))?;
                book.note(entry, &file)?;
            }
            ahead.extend(
                directories
                    .into_iter()
                    .rev()
                    .map(|name| format!("{folder}/{name}")),
            );
        }
        Ok(())
    }
}

/// Reads a file into an entry; what cannot be read is a gap.
fn read(
    book: &Book<'_>,
    export: &Export,
    entry: &mut Entry,
    (name, extension): (&str, &str),
) -> Result<(), ImportError> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let file = export.open(name).and_then(|file| file.ok_or_else(gone));
    let read = match file {
        Ok(file) => content(book, file, extension),
        Err(error) => Ok(Err(chain(&error))),
    };
    match read? {
        Ok((form, content)) => {
            entry.body = Some(Payload::Inline(form.body()));
            entry.size = Some(content.len());
            entry.content = Some(content);
        }
        Err(reason) => add_gap(entry, Extent::Object, format!("{name}: {reason}")),
    }
    Ok(())
}

/// What is in the file of a notebook; within, why it cannot be told.
fn content(
    book: &Book<'_>,
    mut file: File,
    extension: &str,
) -> Result<Result<(Form, Payload), String>, ImportError> {
    if extension == "html" {
        let reason = "a page of HTML is no notebook that could be made again";
        return Ok(Err(reason.to_owned()));
    }
    let stored = match Form::of_extension(extension) {
        Some(form) => Payload::store_from(&book.writer, file, None).map(|content| (form, content)),
        None => {
            let mut archive = Vec::new();
            let read = file
                .by_ref()
                .take(dbc::LONGEST + 1)
                .read_to_end(&mut archive);
            let source = match read {
                Ok(_) => dbc::source(&archive),
                Err(error) => Err(chain(&error)),
            };
            let (extension, text) = match source {
                Ok(source) => source,
                Err(reason) => return Ok(Err(reason)),
            };
            let form = Form::of_extension(extension).expect("every language has an extension");
            Payload::store(&book.writer, text.as_bytes(), None).map(|content| (form, content))
        }
    };
    match stored {
        Ok(stored) => Ok(Ok(stored)),
        Err(ManifestError::ReadSource(error)) => Ok(Err(chain(&error))),
        Err(error) => Err(error.into()),
    }
}

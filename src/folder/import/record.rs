//! From what was read to the entries of a snapshot.
//!
//! Invariant: no two entries have one key, and what could not be read has an entry with the reason.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::time::SystemTime;

use super::known::{Known, Path};
use super::read;
use super::walk::{Content, Found, Item, Stem};
use super::{ImportError, ImportOptions, NodeKind, Parent, chain};
use crate::folder::notebook::{self, Form};
use crate::manifest::{Entry, Extent, Gap, Ledger, ManifestError, Payload};
use crate::report::{Event, Reporter};
use crate::resource::{KindName, ObjectKey};
use crate::store::{Store, Writer};

/// More remarks than these only drown the others.
const MOST_REMARKS: usize = 20;

/// A header is shorter than this.
const HEAD: u64 = 256;

/// Takes what was read, in order.
pub(super) struct Recorder<'a> {
    pub(super) store: &'a Store,
    pub(super) writer: Writer,
    pub(super) parent: Option<&'a Parent>,
    pub(super) known: &'a Known,
    pub(super) reporter: &'a dyn Reporter,
    pub(super) ledger: Ledger,
    /// Folders that could not be listed.
    pub(super) unlisted: HashSet<String>,
    began: SystemTime,
    full: bool,
    /// Names of notebooks that other files could have had.
    shared: HashSet<String>,
    remarks: usize,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        store: &'a Store,
        options: &ImportOptions,
        parent: Option<&'a Parent>,
        known: &'a Known,
        reporter: &'a dyn Reporter,
    ) -> Result<Self, ImportError> {
        Ok(Self {
            store,
            writer: store.writer()?,
            parent,
            known,
            reporter,
            ledger: Ledger::default(),
            unlisted: HashSet::new(),
            began: options.time.into(),
            full: options.full,
            shared: HashSet::new(),
            remarks: 0,
        })
    }

    /// Stores what was read of an item, and notes it.
    pub(super) fn record(&mut self, item: Item) -> Result<(), ImportError> {
        let entry = match item {
            Item::Directory(path, None) => known(NodeKind::Directory, path, None),
            Item::Directory(path, Some(why)) => {
                self.unlisted.insert(path.clone());
                Entry {
                    gap: Some(Gap::new(Extent::Subtree, why)),
                    ..known(NodeKind::Directory, path, None)
                }
            }
            Item::Unread(path, why) => unread(NodeKind::File, path, why),
            Item::File(found) => match self.file(*found)? {
                Some(entry) => entry,
                None => return Ok(()),
            },
        };
        let bytes = entry.content.as_ref().map_or(0, Payload::len);
        self.ledger.push(&entry)?;
        self.reporter.report(Event::Done { count: 1, bytes });
        Ok(())
    }

    /// A file's entry; none when it is gone.
    fn file(&mut self, mut found: Found) -> Result<Option<Entry>, ImportError> {
        let before = self.before(&found);
        let base = before.as_ref().and_then(|entry| entry.content.as_ref());
        let stored = match std::mem::replace(&mut found.content, Content::Ahead) {
            Content::Read(bytes) => {
                let form = form(&found, &bytes);
                self.store(&bytes, base).map(|payload| (form, payload))
            }
            Content::Ahead => self.long_file(&mut found, base),
            Content::Failed(error) => Err(ManifestError::ReadSource(error)),
        };
        let (form, content) = match stored {
            Ok(stored) => stored,
            Err(ManifestError::ReadSource(error)) => {
                if error.kind() == io::ErrorKind::NotFound {
                    let path = found.disk.display();
                    let words = format!("{path} was deleted before it was read");
                    self.reporter.report(Event::Detail(&words));
                    return Ok(None);
                }
                let was_notebook = before.filter(|before| {
                    before.key.kind.as_str() == NodeKind::Notebook.name()
                        && self.is_free(found.stem, &before.key.name)
                });
                let (kind, name) = match was_notebook {
                    Some(before) => (NodeKind::Notebook, before.key.name),
                    None => (NodeKind::File, found.path),
                };
                return Ok(Some(unread(kind, name, chain(&error))));
            }
            Err(error) => return Err(error.into()),
        };
        // A length other than that of its stamp: it was written to at this very moment.
        let is_settled = content.len() == found.stat.size;
        let modified_at = found.stat.modified_at;
        let stamp = found.stat.lasting_stamp(self.began);
        let (form, name) = self.name(form, found);
        let kind = match form {
            Some(_) => NodeKind::Notebook,
            None => NodeKind::File,
        };
        Ok(Some(Entry {
            modified_at,
            size: Some(content.len()),
            stamp: stamp.filter(|_| is_settled),
            content: Some(content),
            ..known(kind, name, form)
        }))
    }

    /// What a file becomes, and under which name.
    fn name(&mut self, form: Option<Form>, found: Found) -> (Option<Form>, String) {
        let Some((bare, extension)) = notebook::split(&found.path).filter(|_| form.is_some())
        else {
            return (None, found.path);
        };
        if !self.is_free(found.stem, bare) {
            self.remark(&format!(
                "{} is kept as a file: something else is called {bare}",
                found.path
            ));
            return (None, found.path);
        }
        if form.is_some_and(|form| form.extension() != extension) {
            let words = format!("an export will not spell the extension of {}", found.path);
            self.reporter.report(Event::Detail(&words));
        }
        (form, bare.to_owned())
    }

    /// Whether a notebook can have the name, which it then has.
    fn is_free(&mut self, stem: Stem, bare: &str) -> bool {
        match stem {
            Stem::Free => true,
            Stem::Shared => self.shared.insert(bare.to_owned()),
            Stem::Never | Stem::Taken => false,
        }
    }

    /// Stores the content of a file too long to be held.
    fn long_file(
        &self,
        found: &mut Found,
        base: Option<&Payload>,
    ) -> Result<(Option<Form>, Payload), ManifestError> {
        let read = |found: &mut Found| {
            let mut file = read::open(&found.disk, &mut found.stat)?;
            let form = form_of_long(found, &mut file)?;
            file.rewind()?;
            Ok((form, file))
        };
        let (form, file) = read(found).map_err(ManifestError::ReadSource)?;
        let payload = Payload::store_from(&self.writer, file, base)?;
        Ok((form, payload))
    }

    fn store(&self, bytes: &[u8], base: Option<&Payload>) -> Result<Payload, ManifestError> {
        let stored = Payload::store(&self.writer, bytes, base)?;
        // A blob that the store has is not stored again, be it damaged; one found damaged counts as gone. What this
        // run has just written cannot be read back yet either, and is not written twice.
        if self.full && stored.read(self.store).is_err() {
            return Payload::store(&self.writer, bytes, base);
        }
        Ok(stored)
    }

    /// The parent's entry of the file, under either name.
    fn before(&self, found: &Found) -> Option<Entry> {
        let parent = self.parent?;
        let get = |kind: NodeKind, path: &str| {
            let (folder, name) = path.rsplit_once('/')?;
            if !self.known.has(kind, Path { folder, name }) {
                return None;
            }
            let key = ObjectKey::new(KindName::known(kind.name()), path);
            // One that cannot be read is no base; that the parent is damaged was said already.
            parent.tree.get(&key).ok().flatten()
        };
        let as_notebook = || get(NodeKind::Notebook, notebook::split(&found.path)?.0);
        get(NodeKind::File, &found.path).or_else(as_notebook)
    }

    fn remark(&mut self, words: &str) {
        self.remarks += 1;
        match self.remarks {
            ..=MOST_REMARKS => self.reporter.report(Event::Warning(words)),
            _ => self.reporter.report(Event::Detail(words)),
        }
    }
}

/// An entry of something that was seen.
fn known(kind: NodeKind, name: String, form: Option<Form>) -> Entry {
    let mut entry = Entry::new(ObjectKey::new(KindName::known(kind.name()), name));
    let body = form.map_or_else(|| b"{}".to_vec(), Form::body);
    entry.body = Some(Payload::Inline(body));
    entry
}

/// An entry of something of which no more than its name is known.
fn unread(kind: NodeKind, name: String, why: String) -> Entry {
    let mut entry = Entry::new(ObjectKey::new(KindName::known(kind.name()), name));
    entry.gap = Some(Gap::new(Extent::Object, why));
    entry
}

fn form(found: &Found, bytes: &[u8]) -> Option<Form> {
    let (_, extension) = notebook::split(&found.path)?;
    Form::recognise(extension, bytes)
}

fn form_of_long(found: &Found, file: &mut File) -> io::Result<Option<Form>> {
    let Some((_, extension)) = notebook::split(&found.path) else {
        return Ok(None);
    };
    if notebook::is_jupyter(extension) {
        return Ok(Form::jupyter(BufReader::new(file)));
    }
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    Ok(Form::recognise(extension, &head))
}

//! From what the files say to the entries of a snapshot.
//!
//! Invariant: one key has one entry; where two lines say different things of one object, its entry says so.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;

use serde_json::Value;

use super::ImportError;
use crate::manifest::{Entry, Extent, Gap, Ledger, Payload};
use crate::report::{Event, Reporter};
use crate::resource::{Kind, KindName, ObjectKey, canonical_bytes, identify};
use crate::store::{BlobId, Store, Writer};

/// More remarks than these only drown the others.
const MOST_REMARKS: usize = 20;

/// The kind under which files of the export are named that are not understood. No workspace has such objects.
const FILE_OF_EXPORT: &str = "export-file";

/// Takes what is found, and notes it.
pub(super) struct Book<'a> {
    pub(super) store: &'a Store,
    pub(super) writer: Writer,
    pub(super) ledger: Ledger,
    pub(super) reporter: &'a dyn Reporter,
    /// What there are files of.
    pub(super) kinds: BTreeSet<String>,
    stop: &'a (dyn Fn() -> bool + Sync),
    /// What was noted under each key, by the hash of the key.
    seen: HashMap<[u8; 16], [u8; 8]>,
    /// What is unknown of kinds as a whole.
    unlisted: BTreeMap<String, Gap>,
    remarks: usize,
}

impl<'a> Book<'a> {
    pub(super) fn new(
        store: &'a Store,
        stop: &'a (dyn Fn() -> bool + Sync),
        reporter: &'a dyn Reporter,
    ) -> Result<Self, ImportError> {
        Ok(Self {
            store,
            writer: store.writer()?,
            ledger: Ledger::default(),
            reporter,
            kinds: BTreeSet::new(),
            stop,
            seen: HashMap::new(),
            unlisted: BTreeMap::new(),
            remarks: 0,
        })
    }

    /// There is a file of the objects of this kind.
    pub(super) fn covers(&mut self, kind: &str) {
        if !self.kinds.contains(kind) {
            self.kinds.insert(kind.to_owned());
        }
    }

    /// Whether an object was noted under the key.
    pub(super) fn has(&self, key: &ObjectKey) -> bool {
        self.seen.contains_key(&short(&key.to_bytes()))
    }

    /// The entry of an object as a list of the workspace shows it; its permissions and content are still to come.
    pub(super) fn identify(&self, kind: &'static Kind, item: &Value) -> Result<Entry, Identity> {
        let identified =
            identify(kind, item).map_err(|error| Identity::Unknown(error.to_string()))?;
        let mut entry = Entry::new(identified.key.fit(Some(&identified.object_id)));
        entry.object_id = Some(identified.object_id);
        entry.body = Some(self.json(&identified.body)?);
        Ok(entry)
    }

    /// Keeps a body or permissions.
    pub(super) fn json(&self, value: &Value) -> Result<Payload, ImportError> {
        Ok(Payload::store(&self.writer, &canonical_bytes(value), None)?)
    }

    /// Notes an entry that `from` tells of.
    pub(super) fn note(&mut self, mut entry: Entry, from: &dyn Display) -> Result<(), ImportError> {
        if (self.stop)() {
            return Err(ImportError::Interrupted);
        }
        if entry.key.kind.as_str() != FILE_OF_EXPORT {
            self.covers(entry.key.kind.as_str());
        }
        let digest = digest(&entry);
        match self.seen.entry(short(&entry.key.to_bytes())) {
            Slot::Occupied(before) if *before.get() == digest => return Ok(()),
            Slot::Occupied(mut before) => {
                before.insert(digest);
                let reason = format!("{from} says something else of it than an earlier line");
                add_gap(&mut entry, Extent::Object, reason);
            }
            Slot::Vacant(new) => drop(new.insert(digest)),
        }
        let bytes = entry.bytes();
        self.ledger.push(&entry)?;
        self.reporter.report(Event::Done { count: 1, bytes });
        Ok(())
    }

    /// Something of a kind is unknown that cannot be named.
    pub(super) fn lost(&mut self, kind: &str, reason: impl Into<String>) {
        let reason = reason.into();
        self.covers(kind);
        self.remark(&format!("{kind}: {reason}"));
        let gap = Gap::new(Extent::Kind, reason);
        match self.unlisted.get_mut(kind) {
            Some(known) => *known = known.clone().and(gap),
            None => drop(self.unlisted.insert(kind.to_owned(), gap)),
        }
    }

    /// A file or directory of the export that is not understood.
    pub(super) fn not_understood(&mut self, name: &str, reason: &str) -> Result<(), ImportError> {
        let key = ObjectKey::new(KindName::read(FILE_OF_EXPORT), name).fit(None);
        let mut entry = Entry::new(key);
        add_gap(&mut entry, Extent::Object, reason.to_owned());
        self.note(entry, &name)
    }

    /// Says something that a user should know, unless much was said already.
    pub(super) fn remark(&mut self, words: &str) {
        self.remarks += 1;
        match self.remarks {
            ..=MOST_REMARKS => self.reporter.report(Event::Warning(words)),
            _ => self.reporter.report(Event::Detail(words)),
        }
    }

    /// Notes what is unknown of kinds as a whole.
    pub(super) fn conclude(&mut self) -> Result<(), ImportError> {
        for (kind, gap) in std::mem::take(&mut self.unlisted) {
            let mut entry = Entry::new(ObjectKey::whole_kind(KindName::read(&kind)));
            entry.gap = Some(gap);
            self.ledger.push(&entry)?;
        }
        Ok(())
    }
}

/// Why a line is no object.
pub(super) enum Identity {
    /// It lacks what it would be known by.
    Unknown(String),
    /// The store does not take it.
    Failed(ImportError),
}

impl From<ImportError> for Identity {
    fn from(error: ImportError) -> Self {
        Self::Failed(error)
    }
}

/// Adds a gap to the one there may be.
pub(super) fn add_gap(entry: &mut Entry, extent: Extent, reason: String) {
    let gap = Gap::new(extent, reason);
    entry.gap = Some(match entry.gap.take() {
        Some(before) => before.and(gap),
        None => gap,
    });
}

/// An entry of something of which no more than its name is known.
pub(super) fn unread(key: ObjectKey, extent: Extent, reason: String) -> Entry {
    let mut entry = Entry::new(key.fit(None));
    add_gap(&mut entry, extent, reason);
    entry
}

/// A hash that stands for what many are to be known by.
pub(super) fn short(bytes: &[u8]) -> [u8; 16] {
    let hash = BlobId::of(bytes);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// What an entry says, as a short hash.
fn digest(entry: &Entry) -> [u8; 8] {
    let mut bytes = entry.object_id.clone().unwrap_or_default().into_bytes();
    for payload in entry.payloads() {
        bytes.extend_from_slice(payload.digest().as_bytes());
    }
    let gap = entry.gap.as_ref().map(|gap| gap.reason.as_str());
    bytes.extend_from_slice(gap.unwrap_or_default().as_bytes());
    let hash = BlobId::of(&bytes);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

//! Who may do what: the records of permissions, joined to the objects they are about.
//!
//! Invariant: an object without a record has a gap that says so, and a record without an object is an object of its own.
//! Of a record no more is held than its id and the number of its list; most lists are equal to others.

use std::collections::HashMap;

use serde_json::Value;

use super::ImportError;
use super::book::{Book, add_gap, short, unread};
use super::failures::Failures;
use super::files::Export;
use super::lines::failure;
use crate::manifest::{Entry, Extent, Payload};
use crate::resource::{Acl, Kind, KindName, ObjectKey, canonical_bytes};

/// The records of one file.
pub(super) struct Access {
    kind: &'static Kind,
    file: String,
    /// The field of a record that names the object.
    name: &'static str,
    is_there: bool,
    /// By the hash of the object's id.
    by_id: HashMap<[u8; 16], Record>,
    lists: Vec<Payload>,
    /// By name what became of those that could not be read.
    failed: HashMap<String, String>,
}

#[derive(Clone, Copy)]
struct Record {
    list: u32,
    is_used: bool,
    /// Two records say different things.
    is_torn: bool,
}

impl Access {
    /// Permissions that the older tool never reads.
    pub(super) fn none(kind: &'static Kind) -> Self {
        Self {
            kind,
            file: String::new(),
            name: "",
            is_there: false,
            by_id: HashMap::new(),
            lists: Vec::new(),
            failed: HashMap::new(),
        }
    }

    /// Reads the records in `file`, in which the field `name` names the object.
    pub(super) fn read(
        book: &mut Book<'_>,
        export: &Export,
        kind: &'static Kind,
        (file, name): (String, &'static str),
    ) -> Result<Self, ImportError> {
        let mut access = Self {
            file,
            name,
            ..Self::none(kind)
        };
        let mut numbers = HashMap::new();
        let Some(lines) = export.lines(book, &access.file, kind.name) else {
            return Ok(access);
        };
        access.is_there = true;
        for line in lines {
            let read = line.object().and_then(|record| {
                if let Some(reason) = failure(&record) {
                    return Ok((record, Err(reason)));
                }
                let id = id_of(&record).ok_or("it has no `object_id`")?;
                if !record["access_control_list"].is_array() {
                    return Err("it has no `access_control_list`".to_owned());
                }
                Ok((record, Ok(id)))
            });
            let (record, id) = match read {
                Ok(read) => read,
                Err(reason) => {
                    book.lost(kind.name, format!("{}: {reason}", line.spot));
                    continue;
                }
            };
            match id {
                Ok(id) => {
                    let bytes = canonical_bytes(&Acl::from_answer(&record).to_json());
                    let list = match numbers.get(&bytes) {
                        Some(list) => *list,
                        None => {
                            let list = u32::try_from(access.lists.len()).unwrap_or(u32::MAX);
                            access
                                .lists
                                .push(Payload::store(&book.writer, &bytes, None)?);
                            numbers.insert(bytes, list);
                            list
                        }
                    };
                    access.add(&id, list);
                }
                Err(reason) => match record[name].as_str() {
                    Some(of) => drop(access.failed.insert(of.to_owned(), reason)),
                    None => book.lost(kind.name, format!("{}: {reason}", line.spot)),
                },
            }
        }
        Ok(access)
    }

    fn add(&mut self, id: &str, list: u32) {
        let record = self.by_id.entry(short(id.as_bytes())).or_insert(Record {
            list,
            is_used: false,
            is_torn: false,
        });
        record.is_torn |= record.list != list;
        record.list = list;
    }

    /// Gives an entry its permissions, or a gap with the reason why it has none. `name` is what the older tool calls it.
    pub(super) fn give(&mut self, entry: &mut Entry, name: &str, failures: &mut Failures) {
        if self.kind.permissions.is_none() {
            return;
        }
        let id = entry.object_id.as_deref().unwrap_or_default();
        let told = failures.permissions(self.kind.name, name);
        let reason = match self.by_id.get_mut(&short(id.as_bytes())) {
            Some(record) => {
                record.is_used = true;
                entry.permissions = self.lists.get(record.list as usize).cloned();
                if !record.is_torn {
                    return;
                }
                format!("{} has two records of it that differ", self.file)
            }
            None => match (told, self.failed.get(name)) {
                (Some(reason), _) => reason,
                (None, Some(reason)) => reason.clone(),
                (None, None) if self.file.is_empty() => {
                    "the older tool does not read permissions of this kind".to_owned()
                }
                (None, None) if !self.is_there => format!("there is no {}", self.file),
                (None, None) => format!("{} has no record of it", self.file),
            },
        };
        add_gap(entry, Extent::Permissions, reason);
    }

    /// Notes the objects of records that no entry used.
    pub(super) fn conclude(self, book: &mut Book<'_>, export: &Export) -> Result<(), ImportError> {
        if self.by_id.values().all(|record| record.is_used) {
            return Ok(());
        }
        // What they are called was not held.
        let Some(lines) = export.lines(book, &self.file, self.kind.name) else {
            return Ok(());
        };
        for line in lines {
            let Ok(value) = line.object() else { continue };
            let Some(id) = id_of(&value) else { continue };
            let Some(record) = self
                .by_id
                .get(&short(id.as_bytes()))
                .filter(|record| !record.is_used)
            else {
                continue;
            };
            let Some(name) = value[self.name].as_str().filter(|name| !name.is_empty()) else {
                let reason = format!(
                    "{}: no list has the object {id}, of which it has the permissions",
                    line.spot
                );
                book.lost(self.kind.name, reason);
                continue;
            };
            let name = match self.kind.name {
                "job" => super::jobs::bare_name(name, &id),
                _ => name,
            };
            let kind = KindName::known(self.kind.name);
            let key = match self.kind.naming.unique {
                true => ObjectKey::new(kind, name),
                false => ObjectKey::with_id(kind, name, &id),
            };
            let reason = format!("only its permissions are known, from {}", line.spot);
            let mut entry = unread(key, Extent::Object, reason);
            entry.object_id = Some(id);
            entry.permissions = self.lists.get(record.list as usize).cloned();
            book.note(entry, &line.spot)?;
        }
        Ok(())
    }
}

/// The id in `/notebooks/123`.
fn id_of(record: &Value) -> Option<String> {
    let (_, id) = record["object_id"].as_str()?.rsplit_once('/')?;
    (!id.is_empty()).then(|| id.to_owned())
}

//! What imports make of exports of the older tool, whole ones and broken ones. All of them are written here by hand.

mod broken;
mod metastore;
mod mlflow;
mod recognition;
mod secrets;
mod whole;

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{ImportError, LogsOptions, import_logs};
use crate::backup::BackupReport;
use crate::manifest::{Entry, Tree};
use crate::report::{Event, Reporter};
use crate::resource::ObjectKey;
use crate::store::{Identity, Lock, NewSlot, Store};

/// A directory of an export, and a store.
struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    time: DateTime<Utc>,
    /// Remarks.
    heard: Mutex<Vec<String>>,
}

impl Reporter for Bench {
    fn report(&self, event: Event<'_>) {
        if let Event::Warning(words) | Event::Detail(words) = event {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.push(words.to_owned());
        }
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(|path, time| Store::create(path, time).unwrap())
    }

    /// With a store that takes secret values.
    fn encrypted() -> Self {
        Self::with(|path, time| {
            let slot = NewSlot {
                label: "test".parse().unwrap(),
                lock: Lock::Recipient(Identity::generate().recipient()),
            };
            Store::create_encrypted(path, time, &[slot]).unwrap()
        })
    }

    fn with(create: impl Fn(&std::path::Path, DateTime<Utc>) -> Store) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let time = "2026-01-02T03:04:05Z".parse().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        Self {
            store: create(&dir.path().join("store"), time),
            dir,
            time,
            heard: Mutex::default(),
        }
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.logs().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes a file of JSON lines.
    fn lines(&self, name: &str, values: &[Value]) {
        let text: String = values.iter().map(|value| format!("{value}\n")).collect();
        self.write(name, text);
    }

    fn options(&self) -> LogsOptions {
        LogsOptions {
            directory: self.logs(),
            label: Some("bench".to_owned()),
            time: self.time,
            hostname: "test".to_owned(),
            tags: Vec::new(),
            secret_values: true,
        }
    }

    fn import(&self) -> Imported<'_> {
        let report = import_logs(&self.store, &self.options(), &|| false, self).unwrap();
        Imported {
            bench: self,
            report,
        }
    }

    fn refused(&self) -> ImportError {
        import_logs(&self.store, &self.options(), &|| false, self).unwrap_err()
    }

    fn heard(&self, part: &str) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().any(|words| words.contains(part))
    }
}

/// What came of an import.
struct Imported<'a> {
    bench: &'a Bench,
    report: BackupReport,
}

impl Imported<'_> {
    fn entries(&self) -> Vec<Entry> {
        let tree = Tree::open(&self.bench.store, &self.report.snapshot.root).unwrap();
        tree.iter().map(Result::unwrap).collect()
    }

    /// The entry that is shown like this.
    fn get(&self, key: &str) -> Entry {
        let all = self.entries();
        let found = all.into_iter().find(|entry| entry.key.to_string() == key);
        found.unwrap_or_else(|| panic!("there is no {key} but {:?}", self.names()))
    }

    fn names(&self) -> Vec<String> {
        let all = self.entries();
        all.iter().map(|entry| entry.key.to_string()).collect()
    }

    fn body(&self, key: &str) -> Value {
        let body = self.get(key).body.unwrap();
        serde_json::from_slice(&body.read(&self.bench.store).unwrap()).unwrap()
    }

    fn permissions(&self, key: &str) -> Value {
        let permissions = self.get(key).permissions.unwrap();
        serde_json::from_slice(&permissions.read(&self.bench.store).unwrap()).unwrap()
    }

    fn content(&self, key: &str) -> Vec<u8> {
        let content = self.get(key).content.unwrap();
        content.read(&self.bench.store).unwrap().into()
    }

    /// How much is unknown of an object, and why, in one line.
    fn gap(&self, key: &str) -> String {
        let gap = self.get(key).gap;
        gap.map_or_else(String::new, |gap| {
            format!("{:?}: {}", gap.extent, gap.reason)
        })
    }

    /// What is unknown of a kind as a whole.
    fn unlisted(&self, kind: &str) -> String {
        let all = self.entries();
        let is_it = |key: &ObjectKey| key.kind.as_str() == kind && key.is_whole_kind();
        let entry = all.into_iter().find(|entry| is_it(&entry.key));
        entry
            .and_then(|entry| entry.gap)
            .map_or_else(String::new, |gap| gap.reason)
    }
}

fn node(path: &str, id: u64) -> Value {
    json!({"path": path, "object_id": id})
}

fn user(id: &str, name: &str) -> Value {
    json!({"id": id, "userName": name, "groups": [], "http_status_code": 200})
}

/// A record of permissions: what somebody has on the object itself, and what everybody has from above.
fn acl(object: &str, field: &str, name: &str, who: &str, level: &str) -> Value {
    json!({"object_id": object, field: name, "access_control_list": [
        {"group_name": who, "all_permissions": [
            {"permission_level": "CAN_READ", "inherited": true}, {"permission_level": level, "inherited": false}]},
        {"group_name": "admins", "all_permissions": [{"permission_level": "CAN_MANAGE", "inherited": true}]}]})
}

/// A DBC archive with these members.
fn dbc(members: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

//! The laws of both ways, and what an export makes of snapshots that no import made.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{ExportError, ExportOptions, ExportReport, ImportOptions, Target, export, import};
use crate::backup::BackupReport;
use crate::manifest::{Entry, Extent, Gap, Payload, Snapshot, Tree, write_tree};
use crate::report::Silent;
use crate::resource::{KindName, ObjectKey};
use crate::store::{BlobId, Store};

/// A place with a store, a directory and a clock that is ahead of all files.
pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) time: DateTime<Utc>,
}

const PYTHON: &str = "# Databricks notebook source\nprint(1)\n";
const SQL: &str = "-- Databricks notebook source\nselect 1\n";

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let time = Utc::now() + TimeDelta::seconds(60);
        let store = Store::create(&dir.path().join("store"), time).unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        Self { dir, store, time }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn options(&mut self, directory: &str) -> ImportOptions {
        self.time += TimeDelta::seconds(1);
        ImportOptions {
            label: Some("bench".to_owned()),
            ..ImportOptions::new(self.path(directory), self.time)
        }
    }

    pub(super) fn import(&mut self, directory: &str) -> BackupReport {
        let options = self.options(directory);
        import(&self.store, &options, &|| false, &Silent).unwrap()
    }

    pub(super) fn tree(&self, snapshot: &Snapshot) -> Tree {
        Tree::open(&self.store, &snapshot.root).unwrap()
    }

    fn export(&self, snapshot: &Snapshot, to: &str) -> Result<ExportReport, ExportError> {
        self.export_with(snapshot, to, &ExportOptions::default())
    }

    fn export_with(
        &self,
        snapshot: &Snapshot,
        to: &str,
        options: &ExportOptions,
    ) -> Result<ExportReport, ExportError> {
        let target = Target::Directory(self.path(to));
        let tree = self.tree(snapshot);
        export((snapshot, &tree), target, options, &|| false, &Silent)
    }

    /// A snapshot of these entries.
    fn snapshot(&self, mut entries: Vec<Entry>) -> Snapshot {
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        let writer = self.store.writer().unwrap();
        let root = write_tree(&writer, entries, None).unwrap();
        writer.flush().unwrap();
        let tree = Tree::open(&self.store, &root).unwrap();
        Snapshot::of(&tree, self.time, "https://example.com").unwrap()
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(path)).unwrap()).unwrap()
    }
}

/// Everything below a directory: `None` for directories.
fn files(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let entries = walkdir::WalkDir::new(root).min_depth(1).into_iter();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(root).unwrap().to_owned();
            let is_file = entry.file_type().is_file();
            (path, is_file.then(|| fs::read(entry.path()).unwrap()))
        })
        .collect()
}

/// What a snapshot says of every object, but for when its file was touched.
pub(super) fn said(tree: &Tree) -> Vec<(ObjectKey, [Option<BlobId>; 2], Option<Gap>)> {
    let digest = |payload: Option<Payload>| payload.map(|payload| payload.digest());
    tree.iter()
        .map(|entry| {
            let entry = entry.unwrap();
            (
                entry.key,
                [digest(entry.body), digest(entry.content)],
                entry.gap,
            )
        })
        .collect()
}

/// Bytes without any order in them, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let block =
        |number: u64| *BlobId::of(&[seed.to_le_bytes(), number.to_le_bytes()].concat()).as_bytes();
    (0..).flat_map(block).take(len).collect()
}

fn fill(bench: &Bench) {
    bench.write("a.py", PYTHON);
    bench.write("a.sql", SQL);
    bench.write("b.sql", SQL);
    bench.write("b/inside.py", PYTHON);
    bench.write("plain.py", "import os\n");
    bench.write("n.ipynb", r#"{"cells": [], "metadata": {}}"#);
    bench.write("broken.ipynb", "{");
    bench.write(
        "crlf.scala",
        "// Databricks notebook source\r\nval x = 1\r\n",
    );
    bench.write("bom.r", "\u{feff}# Databricks notebook source\n");
    bench.write("...py", PYTHON);
    bench.write(".py", PYTHON);
    bench.write("empty.py", "");
    bench.write("100%/a b~2/ünï#1.py", PYTHON);
    bench.write("long.bin", vec![7; 5 << 20]);
    bench.write("noise.bin", noise(0, 900_000));
    for folder in ["empty", "x/y/z"] {
        fs::create_dir_all(bench.path("in").join(folder)).unwrap();
    }
    #[cfg(unix)]
    for name in [
        "CON",
        "a:b",
        "trailing.",
        "back\\slash",
        "New\nline",
        "A.PY~",
    ] {
        bench.write(name, name);
    }
}

#[test]
fn what_is_imported_and_exported_is_the_same_and_imports_the_same() {
    let mut bench = Bench::new();
    fill(&bench);
    let first = bench.import("in");
    assert!(first.snapshot.complete);
    let report = bench.export(&first.snapshot, "out").unwrap();
    assert!(report.is_complete());
    assert_eq!(report.renamed, 0);
    assert_eq!(
        files(&bench.path("in")),
        files(&bench.path("out/workspace"))
    );
    assert_eq!(
        bench.json("out/gaps.json"),
        json!({"gaps": [], "damaged": []})
    );
    let second = bench.import("out/workspace");
    assert_eq!(
        said(&bench.tree(&first.snapshot)),
        said(&bench.tree(&second.snapshot))
    );
    let kinds = second.counts.values();
    assert!(
        kinds
            .into_iter()
            .all(|kind| kind.new + kind.changed + kind.removed == 0)
    );
}

#[test]
fn an_archive_holds_what_a_directory_would() {
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut bench = Bench::new();
    fill(&bench);
    bench.write(&format!("{}/deep.txt", "folder/".repeat(40)), "deep");
    let snapshot = bench.import("in").snapshot;
    let bytes = Shared::default();
    let target = Target::Tar(Box::new(bytes.clone()));
    let tree = bench.tree(&snapshot);
    let options = ExportOptions::default();
    export((&snapshot, &tree), target, &options, &|| false, &Silent).unwrap();
    bench.export(&snapshot, "out").unwrap();
    let mut archived = BTreeMap::new();
    let bytes = bytes.0.lock().unwrap();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let is_file = entry.header().entry_type().is_file();
        archived.insert(path, is_file.then_some(content));
    }
    // An archive need not name directories that only lead somewhere.
    assert_eq!(archived, files(&bench.path("out")));
}

#[test]
fn a_workspace_is_written_out_with_everything_it_has() {
    let bench = Bench::new();
    let inline = |text: &str| Some(Payload::Inline(text.as_bytes().to_vec()));
    let entry = |kind, name: &str| Entry::new(ObjectKey::new(KindName::known(kind), name));
    let notebook = |path, language: &str, format: &str| Entry {
        body: inline(&json!({"language": language, "format": format}).to_string()),
        content: inline(path),
        ..entry("notebook", path)
    };
    let job = ObjectKey::with_id(KindName::known("job"), "a/b", "7");
    let snapshot = bench.snapshot(vec![
        Entry {
            body: inline(r#"{"name":"a/b"}"#),
            permissions: inline(r#"{"group:users":"CAN_VIEW"}"#),
            ..Entry::new(job)
        },
        entry("directory", "/"),
        entry("directory", "/f"),
        notebook("/f/x", "PYTHON", "SOURCE"),
        notebook("/f/j", "SQL", "JUPYTER"),
        notebook("/f/odd", "COBOL", "SOURCE"),
        Entry {
            content: inline("file"),
            ..entry("file", "/f/x.py")
        },
        Entry {
            content: inline("outside"),
            ..entry("file", "/../../escape")
        },
        Entry {
            gap: Some(Gap::new(Extent::Content, "no")),
            body: inline(r#"{"language":"R"}"#),
            ..entry("notebook", "/f/gone")
        },
        Entry {
            gap: Some(Gap::new(Extent::Kind, "403")),
            ..entry("cluster", "")
        },
    ]);
    let report = bench.export(&snapshot, "deep/out").unwrap();
    assert_eq!((report.files, report.objects, report.gaps), (5, 1, 2));
    let found = files(&bench.path("deep/out"));
    let written = found.iter().filter(|(_, bytes)| bytes.is_some());
    let written: Vec<_> = written.map(|(path, _)| path.to_str().unwrap()).collect();
    assert_eq!(
        written,
        [
            "gaps.json",
            "names.json",
            "objects/job/a%2Fb#7.json",
            "permissions.jsonl",
            "snapshot.json",
            "workspace/%2E%2E/%2E%2E/escape",
            "workspace/f/j.ipynb",
            "workspace/f/odd",
            "workspace/f/x.py",
            "workspace/f/x~2.py",
        ]
    );
    let names = bench.json("deep/out/names.json");
    assert_eq!(
        names["workspace/f/x~2.py"],
        json!({"kind": "notebook", "name": "/f/x"})
    );
    assert_eq!(
        bench.json("deep/out/permissions.jsonl"),
        json!({"kind": "job", "name": "a/b", "id": "7", "permissions": {"group:users": "CAN_VIEW"}})
    );
    assert_eq!(
        bench.json("deep/out/gaps.json")["gaps"][1]["name"],
        "/f/gone"
    );
    assert_eq!(fs::read_dir(bench.path("deep")).unwrap().count(), 1);
}

#[test]
fn paths_limit_an_export_to_what_lies_below_them() {
    let mut bench = Bench::new();
    fill(&bench);
    let snapshot = bench.import("in").snapshot;
    let options = ExportOptions {
        paths: vec!["/b".to_owned(), "/x/y/".to_owned()],
        ..ExportOptions::default()
    };
    bench.export_with(&snapshot, "out", &options).unwrap();
    let found = files(&bench.path("out/workspace"));
    let found: Vec<_> = found.keys().map(|path| path.to_str().unwrap()).collect();
    // The notebook /b could not have its name, because of the folder.
    assert_eq!(found, ["b", "b/inside.py", "x", "x/y", "x/y/z"]);
}

#[test]
fn an_export_overwrites_nothing() {
    let mut bench = Bench::new();
    bench.write("a.txt", "a");
    let snapshot = bench.import("in").snapshot;
    let error = bench.export(&snapshot, "in").unwrap_err();
    assert!(matches!(error, ExportError::NotEmpty(_)), "{error}");
    assert_eq!(files(&bench.path("in")).len(), 1);
}

#[test]
fn what_is_damaged_is_named_and_the_rest_is_written() {
    let mut bench = Bench::new();
    // Longer than a frame each, so that damage to one is damage to no other.
    for (name, seed) in [("1.bin", 1), ("2.bin", 2), ("3.bin", 3)] {
        bench.write(name, noise(seed, 1 << 20));
    }
    bench.write("small.py", PYTHON);
    let snapshot = bench.import("in").snapshot;
    let packs = files(&bench.path("store/packs"));
    let (pack, bytes) = packs
        .into_iter()
        .filter_map(|(path, bytes)| Some((path, bytes?)))
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap();
    let mut bytes = bytes;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(bench.path("store/packs").join(pack), bytes).unwrap();
    bench.store = Store::open(&bench.path("store")).unwrap();
    let report = bench.export(&snapshot, "out").unwrap();
    assert!(!report.is_complete());
    let damaged: Vec<_> = report
        .damaged
        .iter()
        .map(|damage| &damage.key.name)
        .collect();
    assert_eq!(damaged, ["/2.bin"]);
    assert_eq!(bench.json("out/gaps.json")["damaged"][0]["part"], "content");
    let mut expected = files(&bench.path("in"));
    expected.remove(Path::new("2.bin"));
    assert_eq!(files(&bench.path("out/workspace")), expected);
}

//! What imports make of directories, the first time and again.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::finish::finish;
use super::known::Known;
use super::record::Recorder;
use super::walk::Item;
use super::{ImportError, import, parent, selection};
use crate::folder::tests::{Bench, said};
use crate::manifest::{Entry, Extent, Snapshot};
use crate::report::{Event, Reporter, Silent};
use crate::resource::{KindName, ObjectKey};
use crate::store::Store;

const PYTHON: &str = "# Databricks notebook source\nprint(1)\n";
const SQL: &str = "-- Databricks notebook source\nselect 1\n";

fn names(bench: &Bench, snapshot: &Snapshot) -> Vec<String> {
    let entries = bench.tree(snapshot).iter();
    entries
        .map(|entry| entry.unwrap().key.to_string())
        .collect()
}

fn get(bench: &Bench, snapshot: &Snapshot, kind: &'static str, name: &str) -> Entry {
    let key = ObjectKey::new(KindName::known(kind), name);
    bench.tree(snapshot).get(&key).unwrap().unwrap()
}

/// Imports the directory into a store that knows nothing of it.
fn afresh(bench: &mut Bench) -> Vec<impl PartialEq + std::fmt::Debug + use<>> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store"), bench.time).unwrap();
    let options = bench.options("in");
    let report = import(&store, &options, &|| false, &Silent).unwrap();
    said(&crate::manifest::Tree::open(&store, &report.snapshot.root).unwrap())
}

#[test]
fn notebooks_lose_their_extension_and_files_keep_it() {
    let mut bench = Bench::new();
    bench.write("etl/load.py", PYTHON);
    bench.write("etl/util.py", "x = 1\n");
    let mut options = bench.options("in");
    options.at = "/Shared/x/".to_owned();
    let snapshot = import(&bench.store, &options, &|| false, &Silent)
        .unwrap()
        .snapshot;
    assert_eq!(
        names(&bench, &snapshot),
        [
            "directory /Shared/x",
            "directory /Shared/x/etl",
            "file /Shared/x/etl/util.py",
            "notebook /Shared/x/etl/load",
        ]
    );
    assert_eq!(snapshot.host, "dir:bench");
    assert_eq!(snapshot.selection.include, ["/Shared/x"]);
    let notebook = get(&bench, &snapshot, "notebook", "/Shared/x/etl/load");
    let body = notebook.body.unwrap().read(&bench.store).unwrap();
    assert_eq!(body, br#"{"format":"SOURCE","language":"PYTHON"}"#[..]);
    assert_eq!(notebook.size, Some(PYTHON.len() as u64));
    for wrong in ["Shared", "/a//b", "/a/../b", "/*"] {
        options.at = wrong.to_owned();
        let error = import(&bench.store, &options, &|| false, &Silent).unwrap_err();
        assert!(matches!(error, ImportError::NotAPath(_)), "{wrong}");
    }
}

#[test]
fn an_untouched_directory_gives_the_very_same_tree_without_being_read() {
    let mut bench = Bench::new();
    for n in 0..300 {
        bench.write(&format!("{}/{n}.py", n % 7), format!("{PYTHON}{n}"));
    }
    let first = bench.import("in");
    let second = bench.import("in");
    assert_eq!(first.snapshot.root, second.snapshot.root);
    assert_eq!(second.written.blobs, 0);
    assert_eq!(second.counts["notebook"].unchanged, 300);
    assert_eq!(second.snapshot.parent, Some(first.id));
}

#[test]
fn an_import_again_says_the_same_as_one_afresh() {
    let mut bench = Bench::new();
    bench.write("a.py", PYTHON);
    bench.write("b.py", PYTHON);
    bench.write("c/c.py", PYTHON);
    bench.write("plain.py", "plain");
    bench.import("in");
    let path = |bench: &Bench, name: &str| bench.path("in").join(name);
    let steps: [&dyn Fn(&Bench); 8] = [
        // A second of that name, and a folder of another.
        &|bench| drop((bench.write("a.sql", SQL), bench.write("b/x.py", PYTHON))),
        // The first goes: the second may have the name now.
        &|bench| fs::remove_file(path(bench, "a.py")).unwrap(),
        &|bench| fs::remove_dir_all(path(bench, "b")).unwrap(),
        // A notebook becomes a file and a file a notebook.
        &|bench| {
            drop((
                bench.write("b.py", "plain"),
                bench.write("plain.py", PYTHON),
            ))
        },
        &|bench| fs::rename(path(bench, "c/c.py"), path(bench, "c/d.py")).unwrap(),
        &|bench| {
            drop((
                bench.write("plain.sql", SQL),
                bench.write("plain.ipynb", "{"),
            ))
        },
        &|bench| fs::remove_file(path(bench, "plain.sql")).unwrap(),
        &|bench| drop(bench.write("a", "no longer free")),
    ];
    for (number, step) in steps.iter().enumerate() {
        step(&bench);
        let report = bench.import("in");
        let again = said(&bench.tree(&report.snapshot));
        assert_eq!(again.len(), afresh(&mut bench).len(), "step {number}");
        let equal = format!("{again:?}") == format!("{:?}", afresh(&mut bench));
        assert!(equal, "step {number}: {again:?}");
    }
}

#[test]
fn a_changed_file_is_counted_and_a_touched_one_is_not() {
    let mut bench = Bench::new();
    let touched = bench.write("touched.txt", "same");
    bench.write("changed.txt", "one");
    bench.write("gone.txt", "gone");
    bench.import("in");
    let file = fs::File::options().write(true).open(&touched).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    bench.write("changed.txt", "two");
    bench.write("new.txt", "new");
    fs::remove_file(bench.path("in/gone.txt")).unwrap();
    let report = bench.import("in");
    let counts = report.counts["file"];
    assert_eq!(
        (counts.new, counts.changed, counts.unchanged, counts.removed),
        (1, 1, 1, 1)
    );
    let touched = get(&bench, &report.snapshot, "file", "/touched.txt");
    assert_eq!(touched.modified_at, Some(0));
}

#[test]
fn what_is_fresh_is_read_again_and_with_full_everything() {
    let mut bench = Bench::new();
    bench.write("a.txt", "a");
    let mut options = bench.options("in");
    options.time = chrono::Utc::now();
    let fresh = import(&bench.store, &options, &|| false, &Silent).unwrap();
    assert_eq!(get(&bench, &fresh.snapshot, "file", "/a.txt").stamp, None);
    let settled = bench.import("in");
    assert!(
        get(&bench, &settled.snapshot, "file", "/a.txt")
            .stamp
            .is_some()
    );
    let mut options = bench.options("in");
    options.full = true;
    let full = import(&bench.store, &options, &|| false, &Silent).unwrap();
    assert_eq!(full.snapshot.root, settled.snapshot.root);
}

#[test]
#[cfg(unix)]
fn what_is_no_file_is_a_gap_with_its_reason() {
    use std::os::unix::ffi::OsStrExt;
    let mut bench = Bench::new();
    let target = bench.write("a.txt", "a");
    std::os::unix::fs::symlink(&target, bench.path("in/link")).unwrap();
    std::os::unix::fs::symlink(bench.path("in"), bench.path("in/round")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.path("in/socket")).unwrap();
    let odd = bench
        .path("in")
        .join(std::ffi::OsStr::from_bytes(b"caf\xe9.py"));
    // Not every file system takes such a name.
    let has_odd = fs::write(odd, PYTHON).is_ok();
    bench.write("caf%E9.py", "has the name that would stand for it");
    let snapshot = bench.import("in").snapshot;
    assert!(!snapshot.complete);
    let mut reasons = Vec::new();
    for entry in bench.tree(&snapshot).uncertain() {
        let entry = entry.unwrap();
        reasons.push(format!("{}: {}", entry.key.name, entry.gap.unwrap().reason));
    }
    let links = [("/link", target), ("/round", bench.path("in"))];
    let mut expected: Vec<_> = links
        .iter()
        .map(|(name, target)| {
            let target = target.display();
            format!("{name}: it is a symbolic link to {target}, and links are not followed")
        })
        .collect();
    expected.push("/socket: it is a socket, not a file".to_owned());
    if has_odd {
        expected.insert(0, "/caf%E9.py~: its name is not Unicode".to_owned());
    }
    assert_eq!(reasons, expected);
}

#[test]
fn what_could_not_be_looked_at_is_taken_over_from_the_parent() {
    let mut bench = Bench::new();
    bench.write("sub/deep/a.py", PYTHON);
    bench.write("sub.txt", "beside");
    bench.write("b.txt", "old");
    bench.import("in");
    let parent = parent(&bench.store, "dir:bench", &selection("/"), &Silent);
    let parent = parent.unwrap().unwrap();
    let known = Known::of(&parent.tree, false);
    let options = bench.options("in");
    let mut recorder =
        Recorder::new(&bench.store, &options, Some(&parent), &known, &Silent).unwrap();
    let no = || "permission denied".to_owned();
    for item in [
        Item::Directory("/".to_owned(), None),
        Item::Directory("/sub".to_owned(), Some(no())),
        Item::Unread("/b.txt".to_owned(), no()),
    ] {
        recorder.record(item).unwrap();
    }
    let report = finish(recorder, |tree| {
        Snapshot::of(tree, options.time, "dir:bench")
    })
    .unwrap();
    assert_eq!(
        names(&bench, &report.snapshot),
        [
            "directory /",
            "directory /sub",
            "directory /sub/deep",
            "file /b.txt",
            "notebook /sub/deep/a"
        ],
    );
    let below = get(&bench, &report.snapshot, "notebook", "/sub/deep/a");
    assert!(below.carried_over && below.gap.is_none() && below.content.is_some());
    let unread = get(&bench, &report.snapshot, "file", "/b.txt");
    assert!(unread.carried_over && unread.gap.unwrap().extent == Extent::Object);
    assert_eq!(
        unread.content.unwrap().read(&bench.store).unwrap(),
        b"old"[..]
    );
    assert_eq!(
        report.counts["file"].removed, 1,
        "the folder of sub.txt was listed"
    );
}

#[test]
fn a_store_is_not_imported_into_itself() {
    let mut bench = Bench::new();
    bench.write("a.txt", "a");
    let snapshot = bench.import("").snapshot;
    assert!(
        !names(&bench, &snapshot)
            .iter()
            .any(|name| name.contains("store"))
    );
    for inside in ["store", "store/packs"] {
        let options = bench.options(inside);
        let error = import(&bench.store, &options, &|| false, &Silent).unwrap_err();
        assert!(matches!(error, ImportError::InStore(_)), "{error}");
    }
}

#[test]
fn an_import_that_is_stopped_leaves_no_snapshot() {
    let mut bench = Bench::new();
    bench.write("a.txt", "a");
    let options = bench.options("in");
    let error = import(&bench.store, &options, &|| true, &Silent).unwrap_err();
    assert!(matches!(error, ImportError::Interrupted), "{error}");
    assert!(bench.store.heads().unwrap().is_empty());
}

#[test]
fn an_import_whose_parent_is_forgotten_meanwhile_begins_anew() {
    let mut bench = Bench::new();
    bench.write("a.py", PYTHON);
    bench.write("b.txt", "b");
    let options = bench.options("in");
    import(&bench.store, &options, &|| false, &Silent).unwrap();
    let (asked, warned) = (AtomicU64::new(0), Warnings::default());
    let options = bench.options("in");
    let store = bench.store.clone();
    let forget = || {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            let head = store.heads().unwrap().pop().unwrap();
            store.forget(&head).unwrap();
        }
        false
    };
    let report = import(&bench.store, &options, &forget, &warned).unwrap();
    assert_eq!(report.snapshot.parent, None);
    assert_eq!(bench.store.heads().unwrap().len(), 1);
    let warned = warned.0.into_inner().unwrap();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("was forgotten while"), "{warned:?}");
    assert_eq!(
        names(&bench, &report.snapshot),
        ["directory /", "file /b.txt", "notebook /a"]
    );
}

/// Keeps what it is warned of.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Reporter for Warnings {
    fn report(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}

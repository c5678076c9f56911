//! Two stores, what they must hold, and the run beside.
//!
//! Invariant: what the model knows of a snapshot comes from the directory, never from the store.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::sample::Index;
use tempfile::TempDir;

use super::super::temp_dir;
use super::beside::Run;
use super::gate::Until;
use super::shelf::{Shelf, difference, said};
use super::source::{Contents, Edit, Source};
use super::{How, Step, Tally, Which};
use crate::check::{self, Depth};
use crate::folder::{ExportOptions, ImportOptions, Target, export, import};
use crate::manifest::{self, Tree};
use crate::report::Silent;
use crate::store::backend::Backend;
use crate::store::{Amount, HeadName, PruneOptions, SnapshotId};
use crate::{copy, forget, prune};

pub(super) struct World {
    pub(super) shelves: [Shelf; 2],
    /// What every snapshot says that there ever was.
    pub(super) contents: HashMap<SnapshotId, Arc<Contents>>,
    /// For those who do one thing after the other, and for the run beside.
    pub(super) sources: [Source; 2],
    pub(super) run: Option<Run>,
    folder: TempDir,
    begin: DateTime<Utc>,
    count: i64,
    pub(super) tally: Tally,
}

impl World {
    pub(super) fn new(is_sealed: bool) -> Self {
        let folder = temp_dir();
        let source = |name| Source::new(folder.path().join(name));
        Self {
            shelves: [Shelf::new(is_sealed), Shelf::new(false)],
            contents: HashMap::new(),
            sources: [source("front"), source("beside")],
            run: None,
            folder,
            // Files are touched before this.
            begin: Utc::now() + TimeDelta::days(1),
            count: 0,
            tally: Tally::new(),
        }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn done(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Import { shelf, edits, how } => self.import(*shelf, edits, *how),
            Step::Forget { shelf, which } => self.forget(*shelf, *which),
            Step::Prune {
                shelf,
                max_repack,
                times,
            } => (0..*times).for_each(|_| self.prune(*shelf, *max_repack)),
            Step::Copy { from, which } => self.copy(*from, *which),
            Step::Export { shelf, which } => self.export(*shelf, *which),
            Step::Repair { shelf, lost } => self.repair(*shelf, lost.as_ref()),
            Step::Check { shelf } => self.check(*shelf),
            Step::Pass { hours } => self.pass(*hours),
            Step::Begin { .. } if self.run.is_some() => {}
            Step::Begin {
                shelf,
                errand,
                until,
            } => self.begin(*shelf, errand, *until),
            Step::GoOn { until } => self.go_on(*until),
            Step::Kill { is_torn } => self.kill(*is_torn),
        }
    }

    pub(super) fn options(&mut self, source: usize, how: How) -> ImportOptions {
        self.count += 1;
        let day = match how.is_settled {
            true => TimeDelta::zero(),
            false => TimeDelta::days(2),
        };
        let time = self.begin - day + TimeDelta::seconds(self.count);
        ImportOptions {
            // Both directories are versions of one.
            label: Some("history".to_owned()),
            full: how.full,
            ..ImportOptions::new(&self.sources[source].directory, time)
        }
    }

    fn import(&mut self, shelf: usize, edits: &[Edit], how: How) {
        for edit in edits {
            self.sources[0].edit(edit);
        }
        let options = self.options(0, how);
        let store = self.shelves[shelf].open();
        let report = import(&store, &options, &|| false, &Silent).unwrap();
        let contents = Arc::new(self.sources[0].contents());
        self.contents.insert(report.id, contents);
        self.shelves[shelf].snapshots.insert(report.id);
        self.done("import");
    }

    fn forget(&mut self, shelf: usize, which: Which) {
        for head in self.shelves[shelf].some(which) {
            self.disturb(shelf);
            let removal = forget::remove(&self.shelves[shelf].open(), [head]);
            assert_eq!(removal.forgotten, [head]);
            self.shelves[shelf].snapshots.remove(&head.id);
            self.done("forget");
        }
    }

    fn prune(&mut self, shelf: usize, max_repack: u64) {
        self.disturb(shelf);
        let store = self.shelves[shelf].open();
        let report = prune::run(&store, without_grace(max_repack), false, &Silent).unwrap();
        *self.tally.entry("pack swept").or_default() += report.plan.swept() as u64;
        self.done("prune");
    }

    fn copy(&mut self, from: usize, which: Which) {
        let heads = self.shelves[from].some(which);
        let [source, target] = [from, 1 - from].map(|shelf| self.shelves[shelf].open());
        let report = copy::run(&source, &target, &heads, &|| false, &Silent).unwrap();
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        let copied = heads.iter().map(|head| head.id);
        self.shelves[1 - from].snapshots.extend(copied);
        self.done("copy");
    }

    fn export(&mut self, shelf: usize, which: Which) {
        for head in self.shelves[shelf].some(which) {
            self.export_one(shelf, &head);
        }
    }

    /// What is exported is the directory as it was, byte for byte.
    fn export_one(&mut self, shelf: usize, head: &HeadName) {
        let store = self.shelves[shelf].open();
        let snapshot = manifest::read(&store, head).unwrap();
        let tree = Tree::open(&store, &snapshot.root).unwrap();
        let path = self.folder.path().join("out");
        let target = Target::Directory(path.clone());
        let options = ExportOptions::default();
        let report = export((&snapshot, &tree), target, &options, &|| false, &Silent).unwrap();
        assert!(report.is_complete());
        let found = read_directory(&path.join("workspace"));
        let on_disk = |((kind, name), bytes): (&(String, String), &Option<Vec<u8>>)| {
            let extension = if kind == "notebook" { ".py" } else { "" };
            ((String::new(), format!("{name}{extension}")), bytes.clone())
        };
        let expected = self.contents[&head.id].iter().map(on_disk).collect();
        assert!(found == expected, "{}", difference(&found, &expected));
        fs::remove_dir_all(path).unwrap();
        self.done("export");
    }

    fn repair(&mut self, shelf: usize, lost: Option<&Index>) {
        self.disturb(shelf);
        let memory = self.shelves[shelf].memory.clone();
        let index = memory.list("index").unwrap();
        if let Some(lost) = lost.filter(|_| !index.is_empty()) {
            memory.remove(&lost.get(&index).name).unwrap();
            self.look();
        }
        let store = self.shelves[shelf].open();
        store.repair_index(false, &Silent).unwrap();
        self.done("repair of the index");
    }

    fn check(&mut self, shelf: usize) {
        let depth = Depth::Data {
            amount: Amount::All,
            now: Utc::now(),
        };
        let report = check::run(&self.shelves[shelf].open(), depth, &Silent).unwrap();
        assert_eq!(unexpected(report), []);
        self.done("check");
    }

    fn pass(&mut self, hours: i64) {
        // The one thing that the protocol leaves to the clock: nobody stands still for a month between two calls.
        if let Some(run) = &mut self.run {
            run.hours += hours;
            if run.hours > 29 * 24 {
                self.go_on(Until::End);
            }
        }
        for shelf in 0..2 {
            self.disturb(shelf);
            self.shelves[shelf].memory.pass(TimeDelta::hours(hours));
        }
    }

    /// Every snapshot is there that should be and no other, and each says what it should.
    pub(super) fn look(&mut self) {
        if let Some(run) = &self.run {
            let contents = run.contents.clone();
            self.take_in(run.shelf, contents.as_ref());
        }
        for shelf in &mut self.shelves {
            let names = shelf.memory.names();
            if names == shelf.seen {
                continue;
            }
            shelf.seen = names;
            let store = shelf.open();
            let heads = store.heads().unwrap();
            let found: BTreeSet<SnapshotId> = heads.iter().map(|head| head.id).collect();
            assert_eq!(found, shelf.snapshots);
            for head in heads {
                let (said, meant) = (said(&store, &head), &self.contents[&head.id]);
                assert!(said == **meant, "{head}: {}", difference(&said, meant));
            }
            let report = check::run(&store, Depth::Manifests, &Silent).unwrap();
            assert_eq!(unexpected(report), []);
        }
    }

    /// Whatever has happened, both stores take another snapshot; and when all are forgotten, nothing is left of them.
    pub(super) fn end(&mut self) {
        self.go_on(Until::End);
        let how = How {
            full: false,
            is_settled: true,
        };
        for shelf in 0..2 {
            self.import(shelf, &[], how);
            self.look();
            self.check(shelf);
        }
        self.pass(31 * 24);
        for shelf in 0..2 {
            self.forget(shelf, Which::All);
            for _ in 0..2 {
                self.prune(shelf, 0);
                self.pass(1);
            }
            let names = self.shelves[shelf].memory.names();
            let is_left = |name: &&String| {
                let kept = ["dbsnap.json", "README.txt"].contains(&name.as_str());
                !kept && !name.starts_with("index/") && !name.starts_with("verified/")
            };
            let left: Vec<_> = names.iter().filter(is_left).collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}

pub(super) fn without_grace(max_repack: u64) -> PruneOptions {
    PruneOptions {
        grace: TimeDelta::zero(),
        max_repack,
        without_snapshots: true,
        without_lost: true,
        now: None,
    }
}

/// What a check has found, but for the data of a store without snapshots: an import that was killed has left it, or it was
/// forgotten.
fn unexpected(report: check::CheckReport) -> Vec<check::Problem> {
    let mut problems = report.problems;
    // The one file that it had was lost on purpose.
    let is_index = |problem: &check::Problem| matches!(problem, check::Problem::Store { file, .. } if file == "index");
    problems.retain(|problem| !is_index(problem));
    if report.snapshots == 0 {
        problems.retain(|problem| !matches!(problem, check::Problem::NoSnapshot { .. }));
    }
    problems
}

/// Everything below a directory, of whatever kind.
fn read_directory(root: &Path) -> Contents {
    let entries = walkdir::WalkDir::new(root).into_iter();
    let read = |entry: Result<walkdir::DirEntry, walkdir::Error>| {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(root).unwrap();
        let is_file = entry.file_type().is_file();
        let bytes = is_file.then(|| fs::read(entry.path()).unwrap());
        let name = format!("/{}", path.display());
        ((String::new(), name), bytes)
    };
    entries.map(read).collect()
}

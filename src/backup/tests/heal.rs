//! What the store has lost is stored again by the next backup, as far as the workspace has it, without a word from anybody.

use std::path::{Path, PathBuf};

use super::*;
use crate::check::{self, CheckReport, Depth, Loss, Problem};
use crate::manifest::LOST;
use crate::manifest::testing::{copy_without, leaf_with};
use crate::prune;
use crate::report::Silent;
use crate::sandbox::{Effect, Rule};
use crate::store::{Amount, PruneOptions};

impl Bench {
    /// A workspace of a few notebooks, of which two states were backed up.
    async fn with_history() -> (Self, [BackupReport; 2]) {
        let bench = Self::small().await;
        for number in 0..6 {
            bench.write(number, 1);
        }
        let first = bench.backup().await;
        bench.write(3, 2);
        let second = bench.backup().await;
        (bench, [first, second])
    }

    fn write(&self, number: u64, version: u64) {
        let lines = (0..200).map(|line| format!("x = {}\n", (line * 7_919 + number) % 9_973));
        let text = lines.collect::<String>();
        self.running.workspace.put_notebook(
            &format!("/Shared/n{number}"),
            "PYTHON",
            &format!("# Databricks notebook source\n{text}{version}"),
        );
    }

    /// The packs of contents and bodies, the largest first.
    fn packs(&self) -> Vec<PathBuf> {
        let packs = walkdir::WalkDir::new(self.store.path().join("packs"));
        let packs = packs.into_iter().map(Result::unwrap);
        let files = packs.filter(|entry| entry.file_type().is_file());
        let packs = files.map(walkdir::DirEntry::into_path);
        let mut packs: Vec<_> = packs.filter(|pack| bytes(pack)[9] == 1).collect();
        packs.sort_by_key(|pack| std::cmp::Reverse(bytes(pack).len()));
        packs
    }

    fn reopen(&mut self) {
        self.store = Store::open(self.store.path()).unwrap();
    }

    /// Looks at the store as somebody who comes later does.
    fn check(&self, read_data: bool) -> CheckReport {
        let store = Store::open(self.store.path()).unwrap();
        let (amount, now) = (Amount::All, *self.time.lock().unwrap());
        let depth = match read_data {
            true => Depth::Data { amount, now },
            false => Depth::Manifests,
        };
        check::run(&store, depth, &Silent).unwrap()
    }

    /// What each snapshot lacks.
    fn losses(&self, read_data: bool) -> Vec<(String, Vec<String>)> {
        let problems = self.check(read_data).problems.into_iter();
        let mut losses: Vec<_> = problems
            .filter_map(|problem| match problem {
                Problem::Snapshot { id, losses, .. } => {
                    let losses = losses.iter().map(Loss::to_string).collect();
                    Some((format!("{id:.8}"), losses))
                }
                _ => None,
            })
            .collect();
        losses.sort();
        losses
    }
}

fn bytes(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap()
}

fn id(report: &BackupReport) -> String {
    format!("{:.8}", report.id)
}

/// The one notebook of which the first version is in no workspace any more.
const REPLACED: &str = "the content of notebook /Shared/n3 is lost";

#[tokio::test]
async fn a_pack_that_is_gone_or_cut_short_is_healed_by_an_ordinary_backup() {
    for is_cut in [false, true] {
        let (mut bench, [first, second]) = Bench::with_history().await;
        let pack = bench.packs().remove(0);
        match is_cut {
            true => std::fs::write(&pack, &bytes(&pack)[..1_000]).unwrap(),
            false => std::fs::remove_file(&pack).unwrap(),
        }
        let before = bench.losses(false);
        let told: Vec<&String> = before.iter().map(|(id, _)| id).collect();
        assert_eq!(told.len(), 2, "{before:?}");
        // The second version of the notebook is stored as a difference to what is lost.
        let lost = before.iter().find(|(of, _)| *of == id(&second)).unwrap();
        assert!(lost.1.iter().any(|loss| loss == REPLACED), "{lost:?}");

        bench.reopen();
        let third = bench.backup().await;
        assert_eq!(third.snapshot.root, second.snapshot.root);
        for read_data in [false, true] {
            assert_eq!(
                bench.losses(read_data),
                [(id(&first), vec![REPLACED.to_owned()])],
                "cut: {is_cut}"
            );
        }
        bench.backup().await;
        assert_eq!(bench.requests("workspace/export"), 0);
    }
}

#[tokio::test]
async fn what_rotted_is_healed_once_the_packs_were_repaired_whether_or_not_a_prune_came_by() {
    for is_pruned in [false, true] {
        let (mut bench, [first, second]) = Bench::with_history().await;
        let pack = bench.packs().remove(0);
        let mut rotten = bytes(&pack);
        rotten[60] ^= 0x20;
        std::fs::write(&pack, rotten).unwrap();
        assert!(bench.check(false).is_sound(), "the size is right");
        assert_eq!(bench.losses(true).len(), 2);

        bench.reopen();
        let done = bench.store.repair_packs(false, &Silent).unwrap();
        assert_eq!(done.damaged.len(), 1);
        assert_eq!(bench.losses(false), bench.losses(true));
        assert_eq!(bench.losses(false).len(), 2);

        bench.reopen();
        let third = bench.backup().await;
        assert_eq!(third.snapshot.root, second.snapshot.root);
        let left = [(id(&first), vec![REPLACED.to_owned()])];
        assert_eq!(bench.losses(true), left);
        if is_pruned {
            bench.reopen();
            let heads = bench.store.heads().unwrap();
            bench.store.forget(&heads[0]).unwrap();
            for _ in 0..2 {
                let options = PruneOptions {
                    grace: TimeDelta::zero(),
                    ..PruneOptions::default()
                };
                prune::run(&bench.store, options, false, &Silent).unwrap();
                bench.reopen();
            }
            assert!(!pack.exists());
            let report = bench.check(true);
            assert!(report.is_sound(), "{:?}", report.problems);
            assert_eq!(report.notes, [""; 0]);
        }
    }
}

#[tokio::test]
async fn what_the_workspace_does_not_give_is_not_carried_over_from_what_is_lost() {
    let (mut bench, _) = Bench::with_history().await;
    for pack in bench.packs() {
        std::fs::remove_file(pack).unwrap();
    }
    bench.reopen();
    let workspace = &bench.running.workspace;
    let refuse = |endpoint: &str, target: &str| {
        let path = format!("/api/2.0/{endpoint}");
        workspace.inject(Rule::new(path, Effect::forbidden()).target(target));
    };
    refuse("workspace/export", "/Shared/n1");
    refuse("workspace/list", "/Shared/etl");
    let report = bench.backup().await;
    assert!(!report.snapshot.complete);
    for name in ["/Shared/n1", "/Shared/etl/01 load"] {
        let notebook = entry(&bench.store, &report, "notebook", name).unwrap();
        assert_eq!(notebook.content, None, "{name}");
        assert!(notebook.gap.is_some(), "{name}");
    }
    let below = entry(&bench.store, &report, "notebook", "/Shared/etl/01 load").unwrap();
    let reason = below.gap.unwrap().reason;
    assert!(reason.starts_with(LOST), "{reason}");
    assert!(below.carried_over && below.permissions.is_some());
    let losses = bench.losses(false);
    assert!(
        losses.iter().all(|(of, _)| *of != id(&report)),
        "{losses:?}"
    );
}

#[tokio::test]
async fn a_node_that_is_lost_costs_nothing_that_lies_elsewhere_in_the_manifest() {
    let mut bench = Bench::empty().await;
    let workspace = &bench.running.workspace;
    for number in 0..1_500 {
        let text = format!("# Databricks notebook source\n{number}");
        workspace.put_notebook(&format!("/a/n{number:04}"), "PYTHON", &text);
    }
    for number in 0..3 {
        let text = "# Databricks notebook source\nz";
        workspace.put_notebook(&format!("/z/n{number}"), "PYTHON", text);
    }
    let first = bench.backup().await;
    let dir = tempfile::tempdir().unwrap();
    let copy = Store::create(&dir.path().join("copy"), DateTime::UNIX_EPOCH).unwrap();
    let middle = ObjectKey::new(KindName::known("notebook"), "/a/n0700");
    let leaf = leaf_with(&tree(&bench.store, &first), &middle);
    copy_without(&bench.store, &copy, &[leaf]);
    bench.store = copy;
    bench.reopen();
    let path = "/api/2.0/workspace/list";
    let rule = Rule::new(path, Effect::forbidden()).target("/z");
    bench.running.workspace.inject(rule);
    let second = bench.backup().await;
    assert!(
        bench
            .heard
            .any("a part of an earlier snapshot cannot be read")
    );
    assert_eq!(second.snapshot.kinds["notebook"].entries, 1_503);
    let kept = entry(&bench.store, &second, "notebook", "/z/n2").unwrap();
    assert!(kept.carried_over && kept.content.is_some());
    assert_eq!(
        bench.losses(false),
        [],
        "the node was written again as well"
    );
}

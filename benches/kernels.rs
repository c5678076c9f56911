//! The kernels that a backup and a diff spend their time in. `cargo bench` runs them all.
//!
//! - `store_notebooks`, `read_notebooks`: 10,000 distinct notebooks of 2 to 10 KB of notebook-like text, path order.
//! - `canonical_jobs`: 1,000 jobs of 12 tasks, from the API's answer to canonical bytes.
//! - `write_manifest`, `diff_manifests`: 100,000 entries; the diff is of two that differ in 1 % of them, scattered.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]

use dbsnap::manifest::{Entry, Payload, Root, Tree, changes, write_tree};
use dbsnap::resource::{KindName, ObjectKey, canonical_bytes, identify, kind};
use dbsnap::store::{BlobId, BlobKind, Store};
use divan::counter::{BytesCount, ItemsCount};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 5)]
fn store_notebooks(bencher: divan::Bencher<'_, '_>) {
    let notebooks = notebooks(10_000);
    let bytes: usize = notebooks.iter().map(String::len).sum();
    bencher
        .counter(BytesCount::new(bytes))
        .counter(ItemsCount::new(notebooks.len()))
        .with_inputs(Scratch::new)
        .bench_local_refs(|scratch| scratch.put(&notebooks));
}

#[divan::bench(sample_count = 5)]
fn read_notebooks(bencher: divan::Bencher<'_, '_>) {
    let notebooks = notebooks(10_000);
    let bytes: usize = notebooks.iter().map(String::len).sum();
    let scratch = Scratch::new();
    let ids = scratch.put(&notebooks);
    let store = Store::open(scratch.folder.path()).unwrap();
    bencher
        .counter(BytesCount::new(bytes))
        .counter(ItemsCount::new(ids.len()))
        .bench_local(|| {
            ids.iter()
                .map(|id| store.read(id).unwrap().len())
                .sum::<usize>()
        });
}

#[divan::bench]
fn canonical_jobs(bencher: divan::Bencher<'_, '_>) {
    let jobs: Vec<_> = (0..1_000).map(job).collect();
    let kind = kind("job").unwrap();
    bencher
        .counter(ItemsCount::new(jobs.len()))
        .bench_local(|| {
            let bodies = jobs
                .iter()
                .map(|job| canonical_bytes(&identify(kind, job).unwrap().body));
            bodies.map(|bytes| bytes.len()).sum::<usize>()
        });
}

#[divan::bench(sample_count = 5)]
fn write_manifest(bencher: divan::Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(ENTRIES))
        .with_inputs(Scratch::new)
        .bench_local_refs(|scratch| scratch.manifest(None, 0));
}

#[divan::bench(sample_count = 20)]
fn diff_manifests(bencher: divan::Bencher<'_, '_>) {
    let scratch = Scratch::new();
    let before = scratch.manifest(None, 0);
    let store = Store::open(scratch.folder.path()).unwrap();
    let after = scratch.manifest(Some(&Tree::open(&store, &before).unwrap()), 1);
    bencher
        .counter(ItemsCount::new(ENTRIES / 100))
        .bench_local(|| {
            // Opened anew each time, so that no node is in memory yet.
            let store = Store::open(scratch.folder.path()).unwrap();
            let open = |root| Tree::open(&store, root).unwrap();
            let count = changes(&open(&before), &open(&after))
                .map(Result::unwrap)
                .count();
            assert_eq!(count, ENTRIES / 100);
            count
        });
}

const ENTRIES: usize = 100_000;

/// A store in a folder that goes away with it.
struct Scratch {
    folder: tempfile::TempDir,
    store: Store,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(folder.path(), chrono::DateTime::UNIX_EPOCH).unwrap();
        Self { folder, store }
    }

    fn put(&self, notebooks: &[String]) -> Vec<BlobId> {
        let writer = self.store.writer().unwrap();
        let put = |text: &String| writer.put(BlobKind::Data, text.as_bytes(), None).unwrap();
        let ids = notebooks.iter().map(put).collect();
        writer.commit(b"{}", chrono::DateTime::UNIX_EPOCH).unwrap();
        ids
    }

    /// A manifest in which every hundredth entry holds `version`.
    fn manifest(&self, parent: Option<&Tree>, version: i64) -> Root {
        let entries = (0..ENTRIES).map(|n| {
            let key = ObjectKey::new(
                KindName::known("notebook"),
                format!("/Users/user{:04}/nb{n:07}", n / 100),
            );
            let mut entry = Entry::new(key);
            let changed = if n % 100 == 50 { version } else { 0 };
            entry.object_id = Some(format!("{}", 9_007_199_254_740_993 + n));
            entry.modified_at = Some(1_767_225_600_000 + n as i64 + changed);
            let id = BlobId::of(&(n as i64 * 2 + changed).to_le_bytes());
            entry.content = Some(Payload::Blob { id, len: 4_000 });
            entry
        });
        let writer = self.store.writer().unwrap();
        let root = write_tree(&writer, entries, parent).unwrap();
        writer.commit(b"{}", chrono::DateTime::UNIX_EPOCH).unwrap();
        root
    }
}

/// Notebook-like text: cells of code from a small vocabulary, with names and numbers that differ.
fn notebooks(count: u64) -> Vec<String> {
    (0..count).map(notebook).collect()
}

fn notebook(number: u64) -> String {
    let words = [
        "spark",
        "df",
        "orders",
        "customer_id",
        "select",
        "groupBy",
        "agg",
        "display",
        "withColumn",
        "join",
    ];
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut text = String::from("# Databricks notebook source\n");
    for _ in 0..next(25) + 8 {
        for _ in 0..next(6) + 2 {
            let word = |index: u64| words[usize::try_from(index).expect("an index into words")];
            let (a, b, value) = (word(next(10)), word(next(10)), next(100_000));
            text.push_str(&format!(
                "{a}_{value} = {b}.filter(\"{a} > {value}\").select('{b}')\n"
            ));
        }
        text.push_str("\n# COMMAND ----------\n\n");
    }
    text
}

fn job(number: i64) -> Value {
    let task = |n: i64| {
        json!({"task_key": format!("t{n:02}"), "depends_on": [{"task_key": "t00"}], "timeout_seconds": 0,
            "notebook_task": {"notebook_path": format!("/Shared/job{number}/step{n}"), "source": "WORKSPACE"},
            "existing_cluster_id": "0914-122331-shared01", "email_notifications": {}})
    };
    json!({"job_id": 9_007_199_254_740_993_i64 + number, "creator_user_name": "ana@example.com",
        "settings": {"name": format!("job {number}"), "format": "MULTI_TASK", "max_concurrent_runs": 1,
            "tasks": (0..12).rev().map(task).collect::<Vec<_>>()}})
}

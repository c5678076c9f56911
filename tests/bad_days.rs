//! The binary on a bad day: killed at random moments, or with a service that fails now and then. The store stays sound,
//! and the next run completes what the last one began.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dbsnap::check;
use dbsnap::manifest::{Entry, Snapshot, Tree};
use dbsnap::report::Silent;
use dbsnap::sandbox::{Faults, Options, Running, Sample, Sandbox, Token};
use dbsnap::store::{Amount, HeadName, Store, StoreError};
use serde_json::{Value, json};

/// Kills of each command. Every tenth one starts from nothing.
const KILLS: u32 = 50;
const TOKEN: &str = "dapi0123456789abcdef0123456789abcdef";

#[test]
fn a_killed_backup_leaves_a_sound_store_and_the_next_one_completes() {
    let bench = Bench::new();
    let source = bench.sandbox(Sample::Small, Faults::default());
    let whole = bench.folder("whole");
    let took = bench.completes(&backup(&source, &whole));
    let expected = entries(&whole);

    let mut random = Random(0x5eed);
    let mut store = bench.folder("store-0");
    for kill in 0..KILLS {
        if kill % 10 == 0 {
            store = bench.folder(&format!("store-{kill}"));
        }
        killed_within(backup(&source, &store), took, &mut random);
        assert_sound(&store);
        if kill % 10 == 9 {
            bench.completes(&backup(&source, &store));
            assert_sound(&store);
            assert!(
                entries(&store) == expected,
                "after {kill} kills something is missing"
            );
        }
    }
}

#[test]
fn a_killed_restore_goes_on_where_it_stopped_and_makes_nothing_twice() {
    let bench = Bench::new();
    let source = bench.sandbox(Sample::Small, Faults::default());
    let store = bench.folder("store");
    bench.completes(&backup(&source, &store));
    let empty = || bench.sandbox(Sample::Empty, Faults::default());
    let target = empty();
    let took = bench.completes(&restore(&target, &store));
    let expected = inventory(&target);

    let mut random = Random(0xdead);
    let mut target = empty();
    for kill in 0..KILLS {
        if kill % 10 == 0 {
            target = empty();
        }
        killed_within(restore(&target, &store), took, &mut random);
        assert_sound(&store);
        if kill % 10 == 9 {
            bench.completes(&restore(&target, &store));
            assert_eq!(inventory(&target), expected, "after kill {kill}");
        }
    }
}

#[test]
fn with_one_request_in_twenty_failing_backup_and_restore_are_whole_and_make_nothing_twice() {
    let bench = Bench::new();
    let calm = bench.sandbox(Sample::Small, Faults::default());
    let store = bench.folder("calm");
    bench.completes(&backup(&calm, &store));
    let calm_entries = entries(&store);
    let target = bench.sandbox(Sample::Empty, Faults::default());
    bench.completes(&restore(&target, &store));

    let faults = Faults {
        throttled: 0.01,
        internal: 0.01,
        unavailable: 0.01,
        broken: 0.01,
        lost_answers: 0.01,
        ..Faults::default()
    };
    let rough = bench.sandbox(Sample::Small, faults.clone());
    let rough_store = bench.folder("rough");
    bench.completes(&backup(&rough, &rough_store));
    assert!(entries(&rough_store) == calm_entries);
    let rough_target = bench.sandbox(Sample::Empty, faults);
    bench.completes(&restore(&rough_target, &rough_store));
    assert_eq!(inventory(&rough_target), inventory(&target));
}

/// A runtime for the sandboxes and a folder for the stores.
struct Bench {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    /// How many targets there are: two of one id would share the journal of a restore.
    targets: AtomicU64,
}

impl Bench {
    fn new() -> Self {
        Self {
            runtime: tokio::runtime::Runtime::new().unwrap(),
            folder: tempfile::tempdir().unwrap(),
            targets: AtomicU64::new(0),
        }
    }

    fn folder(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn sandbox(&self, sample: Sample, faults: Faults) -> Running {
        let options = Options {
            sample,
            faults,
            token: Some(Token::new(TOKEN)),
            workspace_id: match sample {
                Sample::Empty => 1 + self.targets.fetch_add(1, Ordering::Relaxed),
                _ => Options::default().workspace_id,
            },
            // Enough to spread a run over moments worth being killed in.
            latency: Duration::from_millis(2),
            ..Options::default()
        };
        self.runtime.block_on(Sandbox::start(options)).unwrap()
    }

    /// Runs a command to its end and says how long that took. Exit code 3 is right: the sample holds an object of a type
    /// that the API gives no content for.
    fn completes(&self, command: &impl Fn() -> Command) -> Duration {
        let began = Instant::now();
        let output = command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words}");
        began.elapsed()
    }
}

fn backup(workspace: &Running, store: &Path) -> impl Fn() -> Command + use<> {
    dbsnap(workspace, store, &["backup"])
}

fn restore(workspace: &Running, store: &Path) -> impl Fn() -> Command + use<> {
    let arguments = [
        "restore",
        "latest~",
        "--yes",
        "--missing-users",
        "create",
        "--on-conflict",
        "overwrite",
    ];
    let first = Store::open(store).unwrap().heads().unwrap()[0]
        .id
        .to_string();
    let arguments: Vec<_> = arguments
        .map(|word| {
            if word == "latest~" {
                first.as_str()
            } else {
                word
            }
        })
        .to_vec();
    dbsnap(workspace, store, &arguments)
}

fn dbsnap(workspace: &Running, store: &Path, arguments: &[&str]) -> impl Fn() -> Command + use<> {
    let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
    let (host, store) = (workspace.url.clone(), store.to_owned());
    move || {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("dbsnap"));
        command
            .args(&arguments)
            .args(["--rate-limit", "off", "--quiet", "--store"])
            .arg(&store)
            .env_clear()
            .env("HOME", store.parent().unwrap())
            .env("DATABRICKS_HOST", &host)
            .env("DATABRICKS_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// Starts a command and kills it at a random moment of the time that it takes.
fn killed_within(command: impl Fn() -> Command, took: Duration, random: &mut Random) {
    let mut child: Child = command().spawn().unwrap();
    std::thread::sleep(took.mul_f64(random.fraction()));
    child.kill().unwrap();
    child.wait().unwrap();
    // A request that was on its way may still arrive; administrators do not type faster than this either.
    std::thread::sleep(Duration::from_millis(50));
}

/// The store may not be there yet; one that is must be sound.
fn assert_sound(path: &Path) {
    let store = match Store::open(path) {
        Err(StoreError::NoStore { .. }) => return,
        store => store.unwrap(),
    };
    let report = check::run(
        &store,
        check::Depth::Data {
            amount: Amount::All,
            now: chrono::Utc::now(),
        },
        &Silent,
    )
    .unwrap();
    assert_eq!(report.problems, []);
}

/// All entries of the newest snapshot.
fn entries(path: &Path) -> Vec<Entry> {
    let store = Store::open(path).unwrap();
    let heads = store.heads().unwrap();
    let head: &HeadName = heads.last().expect("there is a snapshot");
    let snapshot = Snapshot::parse(&store.read_head(head).unwrap()).unwrap();
    let tree = Tree::open(&store, &snapshot.root).unwrap();
    tree.iter().map(Result::unwrap).collect()
}

/// Everything of a workspace that could have been made twice, by name.
fn inventory(workspace: &Running) -> Vec<String> {
    let lists = [
        (
            "/api/2.0/preview/scim/v2/Users?count=1000",
            "Resources",
            "/userName",
        ),
        (
            "/api/2.0/preview/scim/v2/Groups?count=1000",
            "Resources",
            "/displayName",
        ),
        (
            "/api/2.0/preview/scim/v2/ServicePrincipals?count=1000",
            "Resources",
            "/displayName",
        ),
        (
            "/api/2.0/instance-pools/list",
            "instance_pools",
            "/instance_pool_name",
        ),
        ("/api/2.0/policies/clusters/list", "policies", "/name"),
        (
            "/api/2.1/clusters/list?page_size=100",
            "clusters",
            "/cluster_name",
        ),
        ("/api/2.0/global-init-scripts", "scripts", "/name"),
        ("/api/2.2/jobs/list?limit=100", "jobs", "/settings/name"),
    ];
    let mut names = Vec::new();
    for (path, items, name) in lists {
        let (status, answer) = workspace.workspace.call("GET", path, Value::Null);
        assert_eq!(status, 200, "{path}: {answer}");
        for item in answer[items].as_array().into_iter().flatten() {
            names.push(format!(
                "{items} {}",
                item.pointer(name).unwrap_or(&json!(null))
            ));
        }
    }
    names.push(format!("{} nodes", workspace.workspace.tree_size()));
    names.sort();
    names
}

/// A small generator: the moments need to differ, not to be unpredictable.
struct Random(u64);

impl Random {
    fn fraction(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }
}

//! Answers that are lost, calls that fail, runs that are killed.

use std::collections::BTreeMap;

use super::law::whole;
use super::*;
use crate::sandbox::{Effect, Faults, Rule};

/// The names of all objects of a list, with how often each occurs more than once.
fn doubles(bench: &Bench) -> Vec<String> {
    let lists = [
        ("/api/2.2/jobs/list?limit=100", "jobs", "/settings/name"),
        (
            "/api/2.1/clusters/list?page_size=100",
            "clusters",
            "/cluster_name",
        ),
        ("/api/2.0/global-init-scripts", "scripts", "/name"),
        (
            "/api/2.0/preview/scim/v2/ServicePrincipals",
            "Resources",
            "/displayName",
        ),
    ];
    let names = |workspace: &Workspace| {
        let mut names = BTreeMap::<String, usize>::new();
        for (path, key, name) in lists {
            let (_, answer) = workspace.call("GET", path, Value::Null);
            for item in answer[key].as_array().into_iter().flatten() {
                let name = item
                    .pointer(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                *names.entry(format!("{key} {name}")).or_default() += 1;
            }
        }
        names
    };
    let (from, to) = (names(bench.from.workspace()), names(bench.to.workspace()));
    let differ = to
        .iter()
        .filter(|(name, count)| from.get(*name).unwrap_or(&0) != *count);
    differ
        .map(|(name, count)| format!("{name}: {count}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_made_twice_although_answers_are_lost() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    bench.to.workspace().set_faults(Faults {
        lost_answers: 0.3,
        ..Faults::default()
    });
    let report = bench.restore(&source, &whole()).await;
    bench.to.workspace().set_faults(Faults::default());
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(doubles(&bench), Vec::<String>::new());
    let differences = bench.differences(&source, &report.plan.mapping).await;
    assert_eq!(differences, super::law::BEYOND_REACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_killed_anywhere_is_resumed_without_doubles() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    let defaults = Options {
        missing_users: crate::restore::MissingUsers::Create,
        keep_schedules: true,
        ..options()
    };
    let mut kills = 0;
    // Each run gets some requests further than the one before, until one comes to its end.
    let report = loop {
        let before = writes(&bench);
        let limit = 23;
        let restore = bench.restore(&source, &defaults);
        let kill = async {
            while writes(&bench) < before + limit {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            biased;
            () = kill => kills += 1,
            report = restore => break report,
        }
        assert!(kills < 200);
    };
    assert!(kills >= 3, "{kills}");
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(doubles(&bench), Vec::<String>::new());
    let differences = bench.differences(&source, &report.plan.mapping).await;
    // What was there before the first run is not overwritten by any.
    let there = [
        "changed directory /: group:all-eng",
        "changed group admins: members[\"user ana@example.com\"]",
    ];
    let expected = [&super::law::BEYOND_REACH[..], &there].concat();
    let unexpected: Vec<_> = differences
        .iter()
        .filter(|one| !expected.contains(&one.as_str()))
        .collect();
    assert_eq!(unexpected, Vec::<&String>::new());
}

/// How many writes the target has seen.
fn writes(bench: &Bench) -> u64 {
    let requests = bench.to.workspace().requests();
    requests.to("POST") + requests.to("PUT") + requests.to("PATCH")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_reported_with_everything_that_needs_it_and_the_rest_goes_on() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    let refused = Rule::new("/api/2.0/workspace/mkdirs", Effect::forbidden())
        .target("/Users/ana@example.com");
    bench.to.workspace().inject(refused);
    let report = bench.restore(&source, &whole()).await;
    assert!(report.is_partial);
    let failed = failures(&report);
    let of_ana = |text: &String| text.contains("/Users/ana@example.com");
    assert!(
        failed
            .iter()
            .any(|text| of_ana(text) && text.contains("failed: POST /api/2.0/workspace/mkdirs"))
    );
    assert!(
        failed
            .iter()
            .any(|text| of_ana(text) && text.contains("skipped: it needs directory"))
    );
    assert!(
        failed.iter().all(|text| text.contains("ana@example.com")),
        "{failed:#?}"
    );
    // Without the fault, another run makes what is missing.
    bench.to.workspace().set_faults(Faults::default());
    let again = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&again), Vec::<String>::new());
    let differences = bench.differences(&source, &again.plan.mapping).await;
    assert_eq!(differences, super::law::BEYOND_REACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_in_the_store_is_named_and_everything_else_comes_back() {
    let bench = Bench::plain(Sample::Small).await;
    let mut source = bench.backup().await;
    let packs = walkdir::WalkDir::new(source.store.path().join("packs"));
    for pack in packs.into_iter().map(Result::unwrap) {
        // Packs of kind 1 hold bodies and contents; a byte of each of their frames is turned over.
        if pack.file_type().is_file() && std::fs::read(pack.path()).unwrap()[9] == 1 {
            let mut bytes = std::fs::read(pack.path()).unwrap();
            bytes
                .iter_mut()
                .skip(60)
                .step_by(200)
                .for_each(|byte| *byte ^= 0xff);
            std::fs::write(pack.path(), bytes).unwrap();
        }
    }
    source.store = Store::open(source.store.path()).unwrap();
    let report = bench.restore(&source, &super::law::whole()).await;
    let damaged = report.plan.steps.iter();
    let damaged = damaged.filter(|step| step.reason.contains("damaged in the store"));
    assert!(damaged.count() > 0);
    assert!(report.is_partial);
    let made = report
        .outcomes
        .iter()
        .filter(|step| step.outcome == Outcome::Done);
    assert!(made.count() > 30);
}

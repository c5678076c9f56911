//! Pausing the jobs of the small sample, which has paused and running ones of every sort.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::api::{ClientOptions, Config, Rates, RetryPolicy};
use crate::report::Silent;
use crate::sandbox::{Effect, Faults, Options, Rule, Running, Sample, Sandbox};

struct Bench {
    running: Running,
    client: Client,
    dir: TempDir,
}

impl Bench {
    async fn start() -> Self {
        let running = Sandbox::start(Options {
            sample: Sample::Small,
            ..Options::default()
        });
        let running = running.await.unwrap();
        let config = Config::with_token(&running.url, running.token.reveal()).unwrap();
        let mut options = ClientOptions::new(config);
        options.rates = Rates::off();
        options.retry = RetryPolicy::quick();
        let bench = Self {
            client: Client::new(options).unwrap(),
            running,
            dir: tempfile::tempdir().unwrap(),
        };
        bench.add_jobs();
        bench
    }

    /// More jobs that run, in every way there is, beside those of the sample.
    fn add_jobs(&self) {
        let cron = json!({"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"});
        let periodic = json!({"periodic": {"interval": 2, "unit": "HOURS"}});
        for number in 0..3 {
            for (part, value) in [
                ("schedule", cron.clone()),
                ("trigger", periodic.clone()),
                ("continuous", json!({"pause_status": "UNPAUSED"})),
            ] {
                let job = json!({"name": format!("{part} {number}"), part: value});
                let made = self
                    .running
                    .workspace
                    .call("POST", "/api/2.2/jobs/create", job);
                assert_eq!(made.0, 200, "{made:?}");
            }
        }
    }

    async fn run(&self, pauses: bool, dry_run: bool) -> Result<PauseReport, PauseError> {
        let seal = LineSeal::default();
        let memory = memory_path(self.dir.path(), &seal, "https://w");
        let task = Task {
            client: &self.client,
            memory: &memory,
            seal: &seal,
            workspace: "w",
            dry_run,
            reporter: &Silent,
        };
        match pauses {
            true => pause(task).await,
            false => unpause(task).await,
        }
    }

    async fn pause(&self) -> PauseReport {
        self.run(true, false).await.unwrap()
    }

    async fn unpause(&self) -> PauseReport {
        self.run(false, false).await.unwrap()
    }

    /// Runs again and again, each time killed after two jobs were changed, until one run comes to its end.
    async fn until_done(&self, pauses: bool) -> (PauseReport, usize) {
        let mut kills = 0;
        loop {
            let before = self.updates();
            // Looked at whenever the run gets on, and before it: no clock decides.
            let kill = poll_fn(|_| match self.updates() < before + 2 {
                true => Poll::Pending,
                false => Poll::Ready(()),
            });
            tokio::select! {
                biased;
                () = kill => kills += 1,
                report = self.run(pauses, false) => return (report.unwrap(), kills),
            }
            assert!(kills < 100);
        }
    }

    fn updates(&self) -> u64 {
        self.running.workspace.requests().to("jobs/update")
    }

    /// The settings of all jobs, by id.
    fn jobs(&self) -> BTreeMap<i64, Value> {
        let path = "/api/2.2/jobs/list?limit=100&expand_tasks=true";
        let (_, answer) = self.running.workspace.call("GET", path, Value::Null);
        let jobs = answer["jobs"].as_array().unwrap().iter();
        jobs.map(|job| (job["job_id"].as_i64().unwrap(), job["settings"].clone()))
            .collect()
    }

    /// The ids of the jobs that would start by themselves, and of those that are paused.
    fn started(&self) -> (Vec<i64>, Vec<i64>) {
        let jobs = self.jobs();
        let starts = jobs
            .iter()
            .filter(|(_, job)| !parts(super::jobs(), job).is_empty());
        starts
            .map(|(id, _)| *id)
            .partition(|id| !running(super::jobs(), &jobs[id]).is_empty())
    }

    fn set(&self, id: i64, settings: Value) {
        let body = json!({"job_id": id, "new_settings": settings});
        let path = "/api/2.2/jobs/update";
        assert_eq!(self.running.workspace.call("POST", path, body).0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_what_ran_runs_again_whatever_was_killed_in_between() {
    let bench = Bench::start().await;
    let before = bench.jobs();
    let (ran, waited) = bench.started();
    assert!(ran.len() > 3 && waited.len() > 1, "{ran:?} {waited:?}");
    let (report, kills) = bench.until_done(true).await;
    assert!(kills > 0);
    assert!(report.is_whole());
    assert_eq!(bench.started().0, Vec::<i64>::new());
    let (report, kills) = bench.until_done(false).await;
    assert!(kills > 0);
    assert!(report.is_whole());
    assert_eq!(bench.jobs(), before);
    // Nothing is left to do, and nothing is done.
    let updates = bench.updates();
    assert_eq!(bench.unpause().await.jobs, []);
    assert_eq!(bench.updates(), updates);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_all_and_changes_nothing() {
    let bench = Bench::start().await;
    let before = bench.jobs();
    let (ran, waited) = bench.started();
    let report = bench.run(true, true).await.unwrap();
    assert_eq!((report.jobs.len(), report.left), (ran.len(), waited.len()));
    assert_eq!((bench.jobs() == before, bench.updates()), (true, 0));
    assert!(
        std::fs::read_dir(bench.dir.path())
            .unwrap()
            .next()
            .is_none()
    );
    bench.pause().await;
    let updates = bench.updates();
    let report = bench.run(false, true).await.unwrap();
    assert_eq!(report.jobs.len(), ran.len());
    assert_eq!(bench.updates(), updates);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_do_meanwhile_is_theirs() {
    let bench = Bench::start().await;
    let scheduled = |bench: &Bench| {
        let jobs = bench.jobs();
        let (ran, _) = bench.started();
        let ran = ran
            .into_iter()
            .filter(|id| jobs[id]["schedule"].is_object());
        ran.collect::<Vec<_>>()
    };
    let [changed, unscheduled, deleted] = scheduled(&bench)[..3] else {
        panic!("the sample has three jobs with a schedule");
    };
    bench.pause().await;
    let cron = |status: &str| json!({"quartz_cron_expression": "0 7 7 * * ?", "timezone_id": "UTC", "pause_status": status});
    bench.set(changed, json!({"schedule": cron("PAUSED")}));
    let remove = json!({"job_id": unscheduled, "fields_to_remove": ["schedule"]});
    let workspace = &bench.running.workspace;
    workspace.call("POST", "/api/2.2/jobs/update", remove);
    workspace.call("POST", "/api/2.2/jobs/delete", json!({"job_id": deleted}));
    let report = bench.unpause().await;
    assert!(!report.is_whole());
    let gone = |id: i64| {
        let job = report.jobs.iter().find(|job| job.id == id.to_string());
        job.map(|job| job.outcome.clone())
    };
    let why = |text: &str| Some(JobOutcome::Gone(text.to_owned()));
    assert_eq!(gone(deleted), why("the job is not there any more"));
    assert_eq!(gone(unscheduled), why("it has no schedule any more"));
    assert_eq!(gone(changed), Some(JobOutcome::Done));
    assert_eq!(bench.jobs()[&changed]["schedule"], cron("UNPAUSED"));
    // What is said once is not said again.
    assert_eq!(bench.unpause().await.jobs, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_could_not_be_paused_is_named_and_never_let_run_by_an_unpause() {
    let bench = Bench::start().await;
    let rule = Rule::new("/api/2.2/jobs/update", Effect::forbidden()).times(1);
    bench.running.workspace.inject(rule);
    let report = bench.pause().await;
    let failed: Vec<_> = report
        .jobs
        .iter()
        .filter(|job| job.outcome != JobOutcome::Done)
        .collect();
    assert_eq!(failed.len(), 1);
    let refused: i64 = failed[0].id.parse().unwrap();
    bench.running.workspace.set_faults(Faults::default());
    // Somebody pauses it by hand, on purpose.
    let mut settings = bench.jobs()[&refused].clone();
    super::jobs().quieten(&mut settings);
    bench.set(refused, settings);
    assert!(bench.unpause().await.is_whole());
    assert!(bench.started().1.contains(&refused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_cannot_be_listed_are_not_paused_in_part() {
    let bench = Bench::start().await;
    let rule = Rule::new("/api/2.2/jobs/list", Effect::forbidden());
    bench.running.workspace.inject(rule);
    let error = bench.run(true, false).await.unwrap_err();
    assert!(matches!(error, PauseError::List(_)), "{error}");
    assert_eq!(bench.updates(), 0);
}

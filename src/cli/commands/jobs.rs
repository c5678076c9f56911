//! `dbsnap jobs`

use std::path::PathBuf;

use clap::Subcommand;
use dbsnap::pause::{self, JobOutcome, JobReport, PauseReport, Task, memory_path};
use dbsnap::store::LineSeal;
use serde_json::json;

use crate::cli::connect::{self, ConnectArgs};
use crate::cli::error::Failure;
use crate::cli::exit::{Kind, Outcome};
use crate::cli::render::units::plural;
use crate::cli::session::Session;

/// Pause all jobs of a workspace, or let exactly those run again that ran
///
/// `pause` stops everything that starts by itself: schedules, triggers, and jobs that run all the time; what runs at the
/// moment is not stopped. Which those are is remembered in the store before they are paused. `unpause` puts back what was
/// remembered, and nothing else: jobs that were paused before stay paused, and whoever changed a schedule meanwhile keeps
/// the change. Either goes on where a killed one stopped.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap jobs pause --profile DEMO --dry-run
  dbsnap jobs pause --profile DEMO
  dbsnap jobs unpause --profile DEMO

Exit codes:
  0   done
  1   failed, nothing was changed that is not remembered
  2   the command line or the settings were not understood
  3   done, but a job could not be changed, or is not there any more; it is listed
  10  there is no store
  11  another run is pausing or unpausing the same workspace
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Pause every job that would start by itself, and remember which those are
    Pause(Change),
    /// Let those jobs run again that were paused by `jobs pause`
    Unpause(Change),
}

#[derive(clap::Args, Debug)]
struct Change {
    /// Only say which jobs would be changed
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let (pauses, change) = match &args.what {
        What::Pause(change) => (true, change),
        What::Unpause(change) => (false, change),
    };
    set_paused(session, pauses, change.dry_run, &change.connect).await
}

/// Pauses the jobs of a workspace, or lets those run again that were paused.
pub(super) async fn set_paused(
    session: &Session,
    pauses: bool,
    dry_run: bool,
    connect: &ConnectArgs,
) -> Result<Outcome, Failure> {
    let client = connect::client(session, connect)?;
    let doing = || match pauses {
        true => format!("pause the jobs of {}", client.host()),
        false => format!("let the jobs of {} run again", client.host()),
    };
    let workspace = client.workspace().await;
    let workspace = workspace.map_err(|error| Failure::doing(doing(), error))?;
    let name = match workspace.workspace_id {
        Some(id) => id.to_string(),
        None => workspace.host,
    };
    let (path, seal) = place(session, pauses, dry_run)?;
    let memory = memory_path(&path, &seal, &name);
    let progress = session.progress();
    let task = Task {
        client: &client,
        memory: &memory,
        seal: &seal,
        workspace: &name,
        dry_run,
        reporter: &*progress,
    };
    let report = match pauses {
        true => pause::pause(task).await,
        false => pause::unpause(task).await,
    };
    let report = report.map_err(|error| Failure::doing(doing(), error))?;
    show(session, &report, pauses, dry_run);
    Ok(match report.is_whole() {
        true => Outcome::Done,
        false => Outcome::Incomplete,
    })
}

/// Where it is remembered what ran. The store is made for it if there is none; a dry run does without.
fn place(session: &Session, pauses: bool, dry_run: bool) -> Result<(PathBuf, LineSeal), Failure> {
    let store = match (pauses, dry_run) {
        (true, false) => session.store_or_new()?,
        _ => match session.store() {
            Err(failure) if pauses && failure.kind() == Kind::NoStore => {
                return Ok((session.store_path()?, LineSeal::default()));
            }
            store => store?,
        },
    };
    Ok((store.path().to_owned(), store.line_seal()))
}

fn show(session: &Session, report: &PauseReport, pauses: bool, dry_run: bool) {
    if session.json() {
        session.out.json(&json!({
            "action": if pauses { "pause" } else { "unpause" },
            "dry_run": dry_run,
            "jobs": report.jobs,
            "left": report.left,
        }));
    } else {
        session
            .out
            .result(text(report, pauses, dry_run), report.is_whole());
    }
    for job in &report.jobs {
        if let JobOutcome::Failed(reason) | JobOutcome::Gone(reason) = &job.outcome {
            session.out.warning(format!("{}: {reason}", called(job)));
        }
    }
}

fn text(report: &PauseReport, pauses: bool, dry_run: bool) -> String {
    let fine = |job: &&JobReport| matches!(job.outcome, JobOutcome::Planned | JobOutcome::Done);
    let mut text = String::new();
    for job in report.jobs.iter().filter(fine) {
        text += &format!("{}: {}\n", called(job), job.starts_by.join(", "));
    }
    let count = report.jobs.iter().filter(fine).count() as u64;
    let jobs = plural(count, "job");
    let done = match (pauses, dry_run) {
        (true, true) => "would be paused",
        (true, false) => "paused",
        (false, true) => "would run again",
        (false, false) => "let run again",
    };
    text += &match (count, pauses) {
        (0, true) => "nothing to pause".to_owned(),
        (0, false) => "nothing that `jobs pause` paused is left to run again".to_owned(),
        _ => format!("{jobs} {done}"),
    };
    if report.left > 0 {
        let left = plural(report.left as u64, "job");
        text += &match pauses {
            true => format!("; {left} paused before stay so"),
            false => format!("; {left} run already"),
        };
    }
    text.push('\n');
    text
}

fn called(job: &JobReport) -> String {
    format!("{} (id {})", job.name, job.id)
}

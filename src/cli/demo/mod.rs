//! `dbsnap demo`: the real commands on two embedded workspaces, one after the other, with what a user would type.
//!
//! Invariant: nothing here does the work of a command. Every step is a command line that is parsed and run like any
//! other, in an environment of its own, and every step has the outcome that it must have.

mod stage;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use serde_json::{Value, json};

use super::args::Arguments;
use super::environment::Environment;
use super::error::Failure;
use super::exit::{self, Outcome};
use super::output::{Manner, Printer};
use super::render::units::duration;
use super::session::Session;
use stage::Stage;

/// See everything at work in a minute, without a workspace
///
/// Starts two embedded workspaces, backs one up, changes it, shows what changed, brings back what was deleted, and moves
/// everything into the other one, where domain and people differ. The commands are the real ones, and so is their output.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap demo
  dbsnap demo --keep ./demo

Exit codes:
  0  every step did what it should
  1  one did not
  2  the command line was not understood")]
pub(crate) struct Args {
    /// Keep the store and the settings in this directory, which must be empty or missing
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let began = Instant::now();
    let stage = Stage::set(args.keep.clone()).await?;
    let mut show = Show {
        session,
        out: inner_printer(session),
        stage: &stage,
        steps: Vec::new(),
    };
    play(&mut show).await?;
    let took = duration(began.elapsed());
    if session.json() {
        let steps = show.steps;
        session.out.json(&json!({"steps": steps, "passed": true}));
    } else {
        session.out.text(closing(&stage, &took));
    }
    stage.strike().await;
    Ok(Outcome::Done)
}

/// The script.
async fn play(show: &mut Show<'_>) -> Result<(), Failure> {
    use Outcome::{Done, Incomplete};

    show.say(
        "A workspace with a dozen people, their notebooks and jobs. The first backup reads all of it.\n\
         (One old library cannot be read through the API: it is named, and the exit code is 3.)",
    );
    show.run("backup --profile DEMO", Incomplete).await?;

    let changes = show.stage.change_the_workspace();
    show.say(&format!("Then people work:\n{changes}"));
    show.say("The next backup reads what changed, and stores only that.");
    show.run("backup --profile DEMO", Incomplete).await?;
    show.run("snapshots", Done).await?;

    show.say("What exactly changed?");
    show.run("diff latest~1 latest", Incomplete).await?;

    show.say("The deleted folder is needed after all.");
    let bring_back = format!("restore latest~1 --profile DEMO --path {}", stage::DELETED);
    show.run(&format!("{bring_back} --yes"), Done).await?;
    let readme = format!("cat latest~1 {}/README.md", stage::DELETED);
    show.run(&readme, Done).await?;

    show.say(
        "The worst day: everything has to go into a new workspace. People have other addresses there (example.org),\n\
         and some have left: what was theirs goes to /Archive.",
    );
    let mapping =
        "--map-domain example.com=example.org --map-user admin@example.com=admin@example.com";
    let move_house = format!("restore latest --profile NEW_DEMO {mapping} --on-conflict overwrite");
    show.run(&format!("{move_house} --yes"), Incomplete).await?;

    show.say("Once more: what is there and right is left alone.");
    show.stage.forget_requests();
    show.run(&format!("{move_house} --yes"), Incomplete).await?;
    let writes = show.stage.writes();
    if writes > 0 {
        return Err(Failure::refused(format!(
            "the demo failed: the second restore sent {writes} requests that change something"
        )));
    }
    show.say("Requests that would have changed something: 0.");

    show.say("Did everything arrive? Everything shared, compared byte for byte and permission by permission:");
    let compare =
        format!("diff latest live --profile NEW_DEMO {mapping} --path /Shared --exit-code");
    show.run(&compare, Done).await?;

    show.say("Is the store in order? Every byte is read and compared with its hash.");
    show.run("check --read-data", Done).await
}

/// Runs steps and remembers how they went.
struct Show<'a> {
    session: &'a Session,
    out: Arc<Printer>,
    stage: &'a Stage,
    steps: Vec<Value>,
}

impl Show<'_> {
    /// Says something in between.
    fn say(&self, words: &str) {
        if !self.out.manner.quiet {
            let lines = words.lines().map(|line| format!("# {line}\n"));
            self.out.text(format!("\n{}", lines.collect::<String>()));
        }
    }

    /// Runs a command line, which must have this outcome.
    async fn run(&mut self, line: &str, expected: Outcome) -> Result<(), Failure> {
        self.out.line(format!("\n$ dbsnap {line}"));
        let words = std::iter::once("dbsnap").chain(line.split(' '));
        let arguments = Arguments::try_parse_from(words)
            .map_err(|error| Failure::doing(format!("understand `dbsnap {line}`"), error))?;
        let environment: Environment = self.stage.environment(self.session);
        let interrupt = self.session.interrupt.clone();
        let out = Arc::clone(&self.out);
        let session = Session::new(arguments.global, environment, out, interrupt)?;
        // Boxed, because the demo is itself one of the commands.
        let outcome = Box::pin(super::run(&session, arguments.command)).await?;
        self.steps.push(json!({
            "command": format!("dbsnap {line}"),
            "exit_code": exit::code(Ok(outcome)),
        }));
        if outcome != expected {
            return Err(Failure::refused(format!(
                "the demo failed: `dbsnap {line}` ended with exit code {} instead of {}",
                exit::code(Ok(outcome)),
                exit::code(Ok(expected)),
            )));
        }
        Ok(())
    }
}

/// Where the commands of the demo write to: nowhere, if the demo itself owes a document.
fn inner_printer(session: &Session) -> Arc<Printer> {
    match session.json() {
        true => {
            let (data, words) = (Box::new(std::io::sink()), Box::new(std::io::sink()));
            Arc::new(Printer::new(Manner::default(), data, words))
        }
        false => Arc::clone(&session.out),
    }
}

fn closing(stage: &Stage, took: &str) -> String {
    let gone = match stage.kept() {
        Some(directory) => format!("The store is kept in {}.", directory.display()),
        None => "The two workspaces and the store are gone again.".to_owned(),
    };
    format!(
        "
All of it in {took}. {gone}

To go on:
  dbsnap sandbox --port 8080                          a workspace to play with
  dbsnap backup --profile <yours>                     the real thing; a backup only reads
  dbsnap restore latest --profile <yours> --dry-run   what a restore would do
  dbsnap help
"
    )
}

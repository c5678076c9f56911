//! The terminal edge: arguments, settings, the clock, printing, exit codes.
//!
//! `args` says what can be typed; `commands` has one file per command, which builds options and calls one function of
//! the library; `render` makes text of what comes back; `output` decides where it goes; `error` and `exit` end it.
//!
//! Invariant: nothing below this room prints, reads a variable or asks for the time.

mod args;
mod capture;
mod commands;
mod connect;
mod dbfs;
mod demo;
mod environment;
mod error;
mod exit;
mod interrupt;
mod keys;
mod kinds;
mod lost;
mod mapping;
mod metastore;
mod near;
mod older;
mod output;
mod progress;
mod quantity;
mod render;
mod retention;
mod runs;
mod secrets;
mod select;
mod selection;
mod session;
mod settings;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use args::{Arguments, Command};
use environment::Environment;
use error::Failure;
use exit::Outcome;
use interrupt::Interrupt;
use output::Printer;
use session::Session;

/// Runs what the command line says.
pub(crate) fn main() -> ExitCode {
    let environment = Environment::of_process();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_run(&error),
    };
    let out = Arc::new(Printer::standard(arguments.global.manner(&environment)));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return end(&out, Err(Failure::doing("start", error))),
    };
    let interrupt = Interrupt::default();
    let (global, for_session) = (arguments.global, Arc::clone(&out));
    let result = Session::new(global, environment, for_session, interrupt.clone());
    let result = result.and_then(|session| {
        runtime.block_on(async {
            interrupt.listen();
            run(&session, arguments.command).await
        })
    });
    // Whatever still waits in the background has nothing to say any more.
    runtime.shutdown_background();
    end(&out, result)
}

/// Runs one command.
async fn run(session: &Session, command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Init(args) => commands::init::run(session, &args),
        Command::Backup(args) => commands::backup::run(session, &args).await,
        Command::Snapshots(args) => commands::snapshots::run(session, &args),
        Command::Show(args) => commands::show::run(session, &args),
        Command::Ls(args) => commands::ls::run(session, &args),
        Command::Cat(args) => commands::cat::run(session, &args),
        Command::Diff(args) => commands::diff::run(session, &args).await,
        Command::Restore(args) => commands::restore::run(session, &args).await,
        Command::Forget(args) => commands::forget::run(session, &args),
        Command::Check(args) => commands::check::run(session, &args),
        Command::Stats(args) => commands::stats::run(session, &args),
        Command::Prune(args) => commands::prune::run(session, &args),
        Command::Repair(args) => commands::repair::run(session, &args),
        Command::Copy(args) => commands::copy::run(session, &args),
        Command::Export(args) => commands::export::run(session, &args),
        Command::Import(args) => commands::import::run(session, &args),
        Command::Jobs(args) => commands::jobs::run(session, &args).await,
        Command::Key(args) => commands::key::run(session, &args),
        Command::Kinds(args) => commands::kinds::run(session, &args),
        Command::Sandbox(args) => commands::sandbox::run(session, &args).await,
        Command::Demo(args) => demo::run(session, &args).await,
        Command::Completions(args) => commands::completions::run(session, &args),
    }
}

/// Help, version and arguments that were not understood.
fn not_run(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that went away is no failure here either.
        let _ = error.print();
        return exit::status(Ok(Outcome::Done));
    }
    // Nothing was parsed, so that this is all there is to tell by.
    let is_json = std::env::args_os()
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json");
    if is_json {
        let out = Printer::standard(output::Manner::default());
        out.json(&not_understood(error).to_json());
        let _ = out.finish();
    }
    let _ = error.print();
    exit::status(Err(exit::Kind::Usage))
}

/// The same in the shape of all other failures: what the parser says first is the message, and its tips are hints.
fn not_understood(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut parts = text.trim().split("\n\n");
    let first = parts.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first);
    let message: Vec<&str> = message.lines().map(str::trim).collect();
    let tips = parts.filter_map(|part| part.trim().strip_prefix("tip: "));
    let failure = Failure::usage(message.join(" "));
    tips.fold(failure, |failure, tip| failure.hint(tip))
}

/// Says why it failed, if it did, and makes sure that everything is written.
fn end(out: &Printer, result: Result<Outcome, Failure>) -> ExitCode {
    let result = result.map_err(|failure| report(out, &failure));
    match out.finish() {
        Ok(()) => exit::status(result),
        Err(error) => {
            let mut failure = Failure::doing("write to the standard output", error);
            if result.is_ok() {
                failure = failure.hint("all else was done: only what it had to tell is lost");
            }
            out.error(failure.render());
            exit::status(Err(failure.kind()))
        }
    }
}

fn report(out: &Printer, failure: &Failure) -> exit::Kind {
    if out.manner.json {
        out.json(&failure.to_json());
    }
    out.error(failure.render());
    failure.kind()
}

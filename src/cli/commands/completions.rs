//! `dbsnap completions`

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use crate::cli::args::Arguments;
use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;

/// Write a completion script for a shell
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap completions bash > ~/.local/share/bash-completion/completions/dbsnap
  dbsnap completions zsh > ~/.zfunc/_dbsnap
  dbsnap completions fish > ~/.config/fish/completions/dbsnap.fish

Exit codes:
  0  done
  2  the command line was not understood")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "dbsnap", &mut script);
    if session.json() {
        let text = String::from_utf8_lossy(&script);
        let shell = args.shell.to_string();
        session.out.json(&json!({"shell": shell, "script": text}));
    } else {
        session.out.data(&script);
    }
    Ok(Outcome::Done)
}

//! `dbsnap kinds`

use dbsnap::resource::{ALL, Kind};
use serde_json::{Value, json};

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::render::table::{Align, Table};
use crate::cli::session::Session;

/// Say what dbsnap can do with which kinds of objects
///
/// Whether objects of a kind are backed up, compared and restored, whether their permissions are as well, and if not, why.
/// The names are those that `--only` and `--skip` take.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap kinds
  dbsnap kinds --json

Exit codes:
  0  done
  2  the command line or the settings were not understood")]
pub(crate) struct Args {}

pub(crate) fn run(session: &Session, _: &Args) -> Result<Outcome, Failure> {
    if session.json() {
        let kinds: Vec<Value> = ALL.iter().copied().map(document).collect();
        session.out.json(&json!({"kinds": kinds}));
    } else {
        session.out.text(table().render());
    }
    Ok(Outcome::Done)
}

fn table() -> Table {
    let left = |heading| (heading, Align::Left);
    let mut table = Table::new([
        left("KIND"),
        left("BACKED UP"),
        left("DIFFED"),
        left("RESTORED"),
        left("PERMISSIONS"),
        left("WHY NOT"),
    ]);
    for kind in ALL {
        let support = kind.support();
        let yes_or_no = if support.permissions { "yes" } else { "no" };
        table.row([
            kind.name.to_owned(),
            support.backed_up.word().to_owned(),
            support.diffed.word().to_owned(),
            support.restored.word().to_owned(),
            yes_or_no.to_owned(),
            support.why_not.unwrap_or_default().to_owned(),
        ]);
    }
    table
}

fn document(kind: &'static Kind) -> Value {
    let support = kind.support();
    json!({
        "kind": kind.name,
        "backed_up": support.backed_up.word(),
        "diffed": support.diffed.word(),
        "restored": support.restored.word(),
        "permissions": support.permissions,
        "why_not": support.why_not,
    })
}

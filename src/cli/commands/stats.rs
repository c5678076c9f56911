//! `dbsnap stats`

use dbsnap::stats::{self, StatsError};
use dbsnap::store::Store;

use crate::cli::error::{Failure, in_a_line};
use crate::cli::exit::Outcome;
use crate::cli::lost;
use crate::cli::render::stats as render;
use crate::cli::select;
use crate::cli::session::Session;

/// Say what takes how much space in the store
///
/// Without a snapshot: the files of the store, and of every snapshot what it added to those before it, and what only it
/// needs, which is about what forgetting it and pruning frees. With a snapshot: what it is made of, by kind or by path.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap stats
  dbsnap stats latest                   By kind
  dbsnap stats latest --by path         By home and folder
  dbsnap stats latest --by path --depth 3 --json

Exit codes:
  0   done
  1   failed
  2   the command line or the settings were not understood
  3   done, but a snapshot could not be read and is left out, or snapshots were lost; it is said
  10  there is no store
  12  the store is encrypted, and the key is missing or wrong")]
pub(crate) struct Args {
    /// The snapshot: the beginning of its id, `latest`, `latest~1`, or a date
    snapshot: Option<String>,

    /// What the parts of the snapshot are
    #[arg(long, value_enum, default_value_t = By::Kind, requires = "snapshot")]
    by: By,

    /// With `--by path`: how many names of a path make a part
    #[arg(long, value_name = "N", default_value_t = 2, requires = "snapshot",
        value_parser = clap::value_parser!(u16).range(1..))]
    depth: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// Notebooks, jobs, ...
    Kind,
    /// Folders of the workspace tree; what has no path is told by its kind
    Path,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let store = session.store()?;
    match &args.snapshot {
        Some(given) => of_snapshot(session, &store, given, args),
        None => of_store(session, &store),
    }
}

fn of_store(session: &Session, store: &Store) -> Result<Outcome, Failure> {
    let stats = stats::of_store(store, &*session.progress()).map_err(failed)?;
    for unreadable in &stats.unreadable {
        let (id, why) = (unreadable.name.id, in_a_line(&unreadable.error));
        session.out.warning(format!("snapshot {id:.8}: {why}"));
    }
    let has_lost = lost::warn(session, store)?;
    match session.json() {
        true => session.out.json(&render::store_document(&stats)),
        false => session.out.text(render::store(&stats)),
    }
    Ok(match stats.unreadable.is_empty() && !has_lost {
        true => Outcome::Done,
        false => Outcome::Incomplete,
    })
}

fn of_snapshot(
    session: &Session,
    store: &Store,
    given: &str,
    args: &Args,
) -> Result<Outcome, Failure> {
    let wanted = select::reference(given)?;
    let found = select::snapshot(store, &wanted, given)?;
    let depth = usize::from(args.depth);
    let parts = stats::of_snapshot(&found.tree, &|entry| match args.by {
        By::Path if entry.key.name.starts_with('/') => folder(&entry.key.name, depth).to_owned(),
        _ => entry.key.kind.to_string(),
    });
    let parts = parts.map_err(failed)?;
    match session.json() {
        true => session
            .out
            .json(&render::parts_document(&found.name, &parts)),
        false => session.out.text(render::parts(&parts)),
    }
    Ok(Outcome::Done)
}

/// The first names of a path.
fn folder(path: &str, depth: usize) -> &str {
    let end = path.match_indices('/').nth(depth);
    end.map_or(path, |(end, _)| &path[..end])
}

fn failed(error: StatsError) -> Failure {
    Failure::doing("count what is in the store", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_after_so_many_names() {
        for (depth, wanted) in [
            (1, "/Users"),
            (2, "/Users/ana"),
            (3, "/Users/ana/x"),
            (4, "/Users/ana/x"),
        ] {
            assert_eq!(folder("/Users/ana/x", depth), wanted);
        }
        assert_eq!(folder("/", 1), "/");
    }
}

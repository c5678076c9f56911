//! `dbsnap export`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dbsnap::folder::{self, ExportError, ExportOptions, ExportReport, Target};
use serde_json::{Value, json};

use crate::cli::error::Failure;
use crate::cli::exit::Outcome;
use crate::cli::render::gaps;
use crate::cli::render::units::{bytes, plural};
use crate::cli::select::{self, Found};
use crate::cli::session::Session;

/// Write a snapshot out as plain files
///
/// The tree goes to DEST/workspace, with notebooks as files that `databricks workspace import-dir` and `dbsnap import` take;
/// all other objects become DEST/objects/KIND/NAME.json. Beside them: permissions.jsonl, snapshot.json, gaps.json (what is
/// missing) and names.json (what could not be called as it is: such names are written with %XX, or end in ~ and a number).
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  dbsnap export latest out
  dbsnap export latest out /Users/ana@example.com /Shared/etl
  dbsnap export latest~1 --format tar - | zstd > workspace.tar.zst

Exit codes:
  0    done
  1    failed; what was written so far may be there
  2    the command line or the settings were not understood
  3    done, but the snapshot has gaps or the store is damaged; see gaps.json
  10   there is no store
  12   the store is encrypted, and the key is missing or wrong
  130  interrupted")]
pub(crate) struct Args {
    /// The snapshot: the beginning of its id, `latest`, `latest~1`, or a date
    snapshot: String,

    /// A directory, empty or not there yet; or the file of an archive, not there yet, `-` for the standard output
    #[arg(value_name = "DEST")]
    target: PathBuf,

    /// Only what is at or below these paths; a `*` stands for any part of one name
    #[arg(value_name = "PATH")]
    paths: Vec<String>,

    /// Whether to write a directory or an archive
    #[arg(long, value_enum, default_value_t = Format::Dir)]
    format: Format,

    /// Only names that every system can hold, and none that differ in case only
    #[arg(long)]
    portable: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// A directory
    Dir,
    /// A tar archive
    Tar,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Outcome, Failure> {
    let to_stdout = args.target == Path::new("-");
    if to_stdout && args.format == Format::Dir {
        return Err(
            Failure::usage("a directory cannot go to the standard output")
                .hint("give --format tar, or ./- for a directory of that name"),
        );
    }
    if to_stdout && session.json() {
        return Err(Failure::usage(
            "an archive and a JSON document cannot both go to the standard output",
        ));
    }
    if let Some(path) = args.paths.iter().find(|path| !path.starts_with('/')) {
        return Err(Failure::usage(format!("`{path}` is no path"))
            .hint("a path begins with a slash, like /Users/ana@example.com"));
    }
    let store = session.store()?;
    let wanted = select::reference(&args.snapshot)?;
    let found = select::snapshot(&store, &wanted, &args.snapshot)?;
    select::require_paths(&found, &args.paths)?;
    let report = write(session, args, &found, to_stdout)?;
    show(session, args, &found, &report, to_stdout);
    Ok(if report.is_complete() {
        Outcome::Done
    } else {
        Outcome::Incomplete
    })
}

fn write(
    session: &Session,
    args: &Args,
    found: &Found,
    to_stdout: bool,
) -> Result<ExportReport, Failure> {
    let doing = || {
        let target = args.target.display();
        format!("export snapshot {:.8} to {target}", found.name.id)
    };
    let opening = |error| Failure::doing(doing(), error);
    let target = match args.format {
        Format::Dir => Target::Directory(args.target.clone()),
        Format::Tar if to_stdout => Target::Tar(Box::new(std::io::stdout())),
        Format::Tar => {
            let file = std::fs::File::create_new(&args.target).map_err(opening)?;
            Target::Tar(Box::new(file))
        }
    };
    let options = ExportOptions {
        paths: args.paths.clone(),
        portable: args.portable,
    };
    let stop = session.interrupt.heed();
    let stop = || *stop.borrow();
    let snapshot = (&found.head, &found.tree);
    let report = folder::export(snapshot, target, &options, &stop, &*session.progress());
    report.map_err(|error| {
        if args.format == Format::Tar && !to_stdout {
            // Half an archive is of no use; the failure is told in any case.
            let _ = std::fs::remove_file(&args.target);
        }
        match error {
            ExportError::Interrupted => Failure::interrupted(error.to_string()),
            ExportError::NotEmpty(_) => Failure::doing(doing(), error)
                .hint("an export is only written where nothing is yet"),
            error => Failure::doing(doing(), error),
        }
    })
}

fn show(session: &Session, args: &Args, found: &Found, report: &ExportReport, to_stdout: bool) {
    let out = &session.out;
    if session.json() {
        out.json(&document(found, report));
    } else if to_stdout {
        out.note(summary(args, found, report).trim_end());
    } else {
        out.result(summary(args, found, report), true);
    }
    if report.gaps > 0 {
        out.warning(format!(
            "{} of the snapshot {} in gaps.json",
            plural(report.gaps, "gap"),
            if report.gaps == 1 { "is" } else { "are" }
        ));
    }
    let mut lines = String::new();
    for damage in report.damaged.iter().take(gaps::SHOWN) {
        let _ = write!(
            lines,
            "\n  {}  {}  {}",
            damage.key, damage.part, damage.reason
        );
    }
    if !report.damaged.is_empty() {
        let number = plural(report.damaged.len() as u64, "part");
        out.warning(format!(
            "the store is damaged; {number} could not be written, see gaps.json:{lines}"
        ));
    }
}

fn summary(args: &Args, found: &Found, report: &ExportReport) -> String {
    let mut text = format!(
        "snapshot {:.8} is in {}: {} ({}) in {}, {}\n",
        found.name.id,
        args.target.display(),
        plural(report.files, "file"),
        bytes(report.bytes),
        if report.directories == 1 {
            "1 directory".to_owned()
        } else {
            format!("{} directories", report.directories)
        },
        plural(report.objects, "other object"),
    );
    if report.renamed > 0 {
        let _ = writeln!(
            text,
            "{} could not be called as they are; see names.json",
            plural(report.renamed, "object")
        );
    }
    text
}

fn document(found: &Found, report: &ExportReport) -> Value {
    let damaged = report.damaged.iter().map(|damage| {
        json!({
            "kind": damage.key.kind.as_str(),
            "name": damage.key.name,
            "id": damage.key.id,
            "part": damage.part,
            "reason": damage.reason,
        })
    });
    json!({
        "snapshot": found.name.id.to_string(),
        "directories": report.directories,
        "files": report.files,
        "bytes": report.bytes,
        "objects": report.objects,
        "renamed": report.renamed,
        "gaps": report.gaps,
        "damaged": damaged.collect::<Vec<_>>(),
    })
}

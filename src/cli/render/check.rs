//! What a check of the store has found.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use dbsnap::check::{CheckReport, Loss, Problem};
use dbsnap::store::Verification;
use serde_json::{Value, json};

use super::units::{bytes, count, plural, time};

/// Losses of a snapshot that are listed; `--json` lists more.
const LISTED: usize = 20;

/// What may have happened to a store without snapshots, and what to do.
const NO_SNAPSHOT: &str = "\
without a snapshot nothing can be read of that. If the first backup is still running, or was ended before it was done, a
`dbsnap backup` mends it; if all snapshots were forgotten on purpose, `dbsnap prune --without-snapshots` frees the space; else
the directory `snapshots` was lost or emptied: bring it back from a copy of the store before anything else writes here
";

/// What to do about snapshots that are gone.
const LOST_SNAPSHOTS: &str = "\
the directory `snapshots` was lost or emptied: bring the files that were in it back from a copy of the store, beside those
that are there now; until then `dbsnap prune` deletes nothing. If they cannot be had any more, or were removed on purpose,
`dbsnap prune --without-snapshots` gives them up and frees the space
";

/// What helps against damage in directories of small files.
const SMALL: [(&str, &str); 7] = [
    (
        "pending",
        "`dbsnap repair pending` removes damaged files of backups that never ended; until then prunes delete nothing\n",
    ),
    (
        "condemned",
        "`dbsnap repair packs` removes damaged records of packs to delete; until then nothing is written to the store\n",
    ),
    (
        "keys",
        "a damaged key opens nothing: put the file back from a copy of the directory `keys`, or add a key with\n\
         `dbsnap key add` and let the damaged one go with `dbsnap key remove`; a file with another name move away\n",
    ),
    (
        "restores",
        "what restores did is in `restores`: from a damaged journal `dbsnap restore --undo` takes nothing back; move it away\n",
    ),
    (
        "begun",
        "of a file in `begun` only the name says something, that there was a first snapshot: write the line\n\
         `dbsnap` into it again\n",
    ),
    (
        "lost",
        "of a file in `lost` only the name says something, that snapshots were lost: write the line\n\
         `dbsnap` into it again\n",
    ),
    (
        "paused",
        "which jobs ran is in `paused`: by a damaged file `dbsnap jobs unpause` lets none run again; move it away, and see\n\
         to the jobs by hand\n",
    ),
];

/// The findings for people.
pub(crate) fn summary(report: &CheckReport) -> String {
    let snapshots = plural(report.snapshots, "snapshot");
    let mut text = match report.manifests {
        true => format!(
            "{snapshots} with {} and {}\n",
            plural(report.entries, "object"),
            plural(report.blobs, "blob"),
        ),
        false => format!("{snapshots}; what they refer to was not looked for\n"),
    };
    if let Some(data) = &report.verification {
        text += &self::data(data);
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for problem in &report.problems {
        text += &self::problem(problem);
    }
    if report.out_of_reach {
        text += "not everything could be read: see to permissions, or to the disk or network that fails, and check again;\n\
                 what is damaged, and what only seems so, shows then\n";
        return text;
    }
    let is_index = |problem: &Problem| matches!(problem, Problem::Store { file, .. } if file.starts_with("index/"));
    if report.problems.iter().any(is_index) {
        text += "the index is damaged; `dbsnap repair index` makes it anew from the packs\n";
    }
    if !report.is_sound() && report.problems.iter().all(is_index) {
        return text;
    }
    let is_bare = |problem: &Problem| matches!(problem, Problem::NoSnapshot { .. });
    text += match report.is_sound() {
        true => "the store is whole\n",
        // Whether that is damage nobody knows but who keeps the store.
        false if report.problems.iter().all(is_bare) => "",
        false => "the store is damaged\n",
    };
    let is_config =
        |problem: &Problem| matches!(problem, Problem::Store { file, .. } if file == "dbsnap.json");
    if report.problems.iter().any(is_config) {
        text += "`dbsnap repair config` makes the configuration anew from what else tells of the store\n";
    }
    let is_pack = |problem: &Problem| matches!(problem, Problem::Store { file, .. } if file.starts_with("packs/"));
    if report.problems.iter().any(is_pack) {
        text += "`dbsnap repair packs` copies what can still be read out of damaged packs, and condemns those that are none\n\
                 of this store\n";
    }
    let is_head = |problem: &Problem| matches!(problem, Problem::Head { .. });
    if report.problems.iter().any(is_head) {
        text += "a damaged head tells nothing of its snapshot any more: put the file back from a copy of the store, or let\n\
                 the snapshot go with `dbsnap forget ID --force`; until then `dbsnap prune` deletes nothing\n";
    }
    for (dir, advice) in SMALL {
        let is_there = |problem: &Problem| matches!(problem, Problem::Store { file, .. } if file.split('/').next() == Some(dir));
        if report.problems.iter().any(is_there) {
            text += advice;
        }
    }
    if report.problems.iter().any(is_bare) {
        text += NO_SNAPSHOT;
    }
    let is_lost = |problem: &Problem| matches!(problem, Problem::LostSnapshots { .. });
    if report.problems.iter().any(is_lost) {
        text += LOST_SNAPSHOTS;
    }
    let lacks = |problem: &Problem| matches!(problem, Problem::Snapshot { repaired: None, .. });
    if report.problems.iter().any(lacks) {
        text += "the next `dbsnap backup` stores again what the workspace still has; after that,\n\
                 `dbsnap repair snapshots` makes anew what still lacks something\n";
    }
    text
}

/// How much was read, and how long ago the rest.
fn data(data: &Verification) -> String {
    let mut text = format!(
        "{} in {} read: {} of data\n",
        bytes(data.stored_bytes),
        plural(data.packs, "pack"),
        bytes(data.raw_bytes),
    );
    if data.packs < data.packs_there {
        let _ = write!(text, "{} there; ", are(data.packs_there));
        let never = data.packs_never_read;
        let _ = match (never, data.read_since) {
            (0, Some(since)) => writeln!(text, "all were read since {}", day(since)),
            (never, Some(since)) => {
                let read = data.packs_there.saturating_sub(never);
                writeln!(
                    text,
                    "{} read since {}, {} never",
                    was(read),
                    day(since),
                    count(never)
                )
            }
            (_, None) => writeln!(text, "none was found good yet"),
        };
    }
    text
}

fn are(packs: u64) -> String {
    match packs {
        1 => "1 pack is".to_owned(),
        packs => format!("{} packs are", count(packs)),
    }
}

fn was(packs: u64) -> String {
    match packs {
        1 => "1 was".to_owned(),
        packs => format!("{} were", count(packs)),
    }
}

fn day(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d").to_string()
}

/// The findings for programs.
pub(crate) fn document(report: &CheckReport) -> Value {
    let problems: Vec<Value> = report.problems.iter().map(problem_document).collect();
    json!({
        "sound": report.is_sound(),
        "out_of_reach": report.out_of_reach,
        "snapshots": report.snapshots,
        "manifests": report.manifests,
        "objects": report.entries,
        "blobs": report.blobs,
        "notes": report.notes,
        "data": report.verification.as_ref().map(|data| json!({
            "packs": data.packs,
            "packs_there": data.packs_there,
            "packs_never_read": data.packs_never_read,
            "read_since": data.read_since,
            "blobs": data.blobs,
            "stored_bytes": data.stored_bytes,
            "raw_bytes": data.raw_bytes,
            "notes": report.notes,
        })),
        "problems": problems,
    })
}

fn problem(problem: &Problem) -> String {
    match problem {
        Problem::Store { file, what } => format!("damaged: {file}: {what}\n"),
        Problem::Head { head, what } => format!("damaged: the head {head}: {what}\n"),
        Problem::NoSnapshot { packs, bytes: size } => format!(
            "{}, {}, but no snapshot\n",
            plural(*packs, "pack"),
            bytes(*size)
        ),
        Problem::LostSnapshots { before } => format!(
            "the snapshots from before {} are gone, and nobody forgot them\n",
            time(*before)
        ),
        Problem::Snapshot {
            id,
            losses,
            count: number,
            repaired,
        } => {
            let mut text = format!("snapshot {id:.8} lacks:\n");
            for loss in losses.iter().take(LISTED) {
                let _ = writeln!(text, "  {}", self::loss(loss));
            }
            let left = number.saturating_sub(losses.len().min(LISTED) as u64);
            if left > 0 {
                let _ = writeln!(text, "  ... and {} more (--json lists them)", count(left));
            }
            if let Some(repaired) = repaired {
                let _ = writeln!(
                    text,
                    "  what is left of it is snapshot {repaired:.8}; `dbsnap forget {id:.8}` lets this one go"
                );
            }
            text
        }
    }
}

fn loss(loss: &Loss) -> String {
    match loss {
        Loss::Object { key, part } => format!("the {part} of {key}"),
        Loss::Entries { first, end, what } => {
            let from = first
                .as_ref()
                .map_or_else(|| "the beginning".to_owned(), ToString::to_string);
            let to = end
                .as_ref()
                .map_or_else(|| "the end".to_owned(), |key| format!("before {key}"));
            format!("all objects from {from} to {to}: {what}")
        }
    }
}

fn problem_document(problem: &Problem) -> Value {
    match problem {
        Problem::Store { file, what } => json!({"file": file, "what": what}),
        Problem::Head { head, what } => json!({"head": head, "what": what}),
        Problem::NoSnapshot { packs, bytes } => json!({
            "what": "there is data, but no snapshot",
            "packs": packs,
            "bytes": bytes,
        }),
        Problem::LostSnapshots { before } => json!({
            "what": "snapshots are gone that nobody forgot",
            "before": before,
        }),
        Problem::Snapshot {
            id,
            losses,
            count,
            repaired,
        } => json!({
            "snapshot": id.to_string(),
            "repaired_as": repaired.map(|id| id.to_string()),
            "losses": losses.iter().map(loss_document).collect::<Vec<_>>(),
            "count": count,
        }),
    }
}

fn loss_document(loss: &Loss) -> Value {
    match loss {
        Loss::Object { key, part } => json!({"object": key.to_string(), "part": part.to_string()}),
        Loss::Entries { first, end, what } => json!({
            "from": first.as_ref().map(ToString::to_string),
            "before": end.as_ref().map(ToString::to_string),
            "what": what,
        }),
    }
}

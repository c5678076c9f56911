//! Selections in words.

use chrono::SecondsFormat;
use dbsnap::manifest::{DbfsFiles, Selection};

use super::units;

/// What was asked for.
pub(crate) fn words(selection: &Selection) -> String {
    if selection.is_everything() {
        let without = [
            (selection.metastore.is_none(), "the Hive metastore"),
            (!selection.mounts, "mounts"),
            (selection.dbfs.is_none(), "the files of the DBFS"),
            (selection.runs.is_none(), "runs of experiments"),
            (
                selection
                    .runs
                    .as_ref()
                    .is_some_and(|runs| !runs.metric_history),
                "the history of metrics",
            ),
            (
                selection.runs.is_some() && selection.artifacts().is_none(),
                "files of runs",
            ),
        ];
        let without = without.into_iter().filter(|(is_so, _)| *is_so);
        let without: Vec<&str> = without.map(|(_, what)| what).collect();
        let but = match without.is_empty() {
            true => String::new(),
            false => format!(" but {}", listed(&without)),
        };
        let mut words = format!("everything{but}");
        for more in extras(selection) {
            words = format!("{words}, {more}");
        }
        return words;
    }
    let mut parts = Vec::new();
    for (name, list) in [
        ("only", &selection.only),
        ("without", &selection.skip),
        ("paths", &selection.include),
        ("without paths", &selection.exclude),
    ] {
        if !list.is_empty() {
            parts.push(format!("{name} {}", list.join(", ")));
        }
    }
    match &selection.metastore {
        Some(databases) if !databases.only.is_empty() => {
            parts.push(format!("databases {}", databases.only.join(", ")));
        }
        _ => {}
    }
    if let Some(user) = &selection.home {
        parts.push(format!("home of {user}"));
    }
    parts.extend(extras(selection));
    parts.join("; ")
}

/// `a, b and c`.
fn listed(words: &[&str]) -> String {
    match words {
        [.., before, last] if words.len() > 2 => {
            let first = words[..words.len() - 2].join(", ");
            format!("{first}, {before} and {last}")
        }
        _ => words.join(" and "),
    }
}

/// What comes on top of what a workspace shows by itself.
fn extras(selection: &Selection) -> Vec<String> {
    let mut extras = Vec::new();
    extras.extend(selection.dbfs.as_ref().map(files));
    let since = selection.runs.as_ref().and_then(|runs| runs.since);
    extras.extend(since.map(|since| {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        format!("with runs of experiments since {since}")
    }));
    if selection
        .runs
        .as_ref()
        .is_some_and(|runs| runs.metric_history)
        && !selection.is_everything()
    {
        extras.push("with the history of metrics".to_owned());
    }
    let longest = selection.artifacts().and_then(|files| files.max_file_size);
    extras.extend(
        longest.map(|size| format!("with files of runs of at most {}", units::bytes(size))),
    );
    if selection.secret_values {
        extras.push("with the values of secrets".to_owned());
    }
    extras
}

fn files(files: &DbfsFiles) -> String {
    let below = match files.paths.is_empty() {
        true => "of the DBFS".to_owned(),
        false => format!("of the DBFS below {}", files.paths.join(", ")),
    };
    match files.max_file_size {
        Some(longest) => format!(
            "with the files {below} of at most {}",
            units::bytes(longest)
        ),
        None => format!("with the files {below}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_on_top_and_what_is_not_there_is_said() {
        let plain = Selection::default();
        assert_eq!(
            words(&plain),
            "everything but the Hive metastore, mounts, the files of the DBFS and runs of experiments"
        );
        assert_eq!(
            words(&Selection::all()),
            "everything, with the files of the DBFS"
        );
        let some = Selection {
            only: vec!["job".to_owned(), "dbfs-file".to_owned()],
            dbfs: Some(DbfsFiles {
                paths: vec!["/FileStore".to_owned()],
                max_file_size: Some(100 << 20),
            }),
            secret_values: true,
            ..plain
        };
        assert_eq!(
            words(&some),
            "only job, dbfs-file; with the files of the DBFS below /FileStore of at most 100.0 MiB; with the values of secrets"
        );
    }
}

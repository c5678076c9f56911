//! Selections in words.

use chrono::SecondsFormat;
use dbsnap::manifest::Selection;

/// What was asked for.
pub(crate) fn words(selection: &Selection) -> String {
    if selection.is_everything() {
        let but = match (&selection.metastore, &selection.runs) {
            (Some(_), Some(_)) => "",
            (None, Some(_)) => " but the Hive metastore",
            (Some(_), None) => " but runs of experiments",
            (None, None) => " but the Hive metastore and runs of experiments",
        };
        let mut parts = vec![format!("everything{but}")];
        parts.extend(extras(selection));
        return parts.join(", ");
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

/// What was asked for on top of that.
fn extras(selection: &Selection) -> impl Iterator<Item = String> {
    let since = selection.runs.as_ref().and_then(|runs| runs.since);
    let runs = since.map(|since| {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        format!("runs of experiments since {since}")
    });
    let values = selection
        .secret_values
        .then(|| "with the values of secrets".to_owned());
    runs.into_iter().chain(values)
}

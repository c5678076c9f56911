//! Selections in words.

use dbsnap::manifest::Selection;

/// What was asked for.
pub(crate) fn words(selection: &Selection) -> String {
    if selection.is_everything() {
        let but = match selection.metastore {
            Some(_) => "",
            None => " but the Hive metastore",
        };
        let with = match selection.secret_values {
            true => ", with the values of secrets",
            false => "",
        };
        return format!("everything{but}{with}");
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
    if selection.secret_values {
        parts.push("with the values of secrets".to_owned());
    }
    parts.join("; ")
}

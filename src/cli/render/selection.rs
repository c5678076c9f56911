//! Selections in words.

use dbsnap::manifest::Selection;

/// What was asked for.
pub(crate) fn words(selection: &Selection) -> String {
    if selection.is_everything() {
        return match selection.secret_values {
            true => "everything, with the values of secrets".to_owned(),
            false => "everything".to_owned(),
        };
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
    if let Some(user) = &selection.home {
        parts.push(format!("home of {user}"));
    }
    if selection.secret_values {
        parts.push("with the values of secrets".to_owned());
    }
    parts.join("; ")
}

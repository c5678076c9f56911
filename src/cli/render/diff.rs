//! Changes for people.

use std::fmt::Write as _;

use dbsnap::diff::{Change, Details, Summary, What, Where};

use super::units::count;

/// One change, all its lines.
pub(crate) fn change(change: &Change) -> String {
    let object = change.key.to_string();
    let mut text = match &change.what {
        What::Added => format!("+ {object}\n"),
        What::Removed => format!("- {object}\n"),
        What::Moved { from } => format!("> {from} -> {object}\n"),
        What::Changed => format!("~ {object}\n"),
        What::Unknown { gap, at } => {
            format!("? {object}: not read {}: {}\n", side(*at), gap.reason)
        }
    };
    text += &details(&change.details, matches!(change.what, What::Unknown { .. }));
    text
}

/// The last line: how much of what.
pub(crate) fn summary(summary: &Summary) -> String {
    let mut parts = Vec::new();
    for (number, word) in [
        (summary.added, "added (+)"),
        (summary.removed, "removed (-)"),
        (summary.moved, "moved (>)"),
        (summary.changed, "changed (~)"),
        (summary.unknown, "unknown (?)"),
        (
            summary.not_compared,
            "not compared, because one side did not select them",
        ),
        (summary.carried_over, "taken over from an earlier snapshot"),
    ] {
        if number > 0 {
            parts.push(format!("{} {word}", count(number)));
        }
    }
    match parts.is_empty() {
        true => "no differences".to_owned(),
        false => parts.join(", "),
    }
}

fn details(details: &Details, is_unknown: bool) -> String {
    let mut text = String::new();
    for field in &details.fields {
        push(&mut text, &field.to_string());
    }
    for permission in &details.permissions {
        push(&mut text, &format!("permissions: {permission}"));
    }
    if let Some(content) = &details.content {
        push(&mut text, &content.to_string());
    }
    // The line of an object that is unknown as a whole says so already.
    for part in details.unknown.iter().filter(|_| !is_unknown) {
        let gap = &part.gap;
        push(
            &mut text,
            &format!("? not read {}: {}", side(part.at), gap.reason),
        );
    }
    for reason in &details.unreadable {
        push(&mut text, &format!("! {reason}"));
    }
    text
}

fn push(text: &mut String, lines: &str) {
    for line in lines.lines() {
        let _ = writeln!(text, "    {line}");
    }
}

fn side(at: Where) -> &'static str {
    match at {
        Where::Before => "on the left",
        Where::After => "on the right",
    }
}

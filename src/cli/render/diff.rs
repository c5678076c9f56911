//! Changes for people.

use std::fmt::Write as _;

use dbsnap::diff::{Change, Details, Summary, UnknownPart, What, Where};

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
            let parts = &change.details.unknown;
            let is_both = both(parts).is_some_and(|reason| reason == gap.reason);
            let side = if is_both { EITHER } else { side(*at) };
            format!("? {object}: not read {side}: {}\n", gap.reason)
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
        (summary.unreadable, "not read back from the store whole (!)"),
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
    if let Some(reason) = both(&details.unknown).filter(|_| !is_unknown) {
        push(&mut text, &format!("? not read {EITHER}: {reason}"));
    } else if !is_unknown {
        for part in &details.unknown {
            let line = format!("? not read {}: {}", side(part.at), part.gap.reason);
            push(&mut text, &line);
        }
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

const EITHER: &str = "on either side";

/// The reason why neither side has a part, if it is the same.
fn both(parts: &[UnknownPart]) -> Option<&str> {
    match parts {
        [left, right] if left.at != right.at && left.gap == right.gap => Some(&left.gap.reason),
        _ => None,
    }
}

fn side(at: Where) -> &'static str {
    match at {
        Where::Before => "on the left",
        Where::After => "on the right",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dbsnap::manifest::{Extent, Gap};
    use dbsnap::resource::{KindName, ObjectKey};

    fn unknown(reasons: [&str; 2]) -> String {
        let part = |at, reason: &str| UnknownPart {
            at,
            gap: Gap::new(Extent::Content, reason),
        };
        let parts = [
            part(Where::Before, reasons[0]),
            part(Where::After, reasons[1]),
        ];
        change(&Change {
            what: What::Unknown {
                gap: parts[1].gap.clone(),
                at: Where::After,
            },
            key: ObjectKey::new(KindName::known("notebook"), "/n"),
            before: None,
            after: None,
            details: Details {
                unknown: parts.into(),
                ..Details::default()
            },
        })
    }

    #[test]
    fn what_neither_side_read_is_not_blamed_on_one() {
        assert_eq!(
            unknown(["too large", "too large"]),
            "? notebook /n: not read on either side: too large\n"
        );
        assert_eq!(
            unknown(["too large", "403"]),
            "? notebook /n: not read on the right: 403\n"
        );
    }
}

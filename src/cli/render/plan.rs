//! A restore plan for people: grouped by what happens, with the reasons.

use std::fmt::Write as _;

use dbsnap::restore::{Action, Plan, Step};

use super::table::{Align, Table};
use super::units::count;

/// So many objects of a group are listed, unless all are asked for.
const LISTED: usize = 30;

/// In the order in which they matter to somebody who has to say yes.
const ORDER: [Action; 6] = [
    Action::Conflict,
    Action::Skipped,
    Action::Update,
    Action::Archived,
    Action::Create,
    Action::Unchanged,
];

/// The plan as text. `all`: nothing is left out, however long it gets.
pub(crate) fn plan(plan: &Plan, all: bool) -> String {
    let mut text = String::new();
    for action in ORDER {
        let steps: Vec<&Step> = plan
            .steps
            .iter()
            .filter(|step| step.action == action)
            .collect();
        if steps.is_empty() {
            continue;
        }
        let _ = writeln!(
            text,
            "{} {}",
            count(steps.len() as u64),
            heading(action, steps.len())
        );
        if action != Action::Unchanged || all {
            text += &group(&steps, if all { usize::MAX } else { LISTED });
        }
    }
    text += &lost(plan, if all { usize::MAX } else { LISTED });
    let summary = plan.summary();
    if summary.permissions > 0 {
        let _ = writeln!(
            text,
            "{} get other permissions",
            super::units::plural(summary.permissions as u64, "object")
        );
    }
    if !summary.unmapped.is_empty() {
        let _ = writeln!(
            text,
            "not in the target, and left out of permissions and settings: {}",
            shortened(&summary.unmapped)
        );
    }
    text
}

/// One line: how many of what.
pub(crate) fn counts(plan: &Plan) -> String {
    let summary = plan.summary();
    let counts = ORDER.iter().filter_map(|action| {
        let number = *summary.total.get(action)?;
        Some(format!("{} {}", count(number as u64), word(*action)))
    });
    counts.collect::<Vec<_>>().join(", ")
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "to create",
        Action::Update => "to update",
        Action::Archived => "to archive",
        Action::Unchanged => "unchanged",
        Action::Conflict => "in conflict",
        Action::Skipped => "not restored",
    }
}

fn heading(action: Action, number: usize) -> &'static str {
    match (action, number) {
        (Action::Create, _) => "to create",
        (Action::Update, _) => "to update",
        (Action::Archived, _) => "to create in the archive",
        (Action::Unchanged, _) => "unchanged",
        (Action::Conflict, 1) => "conflict: there already, different, and left as it is",
        (Action::Conflict, _) => "conflicts: there already, different, and left as they are",
        (Action::Skipped, _) => "not restored",
    }
}

fn group(steps: &[&Step], most: usize) -> String {
    let columns = [("", Align::Left), ("", Align::Left), ("", Align::Left)];
    let mut table = Table::new(columns).with_widest(60);
    for step in steps.iter().take(most) {
        table.row([format!("  {}", step.kind), objects(step), reason(step)]);
    }
    let mut text = table.render();
    if steps.len() > most {
        let left = count((steps.len() - most) as u64);
        let _ = writeln!(text, "  ... and {left} more (-v lists all)");
    }
    text
}

/// The objects of which a part is not restored, whatever becomes of the rest.
fn lost(plan: &Plan, most: usize) -> String {
    let steps: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| step.action != Action::Skipped && !step.lost.is_empty())
        .collect();
    if steps.is_empty() {
        return String::new();
    }
    let columns = [("", Align::Left), ("", Align::Left), ("", Align::Left)];
    let mut table = Table::new(columns).with_widest(60);
    for step in steps.iter().take(most) {
        table.row([
            format!("  {}", step.kind),
            objects(step),
            step.lost.join("; "),
        ]);
    }
    let number = super::units::plural(steps.len() as u64, "object");
    let mut text = format!("{number} not wholly restored\n{}", table.render());
    if steps.len() > most {
        let left = count((steps.len() - most) as u64);
        let _ = writeln!(text, "  ... and {left} more (-v lists all)");
    }
    text
}

fn objects(step: &Step) -> String {
    if step.name.is_empty() && step.target.is_empty() {
        // Nobody gave it a name; its id tells it from others.
        format!("(id {})", step.handle())
    } else if step.name.is_empty() || step.name == step.target {
        step.target.clone()
    } else if step.target.is_empty() {
        step.name.clone()
    } else {
        format!("{} -> {}", step.name, step.target)
    }
}

fn reason(step: &Step) -> String {
    let mut reason = step.reason.clone();
    let fields: Vec<&str> = step
        .differences
        .iter()
        .map(|field| field.path.as_str())
        .collect();
    if !fields.is_empty() {
        let _ = write!(reason, " ({})", first_of(&fields, "field"));
    }
    if !step.notes.is_empty() {
        let _ = write!(reason, "; {}", first_of(&step.notes, "note"));
    }
    reason
}

/// The first few, and how many more there are.
fn first_of(all: &[impl AsRef<str>], noun: &str) -> String {
    const FEW: usize = 2;
    let few: Vec<&str> = all.iter().take(FEW).map(AsRef::as_ref).collect();
    let mut text = few.join("; ");
    if all.len() > FEW {
        let more = super::units::plural((all.len() - FEW) as u64, &format!("more {noun}"));
        let _ = write!(text, "; {more}");
    }
    text
}

fn shortened(names: &[String]) -> String {
    let mut text = names
        .iter()
        .take(LISTED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > LISTED {
        let _ = write!(text, " and {} more", names.len() - LISTED);
    }
    text
}

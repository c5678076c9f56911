//! Two JSON bodies, field by field.
//!
//! Invariant: two values that differ give at least one change, and two equal ones none.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// Where it is: `tasks[load].notebook_task.notebook_path`. Elements of lists go by their name where they have
    /// one, else by position; `[]` is some element of a list whose order does not matter, and `(json)` goes into
    /// a text that is itself JSON. Empty for the value as a whole.
    pub path: String,
    /// How it differs.
    #[serde(flatten)]
    pub edit: Edit,
}

/// How a field differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum Edit {
    /// It was not there before.
    Added {
        /// What it is now.
        after: Value,
    },
    /// It is gone.
    Removed {
        /// What it was.
        before: Value,
    },
    /// It is another.
    Changed {
        /// What it was.
        before: Value,
        /// What it is now.
        after: Value,
    },
    /// A list has the same elements in another order.
    Reordered {
        /// The order it had.
        before: Vec<String>,
        /// The order it has.
        after: Vec<String>,
    },
}

/// All fields that differ, in the order of their names.
pub fn field_changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut walk = Walk {
        path: String::new(),
        changes: Vec::new(),
    };
    walk.values(before, after);
    walk.changes
}

/// The fields that make an element of a list recognisable, the most telling first.
const NAMES: [&str; 13] = [
    "task_key",
    "job_cluster_key",
    "environment_key",
    "version",
    "key",
    "name",
    "value",
    "principal",
    "user_name",
    "group_name",
    "service_principal_name",
    "path",
    "id",
];

struct Walk {
    path: String,
    changes: Vec<FieldChange>,
}

impl Walk {
    fn values(&mut self, before: &Value, after: &Value) {
        if before == after {
            return;
        }
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => self.objects(before, after),
            (Value::Array(before), Value::Array(after)) => self.lists(before, after),
            (Value::String(a), Value::String(b)) => match (nested(a), nested(b)) {
                // Dashboards and spaces keep their definition as JSON in a text.
                (Some(a), Some(b)) if a != b => self.at("(json)", |walk| walk.values(&a, &b)),
                _ => self.tell(Edit::Changed {
                    before: before.clone(),
                    after: after.clone(),
                }),
            },
            _ => self.tell(Edit::Changed {
                before: before.clone(),
                after: after.clone(),
            }),
        }
    }

    fn objects(&mut self, before: &Map<String, Value>, after: &Map<String, Value>) {
        let mut names: Vec<&String> = before
            .keys()
            .chain(after.keys().filter(|name| !before.contains_key(*name)))
            .collect();
        names.sort_unstable();
        for name in names {
            let step = field(name, self.path.is_empty());
            self.at(&step, |walk| walk.either(before.get(name), after.get(name)));
        }
    }

    fn lists(&mut self, before: &[Value], after: &[Value]) {
        if let Some(field) = NAMES
            .iter()
            .find(|field| names_all(field, before) && names_all(field, after))
        {
            let name = |element: &Value| label(&element[*field]);
            self.sets(before, after, &name, &|name| format!("[{name}]"));
        } else if is_set(before) && is_set(after) {
            self.sets(before, after, &ToString::to_string, &|_| "[]".to_owned());
        } else {
            self.sequences(before, after);
        }
    }

    /// Elements that go by a name: what has no partner was added or removed, wherever it stands.
    fn sets(
        &mut self,
        before: &[Value],
        after: &[Value],
        name: &dyn Fn(&Value) -> String,
        step: &dyn Fn(&str) -> String,
    ) {
        let told = self.changes.len();
        let old: HashMap<String, &Value> = before
            .iter()
            .map(|element| (name(element), element))
            .collect();
        let new: HashSet<String> = after.iter().map(name).collect();
        for element in before
            .iter()
            .filter(|element| !new.contains(&name(element)))
        {
            self.at(&step(&name(element)), |walk| {
                walk.either(Some(element), None)
            });
        }
        for element in after {
            let name = name(element);
            self.at(&step(&name), |walk| {
                walk.either(old.get(&name).copied(), Some(element))
            });
        }
        if self.changes.len() == told {
            let names = |list: &[Value]| list.iter().map(name).collect();
            self.tell(Edit::Reordered {
                before: names(before),
                after: names(after),
            });
        }
    }

    /// Elements that go by position, once what is equal at both ends is set aside.
    fn sequences(&mut self, before: &[Value], after: &[Value]) {
        let front = before.iter().zip(after).take_while(|(a, b)| a == b).count();
        let (before, after) = (&before[front..], &after[front..]);
        let back = before
            .iter()
            .rev()
            .zip(after.iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        let (before, after) = (&before[..before.len() - back], &after[..after.len() - back]);
        for position in 0..before.len().max(after.len()) {
            let step = format!("[{}]", front + position);
            self.at(&step, |walk| {
                walk.either(before.get(position), after.get(position))
            });
        }
    }

    fn either(&mut self, before: Option<&Value>, after: Option<&Value>) {
        match (before, after) {
            (Some(before), Some(after)) => self.values(before, after),
            (Some(before), None) => self.tell(Edit::Removed {
                before: before.clone(),
            }),
            (None, Some(after)) => self.tell(Edit::Added {
                after: after.clone(),
            }),
            (None, None) => {}
        }
    }

    fn at(&mut self, step: &str, walk: impl FnOnce(&mut Self)) {
        let len = self.path.len();
        self.path.push_str(step);
        walk(self);
        self.path.truncate(len);
    }

    fn tell(&mut self, edit: Edit) {
        self.changes.push(FieldChange {
            path: self.path.clone(),
            edit,
        });
    }
}

/// Whether every element is an object with this field, and no two have the same in it.
fn names_all(field: &str, list: &[Value]) -> bool {
    let mut seen = HashSet::new();
    list.iter().all(|element| {
        let name = element
            .get(field)
            .filter(|name| name.is_string() || name.is_number());
        name.is_some_and(|name| seen.insert(label(name)))
    })
}

/// Whether the list has only plain values, and each once.
fn is_set(list: &[Value]) -> bool {
    let mut seen = HashSet::new();
    list.iter().all(|element| {
        !element.is_object() && !element.is_array() && seen.insert(element.to_string())
    })
}

/// JSON that a text holds, if it is an object or a list.
fn nested(text: &str) -> Option<Value> {
    let looks_like_it = text.trim_start().starts_with(['{', '[']);
    looks_like_it
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// A name as it stands in brackets: bare where it cannot be taken for anything else.
fn label(name: &Value) -> String {
    match name {
        Value::String(text)
            if is_plain(text) && !text.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            text.clone()
        }
        other => other.to_string(),
    }
}

fn field(name: &str, first: bool) -> String {
    match (is_plain(name), first) {
        (true, true) => name.to_owned(),
        (true, false) => format!(".{name}"),
        (false, _) => format!("[{}]", Value::from(name)),
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_alphanumeric() || "_-@/".contains(letter))
}

/// `tasks[load].timeout_seconds: 60 -> 90`, with long values cut to where they differ.
impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        match &self.edit {
            Edit::Added { after } => write!(f, "added {}", elided(&after.to_string(), 0)),
            Edit::Removed { before } => write!(f, "removed {}", elided(&before.to_string(), 0)),
            Edit::Changed { before, after } => {
                let (before, after) = (before.to_string(), after.to_string());
                let same = before
                    .chars()
                    .zip(after.chars())
                    .take_while(|(a, b)| a == b)
                    .count();
                write!(f, "{} -> {}", elided(&before, same), elided(&after, same))
            }
            Edit::Reordered { before, after } => {
                let (before, after) = (before.join(", "), after.join(", "));
                write!(
                    f,
                    "reordered from {} to {}",
                    elided(&before, 0),
                    elided(&after, 0)
                )
            }
        }
    }
}

/// Longer values are cut in the text form.
const LONGEST_VALUE: usize = 80;

/// How much of what is equal is shown before the first difference.
const LEAD: usize = 20;

/// At most [`LONGEST_VALUE`] characters around the one where two values begin to differ.
fn elided(text: &str, differs_at: usize) -> String {
    let count = text.chars().count();
    if count <= LONGEST_VALUE {
        return text.to_owned();
    }
    let start = differs_at.saturating_sub(LEAD).min(count - LONGEST_VALUE);
    let shown: String = text.chars().skip(start).take(LONGEST_VALUE).collect();
    let left_out = |is: bool| if is { "…" } else { "" };
    format!(
        "{}{shown}{} ({count} characters)",
        left_out(start > 0),
        left_out(start + LONGEST_VALUE < count)
    )
}

#[cfg(test)]
mod tests;

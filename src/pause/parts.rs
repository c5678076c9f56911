//! What a job starts by: its schedule, its trigger, running all the time.
//!
//! Invariant: pure; what must be kept quiet in a job is what the table of kinds says.

use std::collections::BTreeMap;

use serde_json::Value;

use super::memory::Said;
use crate::resource::Kind;

/// What a job said of each part it starts by.
pub(super) type Parts = BTreeMap<String, Said>;

/// What a job starts by, with what it says of being paused.
pub(super) fn parts(kind: &Kind, settings: &Value) -> Parts {
    let mut parts = Parts::new();
    for quiet in kind.fields.quiet {
        let (part, _) = place(quiet.at);
        for said in quiet.said(settings) {
            parts.insert(part.to_owned(), said);
        }
    }
    // What is there in name only starts nothing.
    parts.retain(|part, _| settings[part].is_object());
    parts
}

/// The parts that are not paused: what says nothing runs as well.
pub(super) fn running(kind: &Kind, settings: &Value) -> Parts {
    let mut parts = parts(kind, settings);
    for quiet in kind.fields.quiet {
        let (part, _) = place(quiet.at);
        if parts.get(part) == Some(&Some(quiet.value.to_json())) {
            parts.remove(part);
        }
    }
    parts
}

pub(super) fn put_back(kind: &Kind, settings: &mut Value, part: &str, said: Option<&Value>) {
    let mut quiets = kind.fields.quiet.iter().map(|quiet| place(quiet.at));
    let Some((_, field)) = quiets.find(|(of, _)| *of == part) else {
        return;
    };
    if let Some(object) = settings[part].as_object_mut() {
        match said {
            Some(said) => drop(object.insert(field.to_owned(), said.clone())),
            None => drop(object.remove(field)),
        }
    }
}

fn place(at: &'static str) -> (&'static str, &'static str) {
    at.split_once('.').unwrap_or((at, ""))
}

pub(super) fn name_of(settings: &Value) -> String {
    let name = settings["name"].as_str();
    name.unwrap_or_default().to_owned()
}

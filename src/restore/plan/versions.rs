//! Which versions of an object are made.
//!
//! Invariant: a version is made only where it gets the number it had, of files that the target can read; of every other one
//! is said why not. None is taken away.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Step;
use super::planner::Planner;
use crate::resource::{Kind, Restore, Versioned};

impl Planner<'_> {
    /// Leaves in `wanted` the versions that the object is going to have, and says what that leaves out.
    pub(super) fn versions_of(
        &self,
        kind: &Kind,
        step: &mut Step,
        wanted: &mut Value,
        there: Option<&Value>,
    ) {
        let Restore::Versioned(versioned) = kind.restore else {
            return;
        };
        let is_readable = |version: &Value| {
            let files = version[versioned.files].as_str().unwrap_or_default();
            let is_own = (versioned.own_places.iter()).any(|place| files.starts_with(place));
            self.same_workspace() || !is_own
        };
        let lists = [there.unwrap_or(&Value::Null), wanted].map(|body| numbered(versioned, body));
        let (kept, lost) = sort_out(versioned, lists, &is_readable);
        step.lost.extend(lost);
        match kept.is_empty() {
            true => drop(
                wanted
                    .as_object_mut()
                    .map(|body| body.remove(versioned.list)),
            ),
            false => wanted[versioned.list] = Value::from(kept),
        }
    }
}

/// The versions of a body, by their numbers.
fn numbered(versioned: &Versioned, body: &Value) -> BTreeMap<u64, Value> {
    let versions = body[versioned.list].as_array().into_iter().flatten();
    let number = |version: &Value| version[versioned.number].as_str()?.parse().ok();
    versions
        .filter_map(|version| Some((number(version)?, version.clone())))
        .collect()
}

/// The versions there are going to be, and what is not as the snapshot has it.
fn sort_out(
    versioned: &Versioned,
    [mut there, wanted]: [BTreeMap<u64, Value>; 2],
    is_readable: &dyn Fn(&Value) -> bool,
) -> (Vec<Value>, Vec<String>) {
    let (mut kept, mut lost) = (BTreeMap::new(), Vec::new());
    let mut next = there.keys().last().map_or(1, |last| last + 1);
    for (number, version) in wanted {
        if let Some(mut present) = there.remove(&number) {
            let is_same = |field: &&&str| version[**field] == present[**field];
            if versioned.fixed.iter().all(|field| is_same(&field)) {
                present = version;
            } else {
                lost.push(format!(
                    "version {number} of the target is another one, and stays as it is"
                ));
            }
            kept.insert(number, present);
        } else if !is_readable(&version) {
            let files = &version[versioned.files];
            lost.push(format!(
                "version {number} is not made: its files are at {files}, which only the workspace it comes from can read"
            ));
        } else if number != next {
            lost.push(format!(
                "version {number} is not made: nobody chooses the number of a version, and it would get {next}"
            ));
        } else {
            next += 1;
            kept.insert(number, version);
        }
    }
    for (number, version) in there {
        lost.push(format!(
            "version {number} of the target is not in the snapshot, and stays"
        ));
        kept.insert(number, version);
    }
    (kept.into_values().collect(), lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sorted(there: Value, wanted: Value) -> (Vec<String>, Vec<String>) {
        let Restore::Versioned(versioned) =
            crate::resource::kind("registered-model").unwrap().restore
        else {
            panic!("models have versions");
        };
        let version =
            |(number, source): (&str, &Value)| json!({"version": number, "source": source});
        let list = |list: &Value| {
            let versions = list.as_object().unwrap().iter();
            let versions = versions.map(|(number, source)| version((number, source)));
            numbered(
                versioned,
                &json!({"versions": versions.collect::<Vec<_>>()}),
            )
        };
        let is_readable = |version: &Value| version["source"] != "own";
        let (kept, lost) = sort_out(versioned, [list(&there), list(&wanted)], &is_readable);
        let kept = kept.iter().map(|version| {
            format!("{}={}", version["version"], version["source"]).replace('"', "")
        });
        (kept.collect(), lost)
    }

    #[test]
    fn versions_are_made_as_long_as_they_get_their_numbers() {
        let (kept, lost) = sorted(json!({}), json!({"1": "a", "2": "b", "10": "c"}));
        assert_eq!(kept, ["1=a", "2=b"]);
        assert_eq!(
            lost,
            ["version 10 is not made: nobody chooses the number of a version, and it would get 3"]
        );
        let (kept, lost) = sorted(json!({"1": "a"}), json!({"1": "a", "2": "b"}));
        assert_eq!(
            (kept, lost),
            (vec!["1=a".to_owned(), "2=b".to_owned()], vec![])
        );
    }

    #[test]
    fn a_version_that_the_target_cannot_read_is_not_made_nor_any_that_would_get_its_number() {
        let (kept, lost) = sorted(json!({}), json!({"1": "own", "2": "b"}));
        assert_eq!(kept, Vec::<String>::new());
        assert!(
            lost[0].contains("which only the workspace it comes from"),
            "{lost:?}"
        );
        assert!(lost[1].ends_with("it would get 1"), "{lost:?}");
    }

    #[test]
    fn what_the_target_has_beyond_the_snapshot_stays_and_is_named() {
        let (kept, lost) = sorted(
            json!({"1": "other", "2": "b", "3": "c"}),
            json!({"1": "a", "2": "b"}),
        );
        assert_eq!(kept, ["1=other", "2=b", "3=c"]);
        assert_eq!(
            lost,
            [
                "version 1 of the target is another one, and stays as it is",
                "version 3 of the target is not in the snapshot, and stays"
            ]
        );
    }
}

//! Laws that hold for any two snapshots.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Bench, carried, folder, gap, job, json_payload, notebook};
use crate::diff::{Aspect, Options, Summary};
use crate::manifest::{Entry, Extent};
use crate::resource::ObjectKey;

/// What may be at one of a few places: nothing, or an object with an id and a body, perhaps with a gap.
#[derive(Clone, Copy, Debug)]
struct Spot {
    id: u64,
    body: u8,
    rare: u8,
}

/// Places lie in a folder that may be unreadable, outside it, or are jobs that share a name.
fn side() -> impl Strategy<Value = Vec<Entry>> {
    let spot = (0..12u64, 0..2u8, 0..12u8).prop_map(|(id, body, rare)| Spot { id, body, rare });
    let spots = proptest::collection::vec(proptest::option::weighted(0.7, spot), 12);
    (spots, any::<bool>()).prop_map(|(spots, dark)| {
        let mut entries: BTreeMap<ObjectKey, Entry> = BTreeMap::new();
        let folder = if dark {
            gap(folder("/a"), Extent::Subtree, "403")
        } else {
            folder("/a")
        };
        entries.insert(folder.key.clone(), folder);
        for (place, spot) in spots.into_iter().enumerate() {
            let Some(spot) = spot else { continue };
            let body = json!({"language": spot.body});
            let mut entry = match place {
                0..4 => notebook(&format!("/a/{place}"), spot.id),
                4..8 => notebook(&format!("/b/{place}"), spot.id),
                _ => job("etl", spot.id, &body),
            };
            entry.body = json_payload(&body);
            entry = match spot.rare {
                0 => gap(entry, Extent::Object, "500"),
                1 => gap(entry, Extent::Content, "too large"),
                2 => carried(entry),
                _ => entry,
            };
            entries.insert(entry.key.clone(), entry);
        }
        entries.into_values().collect()
    })
}

fn certain(entries: &[Entry]) -> Vec<Entry> {
    entries
        .iter()
        .map(|entry| Entry {
            gap: None,
            carried_over: false,
            ..entry.clone()
        })
        .collect()
}

/// One store serves all cases of a law.
fn cases() -> ProptestConfig {
    crate::testing::cases(40)
}

#[test]
fn a_side_does_not_differ_from_itself() {
    let bench = Bench::new();
    proptest!(cases(), |(entries in side())| {
        let (_, summary) = bench.tell(entries.clone(), entries);
        prop_assert!(!summary.has_differences(), "{summary:?}");
    });
}

#[test]
fn of_very_many_objects_every_change_is_told_once_and_in_order() {
    let bench = Bench::new();
    let side = |version: &dyn Fn(u64) -> u64| -> Vec<Entry> {
        (0..25_000)
            .map(|number| {
                let mut entry = notebook(&format!("/a/{number:05}"), number);
                entry.body = json_payload(&json!(version(number)));
                entry
            })
            .collect()
    };
    let (told, summary) = bench.tell(side(&|_| 0), side(&|number| u64::from(number % 97 == 5)));
    let expected = (0..25_000).filter(|number| number % 97 == 5);
    let expected: Vec<String> = expected
        .map(|number| format!("changed notebook /a/{number:05}; 0 -> 1"))
        .collect();
    assert_eq!(told, expected.join("\n"));
    assert_eq!(summary.changed, 258);
}

#[test]
fn turned_round_what_was_added_was_removed() {
    let bench = Bench::new();
    proptest!(cases(), |(before in side(), after in side())| {
        let (_, there) = bench.tell(before.clone(), after.clone());
        let (_, back) = bench.tell(after, before);
        prop_assert_eq!(back, Summary { added: there.removed, removed: there.added, ..there });
    });
}

#[test]
fn without_gaps_the_changes_are_those_of_the_lists() {
    let bench = Bench::new();
    proptest!(cases(), |(before in side(), after in side())| {
        let (before, after) = (certain(&before), certain(&after));
        let (_, summary) = bench.tell(before.clone(), after.clone());
        let keys = |list: &[Entry]| list.iter().map(|entry| entry.key.clone()).collect::<BTreeSet<_>>();
        let (old, new) = (keys(&before), keys(&after));
        prop_assert_eq!(summary.added + summary.moved, new.difference(&old).count() as u64);
        prop_assert_eq!(summary.removed + summary.moved, old.difference(&new).count() as u64);
        let changed = before.iter().filter(|a| after.iter().any(|b| a.key == b.key && a.body != b.body)).count();
        prop_assert_eq!(summary.changed, changed as u64);
        prop_assert_eq!((summary.unknown, summary.not_compared, summary.carried_over), (0, 0, 0));
    });
}

#[test]
fn the_walk_over_everything_tells_what_the_quick_walk_tells() {
    for workspaces in [["1", "1"], ["1", "2"]] {
        let bench = Bench {
            workspaces,
            ..Bench::new()
        };
        proptest!(cases(), |(before in side(), after in side())| {
            let quick = bench.tell(before.clone(), after.clone());
            let as_is = |_: &ObjectKey, _: Aspect, value: Value| value;
            let stay = |key: &ObjectKey| key.clone();
            let options = Options { details: true, rename: Some(&stay), ..Options::default() };
            let whole = bench.tell_with(before, after, [Some(&as_is), Some(&as_is)], &options);
            prop_assert_eq!(whole, quick);
        });
    }
}

#[test]
fn gaps_turn_changes_into_unknowns_and_never_the_reverse() {
    let bench = Bench::new();
    proptest!(cases(), |(before in side(), after in side())| {
        let (_, known) = bench.tell(certain(&before), certain(&after));
        let (_, partly) = bench.tell(before, after);
        for (partly, known) in [(partly.added, known.added), (partly.removed, known.removed), (partly.changed, known.changed)] {
            prop_assert!(partly <= known);
        }
        prop_assert_eq!(partly.moved, known.moved);
    });
}

//! Trees against plain lists.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Model, entries};
use crate::manifest::testing::{store, tree, write};
use crate::manifest::*;
use crate::resource::{KindName, ObjectKey};

fn naive(before: &[Entry], after: &[Entry]) -> Vec<Pair> {
    let keys: BTreeSet<&ObjectKey> = before.iter().chain(after).map(|entry| &entry.key).collect();
    let find = |list: &[Entry], key: &ObjectKey| {
        list.binary_search_by(|entry| entry.key.cmp(key))
            .ok()
            .map(|at| list[at].clone())
    };
    keys.into_iter()
        .map(|key| (find(before, key), find(after, key)))
        .filter(|(a, b)| a != b)
        .collect()
}

fn model(keys: u32, most: usize) -> impl Strategy<Value = Model> {
    proptest::collection::btree_map(
        (0..keys).prop_map(|key| format!("/k{key}")),
        0..3u64,
        0..most,
    )
}

/// The second model is the first one with some edits, so that trees share nodes.
fn pair() -> impl Strategy<Value = (Model, Model)> {
    let edits = proptest::collection::vec((0..4000u32, proptest::option::of(0..3u64)), 0..60);
    (model(4000, 3000), edits, any::<bool>()).prop_map(|(before, edits, cut)| {
        let mut after = before.clone();
        for (key, version) in edits {
            match version {
                Some(version) => after.insert(format!("/k{key}"), version),
                None => after.remove(&format!("/k{key}")),
            };
        }
        if cut {
            after = after.into_iter().skip(700).collect();
        }
        (before, after)
    })
}

proptest! {
    #![proptest_config(crate::testing::cases(12))]

    #[test]
    fn changes_are_those_of_the_full_listings((before, after) in pair()) {
        let (_dir, store) = store();
        let (before, after) = (entries(&before), entries(&after));
        let (a, b) = (tree(&store, before.clone()), tree(&store, after.clone()));
        let found: Vec<Pair> = changes(&a, &b).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(&found, &naive(&before, &after));
        let back: Vec<Pair> = changes(&b, &a).map(|pair| pair.map(|(b, a)| (a, b))).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(&back, &found);
        prop_assert_eq!(a.root() == b.root(), before == after);
        let with_gaps: Vec<Pair> = changes_and_gaps(&a, &b).collect::<Result<_, _>>().unwrap();
        let uncertain = |entry: &Option<Entry>| entry.as_ref().is_some_and(|e| e.gap.is_some() || e.carried_over);
        let expected = found.iter().filter(|(a, b)| !uncertain(a) && !uncertain(b)).count()
            + a.uncertain().count() + b.uncertain().count()
            - with_gaps.iter().filter(|(a, b)| uncertain(a) && uncertain(b)).count();
        prop_assert_eq!(with_gaps.len(), expected);
    }

    #[test]
    fn the_changes_of_all_parts_are_the_changes((before, after) in pair(), count in 1..9usize, cut in 0..4000u32) {
        let (_dir, store) = store();
        let (a, b) = (tree(&store, entries(&before)), tree(&store, entries(&after)));
        let all: Vec<Pair> = changes_and_gaps(&a, &b).collect::<Result<_, _>>().unwrap();
        let cut = ObjectKey::new(KindName::known("notebook"), format!("/k{cut}")).to_bytes();
        let in_two = vec![(Vec::new(), Some(cut.clone())), (cut, None)];
        for parts in [b.parts(count).unwrap(), a.parts(count).unwrap(), in_two] {
            let each = parts.into_iter().map(|part| changes_and_gaps(&a, &b).within(part));
            let found: Vec<Pair> = each.flatten().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(&found, &all);
        }
    }

    #[test]
    fn the_root_does_not_depend_on_the_parent_or_on_who_wrote_it((before, after) in pair()) {
        let (_dir, store) = store();
        let parent = tree(&store, entries(&before));
        let once = write(&store, entries(&after), Some(&parent));
        let (_other_dir, other) = crate::manifest::testing::store();
        prop_assert_eq!(once, write(&other, entries(&after), None));
    }

    #[test]
    fn what_was_written_is_read_back(model in model(4000, 3000)) {
        let (_dir, store) = store();
        let written = entries(&model);
        let tree = tree(&store, written.clone());
        let read: Vec<Entry> = tree.iter().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(&read, &written);
        for entry in written.iter().step_by(97) {
            let found = tree.get(&entry.key).unwrap();
            prop_assert_eq!(found.as_ref(), Some(entry));
        }
        let missing = ObjectKey::new(KindName::known("notebook"), "/k17x");
        prop_assert_eq!(tree.get(&missing).unwrap(), None);
    }

    #[test]
    fn totals_are_those_of_a_full_count(model in model(9000, 4000), digit in 0..10u8) {
        let (_dir, store) = store();
        let written = entries(&model);
        let tree = tree(&store, written.clone());
        let count = |prefix: &[u8]| {
            let mut totals = Totals::default();
            for entry in written.iter().filter(|entry| entry.key.to_bytes().starts_with(prefix)) {
                totals.entries += 1;
                totals.bytes += entry.bytes();
                totals.gaps += u64::from(entry.gap.is_some());
                totals.carried_over += u64::from(entry.carried_over);
            }
            totals
        };
        let prefix = format!("notebook\0/k{digit}");
        for prefix in ["", "job\0", "notebook\0", "nothing\0", &prefix] {
            prop_assert_eq!(tree.totals(prefix.as_bytes()).unwrap(), count(prefix.as_bytes()));
            let range = tree.range(prefix.as_bytes()).count() as u64;
            prop_assert_eq!(range, count(prefix.as_bytes()).entries);
        }
        prop_assert_eq!(tree.root().totals, count(b""));
        for (kind, totals) in tree.kinds().unwrap() {
            prop_assert_eq!(totals, count(format!("{kind}\0").as_bytes()));
        }
        let kinds: BTreeSet<_> = written.iter().map(|entry| entry.key.kind.to_string()).collect();
        prop_assert_eq!(tree.kinds().unwrap().into_keys().collect::<BTreeSet<_>>(), kinds);
        let uncertain: Vec<Entry> = tree.uncertain().collect::<Result<_, _>>().unwrap();
        let expected: Vec<Entry> =
            written.iter().filter(|entry| entry.gap.is_some() || entry.carried_over).cloned().collect();
        prop_assert_eq!(uncertain, expected);
    }
}

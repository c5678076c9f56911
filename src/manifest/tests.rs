//! Tests of the room as a whole: trees in a real store, against plain lists.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use proptest::prelude::*;

use super::testing::{flush, notebook, store, tree, with_gap, write};
use super::*;
use crate::resource::{KindName, ObjectKey};
use crate::store::{BlobId, BlobKind, Store};

/// A model of a snapshot: path and version of every object.
type Model = BTreeMap<String, u64>;

fn entries(model: &Model) -> Vec<Entry> {
    let mut entries: Vec<Entry> = model
        .iter()
        .map(|(path, version)| decorate(notebook(path, *version)))
        .collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

/// Makes some entries of other kinds, with ids, gaps and other rare attributes.
fn decorate(mut entry: Entry) -> Entry {
    let mark = BlobId::of(entry.key.name.as_bytes()).as_bytes()[1];
    let name = entry.key.name.clone();
    match mark % 8 {
        0 => entry.key = ObjectKey::with_id(KindName::known("job"), name, mark.to_string()),
        1 => entry = with_gap(entry, Extent::Content, "too large"),
        2 => entry.carried_over = true,
        3 => entry.permissions = Some(Payload::Inline(br#"{"user:ana":"CAN_MANAGE"}"#.to_vec())),
        4 => entry = Entry::new(ObjectKey::new(KindName::read("of-the-future"), name)),
        _ => {}
    }
    entry
}

fn large_model(count: u64) -> Model {
    (0..count)
        .map(|number| {
            (
                format!(
                    "/Users/user{:03}/folder{:02}/notebook{number:06}",
                    number % 97,
                    number % 13
                ),
                number,
            )
        })
        .collect()
}

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
    #![proptest_config(ProptestConfig::with_cases(12))]

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
    fn the_root_does_not_depend_on_the_parent_or_on_who_wrote_it((before, after) in pair()) {
        let (_dir, store) = store();
        let parent = tree(&store, entries(&before));
        let once = write(&store, entries(&after), Some(&parent));
        let (_other_dir, other) = super::testing::store();
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

#[test]
fn entries_out_of_order_or_twice_are_refused() {
    let (_dir, store) = store();
    let writer = store.writer().unwrap();
    for pair in [["/b", "/a"], ["/a", "/a"]] {
        let entries = pair.map(|path| notebook(path, 1));
        assert!(matches!(
            write_tree(&writer, entries, None),
            Err(ManifestError::OutOfOrder { .. })
        ));
    }
}

#[test]
fn a_name_that_cannot_be_recorded_is_refused_and_named() {
    let (_dir, store) = store();
    let writer = store.writer().unwrap();
    for name in ["a\0b".to_owned(), "x".repeat(70_000)] {
        let error = write_tree(&writer, [notebook(&name, 1)], None).unwrap_err();
        assert!(matches!(error, ManifestError::BadKey { .. }), "{error}");
    }
}

#[test]
fn an_empty_tree_is_a_tree() {
    let (_dir, store) = store();
    let empty = tree(&store, []);
    assert_eq!(empty.root().levels, 1);
    assert_eq!(empty.iter().count(), 0);
    assert!(
        empty
            .get(&ObjectKey::whole_kind(KindName::known("job")))
            .unwrap()
            .is_none()
    );
    let full = tree(&store, [notebook("/a", 1)]);
    assert_eq!(changes(&empty, &full).count(), 1);
    assert_eq!(changes(&empty, &empty).count(), 0);
    assert!(empty.kinds().unwrap().is_empty());
}

#[test]
fn a_changed_appended_or_removed_entry_rewrites_few_nodes() {
    let (_dir, store) = store();
    let before = large_model(20_000);
    let parent = tree(&store, entries(&before));
    let nodes = |tree: &Tree| {
        let mut nodes = BTreeSet::new();
        mark(tree, &mut |marked| match marked {
            Marked::Node(id) => nodes.insert(*id.as_bytes()),
            Marked::Data(_) => true,
        })
        .map(|()| nodes)
    };
    // The entries of the model refer to blobs that nobody stored; marking must not need them.
    let known = nodes(&parent).unwrap();
    assert!(known.len() > 40, "{} nodes", known.len());
    let mut edits: Vec<Model> = vec![before.clone(); 3];
    edits[0].insert("/zzz".into(), 1);
    edits[1].remove("/Users/user005/folder05/notebook000005");
    edits[2].insert("/Users/user005/folder05/notebook000005".into(), 99);
    for edit in edits {
        let root = write(&store, entries(&edit), Some(&parent));
        let changed = Tree::open(&store, &root).unwrap();
        let new = nodes(&changed).unwrap().difference(&known).count();
        assert!(
            (1..=5).contains(&new),
            "{new} of {} nodes are new",
            known.len()
        );
    }
}

#[test]
fn a_node_that_was_marked_before_is_not_entered_again() {
    let (_dir, store) = store();
    let mut model = large_model(5_000);
    let a = tree(&store, entries(&model));
    model.insert("/zzz".into(), 1);
    let b = tree(&store, entries(&model));
    let mut seen = BTreeSet::new();
    let mut visit = |tree: &Tree| {
        mark(tree, &mut |marked| match marked {
            Marked::Node(id) | Marked::Data(id) => seen.insert(*id.as_bytes()),
        })
        .unwrap();
        tree.nodes_read()
    };
    let first = visit(&a);
    let second = visit(&b);
    assert!(first > 10 && second <= 4, "{first} then {second}");
    assert!(seen.contains(BlobId::of(b"/zzz 1").as_bytes()));
}

#[test]
fn the_cost_of_changes_follows_their_number() {
    let (_dir, store) = store();
    let before = large_model(100_000);
    let entries = |model: &Model| -> Vec<Entry> {
        model
            .iter()
            .map(|(path, version)| notebook(path, *version))
            .collect()
    };
    let a = tree(&store, entries(&before));
    let total = {
        let mut nodes = 0;
        mark(&a, &mut |marked| {
            nodes += u64::from(matches!(marked, Marked::Node(_)));
            true
        })
        .unwrap();
        nodes
    };
    let reads = |edit: &dyn Fn(&mut Model)| {
        let mut after = before.clone();
        edit(&mut after);
        let b = Tree::open(&store, &write(&store, entries(&after), Some(&a))).unwrap();
        let a = Tree::open(&store, a.root()).unwrap();
        let found = changes(&a, &b).count() as u64;
        (found, a.nodes_read() + b.nodes_read())
    };
    let paths: Vec<String> = before.keys().cloned().collect();
    let (none, read) = reads(&|_| {});
    assert_eq!((none, read), (0, 2), "equal roots are only opened");
    let (one, read) = reads(&|model| *model.get_mut(&paths[50_000]).unwrap() += 1);
    assert_eq!(one, 1);
    assert!(read <= 6, "{read} of {total} nodes for one change");
    // One percent in one place, and one percent all over.
    let (together, read) = reads(&|model| {
        for path in &paths[50_000..51_000] {
            *model.get_mut(path).unwrap() += 1;
        }
    });
    assert_eq!(together, 1000);
    assert!(
        read <= 40,
        "{read} of {total} nodes for 1,000 changes in one place"
    );
    let (scattered, read) = reads(&|model| {
        for path in paths.iter().step_by(1000) {
            model.remove(path);
        }
    });
    assert_eq!(scattered, 100);
    assert!(
        read <= 2 * (2 * 100 + 4),
        "{read} of {total} nodes for 100 changes all over"
    );
}

#[test]
fn a_changed_snapshot_adds_little_to_the_store() {
    let (_dir, store) = store();
    let before = large_model(20_000);
    let parent = tree(&store, entries(&before));
    let mut after = before.clone();
    for path in before.keys().step_by(100) {
        *after.get_mut(path).unwrap() += 1;
    }
    let writer = store.writer().unwrap();
    write_tree(&writer, entries(&after), Some(&parent)).unwrap();
    flush(&writer);
    let patched = writer.written().stored_bytes;
    assert!(patched < 60_000, "{patched} bytes for 200 changes");
    let again = store.writer().unwrap();
    write_tree(&again, entries(&after), Some(&parent)).unwrap();
    assert_eq!(again.written().blobs, 0, "the same again adds nothing");
}

#[test]
fn names_chosen_to_end_every_node_still_make_a_tree() {
    // Every one of these names hashes to a boundary, at every level.
    let names = (0u64..)
        .map(|number| format!("/{number}"))
        .filter(|name| {
            let key = ObjectKey::new(KindName::known("notebook"), name.as_str());
            blake3::hash(&key.to_bytes()).as_bytes()[0] == 0
        })
        .take(40);
    let model: Model = names.map(|name| (name, 1)).collect();
    let written: Vec<Entry> = model.keys().map(|name| notebook(name, 1)).collect();
    let (_dir, store) = store();
    let tree = tree(&store, written.clone());
    assert_eq!(tree.root().levels, 7);
    assert_eq!(tree.iter().collect::<Result<Vec<_>, _>>().unwrap(), written);
}

#[test]
fn very_long_names_make_nodes_of_bounded_size() {
    let (_dir, store) = store();
    let written: Vec<Entry> = (0..100)
        .map(|number| notebook(&format!("/{number:03}{}", "x".repeat(60_000)), 1))
        .collect();
    let tree = tree(&store, written.clone());
    assert!(tree.root().levels > 1);
    assert_eq!(tree.iter().collect::<Result<Vec<_>, _>>().unwrap(), written);
}

#[test]
fn attributes_of_a_newer_version_survive_reading_and_writing() {
    let (_dir, store) = store();
    let mut builder = node::NodeBuilder::new(0);
    for path in ["/a", "/b", "/c"] {
        let entry = notebook(path, 1);
        rows::push_entry(&mut builder, &entry.key.to_bytes(), &entry);
        if path != "/b" {
            builder.set(100, column::Layout::Bytes, b"newer");
            builder.set(101, column::Layout::Flag, &[]);
            builder.set(102, column::Layout::Id, &[7; 32]);
            builder.set_number(103, 300);
        }
    }
    let bytes = builder.finish();
    let writer = store.writer().unwrap();
    let id = writer.put(BlobKind::Node, &bytes, None).unwrap();
    flush(&writer);
    let root = Root {
        node: id,
        levels: 1,
        totals: Totals {
            entries: 3,
            ..Totals::default()
        },
    };
    let tree = Tree::open(&store, &root).unwrap();
    let read: Vec<Entry> = tree.iter().collect::<Result<_, _>>().unwrap();
    assert!(!read[0].other.is_empty() && read[1].other.is_empty());
    assert_eq!(write(&store, read.clone(), None).node, id);
    let fewer = write(&store, read[1..].to_vec(), None);
    let fewer: Vec<Entry> = Tree::open(&store, &fewer)
        .unwrap()
        .iter()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(fewer, read[1..]);
}

#[test]
fn a_missing_or_foreign_node_is_an_error_that_names_it() {
    let (_dir, store) = store();
    let tree = tree(&store, entries(&large_model(3_000)));
    let root = tree.root().clone();
    let nowhere = Root {
        node: BlobId::of(b"nowhere"),
        ..root.clone()
    };
    assert!(matches!(
        Tree::open(&store, &nowhere),
        Err(ManifestError::ReadNode { .. })
    ));
    let wrong_level = Root {
        levels: root.levels + 1,
        ..root.clone()
    };
    assert!(matches!(
        Tree::open(&store, &wrong_level),
        Err(ManifestError::BadNode { .. })
    ));
    // A node above that promises another first key than its child has.
    let writer = store.writer().unwrap();
    let mut leaf = node::NodeBuilder::new(0);
    rows::push_entry(&mut leaf, b"notebook\0/b", &notebook("/b", 1));
    let id = writer.put(BlobKind::Node, &leaf.finish(), None).unwrap();
    let mut above = node::NodeBuilder::new(1);
    rows::push_child(
        &mut above,
        b"notebook\0/a",
        &rows::Child {
            id,
            totals: Totals::default(),
        },
    );
    let node = writer.put(BlobKind::Node, &above.finish(), None).unwrap();
    flush(&writer);
    let tree = Tree::open(
        &store,
        &Root {
            node,
            levels: 2,
            totals: Totals::default(),
        },
    )
    .unwrap();
    let mut entries = tree.iter();
    assert!(matches!(
        entries.next(),
        Some(Err(ManifestError::BadNode { .. }))
    ));
    assert!(entries.next().is_none(), "nothing comes after an error");
}

fn snapshot(store: &Store) -> Snapshot {
    let gapped = with_gap(notebook("/b", 1), Extent::Content, "403 PERMISSION_DENIED");
    let tree = tree(store, [notebook("/a", 1), gapped]);
    let time = DateTime::parse_from_rfc3339("2024-05-31T18:00:00.75Z")
        .unwrap()
        .to_utc();
    let mut snapshot = Snapshot::of(&tree, time, "https://example.cloud.databricks.com").unwrap();
    snapshot.store = "0".repeat(32);
    snapshot.tool_version = "0.1.0".into();
    snapshot
}

#[test]
fn a_head_is_a_page_that_a_person_can_read() {
    let (_dir, store) = store();
    let mut snapshot = snapshot(&store);
    snapshot.workspace_id = Some("1234567890".into());
    snapshot.parent = Some(crate::store::SnapshotId::of(b"parent"));
    snapshot.selection.skip = vec!["dbfs-file".into()];
    insta::assert_snapshot!(String::from_utf8(snapshot.to_bytes()).unwrap(), @r#"
    {
      "format": 1,
      "time": "2024-05-31T18:00:00Z",
      "host": "https://example.cloud.databricks.com",
      "workspace_id": "1234567890",
      "cloud": null,
      "complete": false,
      "parent": "ebdea6058df2230dc25b7a7c7b487b470c508c2e0a5119c96893c443de3a9e79",
      "selection": {
        "skip": [
          "dbfs-file"
        ]
      },
      "kinds": {
        "notebook": {
          "entries": 2,
          "bytes": 62,
          "gaps": 1
        }
      },
      "gaps": {
        "count": 1,
        "first": [
          {
            "kind": "notebook",
            "name": "/b",
            "extent": "content",
            "reason": "403 PERMISSION_DENIED"
          }
        ]
      },
      "tags": [],
      "hostname": "",
      "user": "",
      "tool_version": "0.1.0",
      "duration_ms": 0,
      "requests": 0,
      "store": "00000000000000000000000000000000",
      "root": {
        "node": "3a2b18a27df9ec5a39c157c82dbc42727759c1c1da9d9b9387e1f0ecc8188e58",
        "levels": 1,
        "entries": 2,
        "bytes": 62,
        "gaps": 1
      }
    }
    "#);
    assert_eq!(Snapshot::parse(&snapshot.to_bytes()).unwrap(), snapshot);
}

#[test]
fn what_a_newer_version_wrote_into_a_head_survives() {
    let (_dir, store) = store();
    let mut json: serde_json::Value = serde_json::from_slice(&snapshot(&store).to_bytes()).unwrap();
    json["moon"] = "full".into();
    json["gaps"]["moon"] = 1.into();
    json["gaps"]["first"][0]["moon"] = 2.into();
    json["selection"]["moon"] = 3.into();
    let parsed = Snapshot::parse(json.to_string().as_bytes()).unwrap();
    let again: serde_json::Value = serde_json::from_slice(&parsed.to_bytes()).unwrap();
    assert_eq!(again, json);
}

#[test]
fn a_head_of_a_newer_format_is_refused_by_name() {
    let (_dir, store) = store();
    let mut json: serde_json::Value = serde_json::from_slice(&snapshot(&store).to_bytes()).unwrap();
    json["format"] = 2.into();
    let error = Snapshot::parse(json.to_string().as_bytes()).unwrap_err();
    assert!(
        matches!(error, ManifestError::NewerHead { format: 2 }),
        "{error}"
    );
    assert!(matches!(
        Snapshot::parse(b"{"),
        Err(ManifestError::BadHead(_))
    ));
    assert!(matches!(
        Snapshot::parse(b"{\"format\":1}"),
        Err(ManifestError::BadHead(_))
    ));
}

#[test]
fn a_damaged_head_hides_no_other() {
    let (_dir, store) = store();
    let snapshot = snapshot(&store);
    store
        .writer()
        .unwrap()
        .commit(&snapshot.to_bytes(), snapshot.time)
        .unwrap();
    store
        .writer()
        .unwrap()
        .commit(b"{}", snapshot.time)
        .unwrap();
    store
        .writer()
        .unwrap()
        .stage_pending(&snapshot.clone().unfinished().to_bytes(), snapshot.time)
        .unwrap();
    let listing = snapshots(&store).unwrap();
    assert_eq!(listing.snapshots.len(), 1);
    assert_eq!(listing.snapshots[0].snapshot, snapshot);
    assert_eq!(listing.snapshots[0].name.id, snapshot.id());
    assert_eq!(listing.unreadable.len(), 1);
    let begun = pending(&store).unwrap();
    assert!(begun.snapshots[0].snapshot.unfinished && !begun.snapshots[0].snapshot.complete);
}

#[test]
fn workspaces_are_the_same_by_id_and_else_by_host() {
    let (_dir, store) = store();
    let a = snapshot(&store);
    let mut b = a.clone();
    assert!(a.is_same_workspace(&b));
    b.workspace_id = Some("1".into());
    assert!(a.is_same_workspace(&b), "only one id is known");
    let mut c = b.clone();
    c.workspace_id = Some("2".into());
    assert!(!b.is_same_workspace(&c));
    assert_eq!(
        (a.workspace(), c.workspace()),
        ("https://example.cloud.databricks.com", "2")
    );
}

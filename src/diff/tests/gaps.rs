//! What is unknown, or was not asked for, is never told as a change.

use serde_json::json;

use super::{Bench, carried, entry, folder, gap, json_payload, notebook, whole};
use crate::diff::Summary;
use crate::manifest::{Entry, Extent, Selection};

#[test]
fn what_is_missing_below_an_unreadable_folder_is_unknown() {
    let bench = Bench::new();
    let below = || vec![folder("/a"), notebook("/a/b/x", 1), notebook("/ab", 2)];
    let hidden = || vec![gap(folder("/a"), Extent::Subtree, "403")];
    let (lines, summary) = bench.tell(below(), hidden());
    insta::assert_snapshot!(lines, @"
    unknown directory /a (After: 403)
    unknown notebook /a/b/x (After: 403)
    removed notebook /ab
    ");
    assert_eq!((summary.unknown, summary.removed), (2, 1));
    let (lines, summary) = bench.tell(hidden(), below());
    insta::assert_snapshot!(lines, @"
    unknown directory /a (Before: 403)
    unknown notebook /a/b/x (Before: 403)
    added notebook /ab
    ");
    assert_eq!((summary.unknown, summary.added), (2, 1));
}

#[test]
fn what_an_unreadable_folder_lacks_itself_is_unknown_too() {
    let bench = Bench::new();
    let shared = || Entry {
        permissions: json_payload(&json!({"group:data": "CAN_READ"})),
        ..folder("/a")
    };
    let (lines, summary) = bench.tell(
        vec![shared()],
        vec![gap(folder("/a"), Extent::Subtree, "403")],
    );
    insta::assert_snapshot!(lines, @"unknown directory /a (After: 403)");
    assert!(!summary.has_differences());
    let other = Entry {
        permissions: json_payload(&json!({"group:data": "CAN_EDIT"})),
        ..gap(folder("/a"), Extent::Subtree, "403")
    };
    let (_, summary) = bench.tell(vec![shared()], vec![other]);
    assert_eq!(summary.changed, 1);
}

#[test]
fn an_unreadable_root_hides_every_path_and_nothing_else() {
    let bench = Bench::new();
    let (_, summary) = bench.tell(
        vec![notebook("/x", 1), entry("group", "data", 2)],
        vec![gap(folder("/"), Extent::Subtree, "500")],
    );
    assert_eq!((summary.unknown, summary.removed, summary.added), (1, 1, 1));
}

#[test]
fn what_is_missing_of_a_kind_that_was_not_listed_is_unknown() {
    let bench = Bench::new();
    let (lines, summary) = bench.tell(
        vec![entry("group", "data", 1), entry("user", "ana", 2)],
        vec![whole("user", "429"), entry("group", "data", 1)],
    );
    insta::assert_snapshot!(lines, @"
    unknown user (After: 429)
    unknown user ana (After: 429)
    ");
    assert_eq!((summary.unknown, summary.removed, summary.added), (2, 0, 0));
    assert!(!summary.has_differences());
}

#[test]
fn what_was_taken_over_is_never_told_as_added_removed_or_changed() {
    let bench = Bench::new();
    let other = |path, id| Entry {
        body: json_payload(&json!({"language": "SQL"})),
        ..notebook(path, id)
    };
    let over = || {
        vec![
            gap(folder("/a"), Extent::Subtree, "403"),
            carried(other("/a/changed", 1)),
            carried(notebook("/a/same", 2)),
            carried(notebook("/a/new", 3)),
        ]
    };
    let clear = || {
        vec![
            folder("/a"),
            notebook("/a/changed", 1),
            notebook("/a/same", 2),
        ]
    };
    let (lines, summary) = bench.tell(clear(), over());
    insta::assert_snapshot!(lines, @"
    unknown directory /a (After: 403)
    unknown notebook /a/changed (After: 403)
    unknown notebook /a/new (After: 403)
    ");
    assert_eq!(
        summary,
        Summary {
            unknown: 3,
            carried_over: 1,
            ..Summary::default()
        }
    );
    let (_, back) = bench.tell(over(), clear());
    assert_eq!(back, summary);
    let (_, both) = bench.tell(over(), over());
    assert_eq!(
        both,
        Summary {
            unknown: 1,
            carried_over: 3,
            ..Summary::default()
        }
    );
}

#[test]
fn an_unreadable_part_leaves_the_other_parts_comparable() {
    let bench = Bench::new();
    let part = |extent| {
        let mut entry = carried(gap(notebook("/a", 1), extent, "too large"));
        entry.body = json_payload(&json!({"language": "SQL"}));
        entry
    };
    let (lines, _) = bench.tell(vec![notebook("/a", 1)], vec![part(Extent::Content)]);
    insta::assert_snapshot!(lines, @r#"changed notebook /a; Content not known After; language: "PYTHON" -> "SQL""#);
    let (lines, _) = bench.tell(vec![notebook("/a", 1)], vec![part(Extent::Object)]);
    insta::assert_snapshot!(lines, @"unknown notebook /a (After: too large)");
}

#[test]
fn a_gap_on_both_sides_is_still_told() {
    let bench = Bench::new();
    let side = || {
        vec![
            gap(notebook("/a", 1), Extent::Content, "too large"),
            notebook("/b", 2),
        ]
    };
    let (lines, summary) = bench.tell(side(), side());
    insta::assert_snapshot!(lines, @"unknown notebook /a (After: too large)");
    assert_eq!(summary.unknown, 1);
}

#[test]
fn an_added_object_with_a_gap_is_added_and_says_what_is_missing() {
    let bench = Bench::new();
    let (lines, _) = bench.tell(
        vec![],
        vec![gap(notebook("/a", 1), Extent::Content, "too large")],
    );
    insta::assert_snapshot!(lines, @"added notebook /a; Content not known After");
}

#[test]
fn an_object_that_moved_out_of_a_hidden_folder_has_moved() {
    let bench = Bench::new();
    let (lines, _) = bench.tell(
        vec![folder("/a"), notebook("/a/x", 1)],
        vec![gap(folder("/a"), Extent::Subtree, "403"), notebook("/x", 1)],
    );
    insta::assert_snapshot!(lines, @"
    unknown directory /a (After: 403)
    moved notebook /x from notebook /a/x
    ");
}

#[test]
fn what_a_side_did_not_set_out_to_read_is_counted_and_not_told() {
    let mut bench = Bench::new();
    bench.selections[1] = Selection {
        include: vec!["/Users/ana".into()],
        skip: vec!["group".into()],
        ..Selection::default()
    };
    let before = vec![
        notebook("/Users/ana/x", 1),
        notebook("/Users/bob/y", 2),
        entry("group", "data", 3),
    ];
    let (lines, summary) = bench.tell(before.clone(), vec![]);
    insta::assert_snapshot!(lines, @"removed notebook /Users/ana/x");
    assert_eq!((summary.removed, summary.not_compared), (1, 2));
    bench.selections.reverse();
    let (lines, summary) = bench.tell(vec![], before);
    insta::assert_snapshot!(lines, @"added notebook /Users/ana/x");
    assert_eq!((summary.added, summary.not_compared), (1, 2));
}

#[test]
fn an_old_gap_of_what_was_taken_over_does_not_make_it_known() {
    let bench = Bench::new();
    let old = || {
        carried(gap(
            notebook("/a/x", 1),
            Extent::Permissions,
            "of another day",
        ))
    };
    let after = || vec![gap(folder("/a"), Extent::Subtree, "403"), old()];
    let (lines, _) = bench.tell(vec![folder("/a")], after());
    insta::assert_snapshot!(lines, @"
    unknown directory /a (After: 403)
    unknown notebook /a/x (After: 403)
    ");
    let mut before = notebook("/a/x", 1);
    before.body = json_payload(&json!({"language": "SQL"}));
    let (lines, _) = bench.tell(vec![folder("/a"), before], after());
    insta::assert_snapshot!(lines, @"
    unknown directory /a (After: 403)
    unknown notebook /a/x (After: 403)
    ");
}

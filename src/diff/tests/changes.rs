//! Changes between two snapshots of one workspace.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::{Bench, entry, gap, job, json_payload, notebook};
use crate::diff::{Aspect, Options, Side, Summary, compare};
use crate::manifest::{Entry, Extent, Payload, Selection};
use crate::resource::ObjectKey;

#[test]
fn added_removed_and_changed_objects_are_told_in_order() {
    let bench = Bench::new();
    let mut changed = notebook("/b", 2);
    changed.body = json_payload(&json!({"language": "SQL"}));
    changed.permissions = json_payload(&json!({"group:data": "CAN_RUN"}));
    changed.content = bench.content(b"select 1\n");
    let mut before = notebook("/b", 2);
    before.content = bench.content(b"select 2\n");
    before.permissions = json_payload(&json!({}));
    let (lines, summary) = bench.tell(
        vec![notebook("/a", 1), before, notebook("/same", 3)],
        vec![changed, notebook("/c", 4), notebook("/same", 3)],
    );
    insta::assert_snapshot!(lines, @r#"
    removed notebook /a
    changed notebook /b; language: "PYTHON" -> "SQL"; + group:data CAN_RUN; @@ -1,1 +1,1 @@
    -select 2
    +select 1
    added notebook /c
    "#);
    assert_eq!(
        summary,
        Summary {
            added: 1,
            removed: 1,
            changed: 1,
            ..Summary::default()
        }
    );
    assert!(summary.has_differences());
}

#[test]
fn attributes_that_restoring_cannot_keep_are_no_change() {
    let bench = Bench::new();
    let after = Entry {
        modified_at: Some(5),
        size: Some(6),
        ..notebook("/a", 99)
    };
    let (lines, summary) = bench.tell(vec![notebook("/a", 1)], vec![after]);
    assert_eq!((lines.as_str(), summary), ("", Summary::default()));
}

#[test]
fn permissions_that_only_one_side_recorded_are_no_change() {
    let bench = Bench::new();
    let with = Entry {
        permissions: json_payload(&json!({"group:data": "CAN_RUN"})),
        ..notebook("/a", 1)
    };
    for (before, after) in [
        (notebook("/a", 1), with.clone()),
        (with.clone(), notebook("/a", 1)),
    ] {
        let (lines, summary) = bench.tell(vec![before], vec![after]);
        assert_eq!((lines.as_str(), summary), ("", Summary::default()));
    }
}

#[test]
fn an_object_with_the_same_id_under_another_name_has_moved() {
    let bench = Bench::new();
    let mut changed = notebook("/z", 1);
    changed.body = json_payload(&json!({"language": "SQL"}));
    let body = json!({"tasks": []});
    let (lines, summary) = bench.tell(
        vec![
            notebook("/a", 1),
            notebook("/b", 2),
            job("old name", 5, &body),
        ],
        vec![changed, notebook("/y", 2), job("new name", 5, &body)],
    );
    insta::assert_snapshot!(lines, @r#"
    moved job new name (id 5) from job old name (id 5)
    moved notebook /y from notebook /b
    moved notebook /z from notebook /a; language: "PYTHON" -> "SQL"
    "#);
    assert_eq!(summary.moved, 3);
}

#[test]
fn ids_of_two_workspaces_or_two_kinds_or_in_doubt_move_nothing() {
    let mut bench = Bench::new();
    let (_, summary) = bench.tell(vec![notebook("/a", 1)], vec![entry("file", "/b", 1)]);
    assert_eq!((summary.moved, summary.added, summary.removed), (0, 1, 1));
    let (_, summary) = bench.tell(
        vec![notebook("/a", 1)],
        vec![notebook("/b", 1), notebook("/c", 1)],
    );
    assert_eq!((summary.moved, summary.added, summary.removed), (0, 2, 1));
    bench.workspaces = ["1", "2"];
    let (_, summary) = bench.tell(vec![notebook("/a", 1)], vec![notebook("/b", 1)]);
    assert_eq!((summary.moved, summary.added, summary.removed), (0, 1, 1));
}

#[test]
fn a_body_that_the_store_lost_is_told_as_changed_with_the_reason() {
    let bench = Bench::new();
    let lost = |text: &str| Entry {
        body: Some(Payload::Blob {
            id: crate::store::BlobId::of(text.as_bytes()),
            len: 1,
        }),
        ..notebook("/a", 1)
    };
    let (lines, summary) = bench.tell(vec![lost("x")], vec![lost("y")]);
    insta::assert_snapshot!(lines, @"changed notebook /a; body: failed to read blob 3ae7d805f678: blob 3ae7d805f6789a6402acb70ad4096a85a56bf6804eaf25c0493ac697548d30b5 is not in the store");
    assert_eq!((summary.changed, summary.unreadable), (1, 1));
    let same = |_: &ObjectKey, _: Aspect, value: Value| value;
    let (lines, summary) = bench.tell_with(
        vec![lost("x")],
        vec![lost("x")],
        [Some(&same), None],
        &Options::default(),
    );
    insta::assert_snapshot!(lines, @"unknown notebook /a (Before: body: failed to read blob 3ae7d805f678: blob 3ae7d805f6789a6402acb70ad4096a85a56bf6804eaf25c0493ac697548d30b5 is not in the store); body: failed to read blob 3ae7d805f678: blob 3ae7d805f6789a6402acb70ad4096a85a56bf6804eaf25c0493ac697548d30b5 is not in the store");
    assert_eq!(summary.unknown, 1);
}

#[test]
fn who_has_had_enough_is_told_no_more() {
    let bench = Bench::new();
    let trees = bench.trees([
        vec![],
        (0..10).map(|n| notebook(&format!("/{n}"), n)).collect(),
    ]);
    let everything = Selection::default();
    let side = |tree| Side {
        tree,
        selection: &everything,
        workspace: "1",
        normalise: None,
    };
    let mut told = 0;
    compare(
        &side(&trees[0]),
        &side(&trees[1]),
        &Options::default(),
        &mut |_| {
            told += 1;
            if told == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    )
    .unwrap();
    assert_eq!(told, 3);
}

#[test]
fn more_changes_than_are_kept_are_told_all_the_same() {
    let bench = Bench::new();
    let before: Vec<Entry> = (0..15_000)
        .map(|n| notebook(&format!("/old/{n}"), n))
        .collect();
    let mut after: Vec<Entry> = (0..15_000)
        .map(|n| notebook(&format!("/new/{n}"), n + 100))
        .collect();
    after.truncate(14_000);
    let trees = bench.trees([before, after]);
    let everything = Selection::default();
    let side = |tree| Side {
        tree,
        selection: &everything,
        workspace: "1",
        normalise: None,
    };
    let mut told = 0;
    let summary = compare(
        &side(&trees[0]),
        &side(&trees[1]),
        &Options::default(),
        &mut |_| {
            told += 1;
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    assert_eq!(
        summary,
        Summary {
            moved: 14_000,
            removed: 1_000,
            ..Summary::default()
        }
    );
    assert_eq!(told, 15_000);
}

#[test]
fn a_change_serialises_with_all_it_knows() {
    let bench = Bench::new();
    let mut before = notebook("/a", 1);
    before.content = bench.content(b"one\n");
    let mut after = gap(notebook("/b", 1), Extent::Permissions, "403");
    after.content = bench.content(b"two\n");
    let trees = bench.trees([vec![before], vec![after]]);
    let everything = Selection::default();
    let side = |tree| Side {
        tree,
        selection: &everything,
        workspace: "1",
        normalise: None,
    };
    let options = Options {
        details: true,
        ..Options::default()
    };
    let mut found = Vec::new();
    compare(
        &side(&trees[0]),
        &side(&trees[1]),
        &options,
        &mut |change| {
            found.push(serde_json::to_string_pretty(&change).unwrap());
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    insta::assert_snapshot!(found.join("\n"), @r#"
    {
      "change": "moved",
      "object": {
        "kind": "notebook",
        "name": "/b"
      },
      "from": {
        "kind": "notebook",
        "name": "/a"
      },
      "before": {
        "object_id": "1",
        "body": "5d3290e87279ad1644ef7d7d37bef8fa567231337e9e32b359feeacf2ba368fc",
        "content": "e0e63aa4c8e1ed796cb104d8a074e553c99fff18d140e886667013ef2780ae23"
      },
      "after": {
        "object_id": "1",
        "body": "5d3290e87279ad1644ef7d7d37bef8fa567231337e9e32b359feeacf2ba368fc",
        "content": "ef40086ad8a395c7a05b5f70cf2575ad187f637ad813136292cb39610694db73",
        "gap": {
          "extent": "permissions",
          "reason": "403"
        }
      },
      "details": {
        "content": {
          "form": "text",
          "hunks": [
            {
              "before": [
                1,
                1
              ],
              "after": [
                1,
                1
              ],
              "lines": [
                "-one",
                "+two"
              ]
            }
          ]
        },
        "unknown": [
          {
            "at": "after",
            "extent": "permissions",
            "reason": "403"
          }
        ]
      }
    }
    "#);
}

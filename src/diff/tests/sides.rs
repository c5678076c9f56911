//! Sides that speak of things by different names.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Bench, folder, gap, job, json_payload, notebook};
use crate::diff::{Aspect, Options, Summary};
use crate::manifest::{Entry, Extent};
use crate::resource::ObjectKey;

#[test]
fn jobs_of_two_workspaces_are_matched_by_name_equal_bodies_first() {
    let mut bench = Bench::new();
    bench.workspaces = ["1", "2"];
    let body = |n: u32| json!({"max_concurrent_runs": n});
    let (lines, summary) = bench.tell(
        vec![
            job("etl", 1, &body(1)),
            job("etl", 2, &body(2)),
            job("only here", 3, &body(3)),
            job("etl", 4, &body(4)),
        ],
        vec![
            job("etl", 11, &body(2)),
            job("etl", 12, &body(9)),
            job("zzz", 1, &body(3)),
        ],
    );
    insta::assert_snapshot!(lines, @"
    changed job etl (id 12); max_concurrent_runs: 1 -> 9
    removed job etl (id 4)
    removed job only here (id 3)
    added job zzz (id 1)
    ");
    assert_eq!(
        summary,
        Summary {
            added: 1,
            removed: 2,
            changed: 1,
            ..Summary::default()
        }
    );
}

#[test]
fn bodies_are_compared_as_both_sides_normalise_them() {
    let mut bench = Bench::new();
    bench.workspaces = ["1", "2"];
    let names = |map: [(&'static str, &'static str); 2]| {
        let map = BTreeMap::from(map);
        move |_: &ObjectKey, aspect: Aspect, value: Value| {
            let text = value.to_string();
            assert_ne!(aspect, Aspect::Content);
            let text = map
                .iter()
                .fold(text, |text, (id, name)| text.replace(id, name));
            serde_json::from_str(&text).unwrap()
        }
    };
    let left = names([("id-1", "cluster main"), ("ana@old", "ana@new")]);
    let right = names([("id-2", "cluster main"), ("id-3", "cluster other")]);
    let with = |cluster: &str, user: &str, id| Entry {
        permissions: json_payload(&json!({format!("user:{user}"): "IS_OWNER"})),
        ..job("etl", id, &json!({"existing_cluster_id": cluster}))
    };
    let options = Options {
        details: true,
        ..Options::default()
    };
    let (lines, summary) = bench.tell_with(
        vec![with("id-1", "ana@old", 1)],
        vec![with("id-2", "ana@new", 2)],
        [Some(&left), Some(&right)],
        &options,
    );
    assert_eq!((lines.as_str(), summary), ("", Summary::default()));
    let (lines, _) = bench.tell_with(
        vec![with("id-1", "ana@old", 1)],
        vec![with("id-3", "eve@new", 2)],
        [Some(&left), Some(&right)],
        &options,
    );
    insta::assert_snapshot!(lines, @r#"changed job etl (id 2); existing_cluster_id: "cluster main" -> "cluster other"; - user:ana@new IS_OWNER; + user:eve@new IS_OWNER"#);
}

#[test]
fn renamed_objects_are_compared_under_their_new_names() {
    let mut bench = Bench::new();
    bench.workspaces = ["1", "2"];
    let rename = |key: &ObjectKey| {
        let name = key
            .name
            .strip_prefix("/Users/ana")
            .map(|rest| format!("/Archive/ana{rest}"));
        ObjectKey {
            name: name.unwrap_or_else(|| key.name.clone()),
            ..key.clone()
        }
    };
    let options = Options {
        details: true,
        rename: Some(&rename),
        ..Options::default()
    };
    let mut changed = notebook("/Archive/ana/changed", 12);
    changed.body = json_payload(&json!({"language": "SQL"}));
    let (lines, summary) = bench.tell_with(
        vec![
            notebook("/Shared/x", 1),
            notebook("/Users/ana/changed", 2),
            notebook("/Users/ana/lost", 3),
            notebook("/Users/ana/same", 4),
            gap(folder("/Users/ana/dark"), Extent::Subtree, "403"),
            notebook("/Users/bob/y", 5),
        ],
        vec![
            changed,
            notebook("/Archive/ana/dark/z", 13),
            notebook("/Archive/ana/same", 14),
            notebook("/Shared/x", 11),
            notebook("/Users/bob/y", 15),
            notebook("/Users/ana/new", 16),
        ],
        [None, None],
        &options,
    );
    insta::assert_snapshot!(lines, @r#"
    removed directory /Archive/ana/dark; Subtree not known Before
    changed notebook /Archive/ana/changed; language: "PYTHON" -> "SQL"
    unknown notebook /Archive/ana/dark/z (Before: 403)
    removed notebook /Archive/ana/lost
    added notebook /Users/ana/new
    "#);
    assert_eq!(
        (
            summary.changed,
            summary.removed,
            summary.added,
            summary.unknown
        ),
        (1, 2, 1, 1)
    );
}

#[test]
fn only_what_is_wanted_is_told_and_a_move_out_of_it_is() {
    let bench = Bench::new();
    let wanted = |key: &ObjectKey| key.name.starts_with("/a");
    let options = Options {
        wanted: Some(&wanted),
        ..Options::default()
    };
    let (lines, summary) = bench.tell_with(
        vec![
            notebook("/a/1", 1),
            notebook("/b/2", 2),
            notebook("/b/3", 3),
        ],
        vec![
            notebook("/a/4", 4),
            notebook("/b/5", 5),
            notebook("/c/1", 1),
        ],
        [None, None],
        &options,
    );
    insta::assert_snapshot!(lines, @"
    added notebook /a/4
    moved notebook /c/1 from notebook /a/1
    ");
    assert_eq!(
        summary,
        Summary {
            added: 1,
            moved: 1,
            ..Summary::default()
        }
    );
}

//! What the differences of JSON values look like.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn lines(before: &Value, after: &Value) -> String {
    field_changes(before, after)
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn tasks_are_known_by_their_keys() {
    let before = json!({"tasks": [
        {"task_key": "load", "notebook_task": {"notebook_path": "/a"}, "timeout_seconds": 60},
        {"task_key": "clean", "notebook_task": {"notebook_path": "/c"}},
    ]});
    let after = json!({"tasks": [
        {"task_key": "check"},
        {"task_key": "load", "notebook_task": {"notebook_path": "/b"}, "timeout_seconds": 60, "max_retries": 1},
    ]});
    insta::assert_snapshot!(lines(&before, &after), @r#"
    tasks[clean]: removed {"notebook_task":{"notebook_path":"/c"},"task_key":"clean"}
    tasks[check]: added {"task_key":"check"}
    tasks[load].max_retries: added 1
    tasks[load].notebook_task.notebook_path: "/a" -> "/b"
    "#);
}

#[test]
fn lists_of_plain_values_are_compared_as_sets() {
    let before = json!({"on_failure": ["a@x", "b@x"], "ports": [80, 81]});
    let after = json!({"on_failure": ["b@x", "c@x"], "ports": [81, 80]});
    insta::assert_snapshot!(lines(&before, &after), @r#"
    on_failure[]: removed "a@x"
    on_failure[]: added "c@x"
    ports: reordered from 80, 81 to 81, 80
    "#);
}

#[test]
fn elements_without_a_name_go_by_position_between_equal_ends() {
    let before = json!({"libraries": [{"jar": "a"}, {"jar": "b"}, {"jar": "z"}]});
    let after = json!({"libraries": [{"jar": "a"}, {"jar": "c"}, {"jar": "d"}, {"jar": "z"}]});
    insta::assert_snapshot!(lines(&before, &after), @r#"
    libraries[1].jar: "b" -> "c"
    libraries[2]: added {"jar":"d"}
    "#);
}

#[test]
fn names_that_are_no_words_are_quoted() {
    let before =
        json!({"spark_conf": {"spark.sql.shuffle": "1"}, "tags": [{"key": "7", "value": "x"}]});
    let after =
        json!({"spark_conf": {"spark.sql.shuffle": "2"}, "tags": [{"key": "7", "value": "y"}]});
    insta::assert_snapshot!(lines(&before, &after), @r#"
    spark_conf["spark.sql.shuffle"]: "1" -> "2"
    tags["7"].value: "x" -> "y"
    "#);
}

#[test]
fn json_within_a_text_is_compared_as_json() {
    let before =
        json!({"serialized_dashboard": r#"{"pages":[{"name":"p1","displayName":"One"}]}"#});
    let after =
        json!({"serialized_dashboard": r#"{"pages": [{"name":"p1","displayName":"Two"}]}"#});
    insta::assert_snapshot!(lines(&before, &after), @r#"serialized_dashboard(json).pages[p1].displayName: "One" -> "Two""#);
    let spaced =
        json!({"serialized_dashboard": r#"{"pages": [{"name":"p1","displayName":"One"}]}"#});
    insta::assert_snapshot!(lines(&before, &spaced), @r#"serialized_dashboard: "{\"pages\":[{\"name\":\"p1\",\"displayName\":\"One\"}]}" -> "{\"pages\": [{\"name\":\"p1\",\"displayName\":\"One\"}]}""#);
}

#[test]
fn long_texts_are_cut_to_where_they_differ() {
    let before = json!({"query": format!("{} WHERE a = 1 {}", "SELECT x, ".repeat(30), "GROUP BY x ".repeat(30))});
    let after = json!({"query": format!("{} WHERE a = 2 {}", "SELECT x, ".repeat(30), "GROUP BY x ".repeat(30))});
    insta::assert_snapshot!(lines(&before, &after), @"query: …ELECT x,  WHERE a = 1 GROUP BY x GROUP BY x GROUP BY x GROUP BY x GROUP BY x GRO… (645 characters) -> …ELECT x,  WHERE a = 2 GROUP BY x GROUP BY x GROUP BY x GROUP BY x GROUP BY x GRO… (645 characters)");
}

#[test]
fn a_value_of_another_type_is_told_as_a_whole() {
    insta::assert_snapshot!(lines(&json!([1]), &json!({"a": null})), @r#"[1] -> {"a":null}"#);
    insta::assert_snapshot!(lines(&json!({"a": null}), &json!({})), @"a: removed null");
}

#[test]
fn a_change_serialises_with_its_whole_values() {
    let changes = field_changes(&json!({"a": "x".repeat(100)}), &json!({"b": [1]}));
    let json = serde_json::to_value(&changes).unwrap();
    assert_eq!(json[0]["before"], "x".repeat(100));
    assert_eq!(json[1], json!({"path": "b", "edit": "added", "after": [1]}));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        "[ab\"{]{0,2}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let name = prop_oneof![
            Just("name".to_owned()),
            Just("a.b".to_owned()),
            Just("x".to_owned())
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn values_differ_exactly_when_there_is_a_change(before in any_json(), after in any_json()) {
        let changes = field_changes(&before, &after);
        prop_assert_eq!(changes.is_empty(), before == after);
        for change in changes {
            prop_assert!(!change.to_string().contains('\n'));
        }
    }
}

//! Values of secrets: into an encrypted store, as those of a backup, and nowhere else.

use super::*;
use crate::manifest::SecretContent;

/// A value and its base64, of which nothing may be seen.
const VALUE: &str = "canary-7c41d9";
const BASE64: &str = "Y2FuYXJ5LTdjNDFkOQ==";

fn write(bench: &Bench) {
    bench.lines("secret_scopes/etl", &[
        json!({"name": "token", "value": BASE64}),
        json!({"name": "lost", "value": null}),
        json!({"name": "cut", "value": format!("{BASE64} *** WARNING: skipped 100 bytes of output ***")}),
    ]);
    bench.lines(
        "secret_scopes/bare",
        &[json!({"name": "token", "value": BASE64})],
    );
    bench.lines("secret_scopes_acls.log", &[
        json!({"items": [{"principal": "data", "permission": "READ"}], "scope_name": "etl", "http_status_code": 200}),
        json!({"scope_name": "empty"}),
    ]);
}

#[test]
fn a_store_that_everybody_can_read_gets_no_values_and_nothing_is_read() {
    let bench = Bench::new();
    write(&bench);
    assert!(matches!(bench.refused(), ImportError::SecretsNeedKey));
    assert!(
        crate::manifest::snapshots(&bench.store)
            .unwrap()
            .snapshots
            .is_empty()
    );
    let names_only = LogsOptions {
        secret_values: false,
        ..bench.options()
    };
    let report = import_logs(&bench.store, &names_only, &|| false, &bench).unwrap();
    assert!(!report.snapshot.selection.secret_values);
    let imported = Imported {
        bench: &bench,
        report,
    };
    assert_eq!(
        imported.body("secret-scope etl"),
        json!({"name": "etl", "keys": [{"key": "cut"}, {"key": "lost"}, {"key": "token"}],
            "acls": [{"principal": "data", "permission": "READ"}]})
    );
    assert!(imported.get("secret-scope etl").gap.is_none());
    assert!(
        imported
            .entries()
            .iter()
            .all(|entry| entry.content.is_none())
    );
}

#[test]
fn an_encrypted_store_gets_them_salted_and_what_is_no_value_is_a_gap() {
    let bench = Bench::encrypted();
    write(&bench);
    let imported = bench.import();
    assert!(imported.report.snapshot.selection.secret_values);
    let values = SecretContent::parse(&imported.content("secret-scope etl")).unwrap();
    assert_eq!(values.expose("token"), Some(BASE64));
    assert_eq!(values.names().count(), 1);
    let salt = bench.store.salt("secret-scope etl").unwrap();
    let same = SecretContent::new(&salt, format!("{{\"token\":\"{BASE64}\"}}").as_bytes()).unwrap();
    assert_eq!(values, same, "a backup would keep the same bytes");
    assert_eq!(
        imported.gap("secret-scope etl"),
        "Content: 2 of 3 values could not be read: lost: the older tool could not read it (secret_scopes/etl line 2); \
         cut: it is no base64, as when the older tool got only a part of it (secret_scopes/etl line 3)"
    );
    let gap = imported.gap("secret-scope bare");
    assert!(gap.starts_with("Object: acls is unknown"), "{gap}");
    let gap = imported.gap("secret-scope empty");
    assert!(gap.starts_with("Object: keys is unknown"), "{gap}");
}

#[test]
fn no_message_shows_a_value() {
    let bench = Bench::encrypted();
    write(&bench);
    bench.write(
        "secret_scopes/broken",
        format!("{{\"name\": \"a\", \"value\": \"{BASE64}\n[\"{BASE64}\"]\n{{\"value\": \"{BASE64}\"}}\n\
            {{\"name\": \"b\", \"value\": [\"{BASE64}\"]}}\n{{\"name\": \"c\", \"value\": \"{VALUE}\"}}\n"),
    );
    bench.lines(
        "app_logs/failed_export_secrets.log",
        &[json!({"data": VALUE, "resultType": "text"})],
    );
    let imported = bench.import();
    let gaps: Vec<_> = imported
        .entries()
        .into_iter()
        .filter_map(|entry| entry.gap)
        .collect();
    let heard = bench.heard.lock().unwrap_or_else(PoisonError::into_inner);
    let all = format!("{gaps:?} {heard:?}");
    assert!(
        all.contains("secret_scopes/broken line 1: it ends in the middle"),
        "{all}"
    );
    assert!(
        all.contains("b: it is no text (secret_scopes/broken line 4)"),
        "{all}"
    );
    assert!(!all.contains("Y2FuYXJ5") && !all.contains(VALUE), "{all}");
}

//! Databases, tables, views, and who may do what with them.

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn packed(rows: &[Value]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for row in rows {
        writeln!(encoder, "{row}").unwrap();
    }
    encoder.finish().unwrap()
}

fn row(principal: &str, actions: &[&str], object_type: &str, key: &str) -> Value {
    json!({"Database": "sales", "Principal": principal, "ActionTypes": actions, "ObjectType": object_type,
        "ObjectKey": key, "ExportTimestamp": "1"})
}

fn write(bench: &Bench) {
    bench.lines("database_details.log", &[
        json!({"Namespace Name": "default", "Location": "dbfs:/w", "Comment": "Default"}),
        json!({"Database Name": "sales", "Location": "dbfs:/w/sales.db", "Description": "all of it", "Owner": "root",
            "Properties": "((team,etl))"}),
    ]);
    bench.write(
        "metastore/sales/orders",
        "CREATE TABLE `sales`.`orders` (\n  `id` INT)\nUSING delta\n",
    );
    bench.write(
        "metastore/sales/raw",
        "CREATE TABLE `sales`.`raw` (a INT)\nUSING csv\nLOCATION 's3://b/raw'\n",
    );
    bench.write("metastore/default/broken", "ERROR\n");
    bench.write(
        "metastore_views/sales/recent",
        "CREATE VIEW `sales`.`recent` (\n  id)\nAS SELECT id FROM sales.orders\n",
    );
    bench.lines(
        "success_metastore.log",
        &[
            json!({"table": "sales.orders", "iam": null}),
            json!({"table": "sales.recent", "iam": null}),
            json!({"table": "sales.gone", "iam": null}),
        ],
    );
    bench.lines(
        "app_logs/failed_export_metastore.log",
        &[json!({"resultType": "error", "summary": "AccessDenied", "table": "sales.secret"})],
    );
}

#[test]
fn databases_tables_and_views_are_what_their_statements_say() {
    let bench = Bench::new();
    write(&bench);
    let imported = bench.import();
    assert_eq!(
        imported.body("database sales"),
        json!({"comment": "all of it", "properties": {"team": "etl"}, "created_by": "root"})
    );
    assert_eq!(
        imported.body("table sales.orders"),
        json!({"type": "MANAGED", "provider": "delta", "definition": "(\n  `id` INT)\nUSING delta"})
    );
    assert_eq!(imported.body("table sales.raw")["location"], "s3://b/raw");
    assert_eq!(
        imported.body("view sales.recent"),
        json!({"query": "SELECT id FROM sales.orders", "columns": [{"name": "id"}]})
    );
    let gap = |key: &str| imported.gap(key);
    assert_eq!(
        gap("table sales.orders"),
        "Permissions: its grants: there is no table_acls"
    );
    assert!(
        gap("table default.broken").contains("metastore/default/broken: it is no CREATE TABLE")
    );
    assert_eq!(
        gap("table sales.gone"),
        "Object: success_metastore.log line 3 has it, and there is no file of it"
    );
    assert_eq!(gap("table sales.secret"), "Object: error: AccessDenied");
    assert!(imported.report.snapshot.selection.metastore.is_some());
}

#[test]
fn grants_are_joined_to_what_they_are_about() {
    let bench = Bench::new();
    write(&bench);
    bench.write(
        "table_acls/00_table_acls.json.gz",
        packed(&[
            row("users", &["USAGE"], "CATALOG$", ""),
            row("ana@example.com", &["OWN"], "DATABASE", "sales"),
            row(
                "data",
                &["SELECT", "DENIED_MODIFY"],
                "TABLE",
                "`sales`.`orders`",
            ),
            row("ana@example.com", &["OWN"], "TABLE", "`sales`.`orders`"),
            row("data", &["SELECT"], "TABLE", "`sales`.`recent`"),
            row(
                "ERROR_!!!",
                &["no permission"],
                "ERROR_!!!_TABLE",
                "`sales`.`raw`",
            ),
            row("data", &["SELECT"], "TABLE", "`sales`.`elsewhere`"),
            row("data", &["SELECT"], "NOVELTY", "x"),
        ]),
    );
    bench.write(
        "table_acls/00_table_acls.json",
        "what a validation unpacked",
    );
    let imported = bench.import();
    assert_eq!(
        imported.permissions("metastore-securable catalog"),
        json!({"group:users": "USAGE"})
    );
    assert_eq!(
        imported.permissions("metastore-securable any file"),
        json!({})
    );
    assert_eq!(imported.body("database sales")["owner"], "ana@example.com");
    assert_eq!(
        imported.permissions("table sales.orders"),
        json!({"group:data": "DENIED_MODIFY, SELECT"})
    );
    assert_eq!(
        imported.body("table sales.orders")["owner"],
        "ana@example.com"
    );
    assert_eq!(
        imported.permissions("view sales.recent"),
        json!({"group:data": "SELECT"})
    );
    assert_eq!(
        imported.gap("table sales.raw"),
        "Permissions: its grants: no permission"
    );
    assert!(
        imported
            .unlisted("table")
            .contains("grants on sales.elsewhere")
    );
    let strange = imported.unlisted("metastore-securable");
    assert_eq!(
        strange,
        "table_acls/00_table_acls.json.gz line 8: `NOVELTY` is no type that is known"
    );
}

#[test]
fn a_statement_as_long_as_the_older_tools_readings_may_be_cut() {
    let bench = Bench::new();
    let mut statement = "CREATE TABLE d.t (a INT)\nUSING csv\nCOMMENT '".to_owned();
    statement += &"x".repeat((512 << 10) - statement.len() - 1);
    statement.push('\'');
    bench.write("metastore/d/t", &statement);
    let gap = bench.import().gap("table d.t");
    assert!(gap.contains("may be cut"), "{gap}");
    statement.pop();
    statement.pop();
    bench.write("metastore/d/t", statement + "'");
    assert!(!bench.import().gap("table d.t").contains("may be cut"));
}

#[test]
fn an_archive_of_grants_that_is_cut_or_no_archive_is_named() {
    let bench = Bench::new();
    let whole = packed(&[row("users", &["USAGE"], "CATALOG$", "")]);
    for bytes in [&whole[..whole.len() / 2], b"plain text"] {
        bench.write("table_acls/00_table_acls.json.gz", bytes);
        let reason = bench.import().unlisted("metastore-securable");
        assert!(
            reason.contains("table_acls/00_table_acls.json.gz line 1"),
            "{reason}"
        );
    }
}

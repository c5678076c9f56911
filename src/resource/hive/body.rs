//! The canonical bodies of databases, tables, views and functions.
//!
//! Invariant: nothing that the server changes by itself (times, statistics, protocol versions) is in a body, and where a
//! managed object lies is not either: its place follows from its name.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

use super::ddl::Parsed;
use super::describe::{Database, Described, Row};
use super::names::{literal, parts};

/// Properties that the server sets and changes by itself.
const VOLATILE: &[&str] = &[
    "transient_lastDdlTime",
    "delta.minReaderVersion",
    "delta.minWriterVersion",
    "delta.lastCommitTimestamp",
    "delta.lastUpdateVersion",
    "last_modified_by",
    "last_modified_time",
    "numFiles",
    "numFilesErasureCoded",
    "numPartitions",
    "numRows",
    "rawDataSize",
    "totalSize",
    "COLUMN_STATS_ACCURATE",
    "STATS_GENERATED_VIA_STATS_TASK",
    "bucketing_version",
    "created_by",
];
/// Beginnings of the names of others.
const VOLATILE_BEGINNINGS: &[&str] =
    &["spark.sql.statistics.", "spark.sql.create.version", "view."];

/// How `SHOW TBLPROPERTIES` marks options of the storage.
const OPTION: &str = "option.";

/// The body of a table, from what `DESCRIBE TABLE EXTENDED`, `SHOW TBLPROPERTIES` and `SHOW CREATE TABLE` answered.
pub fn table_body(
    described: &Described,
    properties: &[Row],
    statement: &str,
    partitions: Option<u64>,
) -> Result<Value, String> {
    let known = known_texts(described, properties);
    let parsed = Parsed::new(statement, &known)
        .ok_or_else(|| format!("the server shows no CREATE TABLE of it but: {statement}"))?;
    let is_managed = match described.detail("Type") {
        Some(of) => of == "MANAGED",
        None => parsed.location.is_none(),
    };
    let location = parsed
        .location
        .or_else(|| described.detail("Location").map(str::to_owned));
    let mut body = Map::new();
    let kind = if is_managed { "MANAGED" } else { "EXTERNAL" };
    body.insert("type".into(), json!(kind));
    body.insert("definition".into(), json!(parsed.definition));
    put(&mut body, "provider", described.detail("Provider"));
    put(&mut body, "comment", parsed.comment.as_deref());
    if !is_managed {
        put(&mut body, "location", location.as_deref());
    }
    put_properties(&mut body, parsed.properties);
    if let Some(partitions) = partitions {
        body.insert("partitions".into(), json!(partitions));
    }
    Ok(Value::Object(body))
}

/// The body of a view, from what `DESCRIBE TABLE EXTENDED` and `SHOW TBLPROPERTIES` answered.
pub fn view_body(described: &Described, properties: &[Row]) -> Result<Value, String> {
    let text = described
        .detail("View Text")
        .ok_or("the server does not show the query of the view")?;
    let column = |(name, comment): &(String, Option<String>)| {
        let mut column = Map::new();
        column.insert("name".into(), json!(name));
        put(&mut column, "comment", comment.as_deref());
        Value::Object(column)
    };
    let mut body = Map::new();
    body.insert("query".into(), json!(text));
    body.insert(
        "columns".into(),
        described.columns.iter().map(column).collect(),
    );
    put(&mut body, "comment", described.detail("Comment"));
    // Names in the query that have no database of their own are meant in this one.
    let namespace = described.detail("View Catalog and Namespace");
    let namespace = namespace.and_then(|namespace| parts(namespace).pop());
    put(&mut body, "namespace", namespace.as_deref());
    let rows = properties.iter().filter_map(pair);
    put_properties(
        &mut body,
        rows.filter(|(key, _)| !key.starts_with(OPTION)).collect(),
    );
    Ok(Value::Object(body))
}

/// The body of a database. Its location is kept only where it is another than its name gives it below `warehouse`, the
/// location of the database `default`.
pub fn database_body(name: &str, database: &Database, warehouse: Option<&str>) -> Value {
    let mut body = Map::new();
    put(&mut body, "comment", database.comment.as_deref());
    let usual = warehouse.map(|at| format!("{}/{name}.db", at.trim_end_matches('/')));
    let location = database.location.as_deref();
    let is_usual = location.map(|at| at.trim_end_matches('/')) == usual.as_deref();
    if !is_usual && name != "default" {
        put(&mut body, "location", location);
    }
    put_properties(&mut body, database.properties.clone());
    Value::Object(body)
}

/// The body of a function, from what `DESCRIBE FUNCTION EXTENDED` answered: lines of a name and a value, the latter going
/// on in lines that begin with a space.
pub fn function_body(rows: &[Row]) -> Result<Value, String> {
    let cells = rows.iter().filter_map(|row| row.first()?.as_deref());
    let mut facts: Vec<(String, Vec<String>)> = Vec::new();
    for line in cells.flat_map(str::lines) {
        match (line.split_once(':'), facts.last_mut()) {
            (Some((name, value)), _) if !name.is_empty() && !line.starts_with(' ') => {
                facts.push((name.to_owned(), vec![value.trim().to_owned()]));
            }
            (_, Some((_, values))) => values.push(line.trim().to_owned()),
            (_, None) => {}
        }
    }
    let fact = |name: &str| {
        let (_, values) = facts.iter().find(|(known, _)| known == name)?;
        let values = values.iter().filter(|value| !value.is_empty());
        Some(values.cloned().collect::<Vec<_>>()).filter(|values| !values.is_empty())
    };
    let mut body = Map::new();
    if let Some(class) = fact("Class") {
        put(&mut body, "class", class.first().map(String::as_str));
        return Ok(Value::Object(body));
    }
    let text =
        fact("Body").ok_or("the server shows neither the class nor the body of the function")?;
    body.insert("body".into(), json!(text.join("\n")));
    for (name, field) in [
        ("Type", "type"),
        ("Comment", "comment"),
        ("Language", "language"),
    ] {
        put(
            &mut body,
            field,
            fact(name).map(|values| values.join("\n")).as_deref(),
        );
    }
    let lists = [("Input", "input"), ("Returns", "returns")];
    for (name, field) in lists {
        // A function without parameters has `()` for an input.
        let values = fact(name).filter(|values| values != &["()"]);
        if let Some(values) = values {
            body.insert(field.into(), json!(values));
        }
    }
    Ok(Value::Object(body))
}

fn put(body: &mut Map<String, Value>, field: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        body.insert(field.to_owned(), json!(value));
    }
}

fn put_properties(body: &mut Map<String, Value>, mut properties: BTreeMap<String, String>) {
    properties.retain(|key, _| {
        let begins = |with: &&str| key.starts_with(with);
        !VOLATILE.contains(&key.as_str()) && !VOLATILE_BEGINNINGS.iter().any(begins)
    });
    if !properties.is_empty() {
        body.insert("properties".into(), json!(properties));
    }
}

fn pair(row: &Row) -> Option<(String, String)> {
    Some((row.first()?.clone()?, row.get(1)?.clone()?))
}

/// Texts that may stand in the statement that makes the table.
fn known_texts(described: &Described, properties: &[Row]) -> HashSet<String> {
    let comments = described
        .columns
        .iter()
        .filter_map(|(_, comment)| comment.clone());
    let mut known: HashSet<String> = comments.collect();
    for detail in ["Comment", "Location"] {
        known.extend(described.detail(detail).map(str::to_owned));
    }
    let options = described.storage_options();
    for (key, value) in properties.iter().filter_map(pair).chain(options) {
        known.extend(key.strip_prefix(OPTION).map(str::to_owned));
        known.extend([key, value]);
    }
    // The empty text would end every text at once that begins with an escaped quote.
    known.remove("");
    known
}

/// `('a' = 'b', ...)`.
pub(super) fn properties_sql(body: &Value) -> Option<String> {
    let properties = body["properties"].as_object()?;
    let pair = |(key, value): (&String, &Value)| {
        format!(
            "{} = {}",
            literal(key),
            literal(value.as_str().unwrap_or_default())
        )
    };
    let pairs: Vec<String> = properties.iter().map(pair).collect();
    (!pairs.is_empty()).then(|| format!("({})", pairs.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Row> {
        let row = |row: &&[&str]| row.iter().map(|cell| Some((*cell).to_owned())).collect();
        cells.iter().map(row).collect()
    }

    #[test]
    fn a_managed_table_has_no_location_and_no_volatile_properties() {
        let described = Described::new(&rows(&[
            &["a", "int", "x\\"],
            &["# Detailed Table Information", "", ""],
            &["Type", "MANAGED", ""],
            &["Provider", "delta", ""],
            &["Location", "dbfs:/user/hive/warehouse/d.db/t", ""],
        ]));
        let statement = "CREATE TABLE `d`.`t` (\n  a INT COMMENT 'x\\')\nUSING delta\n\
            LOCATION 'dbfs:/user/hive/warehouse/d.db/t'\n\
            TBLPROPERTIES (\n  'delta.minReaderVersion' = '1',\n  'team' = 'etl',\n  'transient_lastDdlTime' = '1')";
        let properties = rows(&[&["team", "etl"]]);
        let body = table_body(&described, &properties, statement, Some(3)).unwrap();
        assert_eq!(
            body,
            json!({"type": "MANAGED", "provider": "delta", "partitions": 3, "properties": {"team": "etl"},
                "definition": "(\n  a INT COMMENT 'x\\\\')\nUSING delta"})
        );
    }

    #[test]
    fn a_view_is_its_query_its_columns_and_where_names_in_it_are_meant() {
        let described = Described::new(&rows(&[
            &["x", "int", "c"],
            &["", "", ""],
            &["# Detailed Table Information", "", ""],
            &["Type", "VIEW", ""],
            &["View Text", "SELECT a FROM t", ""],
            &["View Catalog and Namespace", "spark_catalog.`d 1`", ""],
        ]));
        let properties = rows(&[
            &["p", "q"],
            &["transient_lastDdlTime", "1"],
            &["option.x", "1"],
        ]);
        assert_eq!(
            view_body(&described, &properties).unwrap(),
            json!({"query": "SELECT a FROM t", "columns": [{"name": "x", "comment": "c"}], "namespace": "d 1",
                "properties": {"p": "q"}})
        );
    }

    #[test]
    fn a_database_at_its_usual_place_has_no_location() {
        let database = |location: &str| Database {
            location: Some(location.to_owned()),
            ..Database::default()
        };
        let body = |location| database_body("sales", &database(location), Some("dbfs:/w"));
        assert_eq!(body("dbfs:/w/sales.db"), json!({}));
        assert_eq!(body("s3://b/sales"), json!({"location": "s3://b/sales"}));
    }

    #[test]
    fn functions_are_classes_or_have_a_body() {
        let class = rows(&[
            &["Function: spark_catalog.d.f"],
            &["Class: org.example.F"],
            &["Usage: N/A."],
            &["Extended Usage:\n    No example/argument for f.\n"],
        ]);
        assert_eq!(
            function_body(&class).unwrap(),
            json!({"class": "org.example.F"})
        );
        let sql = rows(&[
            &["Function:      hive_metastore.d.g"],
            &["Type:          SCALAR"],
            &["Input:         x INT"],
            &["               y STRING"],
            &["Returns:       INT"],
            &["Body:          x + length(y)"],
        ]);
        assert_eq!(
            function_body(&sql).unwrap(),
            json!({"type": "SCALAR", "input": ["x INT", "y STRING"], "returns": ["INT"], "body": "x + length(y)"})
        );
        assert!(function_body(&rows(&[&["Function: d.h"]])).is_err());
    }
}

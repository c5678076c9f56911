//! The statements that make and change databases, tables, views and functions.
//!
//! Invariant: none of them drops anything; a table that differs in more than words about it is not changed at all.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Securable;
use super::body::properties_sql;
use super::names::{Relation, literal, quoted};

/// A statement, and the database in which names without one are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sql {
    /// The statement.
    pub sql: String,
    /// The database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
}

impl Sql {
    fn new(sql: String) -> Self {
        Self {
            sql,
            database: None,
        }
    }
}

/// Why a table is left as it is.
const DATA_AT_STAKE: &str = "differs in more than its comment and properties, and could only be changed by dropping it \
    with its data";

/// The statements that make an object.
pub fn create(securable: Securable, name: &str, body: &Value) -> Result<Vec<Sql>, String> {
    let relation = Relation::parse(name).to_sql();
    Ok(vec![match securable {
        Securable::Top => return Err("has nothing but grants".to_owned()),
        Securable::Database => Sql::new(with_words(
            format!("CREATE DATABASE {}", quoted(name)),
            body,
            "WITH DBPROPERTIES",
        )),
        Securable::Table => {
            let definition = text(body, "definition");
            let begin = format!("CREATE TABLE {relation} {definition}");
            Sql::new(with_words(begin, body, "TBLPROPERTIES"))
        }
        Securable::View => view("CREATE VIEW", &relation, body),
        Securable::Function => Sql::new(function("CREATE FUNCTION", &relation, body)),
    }])
}

/// The statements that turn what is there into what is wanted, or why that is not done.
pub fn change(
    securable: Securable,
    name: &str,
    present: &Value,
    wanted: &Value,
) -> Result<Vec<Sql>, String> {
    let relation = Relation::parse(name).to_sql();
    match securable {
        Securable::Top => Ok(Vec::new()),
        Securable::View => Ok(vec![view("CREATE OR REPLACE VIEW", &relation, wanted)]),
        Securable::Function => {
            let sql = function("CREATE OR REPLACE FUNCTION", &relation, wanted);
            Ok(vec![Sql::new(sql)])
        }
        Securable::Database => {
            if present["location"] != wanted["location"] {
                return Err("lies elsewhere, and a database cannot be moved".to_owned());
            }
            if !removed(present, wanted).is_empty() {
                return Err("has properties that the snapshot does not have, and those of a database cannot be taken away".to_owned());
            }
            let on = format!("DATABASE {}", quoted(name));
            Ok(words(&on, "DBPROPERTIES", present, wanted))
        }
        Securable::Table => {
            let differs = |field: &&str| present[*field] != wanted[*field];
            if ["type", "definition", "provider", "location"]
                .iter()
                .any(differs)
            {
                return Err(DATA_AT_STAKE.to_owned());
            }
            Ok(words(
                &format!("TABLE {relation}"),
                "TBLPROPERTIES",
                present,
                wanted,
            ))
        }
    }
}

/// The statement that gives an object to somebody; none for what has no owner.
pub fn owner(securable: Securable, name: &str, owner: &str) -> Option<String> {
    let on = match securable {
        Securable::Top => return None,
        _ => securable.in_grants(name),
    };
    Some(format!("ALTER {on} OWNER TO {}", quoted(owner)))
}

fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field].as_str().unwrap_or_default()
}

/// Adds comment, location and properties.
fn with_words(mut sql: String, body: &Value, properties: &str) -> String {
    for (field, clause) in [("comment", "COMMENT"), ("location", "LOCATION")] {
        if let Some(value) = body[field].as_str() {
            sql.push_str(&format!("\n{clause} {}", literal(value)));
        }
    }
    if let Some(pairs) = properties_sql(body) {
        sql.push_str(&format!("\n{properties} {pairs}"));
    }
    sql
}

fn view(begin: &str, relation: &str, body: &Value) -> Sql {
    let column = |column: &Value| {
        let name = quoted(text(column, "name"));
        match column["comment"].as_str() {
            Some(comment) => format!("{name} COMMENT {}", literal(comment)),
            None => name,
        }
    };
    let columns = body["columns"].as_array().into_iter().flatten();
    let columns: Vec<String> = columns.map(column).collect();
    let begin = match columns.is_empty() {
        true => format!("{begin} {relation}"),
        false => format!("{begin} {relation} ({})", columns.join(", ")),
    };
    let begin = with_words(begin, body, "TBLPROPERTIES");
    Sql {
        sql: format!("{begin}\nAS {}", text(body, "query")),
        database: body["namespace"].as_str().map(str::to_owned),
    }
}

fn function(begin: &str, relation: &str, body: &Value) -> String {
    if let Some(class) = body["class"].as_str() {
        return format!("{begin} {relation} AS {}", literal(class));
    }
    let list = |field: &str| {
        let values = body[field].as_array().into_iter().flatten();
        values
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let returns = match text(body, "type") {
        "TABLE" => format!("TABLE ({})", list("returns")),
        _ => list("returns"),
    };
    let mut sql = format!("{begin} {relation}({}) RETURNS {returns}", list("input"));
    if let Some(comment) = body["comment"].as_str() {
        sql.push_str(&format!(" COMMENT {}", literal(comment)));
    }
    format!("{sql} RETURN {}", text(body, "body"))
}

/// The statements for comment and properties of what is there.
fn words(on: &str, properties: &str, present: &Value, wanted: &Value) -> Vec<Sql> {
    let mut statements = Vec::new();
    if present["comment"] != wanted["comment"] {
        let comment = wanted["comment"]
            .as_str()
            .map_or_else(|| "''".to_owned(), literal);
        statements.push(format!("COMMENT ON {on} IS {comment}"));
    }
    let gone: Vec<String> = removed(present, wanted).into_iter().map(literal).collect();
    if !gone.is_empty() {
        statements.push(format!(
            "ALTER {on} UNSET {properties} IF EXISTS ({})",
            gone.join(", ")
        ));
    }
    if present["properties"] != wanted["properties"]
        && let Some(pairs) = properties_sql(wanted)
    {
        statements.push(format!("ALTER {on} SET {properties} {pairs}"));
    }
    statements.into_iter().map(Sql::new).collect()
}

/// Properties that are there and not wanted.
fn removed<'a>(present: &'a Value, wanted: &Value) -> Vec<&'a str> {
    let there = present["properties"].as_object().into_iter().flatten();
    let names = there.map(|(name, _)| name.as_str());
    names
        .filter(|name| wanted["properties"].get(name).is_none())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(statements: Result<Vec<Sql>, String>) -> Vec<String> {
        statements.unwrap().into_iter().map(|sql| sql.sql).collect()
    }

    #[test]
    fn every_name_is_in_backticks_and_every_text_is_escaped() {
        let body = json!({"comment": "it's \\", "location": "s3://b/x", "properties": {"k'": "v"}});
        assert_eq!(
            texts(create(Securable::Database, "select", &body)),
            [
                "CREATE DATABASE `select`\nCOMMENT 'it\\'s \\\\'\nLOCATION 's3://b/x'\nWITH DBPROPERTIES ('k\\'' = 'v')"
            ]
        );
        let body = json!({"definition": "(a INT) USING csv", "comment": "c"});
        assert_eq!(
            texts(create(Securable::Table, "select.order by", &body)),
            ["CREATE TABLE `select`.`order by` (a INT) USING csv\nCOMMENT 'c'"]
        );
    }

    #[test]
    fn a_view_is_made_where_its_names_are_meant() {
        let body = json!({"columns": [{"name": "a`", "comment": "x"}, {"name": "b"}], "query": "SELECT * FROM t",
            "namespace": "d1"});
        let made = create(Securable::View, "d2.v", &body).unwrap();
        assert_eq!(
            made[0].sql,
            "CREATE VIEW `d2`.`v` (`a``` COMMENT 'x', `b`)\nAS SELECT * FROM t"
        );
        assert_eq!(made[0].database.as_deref(), Some("d1"));
    }

    #[test]
    fn functions_are_made_of_a_class_or_a_body() {
        let class = json!({"class": "org.example.F"});
        assert_eq!(
            texts(create(Securable::Function, "d.f", &class)),
            ["CREATE FUNCTION `d`.`f` AS 'org.example.F'"]
        );
        let sql = json!({"type": "TABLE", "input": ["x INT"], "returns": ["a INT", "b INT"], "body": "SELECT x, x"});
        assert_eq!(
            texts(create(Securable::Function, "d.g", &sql)),
            ["CREATE FUNCTION `d`.`g`(x INT) RETURNS TABLE (a INT, b INT) RETURN SELECT x, x"]
        );
    }

    #[test]
    fn only_words_about_a_table_are_changed() {
        let present = json!({"type": "MANAGED", "definition": "(a INT)", "comment": "old", "properties": {"a": "1", "b": "2"}});
        let wanted = json!({"type": "MANAGED", "definition": "(a INT)", "properties": {"b": "3"}});
        assert_eq!(
            texts(change(Securable::Table, "d.t", &present, &wanted)),
            [
                "COMMENT ON TABLE `d`.`t` IS ''",
                "ALTER TABLE `d`.`t` UNSET TBLPROPERTIES IF EXISTS ('a')",
                "ALTER TABLE `d`.`t` SET TBLPROPERTIES ('b' = '3')",
            ]
        );
        let other = json!({"type": "MANAGED", "definition": "(a BIGINT)"});
        assert!(change(Securable::Table, "d.t", &present, &other).is_err());
    }

    #[test]
    fn views_are_replaced_and_databases_stay_where_they_are() {
        let body = json!({"query": "SELECT 1"});
        assert_eq!(
            texts(change(Securable::View, "d.v", &json!({}), &body)),
            ["CREATE OR REPLACE VIEW `d`.`v`\nAS SELECT 1"]
        );
        let moved = change(
            Securable::Database,
            "d",
            &json!({"location": "a"}),
            &json!({"location": "b"}),
        );
        assert!(moved.is_err());
        assert_eq!(
            owner(Securable::Database, "d", "ana@example.com").unwrap(),
            "ALTER DATABASE `d` OWNER TO `ana@example.com`"
        );
    }
}

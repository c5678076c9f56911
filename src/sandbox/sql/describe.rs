//! `SHOW` and `DESCRIBE`.
//!
//! Invariant: a table that is broken is listed, and cannot be described.

use std::collections::BTreeMap;

use super::catalog::{Catalog, Key, View, not_found};
use super::lexer::Tokens;
use super::run::Session;
use super::table::Table;
use super::{Outcome, Rows, make, show};

pub(super) fn show(catalog: &Catalog, session: &Session, tokens: &mut Tokens<'_>) -> Outcome {
    if tokens.takes("DATABASES") || tokens.takes("SCHEMAS") {
        let mut rows = Rows::new(&["databaseName"]);
        catalog.databases.keys().for_each(|name| rows.push(&[name]));
        return Ok(rows);
    }
    if tokens.takes("CREATE TABLE") {
        let key = session.key(&tokens.names()?);
        let as_serde = tokens.takes("AS SERDE");
        return create_statement(catalog, session, &key, as_serde);
    }
    if tokens.takes("TBLPROPERTIES") {
        let key = session.key(&tokens.names()?);
        return properties(catalog, &key);
    }
    if tokens.takes("PARTITIONS") {
        let key = session.key(&tokens.names()?);
        return partitions(catalog, &key);
    }
    let what = ["TABLES", "VIEWS", "USER FUNCTIONS"];
    let what = what.iter().find(|words| tokens.takes(words));
    let what = *what.ok_or_else(|| tokens.wrong("what to show"))?;
    let name = match tokens.takes("IN") {
        true => session.key(&tokens.names()?).1,
        false => session.database(),
    };
    tokens.finish()?;
    let database = catalog.database(&name)?;
    if what == "USER FUNCTIONS" {
        let mut rows = Rows::new(&["function"]);
        for function in database.functions.keys() {
            let (database, function) = (show::name(&name), show::name(function));
            rows.push(&[&format!("hive_metastore.{database}.{function}")]);
        }
        return Ok(rows);
    }
    let column = if what == "TABLES" {
        "tableName"
    } else {
        "viewName"
    };
    let mut rows = Rows::new(&["namespace", column, "isTemporary"]);
    let tables = database.tables.keys().filter(|_| what == "TABLES");
    let mut names: Vec<&String> = tables.chain(database.views.keys()).collect();
    names.sort_unstable();
    names
        .iter()
        .for_each(|own| rows.push(&[&name, own, "false"]));
    Ok(rows)
}

pub(super) fn describe(catalog: &Catalog, session: &Session, tokens: &mut Tokens<'_>) -> Outcome {
    if tokens.takes("DATABASE EXTENDED") || tokens.takes("SCHEMA EXTENDED") {
        let (_, name) = session.key(&tokens.names()?);
        return database(catalog, &name);
    }
    if tokens.takes("FUNCTION EXTENDED") {
        let key = session.key(&tokens.names()?);
        let function = catalog.database(&key.0)?.functions.get(&key.1);
        let function = function.ok_or_else(|| {
            format!(
                "[UNRESOLVED_ROUTINE] Cannot resolve routine `{}`.`{}`. SQLSTATE: 42883",
                key.0, key.1
            )
        })?;
        return Ok(make::describe(&key, function));
    }
    tokens.must("TABLE EXTENDED")?;
    let key = session.key(&tokens.names()?);
    fails_if_unreadable(catalog, session, &key)?;
    match (catalog.table(&key), catalog.view(&key)) {
        (Some(table), _) => Ok(describe_table(&key, table)),
        (_, Some(view)) => Ok(describe_view(&key, view)),
        _ => Err(not_found(&key)),
    }
}

fn fails_if_unreadable(catalog: &Catalog, session: &Session, key: &Key) -> Result<(), String> {
    if let Some(profile) = catalog.locked.get(key)
        && session.profile.as_ref() != Some(profile)
    {
        return Err(format!(
            "java.nio.file.AccessDeniedException: s3a://locked/{}/{}: getFileStatus: Access Denied (Status Code: 403)",
            key.0, key.1
        ));
    }
    match catalog.table(key).is_some() && catalog.is_broken(key) {
        true => Err(format!(
            "java.io.FileNotFoundException: No such file or directory: s3a://gone/{}/{}",
            key.0, key.1
        )),
        false => Ok(()),
    }
}

fn create_statement(catalog: &Catalog, session: &Session, key: &Key, as_serde: bool) -> Outcome {
    fails_if_unreadable(catalog, session, key)?;
    let table = catalog.table(key).ok_or_else(|| not_found(key))?;
    if as_serde != (table.provider == "hive") {
        return Err(match as_serde {
            true => format!(
                "`{}`.`{}` is a Spark data source table. Use `SHOW CREATE TABLE` without `AS SERDE` instead.",
                key.0, key.1
            ),
            false => format!(
                "Failed to execute SHOW CREATE TABLE against table {}. Please use `SHOW CREATE TABLE {0} AS SERDE` instead.",
                key.1
            ),
        });
    }
    let mut rows = Rows::new(&["createtab_stmt"]);
    rows.push(&[&show::create_table(key, table, as_serde)]);
    Ok(rows)
}

fn properties(catalog: &Catalog, key: &Key) -> Outcome {
    let mut rows = Rows::new(&["key", "value"]);
    let mut push = |prefix: &str, pairs: &BTreeMap<String, String>| {
        pairs
            .iter()
            .for_each(|(key, value)| rows.push(&[&format!("{prefix}{key}"), value]));
    };
    match (catalog.table(key), catalog.view(key)) {
        (Some(table), _) => {
            push("option.", &table.options);
            push("", &table.properties);
        }
        (_, Some(view)) => push("", &view.properties),
        _ => return Err(not_found(key)),
    }
    Ok(rows)
}

fn partitions(catalog: &Catalog, key: &Key) -> Outcome {
    let table = catalog.table(key).ok_or_else(|| not_found(key))?;
    if table.partitioned.is_empty() {
        return Err(format!(
            "[INVALID_PARTITION_OPERATION.PARTITION_SCHEMA_IS_EMPTY] Table `{}`.`{}` is not partitioned. SQLSTATE: 42601",
            key.0, key.1
        ));
    }
    let mut rows = Rows::new(&["partition"]);
    table
        .partitions
        .iter()
        .for_each(|partition| rows.push(&[partition]));
    Ok(rows)
}

fn database(catalog: &Catalog, name: &str) -> Outcome {
    let database = catalog.database(name)?;
    let pairs = database.properties.iter();
    let pairs: Vec<String> = pairs
        .map(|(key, value)| format!("({key},{value})"))
        .collect();
    let properties = match pairs.is_empty() {
        true => String::new(),
        false => format!("({})", pairs.join(", ")),
    };
    let mut rows = Rows::new(&["database_description_item", "database_description_value"]);
    rows.push(&["Catalog Name", "hive_metastore"]);
    rows.push(&["Namespace Name", name]);
    rows.push(&["Comment", &database.comment]);
    rows.push(&["Location", &database.location]);
    rows.push(&["Owner", &database.owner]);
    rows.push(&["Properties", &properties]);
    Ok(rows)
}

const DESCRIPTION: &[&str] = &["col_name", "data_type", "comment"];

fn describe_table(key: &Key, table: &Table) -> Rows {
    let mut rows = Rows::new(DESCRIPTION);
    let column = |column: &super::table::Column| {
        vec![
            Some(column.name.clone()),
            Some(column.definition.to_lowercase()),
            column.comment.clone(),
        ]
    };
    rows.rows.extend(table.columns.iter().map(column));
    if !table.partitioned.is_empty() {
        rows.push(&["# Partition Information", "", ""]);
        rows.push(&["# col_name", "data_type", "comment"]);
        let is_one = |column: &&super::table::Column| table.partitioned.contains(&column.name);
        rows.rows
            .extend(table.columns.iter().filter(is_one).map(column));
    }
    let location = format!("{}/{}.db/{}", super::catalog::WAREHOUSE, key.0, key.1);
    let options = table
        .options
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    let options = format!("[{}]", options.collect::<Vec<_>>().join(", "));
    details(&mut rows, key, &table.owner);
    let kind = if table.location.is_some() {
        "EXTERNAL"
    } else {
        "MANAGED"
    };
    for (name, value) in [
        ("Type", kind),
        ("Provider", table.provider.as_str()),
        ("Comment", &table.comment),
        ("Location", table.location.as_ref().unwrap_or(&location)),
        (
            "Storage Properties",
            if table.options.is_empty() {
                ""
            } else {
                &options
            },
        ),
    ] {
        if !value.is_empty() {
            rows.push(&[name, value, ""]);
        }
    }
    rows
}

fn describe_view(key: &Key, view: &View) -> Rows {
    let mut rows = Rows::new(DESCRIPTION);
    let column = |(name, comment): &(String, Option<String>)| {
        vec![Some(name.clone()), Some("string".into()), comment.clone()]
    };
    rows.rows.extend(view.columns.iter().map(column));
    details(&mut rows, key, &view.owner);
    rows.push(&["Type", "VIEW", ""]);
    if !view.comment.is_empty() {
        rows.push(&["Comment", &view.comment, ""]);
    }
    rows.push(&["View Text", &view.query, ""]);
    rows.push(&["View Original Text", &view.query, ""]);
    let namespace = format!("hive_metastore.{}", show::name(&view.namespace));
    rows.push(&["View Catalog and Namespace", &namespace, ""]);
    rows
}

fn details(rows: &mut Rows, key: &Key, owner: &str) {
    rows.push(&["", "", ""]);
    rows.push(&["# Detailed Table Information", "", ""]);
    rows.push(&["Catalog", "hive_metastore", ""]);
    rows.push(&["Database", &key.0, ""]);
    rows.push(&["Table", &key.1, ""]);
    rows.push(&["Owner", owner, ""]);
}

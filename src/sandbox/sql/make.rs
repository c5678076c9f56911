//! `CREATE`.
//!
//! Invariant: what a view needs must be there when the view is made.

use super::Rows;
use super::catalog::{Catalog, Code, Database, Function, Key, View, WAREHOUSE, exists, not_found};
use super::lexer::{Token, Tokens};
use super::run::Session;
use super::table::{Table, columns};

pub(super) fn create(
    catalog: &mut Catalog,
    session: &Session,
    tokens: &mut Tokens<'_>,
) -> Result<(), String> {
    let or_replace = tokens.takes("OR REPLACE");
    tokens.takes("EXTERNAL");
    if tokens.takes("DATABASE") || tokens.takes("SCHEMA") {
        database(catalog, session, tokens)
    } else if tokens.takes("TABLE") {
        table(catalog, session, tokens)
    } else if tokens.takes("VIEW") {
        view(catalog, session, tokens, or_replace)
    } else if tokens.takes("FUNCTION") {
        function(catalog, session, tokens, or_replace)
    } else {
        Err(tokens.wrong("DATABASE, TABLE, VIEW or FUNCTION"))
    }
}

/// The service allows nothing else in names of its metastore.
fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_alphanumeric() || "_- ".contains(c);
    match name.chars().all(is_plain) && !name.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "`{name}` is not a valid name for tables/databases. Valid names only contain alphabet characters, numbers and _."
        )),
    }
}

fn database(
    catalog: &mut Catalog,
    session: &Session,
    tokens: &mut Tokens<'_>,
) -> Result<(), String> {
    let if_not_exists = tokens.takes("IF NOT EXISTS");
    let (_, name) = session.key(&tokens.names()?);
    check_name(&name)?;
    let mut made = Database {
        location: format!("{WAREHOUSE}/{name}.db"),
        owner: session.user.clone(),
        ..Database::default()
    };
    while tokens.peek().is_some() {
        if tokens.takes("COMMENT") {
            made.comment = tokens.text()?;
        } else if tokens.takes("LOCATION") {
            made.location = tokens.text()?;
        } else if tokens.takes("WITH DBPROPERTIES") {
            made.properties.extend(tokens.pairs()?);
        } else {
            return Err(tokens.wrong("a clause of CREATE DATABASE"));
        }
    }
    if catalog.databases.contains_key(&name) {
        return match if_not_exists {
            true => Ok(()),
            false => Err(format!(
                "[SCHEMA_ALREADY_EXISTS] Cannot create schema `{name}` because it already exists. SQLSTATE: 42P06"
            )),
        };
    }
    catalog.databases.insert(name, made);
    Ok(())
}

fn table(catalog: &mut Catalog, session: &Session, tokens: &mut Tokens<'_>) -> Result<(), String> {
    let if_not_exists = tokens.takes("IF NOT EXISTS");
    let key = session.key(&tokens.names()?);
    check_name(&key.1)?;
    let mut table = Table::parse(tokens)?;
    table.owner.clone_from(&session.user);
    if catalog.has_relation(&key) {
        return if if_not_exists {
            Ok(())
        } else {
            Err(exists(&key))
        };
    }
    // The metastore keeps the time of the last change among the properties of some tables.
    if table.provider == "hive" {
        let now = catalog.tick();
        table.properties.insert("transient_lastDdlTime".into(), now);
    }
    if table.provider == "delta" {
        for version in ["delta.minReaderVersion", "delta.minWriterVersion"] {
            let property = table.properties.entry(version.into());
            property.or_insert_with(|| "1".into());
        }
    }
    let database = catalog.database_mut(&key.0)?;
    database.tables.insert(key.1, table);
    Ok(())
}

fn view(
    catalog: &mut Catalog,
    session: &Session,
    tokens: &mut Tokens<'_>,
    or_replace: bool,
) -> Result<(), String> {
    let key = session.key(&tokens.names()?);
    check_name(&key.1)?;
    let mut view = View {
        namespace: session.database(),
        owner: session.user.clone(),
        ..View::default()
    };
    if tokens.peek() == Some(&Token::Sign('(')) {
        let list = columns(tokens.inside()?)?;
        view.columns = list
            .into_iter()
            .map(|column| (column.name, column.comment))
            .collect();
    }
    loop {
        if tokens.takes("COMMENT") {
            view.comment = tokens.text()?;
        } else if tokens.takes("TBLPROPERTIES") {
            view.properties.extend(tokens.pairs()?);
        } else {
            tokens.must("AS")?;
            break;
        }
    }
    view.query = tokens.statement[tokens.place()..].trim().to_string();
    let selected = check_query(catalog, session, &view.query)?;
    if view.columns.is_empty() {
        view.columns = selected.into_iter().map(|name| (name, None)).collect();
    }
    let is_table = catalog.table(&key).is_some();
    if is_table || (catalog.view(&key).is_some() && !or_replace) {
        return Err(exists(&key));
    }
    let now = catalog.tick();
    view.properties.insert("transient_lastDdlTime".into(), now);
    let database = catalog.database_mut(&key.0)?;
    if let Some(old) = database.views.get(&key.1) {
        view.owner.clone_from(&old.owner);
    }
    database.views.insert(key.1, view);
    Ok(())
}

/// What a query reads must be there. Gives back the names of what it selects, as far as they are plain.
fn check_query(catalog: &Catalog, session: &Session, query: &str) -> Result<Vec<String>, String> {
    let mut tokens = Tokens::new(query)?;
    let mut own: Vec<String> = Vec::new();
    let mut names = Vec::new();
    let mut selected = Vec::new();
    let mut in_list = false;
    while let Some(token) = tokens.peek().cloned() {
        if tokens.takes("WITH") {
            own.push(tokens.name()?);
        } else if tokens.takes("SELECT") {
            in_list = selected.is_empty();
        } else if tokens.takes("FROM") || tokens.takes("JOIN") {
            in_list = false;
            if matches!(tokens.peek(), Some(Token::Word(_) | Token::Name(_))) {
                names.push(tokens.names()?);
            }
        } else {
            tokens.next();
            match token {
                Token::Word(word) | Token::Name(word) if in_list => {
                    selected.pop_if(|last: &mut Option<String>| last.is_some());
                    selected.push(Some(word));
                }
                Token::Sign(',') if in_list => selected.push(None),
                Token::Sign('*') if in_list => selected.push(Some("*".into())),
                _ => {}
            }
        }
    }
    for read in &names {
        let key = session.key(read);
        let is_own = read.len() == 1 && own.contains(&read[0]);
        if !is_own && !catalog.has_relation(&key) {
            return Err(not_found(&key));
        }
    }
    let selected: Vec<String> = selected.into_iter().flatten().collect();
    if selected.iter().any(|name| name == "*")
        && let Some(first) = names.first()
    {
        return Ok(columns_of(catalog, &session.key(first)));
    }
    Ok(selected)
}

fn columns_of(catalog: &Catalog, key: &Key) -> Vec<String> {
    if let Some(table) = catalog.table(key) {
        return table
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
    }
    let view = catalog.view(key);
    let columns = view.into_iter().flat_map(|view| &view.columns);
    columns.map(|(name, _)| name.clone()).collect()
}

fn function(
    catalog: &mut Catalog,
    session: &Session,
    tokens: &mut Tokens<'_>,
    or_replace: bool,
) -> Result<(), String> {
    let key = session.key(&tokens.names()?);
    check_name(&key.1)?;
    let code = if tokens.takes("AS") {
        let class = tokens.text()?;
        while tokens.next().is_some() {}
        Code::Class(class)
    } else {
        sql_function(tokens)?
    };
    let database = catalog.database_mut(&key.0)?;
    if database.functions.contains_key(&key.1) && !or_replace {
        return Err(format!(
            "[ROUTINE_ALREADY_EXISTS] Cannot create the routine `{}`.`{}` because a routine of that name already exists. SQLSTATE: 42723",
            key.0, key.1
        ));
    }
    let owner = session.user.clone();
    let made = Function {
        owner,
        code: code.clone(),
    };
    // One that is replaced stays whose it was.
    database.functions.entry(key.1).or_insert(made).code = code;
    Ok(())
}

fn sql_function(tokens: &mut Tokens<'_>) -> Result<Code, String> {
    let mut lines = Vec::new();
    let input = columns(tokens.inside()?)?;
    let input = input
        .iter()
        .map(|column| format!("{} {}", column.name, column.definition));
    let input: Vec<String> = input.collect();
    tokens.must("RETURNS")?;
    let (kind, returns) = match tokens.takes("TABLE") {
        true => {
            let list = columns(tokens.inside()?)?;
            let list = list
                .iter()
                .map(|column| format!("{} {}", column.name, column.definition));
            ("TABLE", list.collect())
        }
        false => ("SCALAR", vec![tokens.name()?]),
    };
    lines.push(("Type", kind.to_string()));
    lines.push((
        "Input",
        if input.is_empty() {
            "()".into()
        } else {
            input.join("\n")
        },
    ));
    lines.push(("Returns", returns.join("\n")));
    if tokens.takes("COMMENT") {
        lines.push(("Comment", tokens.text()?));
    }
    tokens.must("RETURN")?;
    let body = tokens.statement[tokens.place()..].trim().to_string();
    lines.push(("Body", body));
    Ok(Code::Sql(lines))
}

/// The lines that describe a function.
pub(super) fn describe(key: &Key, function: &Function) -> Rows {
    let mut rows = Rows::new(&["function_desc"]);
    let name = format!(
        "{}.{}",
        super::show::name(&key.0),
        super::show::name(&key.1)
    );
    match &function.code {
        Code::Class(class) => {
            rows.push(&[&format!("Function: hive_metastore.{name}")]);
            rows.push(&[&format!("Class: {class}")]);
            rows.push(&["Usage: N/A."]);
            rows.push(&[&format!(
                "Extended Usage:\n    No example/argument for {}.\n",
                key.1
            )]);
        }
        Code::Sql(lines) => {
            rows.push(&[&format!("{:<15}hive_metastore.{name}", "Function:")]);
            for (title, text) in lines {
                for (number, line) in text.lines().enumerate() {
                    let title = if number == 0 {
                        format!("{title}:")
                    } else {
                        String::new()
                    };
                    rows.push(&[&format!("{title:<15}{line}")]);
                }
            }
        }
    }
    rows
}

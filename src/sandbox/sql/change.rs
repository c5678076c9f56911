//! `ALTER` and `COMMENT ON`.
//!
//! Invariant: only words about an object change; nothing here drops anything.

use std::collections::BTreeMap;

use super::catalog::{Catalog, not_found};
use super::lexer::{Token, Tokens};
use super::run::Session;

pub(super) fn alter(
    catalog: &mut Catalog,
    session: &Session,
    tokens: &mut Tokens<'_>,
) -> Result<(), String> {
    if tokens.takes("FUNCTION") {
        let key = session.key(&tokens.names()?);
        tokens.must("OWNER TO")?;
        let owner = new_owner(catalog, tokens)?;
        let function = catalog.database_mut(&key.0)?.functions.get_mut(&key.1);
        function.ok_or_else(|| not_found(&key))?.owner = owner;
        return Ok(());
    }
    let is_database = tokens.takes("DATABASE") || tokens.takes("SCHEMA");
    if !is_database && !tokens.takes("TABLE") {
        tokens.must("VIEW")?;
    }
    let names = tokens.names()?;
    if tokens.takes("OWNER TO") {
        let owner = new_owner(catalog, tokens)?;
        *owner_of(catalog, session, &names, is_database)? = owner;
        return Ok(());
    }
    if tokens.takes("ADD PARTITION") {
        let text = tokens.inside()?.to_string();
        let key = session.key(&names);
        let table = catalog.database_mut(&key.0)?.tables.get_mut(&key.1);
        table.ok_or_else(|| not_found(&key))?.partitions.push(text);
        return tokens.finish();
    }
    let is_set = tokens.takes("SET");
    if !is_set {
        tokens.must("UNSET")?;
    }
    tokens.must(if is_database {
        "DBPROPERTIES"
    } else {
        "TBLPROPERTIES"
    })?;
    tokens.takes("IF EXISTS");
    let pairs = tokens.pairs()?;
    tokens.finish()?;
    let properties = properties_of(catalog, session, &names, is_database)?;
    for (key, value) in pairs {
        match is_set {
            true => drop(properties.insert(key, value)),
            false => drop(properties.remove(&key)),
        }
    }
    Ok(())
}

pub(super) fn comment(
    catalog: &mut Catalog,
    session: &Session,
    tokens: &mut Tokens<'_>,
) -> Result<(), String> {
    let is_database = tokens.takes("DATABASE") || tokens.takes("SCHEMA");
    if !is_database {
        tokens.must("TABLE")?;
    }
    let names = tokens.names()?;
    tokens.must("IS")?;
    let words = match tokens.next() {
        Some(Token::Text(words)) => words,
        Some(Token::Word(null)) if null.eq_ignore_ascii_case("NULL") => String::new(),
        _ => return Err(tokens.wrong("a comment")),
    };
    tokens.finish()?;
    let key = session.key(&names);
    if is_database {
        catalog.database_mut(&key.1)?.comment = words;
    } else {
        let table = catalog.database_mut(&key.0)?.tables.get_mut(&key.1);
        table.ok_or_else(|| not_found(&key))?.comment = words;
    }
    Ok(())
}

fn properties_of<'a>(
    catalog: &'a mut Catalog,
    session: &Session,
    names: &[String],
    is_database: bool,
) -> Result<&'a mut BTreeMap<String, String>, String> {
    let key = session.key(names);
    if is_database {
        return Ok(&mut catalog.database_mut(&key.1)?.properties);
    }
    let database = catalog.database_mut(&key.0)?;
    let table = database
        .tables
        .get_mut(&key.1)
        .map(|table| &mut table.properties);
    let view = database
        .views
        .get_mut(&key.1)
        .map(|view| &mut view.properties);
    table.or(view).ok_or_else(|| not_found(&key))
}

fn new_owner(catalog: &Catalog, tokens: &mut Tokens<'_>) -> Result<String, String> {
    let owner = tokens.name()?;
    tokens.finish()?;
    match catalog.has_acls {
        true => Ok(owner),
        false => Err("Operation not allowed: ALTER ... OWNER TO needs table access control, which is not enabled".into()),
    }
}

fn owner_of<'a>(
    catalog: &'a mut Catalog,
    session: &Session,
    names: &[String],
    is_database: bool,
) -> Result<&'a mut String, String> {
    let key = session.key(names);
    if is_database {
        return Ok(&mut catalog.database_mut(&key.1)?.owner);
    }
    let database = catalog.database_mut(&key.0)?;
    let table = database
        .tables
        .get_mut(&key.1)
        .map(|table| &mut table.owner);
    let view = database.views.get_mut(&key.1).map(|view| &mut view.owner);
    table.or(view).ok_or_else(|| not_found(&key))
}

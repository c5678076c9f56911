//! Table ACLs: `GRANT`, `DENY`, `REVOKE` and `SHOW GRANTS`.
//!
//! Invariant: what is granted on a database or on the catalog reaches down, and is shown with the object it was granted on.

use super::catalog::{Catalog, not_found};
use super::lexer::Tokens;
use super::run::Session;
use super::{Outcome, Rows};

/// How a denied privilege is shown.
pub(super) const DENIED: &str = "DENIED_";

/// An object that privileges are granted on.
struct Securable {
    object_type: &'static str,
    key: String,
    owner: Option<String>,
    /// The database it lies in.
    database: Option<String>,
}

pub(super) fn grant(
    catalog: &mut Catalog,
    session: &Session,
    tokens: &mut Tokens<'_>,
    prefix: &str,
) -> Result<(), String> {
    let privileges = privileges(tokens)?;
    let securable = securable(catalog, session, tokens)?;
    tokens.must("TO")?;
    let principal = tokens.name()?;
    tokens.finish()?;
    let of_object = catalog.grants.entry(securable.name()).or_default();
    let granted = of_object.entry(principal).or_default();
    granted.extend(
        privileges
            .iter()
            .map(|privilege| format!("{prefix}{privilege}")),
    );
    Ok(())
}

/// Takes back what was granted, and what was denied.
pub(super) fn revoke(
    catalog: &mut Catalog,
    session: &Session,
    tokens: &mut Tokens<'_>,
) -> Result<(), String> {
    let privileges = privileges(tokens)?;
    let securable = securable(catalog, session, tokens)?;
    tokens.must("FROM")?;
    let principal = tokens.name()?;
    tokens.finish()?;
    let of_object = catalog.grants.entry(securable.name()).or_default();
    if let Some(granted) = of_object.get_mut(&principal) {
        granted.retain(|known| {
            let plain = known.strip_prefix(DENIED).unwrap_or(known);
            !privileges.iter().any(|privilege| privilege == plain)
        });
    }
    Ok(())
}

pub(super) fn show(catalog: &Catalog, session: &Session, tokens: &mut Tokens<'_>) -> Outcome {
    let of = match tokens.takes("ON") {
        true => None,
        false => {
            let of = tokens.name()?;
            tokens.must("ON")?;
            Some(of)
        }
    };
    let securable = securable_after_on(catalog, session, tokens)?;
    tokens.finish()?;
    let mut rows = Rows::new(&["Principal", "ActionType", "ObjectType", "ObjectKey"]);
    let mut push = |of_object: &Securable, shown_as: &str| {
        let granted = catalog.grants.get(&of_object.name());
        for (principal, actions) in granted.into_iter().flatten() {
            actions
                .iter()
                .for_each(|action| rows.push(&[principal, action, shown_as, &of_object.key]));
        }
        if let Some(owner) = &of_object.owner {
            rows.push(&[owner, "OWN", shown_as, &of_object.key]);
        }
    };
    push(&securable, securable.object_type);
    if let Some(database) = &securable.database {
        push(&Securable::database(catalog, database)?, "DATABASE");
    }
    if securable.object_type != "CATALOG$" && securable.object_type != "ANY_FILE" {
        push(&Securable::new("CATALOG$", String::new()), "CATALOG$");
    }
    rows.rows.retain(|row| of.is_none() || row[0] == of);
    Ok(rows)
}

impl Securable {
    fn new(object_type: &'static str, key: String) -> Securable {
        Securable {
            object_type,
            key,
            owner: None,
            database: None,
        }
    }

    fn database(catalog: &Catalog, name: &str) -> Result<Securable, String> {
        let owner = catalog.database(name)?.owner.clone();
        Ok(Securable {
            owner: Some(owner),
            ..Securable::new("DATABASE", name.to_string())
        })
    }

    fn name(&self) -> String {
        format!("{} {}", self.object_type, self.key)
    }
}

fn privileges(tokens: &mut Tokens<'_>) -> Result<Vec<String>, String> {
    let mut privileges = Vec::new();
    loop {
        let name = tokens.name()?.to_uppercase();
        privileges.push(match tokens.takes("PRIVILEGES") {
            true => format!("{name} PRIVILEGES"),
            false => name,
        });
        if !tokens.takes_sign(',') {
            return Ok(privileges);
        }
    }
}

fn securable(
    catalog: &Catalog,
    session: &Session,
    tokens: &mut Tokens<'_>,
) -> Result<Securable, String> {
    tokens.must("ON")?;
    securable_after_on(catalog, session, tokens)
}

fn securable_after_on(
    catalog: &Catalog,
    session: &Session,
    tokens: &mut Tokens<'_>,
) -> Result<Securable, String> {
    if !catalog.has_acls {
        return Err(
            "Operation not allowed: this needs table access control, which is not enabled".into(),
        );
    }
    for (words, object_type) in [
        ("CATALOG", "CATALOG$"),
        ("ANY FILE", "ANY_FILE"),
        ("ANONYMOUS FUNCTION", "ANONYMOUS_FUNCTION"),
    ] {
        if tokens.takes(words) {
            return Ok(Securable::new(object_type, String::new()));
        }
    }
    if tokens.takes("DATABASE") || tokens.takes("SCHEMA") {
        let (_, name) = session.key(&tokens.names()?);
        return Securable::database(catalog, &name);
    }
    let object_type = if tokens.takes("FUNCTION") {
        "FUNCTION"
    } else {
        if !tokens.takes("VIEW") {
            tokens.must("TABLE")?;
        }
        "TABLE"
    };
    let key = session.key(&tokens.names()?);
    let database = catalog.database(&key.0)?;
    let owner = match object_type {
        "FUNCTION" => database
            .functions
            .get(&key.1)
            .map(|function| function.owner.clone()),
        _ => {
            let table = database.tables.get(&key.1).map(|table| &table.owner);
            let view = database.views.get(&key.1).map(|view| &view.owner);
            table.or(view).cloned()
        }
    };
    let owner = owner.ok_or_else(|| not_found(&key))?;
    Ok(Securable {
        owner: Some(owner).filter(|owner| !owner.is_empty()),
        database: Some(key.0.clone()),
        ..Securable::new(object_type, format!("`{}`.`{}`", key.0, key.1))
    })
}

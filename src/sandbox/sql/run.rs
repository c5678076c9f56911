//! Which statement it is.
//!
//! Invariant: a statement that is not known is refused with its first words.

use super::catalog::{Catalog, Key};
use super::lexer::Tokens;
use super::{Outcome, Rows, change, describe, grant, make};

/// Who runs statements, and where names without a database are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) database: Option<String>,
    /// The instance profile of the cluster, with whose rights files are read.
    pub(crate) profile: Option<String>,
}

impl Session {
    pub(super) fn database(&self) -> String {
        self.database.clone().unwrap_or_else(|| "default".into())
    }

    /// The key of a name with its qualifiers.
    pub(super) fn key(&self, names: &[String]) -> Key {
        let mut names = names.iter().rev().map(|name| name.to_lowercase());
        let own = names.next().unwrap_or_default();
        (names.next().unwrap_or_else(|| self.database()), own)
    }
}

/// Runs one statement.
pub(crate) fn run(catalog: &mut Catalog, session: &mut Session, statement: &str) -> Outcome {
    let statement = statement.trim().trim_end_matches(';');
    let tokens = &mut Tokens::new(statement)?;
    if tokens.takes("SHOW") {
        if tokens.takes("GRANTS") {
            return grant::show(catalog, session, tokens);
        }
        return describe::show(catalog, session, tokens);
    }
    if tokens.takes("DESCRIBE") {
        return describe::describe(catalog, session, tokens);
    }
    if tokens.takes("CREATE") {
        make::create(catalog, session, tokens)?;
    } else if tokens.takes("ALTER") {
        change::alter(catalog, session, tokens)?;
    } else if tokens.takes("COMMENT ON") {
        change::comment(catalog, session, tokens)?;
    } else if tokens.takes("GRANT") {
        grant::grant(catalog, session, tokens, "")?;
    } else if tokens.takes("DENY") {
        grant::grant(catalog, session, tokens, grant::DENIED)?;
    } else if tokens.takes("REVOKE") {
        grant::revoke(catalog, session, tokens)?;
    } else if tokens.takes("USE") {
        enter(catalog, session, tokens)?;
    } else {
        return Err(tokens.wrong("a statement about the metastore"));
    }
    Ok(Rows::default())
}

fn enter(catalog: &Catalog, session: &mut Session, tokens: &mut Tokens<'_>) -> Result<(), String> {
    if tokens.takes("CATALOG") {
        return tokens.name().map(drop);
    }
    let (_, name) = session.key(&tokens.names()?);
    catalog.database(&name)?;
    session.database = Some(name);
    tokens.finish()
}

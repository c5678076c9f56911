//! Names and texts as SQL writes them.
//!
//! Invariant: a name that went through [`quoted`] and a text that went through [`literal`] are read back as they were.

use std::fmt;

/// A name in backticks.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in quotes.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The parts of a dotted name, without their backticks.
pub fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let last = parts.last_mut().expect("there is always a part");
        match character {
            '`' if is_quoted && characters.peek() == Some(&'`') => {
                characters.next();
                last.push('`');
            }
            '`' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(String::new()),
            other => last.push(other),
        }
    }
    parts
}

/// A table, view or function with its database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relation {
    /// Its database.
    pub database: String,
    /// Its own name.
    pub name: String,
}

impl Relation {
    /// A name in a database.
    pub fn new(database: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            database: database.into(),
            name: name.into(),
        }
    }

    /// From the form in which snapshots and servers write it; a catalog before it is left out.
    pub fn parse(text: &str) -> Self {
        let mut parts = parts(text);
        let name = parts.pop().unwrap_or_default();
        Self::new(parts.pop().unwrap_or_default(), name)
    }

    /// As statements name it.
    pub fn to_sql(&self) -> String {
        format!("{}.{}", quoted(&self.database), quoted(&self.name))
    }
}

/// `sales.orders`; a part that could be misread is in backticks.
impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &str| match part.contains(['.', '`']) {
            true => quoted(part),
            false => part.to_owned(),
        };
        write!(f, "{}.{}", part(&self.database), part(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text_whatever_is_in_it() {
        for (database, name, text) in [
            ("sales", "orders", "sales.orders"),
            ("select", "order by", "select.order by"),
            ("a.b", "c`d", "`a.b`.`c``d`"),
            ("ünï", "日本", "ünï.日本"),
        ] {
            let relation = Relation::new(database, name);
            assert_eq!(relation.to_string(), text);
            assert_eq!(Relation::parse(text), relation);
            assert_eq!(Relation::parse(&relation.to_sql()), relation);
        }
        assert_eq!(
            Relation::parse("spark_catalog.d.t"),
            Relation::new("d", "t")
        );
    }

    #[test]
    fn quotes_and_backslashes_stay_what_they_are() {
        assert_eq!(quoted("a`b"), "`a``b`");
        assert_eq!(literal(r"it's \d"), r"'it\'s \\d'");
    }
}

//! What the Hive metastore says of its objects, in SQL and in tables of words, and what is kept of it.
//!
//! - `names`: names and texts as SQL writes them. `ddl`: a `CREATE TABLE` that the server shows, taken apart.
//! - `describe`: what the `DESCRIBE` statements answer. `body`: the canonical bodies. `statements`: bodies as SQL again.
//! - `mentioned`: what the query of a view may need. `shown`: bodies of which only the statement is known that the server showed.
//! - `grants`: who may do what, as `SHOW GRANTS` tells it and as `GRANT` and `DENY` give it.
//!
//! Invariant: pure; nothing here runs a statement. No statement made here drops anything or touches a row.

mod body;
mod ddl;
mod describe;
mod grants;
mod mentioned;
mod names;
mod shown;
mod statements;

pub use body::{database_body, function_body, table_body, view_body};
pub use ddl::Parsed;
pub use describe::{Database, Described, Row};
pub use grants::{Grants, grants_of, statements as grant_statements};
pub use mentioned::mentioned;
pub use names::{Relation, literal, parts, quoted};
pub use shown::{makes_view, shown_table_body, shown_view_body};
pub use statements::{Sql, change, create, owner};

/// What a kind of the metastore is to SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Securable {
    /// What only has grants: the catalog, any file, anonymous functions.
    Top,
    /// A database, also called schema.
    Database,
    /// A table.
    Table,
    /// A function that was made to stay.
    Function,
    /// A view.
    View,
}

/// What only has grants, by the name it has in a snapshot and the words SQL has for it.
pub const TOP: [(&str, &str); 3] = [
    ("catalog", "CATALOG"),
    ("any file", "ANY FILE"),
    ("anonymous function", "ANONYMOUS FUNCTION"),
];

impl Securable {
    /// The securable of this name, as `GRANT` and `SHOW GRANTS` write it.
    pub fn in_grants(self, name: &str) -> String {
        let relation = || Relation::parse(name).to_sql();
        match self {
            Securable::Top => TOP
                .iter()
                .find(|(known, _)| *known == name)
                .map_or_else(String::new, |(_, words)| (*words).to_owned()),
            Securable::Database => format!("DATABASE {}", quoted(name)),
            Securable::Table => format!("TABLE {}", relation()),
            Securable::View => format!("VIEW {}", relation()),
            Securable::Function => format!("FUNCTION {}", relation()),
        }
    }

    /// The database that an object of this name lies in.
    pub fn database(self, name: &str) -> Option<String> {
        match self {
            Securable::Top => None,
            Securable::Database => Some(name.to_owned()),
            Securable::Table | Securable::View | Securable::Function => {
                Some(Relation::parse(name).database)
            }
        }
    }
}

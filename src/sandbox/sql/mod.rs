//! A small engine behind the two ways to run SQL: databases, tables, views and functions of a Hive metastore, without data.
//!
//! It reads the statements that describe, make, change and protect such objects, and shows them as Spark does: names with a
//! catalog before them, quotes escaped and backslashes not, properties that change by themselves.
//!
//! - `lexer`: tokens. `table`: what a `CREATE TABLE` says. `show`: objects as statements and rows.
//! - `run`: which statement it is. `make`, `change`, `grant`, `describe`: what each does. `catalog`: what there is.
//!
//! Invariant: a statement that fails changes nothing.

mod catalog;
mod change;
mod describe;
mod grant;
mod lexer;
mod make;
mod run;
mod show;
mod table;

pub(crate) use catalog::Catalog;
pub(crate) use run::{Session, run};

/// The rows of a result and what their columns are called.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    fn new(columns: &[&'static str]) -> Rows {
        Rows {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    fn push(&mut self, cells: &[&str]) {
        let cell = |cell: &&str| Some((*cell).to_string());
        self.rows.push(cells.iter().map(cell).collect());
    }
}

/// What becomes of a statement; the failure in the server's words.
pub(crate) type Outcome = Result<Rows, String>;

//! The database in which the older tool keeps runs: a table of SQLite, with a row of JSON for each.
//!
//! Invariant: the database is only read, and nothing in it is run: what is called a table of runs has to be one.

use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;

use super::files::Export;
use super::lines::{LONGEST_LINE, object};
use super::{ImportError, chain};

pub(super) const FILE: &str = "mlflow_runs.db";
/// What SQLite leaves of a change that was not finished.
pub(super) const JOURNAL: &str = "mlflow_runs.db-journal";

pub(super) struct Database {
    connection: Connection,
    /// The older tool ended while it wrote.
    pub(super) was_being_written: bool,
}

impl Database {
    /// Opens the database, if there is one; else why it cannot be read.
    pub(super) fn open(export: &Export) -> Result<Option<Self>, String> {
        let failed = |error| format!("it cannot be read: {}", chain(&error));
        if export.open(FILE).map_err(failed)?.is_none() {
            return Ok(None);
        }
        let journal = export.open(JOURNAL).ok().flatten();
        let journal = journal.and_then(|file| file.metadata().ok());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(export.root.join(FILE), flags);
        Ok(Some(Self {
            connection: connection.map_err(|error| told(&error))?,
            was_being_written: journal.is_some_and(|of| of.len() > 0),
        }))
    }

    /// Calls `take` with every row, or with why it is none; within, why there may be more of them.
    pub(super) fn each(
        &self,
        mut take: impl FnMut(u64, Result<Value, String>) -> Result<(), ImportError>,
    ) -> Result<Result<(), String>, ImportError> {
        let mut statement = match self.statement() {
            Ok(statement) => statement,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut rows = match statement.query([LONGEST_LINE as i64]) {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(told(&error))),
        };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let (number, run) = read(row);
                    take(number, run)?;
                }
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(told(&error))),
            }
        }
    }

    fn statement(&self) -> Result<rusqlite::Statement<'_>, String> {
        let is_table = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'runs' \
                        AND sql NOT LIKE 'CREATE VIRTUAL%'";
        let count = self.connection.query_row(is_table, [], |row| row.get(0));
        match count {
            Ok(1_i64) => {}
            Ok(_) => return Err("there is no table of runs in it".to_owned()),
            Err(error) => return Err(told(&error)),
        }
        let rows = "SELECT rowid, CASE WHEN length(run_obj) <= ?1 THEN run_obj END FROM runs ORDER BY rowid";
        let statement = self.connection.prepare(rows);
        statement.map_err(|error| told(&error))
    }
}

/// The number of a row, and the run in it.
fn read(row: &Row<'_>) -> (u64, Result<Value, String>) {
    let number = row.get::<_, i64>(0).unwrap_or_default();
    let text = row.get_ref(1).map_err(|error| told(&error));
    let run = text.and_then(|text| match text.as_str() {
        Ok(text) => object(text).or_else(|reason| object(&quoted(text)).map_err(|_| reason)),
        Err(_) => Err(format!("it is no text of at most {LONGEST_LINE} bytes")),
    });
    (u64::try_from(number).unwrap_or_default(), run)
}

fn told(error: &rusqlite::Error) -> String {
    format!("it cannot be read: {}", chain(error))
}

/// Python writes numbers that JSON does not have as bare words; the service writes the same words as texts.
fn quoted(text: &str) -> String {
    const WORDS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
    let mut quoted = String::with_capacity(text.len() + 64);
    let (mut rest, mut is_text) = (text, false);
    while let Some(first) = rest.chars().next() {
        let word = WORDS
            .iter()
            .find(|word| !is_text && rest.starts_with(**word));
        let len = match (word, first) {
            (Some(word), _) => {
                quoted.push('"');
                quoted.push_str(word);
                quoted.push('"');
                rest = &rest[word.len()..];
                continue;
            }
            (None, '\\') if is_text => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, first) => first.len_utf8(),
        };
        is_text ^= first == '"';
        quoted.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_that_json_does_not_have_become_texts_and_texts_stay() {
        let text = r#"{"NaN": NaN, "a\"": -Infinity, "é\\": [Infinity, "NaN, \"Infinity"]}"#;
        assert_eq!(
            object(&quoted(text)).unwrap(),
            json!({"NaN": "NaN", "a\"": "-Infinity", "é\\": ["Infinity", "NaN, \"Infinity"]})
        );
        assert_eq!(quoted("\"a\\"), "\"a\\");
    }
}

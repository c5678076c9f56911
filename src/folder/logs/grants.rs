//! Table ACLs: rows of who may do what, as `SHOW GRANT` told them, one line for each principal and object.
//!
//! Invariant: an object of which no row is known has a gap, unless rows of others show that its grants were read.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::ImportError;
use super::book::{Book, add_gap};
use super::files::list;
use super::lines::Lines;
use super::listed::Taker;
use crate::manifest::{Entry, Extent};
use crate::resource::Acl;
use crate::resource::hive::{Relation, Row, Securable, TOP, grants_of};

/// The directory of the rows.
const DIRECTORY: &str = "table_acls";

/// How the principal of a row begins that records a failure.
const FAILED: &str = "ERROR_!!!";

/// All rows, by what they are about.
#[derive(Default)]
pub(super) struct TableAcls {
    is_there: bool,
    rows: HashMap<(About, String), Rows>,
}

/// What a row is about. A view is a table to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum About {
    Top,
    Database,
    Table,
}

#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    failure: Option<String>,
    is_used: bool,
}

impl Taker<'_, '_> {
    /// Reads the table ACLs.
    pub(super) fn table_acls(&mut self) -> Result<TableAcls, ImportError> {
        let mut acls = TableAcls::default();
        if !self.export.has_directory(DIRECTORY) {
            return Ok(acls);
        }
        acls.is_there = true;
        self.book.covers("metastore-securable");
        let (files, directories) = list(self.book, self.export, DIRECTORY)?;
        for name in directories {
            let reason = "a directory where table ACLs were expected";
            self.book
                .not_understood(&format!("{DIRECTORY}/{name}"), reason)?;
        }
        for name in &files {
            let path = format!("{DIRECTORY}/{name}");
            let is_packed = name.ends_with(".json.gz");
            if !is_packed && files.contains(&format!("{name}.gz")) {
                // Unpacked by a validation of the older tool.
                continue;
            }
            if !is_packed && !name.ends_with(".json") {
                self.book
                    .not_understood(&path, "it is no .json.gz of table ACLs")?;
                continue;
            }
            match self.export.open(&path) {
                Ok(Some(file)) => acls.read(self.book, &path, unpacked(file, is_packed)),
                Ok(None) => self
                    .book
                    .lost("metastore-securable", format!("{path} is gone")),
                Err(error) => self.book.lost(
                    "metastore-securable",
                    format!("{path} cannot be read: {error}"),
                ),
            }
        }
        Ok(acls)
    }
}

fn unpacked(file: File, is_packed: bool) -> Box<dyn Read> {
    match is_packed {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    }
}

impl TableAcls {
    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    fn read(&mut self, book: &mut Book<'_>, path: &str, source: Box<dyn Read>) {
        for line in Lines::new(path, source) {
            if let Err(reason) = line.object().and_then(|row| self.row(&row)) {
                book.lost("metastore-securable", format!("{}: {reason}", line.spot));
            }
        }
    }

    fn row(&mut self, row: &Value) -> Result<(), String> {
        let text = |field: &str| row[field].as_str();
        let principal = text("Principal").ok_or("it has no `Principal`")?;
        let object_type = text("ObjectType").ok_or("it has no `ObjectType`")?;
        let (about, name) = about(object_type, text("Database"), text("ObjectKey"))?;
        let rows = self.rows.entry((about, name)).or_default();
        if principal.starts_with(FAILED) || object_type.starts_with(FAILED) {
            let words = row["ActionTypes"][0].as_str();
            rows.failure = Some(words.unwrap_or("they could not be read").to_owned());
            return Ok(());
        }
        let actions = row["ActionTypes"]
            .as_array()
            .ok_or("it has no list `ActionTypes`")?;
        for action in actions {
            let action = action.as_str().ok_or("an action is no text")?;
            let cells = [principal, action, object_type];
            rows.rows
                .push(cells.map(|cell| Some(cell.to_owned())).to_vec());
        }
        Ok(())
    }

    /// Gives an entry its permissions, or a gap; gives back the owner.
    pub(super) fn give(
        &mut self,
        book: &Book<'_>,
        entry: &mut Entry,
        securable: Securable,
        name: &str,
    ) -> Result<Option<String>, ImportError> {
        let of = match securable {
            Securable::Top => About::Top,
            Securable::Database => About::Database,
            _ => About::Table,
        };
        let reason = match self.rows.get_mut(&(of, name.to_owned())) {
            Some(rows) => {
                rows.is_used = true;
                let grants = grants_of(securable, name, &rows.rows);
                entry.permissions = Some(book.json(&grants.acl.to_json())?);
                let Some(failure) = &rows.failure else {
                    return Ok(grants.owner);
                };
                format!("its grants: {failure}")
            }
            None if self.is_there => {
                entry.permissions = Some(book.json(&Acl::default().to_json())?);
                return Ok(None);
            }
            None => format!("its grants: there is no {DIRECTORY}"),
        };
        add_gap(entry, Extent::Permissions, reason);
        Ok(None)
    }

    /// Names what there are grants on and nothing else.
    pub(super) fn conclude(self, book: &mut Book<'_>) -> Result<(), ImportError> {
        let rows = self.rows.into_iter().filter(|(_, rows)| !rows.is_used);
        let mut left: Vec<(About, String)> = rows.map(|(key, _)| key).collect();
        left.sort_unstable();
        for (about, name) in left {
            let kind = match about {
                About::Top => "metastore-securable",
                About::Database => "database",
                About::Table => "table",
            };
            let reason =
                format!("{DIRECTORY} has grants on {name}, of which nothing else is known");
            book.lost(kind, reason);
        }
        Ok(())
    }
}

/// What a row is about, and its name as a snapshot has it.
fn about(
    object_type: &str,
    database: Option<&str>,
    key: Option<&str>,
) -> Result<(About, String), String> {
    let bare = object_type
        .trim_start_matches(FAILED)
        .trim_matches(['_', '$']);
    let words = bare.replace('_', " ").to_lowercase();
    if let Some((name, _)) = TOP.iter().find(|(name, _)| *name == words) {
        return Ok((About::Top, (*name).to_owned()));
    }
    let key = key.unwrap_or_default();
    let relation = Relation::parse(key);
    match bare {
        "DATABASE" | "SCHEMA" => {
            let name = if key.is_empty() {
                database.unwrap_or_default()
            } else {
                &relation.name
            };
            Ok((About::Database, name.to_owned()))
        }
        "TABLE" | "VIEW" => {
            let database = match relation.database.as_str() {
                "" => database.unwrap_or_default(),
                of => of,
            };
            Ok((
                About::Table,
                Relation::new(database, relation.name).to_string(),
            ))
        }
        _ => Err(format!("`{object_type}` is no type that is known")),
    }
}

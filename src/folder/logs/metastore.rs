//! The Hive metastore: databases as they were described, tables and views as the statements that make them.
//!
//! Invariant: a table that was listed and has no statement is a gap, and so is a statement that is not understood.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use serde_json::{Value, json};

use super::ImportError;
use super::book::{add_gap, unread};
use super::files::list;
use super::grants::TableAcls;
use super::lines::Spot;
use super::listed::{Taker, known};
use crate::manifest::{Entry, Extent};
use crate::resource::hive::{
    Database, Relation, Row, Securable, TOP, database_body, makes_view, shown_table_body,
    shown_view_body,
};
use crate::resource::{KindName, ObjectKey};

/// The longest statement that is read. The older tool gets none over 512 KB whole.
const LONGEST_STATEMENT: u64 = 16 << 20;

/// At this length the older tool's reading of a file ends, whatever comes after.
const CUT: u64 = 512 << 10;

/// The directories of statements. An import into another workspace moves views from the first to the second.
const STATEMENTS: [&str; 2] = ["metastore", "metastore_views"];

/// Where databases keep their tables, by name.
type Locations = HashMap<String, String>;

impl Taker<'_, '_> {
    /// Takes the metastore, if the export has anything of it; says whether.
    pub(super) fn metastore(&mut self) -> Result<bool, ImportError> {
        let is_there = |name: &&str| self.export.has_directory(name);
        let directories: Vec<&str> = STATEMENTS
            .iter()
            .copied()
            .filter(|name| is_there(name))
            .collect();
        let mut acls = self.table_acls()?;
        let locations = self.databases(&mut acls)?;
        for directory in &directories {
            self.statements(directory, &locations, &mut acls)?;
        }
        self.top(&mut acls)?;
        if !directories.is_empty() {
            self.tables_without_statement()?;
        }
        acls.conclude(self.book)?;
        Ok(self
            .book
            .kinds
            .iter()
            .any(|name| crate::resource::kind(name).is_some_and(|kind| kind.securable().is_some())))
    }

    fn databases(&mut self, acls: &mut TableAcls) -> Result<Locations, ImportError> {
        let kind = known("database");
        let mut described: BTreeMap<String, (Database, Spot)> = BTreeMap::new();
        self.each("database_details.log", kind, |taker, item, spot| {
            let name = ["Database Name", "Namespace Name"]
                .iter()
                .find_map(|field| item[*field].as_str());
            match name {
                Some(name) => {
                    let database = Database::new(&rows(&item));
                    described.insert(name.to_owned(), (database, spot.clone()));
                }
                None => taker.book.lost(
                    kind.name,
                    format!("{spot}: it does not say which database it is"),
                ),
            }
            Ok(())
        })?;
        let warehouse = described
            .get("default")
            .and_then(|(of, _)| of.location.clone());
        let mut locations = Locations::new();
        for (name, (database, spot)) in described {
            let mut body = database_body(&name, &database, warehouse.as_deref());
            let mut entry =
                Entry::new(ObjectKey::new(KindName::known(kind.name), name.as_str()).fit(None));
            let owner = acls.give(self.book, &mut entry, Securable::Database, &name)?;
            put_owner(&mut body, owner.or(database.owner));
            entry.body = Some(self.book.json(&body)?);
            self.book.note(entry, &spot)?;
            locations.extend(database.location.map(|location| (name, location)));
        }
        Ok(locations)
    }

    /// Takes the statements in one directory, which has a directory for each database.
    fn statements(
        &mut self,
        directory: &str,
        locations: &Locations,
        acls: &mut TableAcls,
    ) -> Result<(), ImportError> {
        self.book.covers("table");
        self.book.covers("view");
        let (files, databases) = list(self.book, self.export, directory)?;
        for name in files {
            let reason = "a file where a database's directory was expected";
            self.book
                .not_understood(&format!("{directory}/{name}"), reason)?;
        }
        for database in databases {
            self.book.covers("database");
            let key = ObjectKey::new(KindName::known("database"), database.as_str()).fit(None);
            if !self.book.has(&key) {
                let reason = "database_details.log does not describe it".to_owned();
                self.book
                    .note(unread(key, Extent::Object, reason), &directory)?;
            }
            let inner = format!("{directory}/{database}");
            let (files, directories) = list(self.book, self.export, &inner)?;
            for name in directories {
                let reason = "a directory where a statement was expected";
                self.book
                    .not_understood(&format!("{inner}/{name}"), reason)?;
            }
            let location = locations.get(&database).map(String::as_str);
            for name in files {
                let relation = Relation::new(database.as_str(), name.as_str());
                self.statement(&format!("{inner}/{name}"), &relation, location, acls)?;
            }
        }
        Ok(())
    }

    fn statement(
        &mut self,
        file: &str,
        relation: &Relation,
        location: Option<&str>,
        acls: &mut TableAcls,
    ) -> Result<(), ImportError> {
        let statement = self.text(file);
        let is_view = statement.as_deref().is_ok_and(makes_view);
        let (kind, securable) = match is_view {
            true => ("view", Securable::View),
            false => ("table", Securable::Table),
        };
        let name = relation.to_string();
        let mut entry = Entry::new(ObjectKey::new(KindName::known(kind), name.as_str()).fit(None));
        let owner = acls.give(self.book, &mut entry, securable, &name)?;
        let body = statement.and_then(|statement| match is_view {
            true => shown_view_body(&statement),
            false => shown_table_body(&statement, &relation.name, location),
        });
        match body {
            Ok(mut body) => {
                put_owner(&mut body, owner);
                entry.body = Some(self.book.json(&body)?);
            }
            Err(reason) => add_gap(&mut entry, Extent::Object, format!("{file}: {reason}")),
        }
        if let Some(reason) = self.failures.object("table", &name) {
            add_gap(&mut entry, Extent::Object, reason);
        }
        self.book.note(entry, &file)
    }

    /// The text of a statement.
    fn text(&self, file: &str) -> Result<String, String> {
        let failed = |error: std::io::Error| format!("it cannot be read: {error}");
        let source = self
            .export
            .open(file)
            .map_err(failed)?
            .ok_or("it is gone")?;
        let mut text = String::new();
        let read = source.take(LONGEST_STATEMENT + 1).read_to_string(&mut text);
        match (read.map_err(failed)? as u64, text.trim()) {
            (LONGEST_STATEMENT.., _) => Err(format!("it is longer than {LONGEST_STATEMENT} bytes")),
            (CUT, _) => Err(
                "it is just as long as the older tool's readings end, and may be cut".to_owned(),
            ),
            (_, "") => Err("it is empty".to_owned()),
            _ => Ok(text),
        }
    }

    /// What only has grants.
    fn top(&mut self, acls: &mut TableAcls) -> Result<(), ImportError> {
        if !acls.is_there() {
            return Ok(());
        }
        for (name, _) in TOP {
            let mut entry =
                Entry::new(ObjectKey::new(KindName::known("metastore-securable"), name));
            entry.body = Some(self.book.json(&json!({}))?);
            acls.give(self.book, &mut entry, Securable::Top, name)?;
            self.book.note(entry, &"table_acls")?;
        }
        Ok(())
    }

    /// Tables that were exported by the older tool's own words, and that no file has.
    fn tables_without_statement(&mut self) -> Result<(), ImportError> {
        let kind = known("table");
        self.each("success_metastore.log", kind, |taker, item, spot| {
            let Some((database, name)) =
                item["table"].as_str().and_then(|name| name.split_once('.'))
            else {
                taker
                    .book
                    .lost(kind.name, format!("{spot}: it names no table"));
                return Ok(());
            };
            let name = Relation::new(database, name).to_string();
            let key = |kind| ObjectKey::new(KindName::known(kind), name.as_str()).fit(None);
            if taker.book.has(&key("table")) || taker.book.has(&key("view")) {
                return Ok(());
            }
            let reason = format!("{spot} has it, and there is no file of it");
            taker
                .book
                .note(unread(key("table"), Extent::Object, reason), spot)
        })
    }
}

/// The fields of an object as the rows of an answer.
fn rows(item: &Value) -> Vec<Row> {
    let fields = item.as_object().into_iter().flatten();
    let row = |(name, value): (&String, &Value)| {
        vec![Some(name.clone()), value.as_str().map(str::to_owned)]
    };
    fields.map(row).collect()
}

/// An owner is someone; what is no principal is the process that made the object.
fn put_owner(body: &mut Value, owner: Option<String>) {
    if let Some(owner) = owner {
        let field = if owner.contains('@') {
            "owner"
        } else {
            "created_by"
        };
        body[field] = json!(owner);
    }
}

//! What the metastore holds.
//!
//! Invariant: names are in lower case, as the metastore keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::table::Table;
use crate::sandbox::state::mix;

/// Where tables of the database `default` lie.
pub(super) const WAREHOUSE: &str = "dbfs:/user/hive/warehouse";

/// The whole metastore.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(super) databases: BTreeMap<String, Database>,
    /// What was granted and denied, by object and then by principal; owners are with the objects.
    pub(super) grants: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// Whether there are table ACLs.
    pub(crate) has_acls: bool,
    /// Tables whose files only one instance profile may read, and which.
    pub(super) locked: BTreeMap<Key, String>,
    /// The share of tables that cannot be described, and what decides which.
    pub(crate) broken: f64,
    pub(crate) seed: u64,
    /// Grows with every change: the time of day of the metastore.
    pub(super) ticks: u64,
}

/// A database.
#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    pub(super) comment: String,
    pub(super) location: String,
    pub(super) owner: String,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) tables: BTreeMap<String, Table>,
    pub(super) views: BTreeMap<String, View>,
    pub(super) functions: BTreeMap<String, Function>,
}

/// A view.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) columns: Vec<(String, Option<String>)>,
    pub(super) query: String,
    pub(super) namespace: String,
    pub(super) comment: String,
    pub(super) owner: String,
    pub(super) properties: BTreeMap<String, String>,
}

/// A function.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) owner: String,
    pub(super) code: Code,
}

/// What a function does.
#[derive(Clone, Debug)]
pub(super) enum Code {
    /// A class of Java.
    Class(String),
    /// An expression, with the lines that describe it.
    Sql(Vec<(&'static str, String)>),
}

/// A table, view or function: its database and its name.
pub(super) type Key = (String, String);

impl Catalog {
    pub(crate) fn new(seed: u64) -> Catalog {
        let default = Database {
            comment: "Default Hive database".into(),
            location: WAREHOUSE.into(),
            owner: "root".into(),
            ..Database::default()
        };
        Catalog {
            databases: BTreeMap::from([("default".to_string(), default)]),
            grants: BTreeMap::new(),
            locked: BTreeMap::new(),
            has_acls: true,
            broken: 0.0,
            seed,
            ticks: 1_767_225_600,
        }
    }

    /// Lets only clusters with this instance profile read a table.
    pub(crate) fn lock(&mut self, database: &str, table: &str, profile: &str) {
        let key = (database.to_string(), table.to_string());
        self.locked.insert(key, profile.to_string());
    }

    pub(super) fn database(&self, name: &str) -> Result<&Database, String> {
        self.databases.get(name).ok_or_else(|| no_schema(name))
    }

    pub(super) fn database_mut(&mut self, name: &str) -> Result<&mut Database, String> {
        self.databases.get_mut(name).ok_or_else(|| no_schema(name))
    }

    /// Whether there is a table or view.
    pub(super) fn has_relation(&self, (database, name): &Key) -> bool {
        let database = self.databases.get(database);
        database.is_some_and(|of| of.tables.contains_key(name) || of.views.contains_key(name))
    }

    pub(super) fn table(&self, (database, name): &Key) -> Option<&Table> {
        self.databases.get(database)?.tables.get(name)
    }

    pub(super) fn view(&self, (database, name): &Key) -> Option<&View> {
        self.databases.get(database)?.views.get(name)
    }

    /// Whether a table is one of those that cannot be described.
    pub(super) fn is_broken(&self, key: &Key) -> bool {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let chance = (mix(self.seed ^ hasher.finish()) >> 11) as f64 / (1u64 << 53) as f64;
        chance < self.broken
    }

    /// The time of the next change.
    pub(super) fn tick(&mut self) -> String {
        self.ticks += 1;
        self.ticks.to_string()
    }
}

fn no_schema(name: &str) -> String {
    format!("[SCHEMA_NOT_FOUND] The schema `{name}` cannot be found. SQLSTATE: 42704")
}

pub(super) fn not_found((database, name): &Key) -> String {
    format!(
        "[TABLE_OR_VIEW_NOT_FOUND] The table or view `{database}`.`{name}` cannot be found. SQLSTATE: 42P01"
    )
}

pub(super) fn exists((database, name): &Key) -> String {
    format!(
        "[TABLE_OR_VIEW_ALREADY_EXISTS] Cannot create table or view `{database}`.`{name}` because it already exists. SQLSTATE: 42P07"
    )
}

//! Which databases there are, and what is in them.
//!
//! Invariant: temporary views and functions belong to a session and not to the metastore: they are not listed.

use std::collections::{BTreeMap, HashSet};

use super::{Engine, TOGETHER};
use crate::resource::hive::{Relation, Row, Securable, quoted};
use crate::sql::{Rows, Statement};

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// The databases that are selected.
    pub(super) databases: Vec<String>,
    /// Everything in them.
    pub(super) objects: Vec<(Securable, Relation)>,
}

impl Engine<'_> {
    /// Lists everything.
    pub(super) async fn list(&self) -> Found {
        let everything = [
            Securable::Database,
            Securable::Table,
            Securable::View,
            Securable::Function,
        ];
        let mut found = Found::default();
        match self.ask_one(Statement::new("SHOW DATABASES")).await {
            Ok(rows) => {
                let names = rows.rows.iter().filter_map(|row| row.first()?.clone());
                let all: Vec<String> = names.collect();
                self.warn_of_strangers(&all);
                let selected = all.into_iter().filter(|name| self.databases.covers(name));
                found.databases = selected.collect();
            }
            Err(words) => {
                let reason = format!("the databases could not be listed: {words}");
                self.unknown(&everything, &reason).await;
                return found;
            }
        }
        for databases in found.databases.chunks(TOGETHER / 3) {
            let statements = |what: &'static str| {
                let name = move |database: &String| {
                    Statement::new(format!("SHOW {what} IN {}", quoted(database)))
                };
                databases.iter().map(name).collect::<Vec<_>>()
            };
            let (tables, views, functions) = (
                self.ask(&statements("TABLES")).await,
                self.ask(&statements("VIEWS")).await,
                self.ask(&statements("USER FUNCTIONS")).await,
            );
            let answers = databases.iter().zip(tables).zip(views).zip(functions);
            for (((database, tables), views), functions) in answers {
                self.relations(database, tables, views, &mut found.objects)
                    .await;
                self.functions(database, functions, &mut found.objects)
                    .await;
            }
        }
        found
    }

    fn warn_of_strangers(&self, all: &[String]) {
        for wanted in &self.databases.only {
            if !all.iter().any(|name| name.eq_ignore_ascii_case(wanted)) {
                self.note(&format!(
                    "there is no database `{wanted}` in the Hive metastore"
                ));
            }
        }
    }

    async fn relations(
        &self,
        database: &str,
        tables: Result<Rows, String>,
        views: Result<Rows, String>,
        objects: &mut Vec<(Securable, Relation)>,
    ) {
        let both = [Securable::Table, Securable::View];
        let (tables, views) = match (tables, views) {
            (Ok(tables), Ok(views)) => (tables, views),
            (Err(words), _) | (_, Err(words)) => {
                let reason =
                    format!("the tables of database {database} could not be listed: {words}");
                return self.unknown(&both, &reason).await;
            }
        };
        let views: HashSet<String> = views.rows.iter().filter_map(lasting).collect();
        let mut names: BTreeMap<String, Securable> = BTreeMap::new();
        for name in tables.rows.iter().filter_map(lasting) {
            let securable = match views.contains(&name) {
                true => Securable::View,
                false => Securable::Table,
            };
            names.insert(name, securable);
        }
        names.extend(views.into_iter().map(|name| (name, Securable::View)));
        let selected = names.into_iter().filter(|(_, of)| self.selects(*of));
        objects.extend(selected.map(|(name, of)| (of, Relation::new(database, name))));
    }

    async fn functions(
        &self,
        database: &str,
        functions: Result<Rows, String>,
        objects: &mut Vec<(Securable, Relation)>,
    ) {
        if !self.selects(Securable::Function) {
            return;
        }
        match functions {
            Ok(rows) => {
                let names = rows.rows.iter().filter_map(|row| row.first()?.clone());
                let relations = names.map(|name| Relation::parse(&name));
                let own = relations.filter(|relation| relation.database == database);
                objects.extend(own.map(|relation| (Securable::Function, relation)));
            }
            Err(words) => {
                let reason =
                    format!("the functions of database {database} could not be listed: {words}");
                self.unknown(&[Securable::Function], &reason).await;
            }
        }
    }
}

/// The name in a row of `SHOW TABLES` or `SHOW VIEWS`, unless it is temporary.
fn lasting(row: &Row) -> Option<String> {
    let is_temporary = row.get(2).and_then(Option::as_deref);
    match is_temporary.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        true => None,
        false => row.get(1)?.clone(),
    }
}

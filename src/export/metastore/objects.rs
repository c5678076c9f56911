//! What the databases, tables, views and functions are.
//!
//! Invariant: a failure of one object says nothing about the next.

use serde_json::{Value, json};

use super::access::Access;
use super::listing::Found;
use super::{Engine, TOGETHER, kind_of};
use crate::export::item::{Captured, Part};
use crate::manifest::{Extent, Gap};
use crate::report::Event;
use crate::resource::hive::{
    Database, Described, Relation, Securable, database_body, function_body, quoted, table_body,
    view_body,
};
use crate::resource::{KindName, ObjectKey};
use crate::sql::{Rows, Statement};

type Answer = Result<Rows, String>;

/// An object on its way: what it is, and what was answered about it so far.
struct Progress {
    securable: Securable,
    relation: Relation,
    described: Answer,
    properties: Answer,
    grants: Option<Answer>,
    /// How the table is made, and how many partitions it has.
    more: Vec<Answer>,
}

impl Progress {
    fn object(&self) -> (Securable, Relation) {
        (self.securable, self.relation.clone())
    }

    /// Whether an answer is missing that others rights may bring.
    fn has_failed(&self) -> bool {
        self.described.is_err() || self.properties.is_err() || self.more.iter().any(Result::is_err)
    }
}

impl Engine<'_> {
    /// Reads the databases.
    pub(super) async fn databases(&self, found: &Found, access: &Access) {
        if !self.selects(Securable::Database) {
            return;
        }
        self.run.expect(found.databases.len());
        let describe =
            |name: &str| Statement::new(format!("DESCRIBE DATABASE EXTENDED {}", quoted(name)));
        let warehouse = self.ask_one(describe("default")).await.ok();
        let warehouse = warehouse.and_then(|rows| Database::new(&rows.rows).location);
        for names in found.databases.chunks(TOGETHER) {
            let described: Vec<_> = names.iter().map(|name| describe(name)).collect();
            let described = self.ask(&described).await;
            let grants = names.iter();
            let grants = grants.filter_map(|name| access.statement(Securable::Database, name));
            let mut grants = self.ask(&grants.collect::<Vec<_>>()).await.into_iter();
            for (name, answer) in names.iter().zip(described) {
                let mut object = self.captured(Securable::Database, name);
                let owner = access.learn(&mut object, Securable::Database, grants.next());
                let body = answer.map(|rows| {
                    let database = Database::new(&rows.rows);
                    let mut body = database_body(name, &database, warehouse.as_deref());
                    put_owner(&mut body, owner.or(database.owner), access);
                    body
                });
                self.finish(object, body).await;
            }
        }
    }

    /// Reads everything in the databases.
    pub(super) async fn objects(&self, objects: Vec<(Securable, Relation)>, access: &Access) {
        self.run.expect(objects.len());
        let mut failed = Vec::new();
        for objects in objects.chunks(TOGETHER) {
            for progress in self.read(objects, access).await {
                match progress.has_failed() && self.place.has_more_profiles().await {
                    true => failed.push(progress),
                    false => self.conclude(progress, access).await,
                }
            }
        }
        while let Some(profile) = self.next_profile(&failed).await {
            let mut still = Vec::new();
            while !failed.is_empty() {
                let before = failed.split_off(failed.len().saturating_sub(TOGETHER));
                let objects: Vec<_> = before.iter().map(Progress::object).collect();
                let now = self.read(&objects, access).await;
                for (before, now) in before.into_iter().zip(now) {
                    match now.has_failed() {
                        true => still.push(before),
                        false => self.conclude(now, access).await,
                    }
                }
            }
            let text = format!(
                "{} tables cannot be read with {profile} either",
                still.len()
            );
            self.run.reporter.report(Event::Detail(&text));
            failed = still;
        }
        for progress in failed {
            self.conclude(progress, access).await;
        }
    }

    /// The next instance profile with whose rights what failed is to be tried again, once its cluster is there.
    async fn next_profile(&self, failed: &[Progress]) -> Option<String> {
        while !failed.is_empty() {
            let profile = match self.place.next_profile().await {
                Ok(profile) => profile?,
                Err(error) => {
                    self.note(&format!("no more instance profiles are tried: {error}"));
                    return None;
                }
            };
            match self.place.open().await {
                Ok(()) => return Some(profile),
                Err(error) => {
                    self.note(&format!("instance profile {profile} is not tried: {error}"))
                }
            }
        }
        None
    }

    async fn read(&self, objects: &[(Securable, Relation)], access: &Access) -> Vec<Progress> {
        let described = self
            .ask(&objects.iter().map(describe).collect::<Vec<_>>())
            .await;
        let properties = self.some(objects, properties).await;
        let grants =
            |(of, relation): &(Securable, Relation)| access.statement(*of, &relation.to_string());
        let grants = self.some(objects, grants).await;
        let mut all: Vec<Progress> = Vec::with_capacity(objects.len());
        let answers = objects.iter().zip(described).zip(properties).zip(grants);
        for ((((securable, relation), described), properties), grants) in answers {
            all.push(Progress {
                securable: *securable,
                relation: relation.clone(),
                described,
                properties: properties.unwrap_or_else(|| Ok(Rows::default())),
                grants,
                more: Vec::new(),
            });
        }
        self.read_tables(&mut all).await;
        all
    }

    /// Asks about those objects about which there is something to ask.
    async fn some(
        &self,
        objects: &[(Securable, Relation)],
        statement: impl Fn(&(Securable, Relation)) -> Option<Statement>,
    ) -> Vec<Option<Answer>> {
        let statements: Vec<_> = objects.iter().map(statement).collect();
        let asked: Vec<Statement> = statements.iter().flatten().cloned().collect();
        let mut answers = self.ask(&asked).await.into_iter();
        let answer =
            |statement: &Option<Statement>| statement.as_ref().and_then(|_| answers.next());
        statements.iter().map(answer).collect()
    }

    /// Reads what only what is known of a table tells how to ask for.
    async fn read_tables(&self, all: &mut [Progress]) {
        let mut statements = Vec::new();
        for progress in all.iter() {
            let (Securable::Table, Ok(rows)) = (progress.securable, &progress.described) else {
                continue;
            };
            let described = Described::new(&rows.rows);
            let name = progress.relation.to_sql();
            let form = if described.is_hive_format() {
                " AS SERDE"
            } else {
                ""
            };
            statements.push(Statement::new(format!("SHOW CREATE TABLE {name}{form}")));
            if has_partitions(&described) {
                statements.push(Statement::new(format!("SHOW PARTITIONS {name}")).counted());
            }
        }
        let mut answers = self.ask(&statements).await.into_iter();
        for progress in all {
            let (Securable::Table, Ok(rows)) = (progress.securable, &progress.described) else {
                continue;
            };
            let count = 1 + usize::from(has_partitions(&Described::new(&rows.rows)));
            progress.more = answers.by_ref().take(count).collect();
        }
    }

    async fn conclude(&self, progress: Progress, access: &Access) {
        let Progress {
            securable,
            relation,
            described,
            properties,
            grants,
            more,
        } = progress;
        let name = relation.to_string();
        let mut object = self.captured(securable, &name);
        let owner = access.learn(&mut object, securable, grants);
        let described = match described {
            Ok(rows) => rows.rows,
            Err(words) => {
                if is_missing(&words) && !self.is_still_listed(securable, &relation).await {
                    return self.run.gone(&object.key);
                }
                return self.finish(object, Err(words)).await;
            }
        };
        let body = match securable {
            Securable::Function => function_body(&described).map(|mut body| {
                put_owner(&mut body, owner, access);
                body
            }),
            _ => {
                let table = Described::new(&described);
                let body = body(securable, &table, properties, more, &mut object);
                body.map(|mut body| {
                    let maker = table.detail("Owner").map(str::to_owned);
                    put_owner(&mut body, owner.or(maker), access);
                    body
                })
            }
        };
        self.finish(object, body).await;
    }

    async fn is_still_listed(&self, securable: Securable, relation: &Relation) -> bool {
        let what = match securable {
            Securable::Function => "USER FUNCTIONS",
            _ => "TABLES",
        };
        let statement = format!("SHOW {what} IN {}", quoted(&relation.database));
        let Ok(rows) = self.ask_one(Statement::new(statement)).await else {
            return true;
        };
        let is_it = |cell: &String| Relation::parse(cell).name == relation.name;
        rows.rows.iter().any(|row| row.iter().flatten().any(is_it))
    }

    fn captured(&self, securable: Securable, name: &str) -> Captured {
        let key = ObjectKey::new(KindName::known(kind_of(securable).name), name);
        Captured::new(key, None)
    }

    async fn finish(&self, mut object: Captured, body: Result<Value, String>) {
        match body {
            // What lacks something has said so already.
            Ok(body)
                if object
                    .gap
                    .as_ref()
                    .is_some_and(|gap| gap.extent == Extent::Object) =>
            {
                object.body = Part::Doubtful(body);
            }
            Ok(body) => object.body = Part::Read(body),
            Err(reason) => {
                object.body = Part::Unread;
                object.add_gap(Gap::new(Extent::Object, reason));
            }
        }
        self.run.send(object).await;
    }
}

fn describe((securable, relation): &(Securable, Relation)) -> Statement {
    let what = match securable {
        Securable::Function => "FUNCTION",
        _ => "TABLE",
    };
    Statement::new(format!("DESCRIBE {what} EXTENDED {}", relation.to_sql()))
}

fn properties((securable, relation): &(Securable, Relation)) -> Option<Statement> {
    let statement = || Statement::new(format!("SHOW TBLPROPERTIES {}", relation.to_sql()));
    (*securable != Securable::Function).then(statement)
}

/// The body of a table or view.
fn body(
    securable: Securable,
    described: &Described,
    properties: Answer,
    more: Vec<Answer>,
    object: &mut Captured,
) -> Result<Value, String> {
    let properties = properties?.rows;
    if securable == Securable::View {
        return view_body(described, &properties);
    }
    let mut more = more.into_iter();
    let statement = more.next().unwrap_or_else(|| Err(String::new()))?;
    let statement = statement.rows.first().and_then(|row| row.first()?.clone());
    let statement = statement.ok_or("SHOW CREATE TABLE was answered with nothing")?;
    let partitions = match more.next() {
        Some(Ok(rows)) => Some(rows.count),
        Some(Err(words)) => {
            let reason = format!("the number of its partitions: {words}");
            object.add_gap(Gap::new(Extent::Object, reason));
            None
        }
        None => None,
    };
    table_body(described, &properties, &statement, partitions)
}

/// Whether the metastore itself knows the partitions of a table.
fn has_partitions(described: &Described) -> bool {
    let in_log = ["delta", "iceberg", "hudi"];
    let provider = described.detail("Provider").unwrap_or_default();
    described.is_partitioned && !in_log.contains(&provider.to_lowercase().as_str())
}

/// Processes that make objects where nobody is known to have made them.
const PROCESSES: &[&str] = &["root", "hive", "hadoop", "spark", "public"];

/// An owner is someone; what is no principal is the process that made the object.
fn put_owner(body: &mut Value, owner: Option<String>, access: &Access) {
    if let Some(owner) = owner {
        let is_someone = access.has_owners() && !PROCESSES.contains(&owner.as_str());
        let is_someone = is_someone || owner.contains('@');
        let field = if is_someone { "owner" } else { "created_by" };
        body[field] = json!(owner);
    }
}

/// Whether a failure may mean that the object is gone.
fn is_missing(words: &str) -> bool {
    let words = words.to_lowercase();
    words.contains("not_found") || words.contains("not found") || words.contains("cannot be found")
}

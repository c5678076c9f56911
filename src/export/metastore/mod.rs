//! The engine for the Hive metastore: everything of it is rows that SQL statements yield.
//!
//! First the databases, then what is in them, then each object, in batches: a place that runs statements is far away, and
//! a place that is a cluster runs whole batches in one command.
//!
//! - `listing`: which objects there are. `objects`: what each of them is. `access`: who may do what.
//!
//! Invariant: an object that was listed is sent, whole or with a gap that has the server's own words; if the objects of
//! any database could not be listed, their kind is said to be unknown.

mod access;
mod listing;
mod objects;

use crate::manifest::{Databases, Extent, Gap};
use crate::report::Event;
use crate::resource::hive::Securable;
use crate::resource::{ALL, Kind, KindName};
use crate::sql::{Place, Rows, SqlError, Statement};

use super::item::Item;
use super::run::{Run, reason};

/// Statements that are asked for together.
const TOGETHER: usize = 64;

/// Exports everything selected of the metastore.
pub(super) async fn export(run: &Run<'_>) {
    let Some(databases) = run.selection.metastore.as_ref() else {
        return;
    };
    let Some(place) = run.metastore else {
        let reason = "no warehouse and no cluster was named that could read the Hive metastore";
        return unlisted(run, &kinds(run), reason).await;
    };
    let engine = Engine {
        run,
        place,
        databases,
    };
    if let Err(error) = place.open().await {
        let reason = engine.reason(error).await;
        return unlisted(run, &kinds(run), &reason).await;
    }
    let access = engine.access().await;
    let found = engine.list().await;
    engine.databases(&found, &access).await;
    engine.objects(found.objects, &access).await;
}

struct Engine<'a> {
    run: &'a Run<'a>,
    place: &'a Place,
    databases: &'a Databases,
}

/// The kinds of the metastore that are selected.
fn kinds(run: &Run<'_>) -> Vec<&'static Kind> {
    let kinds = ALL.iter().copied();
    let selected = |kind: &Kind| run.selection.covers_kind(&KindName::known(kind.name));
    kinds
        .filter(|kind| kind.securable().is_some() && selected(kind))
        .collect()
}

/// The kind of what is such a thing to SQL.
fn kind_of(securable: Securable) -> &'static Kind {
    let is_it = |kind: &&&'static Kind| kind.securable() == Some(securable);
    ALL.iter()
        .find(is_it)
        .expect("every kind of securable is registered")
}

async fn unlisted(run: &Run<'_>, kinds: &[&'static Kind], reason: &str) {
    for kind in kinds {
        let gap = Gap::new(Extent::Kind, reason);
        run.send_item(Item::Unlisted { kind, gap }).await;
    }
}

impl Engine<'_> {
    fn selects(&self, securable: Securable) -> bool {
        let name = KindName::known(kind_of(securable).name);
        self.run.selection.covers_kind(&name)
    }

    /// Runs statements; one whose failure ends the export never returns.
    async fn ask(&self, statements: &[Statement]) -> Vec<Result<Rows, String>> {
        let mut answers = Vec::with_capacity(statements.len());
        for answer in self.place.run_all(statements).await {
            answers.push(match answer {
                Ok(rows) => Ok(rows),
                Err(error) => Err(self.reason(error).await),
            });
        }
        answers
    }

    async fn ask_one(&self, statement: Statement) -> Result<Rows, String> {
        let mut answers = self.ask(&[statement]).await;
        answers.pop().unwrap_or_else(|| Err(String::new()))
    }

    /// The words for an error that does not end the export.
    async fn reason(&self, error: SqlError) -> String {
        match error {
            SqlError::Api(error) => {
                let checked = self.run.checked(async { Err::<(), _>(error) }).await;
                checked
                    .err()
                    .map_or_else(String::new, |error| reason(&error))
            }
            error => reason(&error),
        }
    }

    /// Says that what there is more of these is unknown.
    async fn unknown(&self, securables: &[Securable], reason: &str) {
        let selected = securables.iter().filter(|of| self.selects(**of));
        let kinds: Vec<_> = selected.map(|of| kind_of(*of)).collect();
        unlisted(self.run, &kinds, reason).await;
    }

    fn note(&self, text: &str) {
        self.run.reporter.report(Event::Warning(text));
    }
}

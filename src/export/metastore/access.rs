//! Who may do what with objects of the metastore.
//!
//! Invariant: where there are no table ACLs nothing is said of permissions; where they cannot be read, that is a gap.

use super::{Engine, kind_of};
use crate::export::item::{Captured, Part};
use crate::manifest::{Extent, Gap};
use crate::report::Event;
use crate::resource::hive::{Grants, Securable, TOP, grants_of};
use crate::resource::{Acl, KindName, ObjectKey};
use crate::sql::{Rows, Statement};

/// Whether the metastore says who may do what.
pub(super) enum Access {
    /// It does.
    On,
    /// It has no table ACLs.
    Off,
    /// That could not be found out, or had another answer before; why.
    Unknown(String),
}

impl Engine<'_> {
    /// Finds out whether there are table ACLs, and reads what is granted on no object in particular.
    pub(super) async fn access(&self) -> Access {
        let statements: Vec<_> = TOP
            .iter()
            .map(|(name, _)| show(Securable::Top, name))
            .collect();
        let mut answers = self.ask(&statements).await;
        let access = match answers.first() {
            Some(Ok(_)) => Access::On,
            Some(Err(words)) if speaks_of_rights(words) => Access::Unknown(words.clone()),
            Some(Err(words)) => self.off(words),
            None => Access::Off,
        };
        match &access {
            Access::On if self.selects(Securable::Top) => {
                for ((name, _), answer) in TOP.iter().zip(answers.drain(..)) {
                    self.send_top(name, answer).await;
                }
            }
            Access::Unknown(words) => self.unknown(&[Securable::Top], words).await,
            Access::On | Access::Off => {}
        }
        access
    }

    fn off(&self, words: &str) -> Access {
        if self.run.known.has_any(kind_of(Securable::Top)) {
            return Access::Unknown(format!(
                "an earlier snapshot has table ACLs, and now they could not be read: {words}"
            ));
        }
        let text = format!("there are no table ACLs here, so none are backed up: {words}");
        self.run.reporter.report(Event::Detail(&text));
        Access::Off
    }

    async fn send_top(&self, name: &str, answer: Result<Rows, String>) {
        let key = ObjectKey::new(KindName::known(kind_of(Securable::Top).name), name);
        self.run.expect(1);
        let mut object = Captured::new(key, None);
        object.body = Part::Read(serde_json::json!({}));
        let grants = answer.map(|rows| grants_of(Securable::Top, name, &rows.rows));
        set(&mut object, grants);
        self.run.send(object).await;
    }
}

impl Access {
    /// The statement that tells who may do what with an object, if that is to be asked.
    pub(super) fn statement(&self, securable: Securable, name: &str) -> Option<Statement> {
        matches!(self, Access::On).then(|| show(securable, name))
    }

    /// Takes note of the answer; gives back the owner.
    pub(super) fn learn(
        &self,
        object: &mut Captured,
        securable: Securable,
        answer: Option<Result<Rows, String>>,
    ) -> Option<String> {
        match (self, answer) {
            (Access::Unknown(reason), _) => set(object, Err(reason.clone())),
            (_, Some(answer)) => {
                let name = object.key.name.clone();
                let grants = answer.map(|rows| grants_of(securable, &name, &rows.rows));
                set(object, grants)
            }
            (Access::On | Access::Off, None) => None,
        }
    }

    /// Whether owners are people, and not the processes that made an object.
    pub(super) fn has_owners(&self) -> bool {
        !matches!(self, Access::Off)
    }
}

fn set(object: &mut Captured, grants: Result<Grants, String>) -> Option<String> {
    match grants {
        Ok(Grants { acl, owner }) => {
            object.permissions = Part::<Acl>::Read(acl);
            owner
        }
        Err(reason) => {
            object.permissions = Part::Unread;
            object.add_gap(Gap::new(
                Extent::Permissions,
                format!("its grants: {reason}"),
            ));
            None
        }
    }
}

fn show(securable: Securable, name: &str) -> Statement {
    Statement::new(format!("SHOW GRANTS ON {}", securable.in_grants(name)))
}

/// Whether a refusal is about the rights of whoever asks, and not about a feature that is not there.
fn speaks_of_rights(words: &str) -> bool {
    let words = words.to_lowercase();
    ["permission", "privilege", "authoriz"]
        .iter()
        .any(|word| words.contains(word))
}

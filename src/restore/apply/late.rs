//! What only becomes known while a plan is carried out: ids of new objects, and application ids the service made.
//!
//! Invariant: a mark for an id to come is replaced with the id of the very object it stands for, in the id's JSON type.

use std::collections::HashMap;

use serde_json::Value;

use crate::mapping::{Mapping, Table};
use crate::resource::{Acl, Kind, Target};
use crate::restore::plan::{Step, parse_placeholder};

/// What became known.
#[derive(Debug, Default)]
pub(super) struct Late {
    ids: HashMap<(String, String), String>,
    names: Mapping,
}

impl Late {
    /// Takes note of the id of a new object.
    pub(super) fn learn(&mut self, kind: &str, old: &str, id: &str) {
        let key = (kind.to_owned(), old.to_owned());
        self.ids.insert(key, id.to_owned());
    }

    /// Takes note that the service gave a new service principal an application id of its own.
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        self.names.learn(Table::ServicePrincipals, old, new);
    }

    /// The id of the object that a step made.
    pub(super) fn id(&self, step: &Step) -> Option<String> {
        let key = (step.kind.to_owned(), step.old_id.clone()?);
        self.ids.get(&key).cloned()
    }

    /// Whether an object has this id because of this run.
    pub(super) fn is_taken(&self, kind: &str, id: &str) -> bool {
        let mut ids = self.ids.iter();
        ids.any(|((of, _), known)| of == kind && known == id)
    }

    /// A body as it can be sent.
    pub(super) fn body(&self, kind: &Kind, mut body: Value) -> Value {
        kind.visit_references(&mut body, &mut |reference, value| {
            let (Target::Id(_), Some(text)) = (reference.to, value.as_str()) else {
                return;
            };
            let Some((of, old)) = parse_placeholder(text) else {
                return;
            };
            let id = self.ids.get(&(of.to_owned(), old.to_owned()));
            if let (Some(id), Some(kind)) = (id, crate::resource::kind(of)) {
                *value = kind.id.to_json(id);
            }
        });
        if !self.names.is_empty() {
            let _ = self
                .names
                .rewrite(kind, &mut body, &|_, id| Some(id.to_owned()));
        }
        body
    }

    /// A path with the name that the owner of the home got.
    pub(super) fn path(&self, path: &str) -> String {
        self.names.path(path)
    }

    /// Permissions with the names that everybody got.
    pub(super) fn acl(&self, acl: &Acl) -> Acl {
        self.names.acl(acl).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind;
    use serde_json::json;

    #[test]
    fn marks_become_ids_of_the_type_that_the_api_wants() {
        let mut late = Late::default();
        late.learn("job", "7", "9007199254740993");
        late.learn("cluster", "c", "0914-1");
        let body = json!({"tasks": [
            {"run_job_task": {"job_id": "${job 7}"}},
            {"existing_cluster_id": "${cluster c}", "description": "${job 7}"}]});
        assert_eq!(
            late.body(kind("job").unwrap(), body),
            json!({"tasks": [
                {"run_job_task": {"job_id": 9007199254740993_i64}},
                {"existing_cluster_id": "0914-1", "description": "${job 7}"}]})
        );
    }

    #[test]
    fn an_application_id_that_the_service_made_is_used_everywhere() {
        let (old, new) = (
            "5b2c1b5e-0000-4000-8000-00000000000a",
            "77777777-0000-4000-8000-00000000000b",
        );
        let mut late = Late::default();
        late.rename(old, new);
        assert_eq!(
            late.path(&format!("/Users/{old}/n")),
            format!("/Users/{new}/n")
        );
        let body = json!({"run_as": {"service_principal_name": old}});
        assert_eq!(
            late.body(kind("job").unwrap(), body),
            json!({"run_as": {"service_principal_name": new}})
        );
    }
}

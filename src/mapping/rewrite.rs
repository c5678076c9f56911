//! A mapping applied to a body, wherever the kind's table says that something is named.
//!
//! Invariant: an id keeps its JSON type, and what cannot be resolved is told, never guessed.

use serde_json::Value;

use super::Mapping;
use crate::resource::{FieldPath, Kind, Reference, Target, visit_mut};

/// A reference that names nothing in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// The field, as the kind's table spells it.
    pub at: FieldPath,
    /// What it was to name.
    pub to: Target,
    /// The id or name it holds.
    pub was: String,
}

impl Mapping {
    /// Rewrites every reference in `body`. `ids` gives the target's id for an old id of one of some kinds.
    ///
    /// What is returned was left as it was.
    pub fn rewrite(
        &self,
        kind: &Kind,
        body: &mut Value,
        ids: &dyn Fn(&[&str], &str) -> Option<String>,
    ) -> Vec<Unresolved> {
        let mut unresolved = Vec::new();
        self.rewrite_or(kind, body, ids, &mut |reference, value| {
            unresolved.push(Unresolved {
                at: reference.at,
                to: reference.to,
                was: text_of(value).unwrap_or_default(),
            });
        });
        unresolved
    }

    /// The same, with `otherwise` called for every reference that names nothing.
    pub fn rewrite_or(
        &self,
        kind: &Kind,
        body: &mut Value,
        ids: &dyn Fn(&[&str], &str) -> Option<String>,
        otherwise: &mut dyn FnMut(&Reference, &mut Value),
    ) {
        // Somebody's own name is no reference: it may be one that is only being made.
        let own = kind.fields.principal;
        if let Some((principal, at)) = own {
            visit_mut(body, at, &mut |value| {
                if let Some(name) = value.as_str() {
                    let renamed = self.renamed(principal, name);
                    *value = Value::from(self.principal(principal, name).unwrap_or(renamed));
                }
            });
        }
        kind.visit_references(body, &mut |reference, value| {
            let Some(old) = text_of(value) else { return };
            if own.is_some_and(|(_, at)| at == reference.at) {
                return;
            }
            let new = match reference.to {
                Target::Id(kinds) => ids(kinds, &old),
                Target::Principal(principal) => self.principal(principal, &old),
                Target::Path => Some(self.path(&old)),
            };
            match new {
                Some(new) => put(value, new),
                None => otherwise(reference, value),
            }
        });
    }
}

/// A number stays a number if the new id is one.
fn put(value: &mut Value, new: String) {
    *value = match new.parse::<i64>() {
        Ok(number) if value.is_number() => Value::from(number),
        _ => Value::from(new),
    };
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Known, Table};
    use super::*;
    use crate::resource::kind;
    use serde_json::json;

    #[test]
    fn every_reference_of_a_job_is_rewritten_and_ids_keep_their_type() {
        let mut mapping = Mapping::default();
        mapping.add_pair(Table::Domains, "a.com=b.com").unwrap();
        let mut body = json!({
            "run_as": {"user_name": "ana@a.com"},
            "email_notifications": {"on_failure": ["ops@a.com", "x@c.com"]},
            "tasks": [
                {"task_key": "a", "existing_cluster_id": "c1", "notebook_task": {"notebook_path": "/Users/ana@a.com/n"}},
                {"task_key": "b", "run_job_task": {"job_id": 9007199254740993_i64}},
                {"task_key": "c", "run_job_task": {"job_id": 7}}]});
        let ids = |kinds: &[&str], id: &str| match (kinds, id) {
            (["cluster"], "c1") => Some("c2".to_owned()),
            (["job"], "9007199254740993") => Some("9007199254740995".to_owned()),
            _ => None,
        };
        let unresolved = mapping.rewrite(kind("job").unwrap(), &mut body, &ids);
        assert_eq!(
            body,
            json!({
                "run_as": {"user_name": "ana@b.com"},
                "email_notifications": {"on_failure": ["ops@b.com", "x@c.com"]},
                "tasks": [
                    {"task_key": "a", "existing_cluster_id": "c2", "notebook_task": {"notebook_path": "/Users/ana@b.com/n"}},
                    {"task_key": "b", "run_job_task": {"job_id": 9007199254740995_i64}},
                    {"task_key": "c", "run_job_task": {"job_id": 7}}]})
        );
        assert_eq!(
            unresolved,
            [Unresolved {
                at: "run_job_task.job_id",
                to: Target::Id(&["job"]),
                was: "7".into()
            }]
        );
    }

    #[test]
    fn a_renamed_group_is_called_by_its_new_name_even_before_it_exists() {
        let mut mapping = Mapping::default();
        mapping.add_pair(Table::Groups, "old=new").unwrap();
        mapping.restrict_to(Known::default());
        let mut body = json!({"displayName": "old"});
        assert_eq!(
            mapping.rewrite(kind("group").unwrap(), &mut body, &|_, _| None),
            []
        );
        assert_eq!(body, json!({"displayName": "new"}));
    }
}

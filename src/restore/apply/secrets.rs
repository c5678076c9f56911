//! Objects with secret values and an access list of their own.
//!
//! Invariant: whoever restores gives up the right to change an access list last of all, and no value is in what is reported.

use serde_json::{Value, json};

use super::{Carried, Failure, Run, chain};
use crate::api::{ApiError, ErrorKind, Listing, Repeat};
use crate::export::{inner_query, listing};
use crate::manifest::SecretContent;
use crate::report::Event;
use crate::resource::{Grantee, Kind, Secrets};
use crate::restore::plan::Step;

/// So often is asked whether someone is known by now.
const ATTEMPTS: u32 = 4;

impl Run<'_> {
    /// Makes or changes such an object.
    pub(super) async fn secrets(&self, step: &Step, secrets: &Secrets) -> Result<Carried, Failure> {
        let kind = step.kind();
        let body = step.body.clone().map(|body| self.late().body(kind, body));
        let id = match (step.action.makes(), &body) {
            (true, Some(body)) => {
                self.begin(step)?;
                let sent = (secrets.create_body)(body);
                let id = self.create_once(step, kind, &secrets.rest, sent).await?;
                self.made(step, &id)?;
                id
            }
            _ => step.target_id.clone().unwrap_or_default(),
        };
        let mut problems = self.put_values(step, secrets, &id).await;
        if let Some(Value::Array(wanted)) = body.as_ref().map(|body| &body[secrets.access]) {
            problems.extend(self.set_access(kind, secrets, &id, wanted).await);
        }
        let id = Some(id);
        Ok(Carried { id, problems })
    }

    /// Writes the values that the plan names; returns what failed.
    async fn put_values(&self, step: &Step, secrets: &Secrets, id: &str) -> Vec<String> {
        if step.values.is_empty() {
            return Vec::new();
        }
        let content = match self.content(step).await {
            Ok(bytes) => SecretContent::parse(&bytes),
            Err(error) => return vec![format!("its values were not set: {}", chain(&error))],
        };
        let Some(content) = content else {
            return vec!["its values were not set: what is stored of them is damaged".to_owned()];
        };
        let (put, name_field, value_field) = &secrets.put;
        let mut problems = Vec::new();
        for name in &step.values {
            let Some(value) = content.expose(name) else {
                problems.push(format!("the value of {name} is not in the snapshot"));
                continue;
            };
            let body = json!({*name_field: name, *value_field: value});
            let sent = self.call(step.kind(), put, Some(id), body, Repeat::Safe);
            if let Err(error) = sent.await {
                let text = without_value(&chain(&error), value);
                problems.push(format!("the value of {name} was not set: {text}"));
            }
        }
        problems
    }

    /// Makes an access list what it is to be; returns what failed.
    async fn set_access(
        &self,
        kind: &'static Kind,
        secrets: &Secrets,
        id: &str,
        wanted: &[Value],
    ) -> Vec<String> {
        let there = match self.access(kind, secrets, id).await {
            Ok(there) => there,
            Err(error) => {
                return vec![format!("who may use it was not set: {}", chain(&error))];
            }
        };
        let caller = self.apply.caller.name();
        let mut problems = Vec::new();
        for change in changes(secrets, &there, wanted, caller) {
            let result = match &change {
                Access::Grant(entry) => self.grant(kind, secrets, id, entry).await,
                Access::Revoke(principal) => {
                    let body = json!({secrets.principal: principal});
                    let sent = self.call(kind, &secrets.revoke, Some(id), body, Repeat::Safe);
                    match sent.await {
                        // Someone else was quicker, or an answer was lost.
                        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                        sent => sent.map(drop),
                    }
                }
            };
            if let Err(error) = result {
                let (what, who) = match &change {
                    Access::Grant(entry) => ("got no access", &entry[secrets.principal]),
                    Access::Revoke(principal) => ("keeps access", principal),
                };
                let who = who.as_str().unwrap_or_default();
                problems.push(format!("{who} {what}: {}", chain(&error)));
                // Who may not manage any more must not be given up for nothing.
                if matches!(change, Access::Grant(_)) {
                    break;
                }
            }
        }
        problems
    }

    async fn access(
        &self,
        kind: &'static Kind,
        secrets: &Secrets,
        id: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let Some(inner) = kind
            .inner()
            .iter()
            .find(|inner| inner.field == secrets.access)
        else {
            return Ok(Vec::new());
        };
        let query = inner_query(inner, id);
        let list = Listing {
            query: query
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect(),
            ..listing(&inner.list)
        };
        match (self.apply.client.list(list).await, inner.without_feature) {
            (Err(error), Some(instead)) if error.kind() == ErrorKind::FeatureDisabled => {
                Ok(instead().as_array().cloned().unwrap_or_default())
            }
            (list, _) => list,
        }
    }

    /// Makes an entry. Someone who was just made becomes known to access lists a little later.
    async fn grant(
        &self,
        kind: &'static Kind,
        secrets: &Secrets,
        id: &str,
        entry: &Value,
    ) -> Result<(), ApiError> {
        let name = entry[secrets.principal].as_str().unwrap_or_default();
        let who = match name.contains('@') {
            true => Grantee::User(name.to_owned()),
            false => Grantee::ServicePrincipal(name.to_owned()),
        };
        let mut attempts = 0;
        loop {
            let sent = self.call(kind, &secrets.grant, Some(id), entry.clone(), Repeat::Safe);
            let Err(error) = sent.await else {
                return Ok(());
            };
            let message = error.message();
            let is_unknown = message.contains("does not exist") && message.contains(name);
            attempts += 1;
            if !is_unknown || attempts >= ATTEMPTS || !self.has_made(&who) {
                return Err(error);
            }
            self.apply.reporter.report(Event::Detail(&format!(
                "waiting until the access lists know {name}"
            )));
            tokio::time::sleep(self.apply.settle * attempts).await;
        }
    }
}

/// One change of an access list.
#[derive(Debug, PartialEq)]
enum Access {
    /// An entry is made or changed.
    Grant(Value),
    /// Someone's entry goes.
    Revoke(Value),
}

/// What makes one access list of another: first who gets something, then who loses it, and at last what takes the right
/// to do all this from whoever does it.
fn changes(secrets: &Secrets, there: &[Value], wanted: &[Value], caller: &str) -> Vec<Access> {
    let who = |entry: &Value| entry[secrets.principal].clone();
    let is_caller = |name: &Value| {
        name.as_str()
            .is_some_and(|name| name.eq_ignore_ascii_case(caller))
    };
    let same = |a: &Value, b: &Value| match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a.to_lowercase() == b.to_lowercase(),
        _ => false,
    };
    let missing = wanted.iter().filter(|entry| !there.contains(entry));
    let grants = missing.map(|entry| Access::Grant(entry.clone()));
    let is_wanted = |name: &Value| wanted.iter().any(|entry| same(&who(entry), name));
    let gone = there.iter().map(who).filter(|name| !is_wanted(name));
    let mut changes: Vec<Access> = grants.chain(gone.map(Access::Revoke)).collect();
    let (level, manager) = secrets.manager;
    changes.sort_by_key(|change| match change {
        Access::Grant(entry) => is_caller(&who(entry)) && entry[level] != json!(manager),
        Access::Revoke(name) => is_caller(name),
    });
    changes
}

/// A text in which a value does not occur, however the service may have repeated it.
fn without_value(text: &str, value: &str) -> String {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value);
    let plain = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let mut text = text.to_owned();
    for form in [Some(value.to_owned()), plain].into_iter().flatten() {
        if !form.is_empty() {
            text = text.replace(&form, "***");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Restore, kind};

    fn changed(there: Value, wanted: Value) -> Vec<Access> {
        let Restore::Secrets(secrets) = &kind("secret-scope").unwrap().restore else {
            panic!("scopes are made by calls of their own");
        };
        let list = |list: Value| -> Vec<Value> {
            let pair =
                |(who, level): (&String, &Value)| json!({"principal": who, "permission": level});
            list.as_object().unwrap().iter().map(pair).collect()
        };
        changes(secrets, &list(there), &list(wanted), "me@x")
    }

    #[test]
    fn whoever_restores_goes_last() {
        let there = json!({"me@x": "MANAGE", "a-stranger": "READ"});
        let wanted = json!({"zoe@x": "MANAGE"});
        assert_eq!(
            changed(there.clone(), wanted),
            [
                Access::Grant(json!({"principal": "zoe@x", "permission": "MANAGE"})),
                Access::Revoke(json!("a-stranger")),
                Access::Revoke(json!("me@x")),
            ]
        );
        let lowered = changed(there, json!({"ME@x": "READ", "zoe@x": "MANAGE"}));
        assert_eq!(
            lowered.last(),
            Some(&Access::Grant(
                json!({"principal": "ME@x", "permission": "READ"})
            ))
        );
    }

    #[test]
    fn a_list_that_is_as_it_is_to_be_is_left_alone() {
        let list = json!({"me@x": "MANAGE", "users": "READ"});
        assert_eq!(changed(list.clone(), list), []);
    }

    #[test]
    fn what_the_service_repeats_of_a_value_is_struck_out() {
        let text = without_value("cannot take c2VjcmV0 (secret) for k", "c2VjcmV0");
        assert_eq!(text, "cannot take *** (***) for k");
    }
}

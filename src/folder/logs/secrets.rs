//! Secret scopes, with the values of their secrets.
//!
//! Invariant: a value goes into the content of a scope, salted as that of a backup, and nowhere else; no message has one.

use std::collections::{BTreeMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::ImportError;
use super::book::add_gap;
use super::files::{Export, list};
use super::lines::Spot;
use super::listed::{Taker, known};
use crate::manifest::{Entry, Extent, Payload, SecretContent};

/// The directory with a file for each scope.
const SCOPES: &str = "secret_scopes";

/// Whether an export holds values of secrets, or may.
pub(super) fn has_values(export: &Export) -> bool {
    let scopes = std::fs::read_dir(export.root.join(SCOPES));
    scopes.is_ok_and(|mut scopes| scopes.next().is_some())
}

/// What is known of one scope.
#[derive(Default)]
struct Scope {
    acls: Option<Value>,
    keys: Vec<String>,
    values: BTreeMap<String, String>,
    /// Why values are not known.
    unread: Vec<String>,
    has_file: bool,
}

impl Taker<'_, '_> {
    /// Takes the scopes; the values of their secrets only `with_values`.
    pub(super) fn secrets(&mut self, with_values: bool) -> Result<(), ImportError> {
        let kind = known("secret-scope");
        let mut scopes: BTreeMap<String, Scope> = BTreeMap::new();
        self.each("secret_scopes_acls.log", kind, |taker, record, spot| {
            let Some(name) = record["scope_name"].as_str() else {
                let reason = format!("{spot}: it has no `scope_name`");
                taker.book.lost(kind.name, reason);
                return Ok(());
            };
            // A scope without a list has an answer without the field.
            let items = record.get("items").cloned().unwrap_or(json!([]));
            scopes.entry(name.to_owned()).or_default().acls = Some(items);
            Ok(())
        })?;
        if self.export.has_directory(SCOPES) {
            self.book.covers(kind.name);
            let (files, directories) = list(self.book, self.export, SCOPES)?;
            for name in directories {
                let reason = "a directory where a scope's file was expected";
                self.book
                    .not_understood(&format!("{SCOPES}/{name}"), reason)?;
            }
            for name in files {
                let mut scope = scopes.remove(&name).unwrap_or_default();
                scope.has_file = true;
                self.values(&mut scope, &format!("{SCOPES}/{name}"))?;
                scopes.insert(name, scope);
            }
        }
        for (name, scope) in scopes {
            self.scope(&name, scope, with_values)?;
        }
        Ok(())
    }

    /// Reads the file of a scope.
    fn values(&mut self, scope: &mut Scope, file: &str) -> Result<(), ImportError> {
        let kind = known("secret-scope");
        let mut seen = HashSet::new();
        self.each(file, kind, |taker, line, spot| {
            let Some(key) = line["name"].as_str() else {
                taker
                    .book
                    .lost(kind.name, format!("{spot}: it has no `name`"));
                return Ok(());
            };
            if seen.insert(key.to_owned()) {
                scope.keys.push(key.to_owned());
            }
            match value(&line["value"]) {
                Ok(value) => {
                    let before = scope.values.insert(key.to_owned(), value);
                    let is_other = before.is_some_and(|before| before != scope.values[key]);
                    if is_other {
                        scope
                            .unread
                            .push(told(key, spot, "there are two values of it"));
                    }
                }
                Err(reason) => scope.unread.push(told(key, spot, reason)),
            }
            Ok(())
        })
    }

    fn scope(&mut self, name: &str, scope: Scope, with_values: bool) -> Result<(), ImportError> {
        let kind = known("secret-scope");
        let keys: Vec<Value> = scope.keys.iter().map(|key| json!({"key": key})).collect();
        let mut item = json!({"name": name, "keys": keys});
        if let Some(acls) = scope.acls.clone() {
            item["acls"] = acls;
        }
        let spot = Spot {
            file: format!("{SCOPES}/{name}"),
            line: 1,
        };
        let Some(mut entry) = self.entry(kind, &item, &spot)? else {
            return Ok(());
        };
        if scope.acls.is_none() {
            let reason = "acls is unknown: secret_scopes_acls.log has no record of it";
            add_gap(&mut entry, Extent::Object, reason.to_owned());
        }
        if !scope.has_file {
            let reason = format!("keys is unknown: there is no {}", spot.file);
            add_gap(&mut entry, Extent::Object, reason);
        } else if with_values {
            self.content(&mut entry, &scope)?;
        }
        self.book.note(entry, &spot)
    }

    /// Gives a scope its values as its content.
    fn content(&mut self, entry: &mut Entry, scope: &Scope) -> Result<(), ImportError> {
        if !scope.unread.is_empty() {
            let (count, all) = (scope.unread.len(), scope.keys.len());
            // Each of them has to be set by hand.
            let which = scope.unread.join("; ");
            let reason = format!("{count} of {all} values could not be read: {which}");
            add_gap(entry, Extent::Content, reason);
        }
        if scope.values.is_empty() && !scope.unread.is_empty() {
            return Ok(());
        }
        // Only an encrypted store has one, and into no other go secret values, whatever was asked for.
        let salt = self.book.store.salt(&entry.key.to_string());
        let salt = salt.ok_or(ImportError::SecretsNeedKey)?;
        let values = serde_json::to_vec(&scope.values).expect("texts are always JSON");
        let secrets = SecretContent::new(&salt, &values).expect("they are texts by name");
        entry.content = Some(Payload::store(
            &self.book.writer,
            &secrets.to_bytes(),
            None,
        )?);
        Ok(())
    }
}

fn told(key: &str, spot: &Spot, reason: &str) -> String {
    format!("{key}: {reason} ({spot})")
}

/// The value in base64, or why there is none; never with a part of it.
fn value(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::Null => Err("the older tool could not read it"),
        Value::String(text) => match STANDARD.decode(text) {
            Ok(_) => Ok(text.clone()),
            Err(_) => Err("it is no base64, as when the older tool got only a part of it"),
        },
        _ => Err("it is no text"),
    }
}

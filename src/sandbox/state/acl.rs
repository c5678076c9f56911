//! Direct permissions: who was given what on which object.
//!
//! Invariant: only direct entries are kept; what is inherited is worked out when asked, by walking up the folders.

use std::collections::{BTreeMap, HashMap};

/// A permission level, by its rank in its scope's ladder and its name.
pub(crate) type Level = &'static str;

/// The kinds of objects that have permissions. Notebooks, folders, files and repos share the node they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Node,
    Cluster,
    Policy,
    Pool,
    Job,
    Tokens,
    Model,
}

/// The direct entries of one object, by principal.
pub(crate) type Entries = BTreeMap<i64, Level>;

/// All direct entries.
#[derive(Default)]
pub(crate) struct Acls {
    entries: HashMap<(Scope, String), Entries>,
}

impl Acls {
    /// The direct entries of an object.
    pub(crate) fn direct(&self, scope: Scope, id: &str) -> Option<&Entries> {
        self.entries.get(&(scope, id.to_string()))
    }

    /// Replaces all direct entries of an object.
    pub(crate) fn replace(&mut self, scope: Scope, id: &str, entries: Entries) {
        match entries.is_empty() {
            true => self.forget(scope, id),
            false => drop(self.entries.insert((scope, id.to_string()), entries)),
        }
    }

    /// Drops everything known of an object.
    pub(crate) fn forget(&mut self, scope: Scope, id: &str) {
        self.entries.remove(&(scope, id.to_string()));
    }
}

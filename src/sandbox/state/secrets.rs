//! Secret scopes and what is in them.

use std::collections::BTreeMap;
use std::fmt;

use axum::body::Bytes;

use crate::sandbox::call::Object;

/// A scope.
#[derive(Default)]
pub(crate) struct SecretScope {
    /// The vault that the keys are in, if they are not here.
    pub(crate) vault: Option<Object>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// Who may do what: principals by name, as they were given.
    pub(crate) acls: BTreeMap<String, &'static str>,
}

/// A value and when it was set.
pub(crate) struct Secret {
    pub(crate) value: Bytes,
    pub(crate) updated: i64,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

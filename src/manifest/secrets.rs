//! Secret values as the content of an object.
//!
//! The content has a salt that the store's key is needed for, so that every hash that hangs on it (of the content, of nodes,
//! the id of a snapshot) is a keyed one: nobody who sees such a hash can try values against it, and equal values of two
//! stores do not show as equal.
//!
//! Invariant: nothing here prints a value; only [`SecretContent::expose`] gives one away.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ManifestError, Tree};
use crate::resource::{ALL, KindName};
use crate::store::Store;

/// The values of one object, each under the name of its element, as base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretContent {
    salt: String,
    values: BTreeMap<String, String>,
}

impl SecretContent {
    /// From the values as an export gives them: a JSON object of names and base64.
    pub fn new(salt: &[u8; 32], values: &[u8]) -> Option<Self> {
        Some(Self {
            salt: blake3::Hash::from_bytes(*salt).to_hex().to_string(),
            values: serde_json::from_slice(values).ok()?,
        })
    }

    /// The bytes that are kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts are always JSON")
    }

    /// Reads what [`SecretContent::to_bytes`] wrote. The bytes are in no error: there is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let content: Self = serde_json::from_slice(bytes).ok()?;
        blake3::Hash::from_hex(&content.salt).ok()?;
        Some(content)
    }

    /// The names of the elements that have a value here.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether both have the same value under a name.
    pub fn agrees(&self, other: &Self, name: &str) -> bool {
        self.values.get(name) == other.values.get(name)
    }

    /// Tells whether a value is another one, and nothing else: a short hash under the salt.
    pub fn fingerprint(&self, name: &str, value_of: &Self) -> Option<String> {
        let salt = blake3::Hash::from_hex(&self.salt).ok()?;
        let value = value_of.values.get(name)?;
        let mut hasher = blake3::Hasher::new_keyed(salt.as_bytes());
        hasher.update(name.as_bytes()).update(&[0]);
        hasher.update(value.as_bytes());
        Some(hasher.finalize().to_hex()[..12].to_owned())
    }

    /// The value itself, as base64. Whoever asks for it must not let it be seen.
    pub fn expose(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// Refuses a store that is not encrypted for what has secret values.
pub fn require_key(tree: &Tree, store: &Store) -> Result<(), ManifestError> {
    if store.is_encrypted() {
        return Ok(());
    }
    for kind in ALL.iter().filter(|kind| kind.secrets().is_some()) {
        for entry in tree.kind(&KindName::known(kind.name)) {
            if entry?.content.is_some() {
                return Err(ManifestError::SecretsNeedKey);
            }
        }
    }
    Ok(())
}

impl fmt::Debug for SecretContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretContent(*** of {} names)", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(salt: u8, values: &str) -> SecretContent {
        SecretContent::new(&[salt; 32], values.as_bytes()).unwrap()
    }

    #[test]
    fn values_come_back_and_are_never_printed() {
        let content = content(1, r#"{"token":"c2VjcmV0"}"#);
        let read = SecretContent::parse(&content.to_bytes()).unwrap();
        assert_eq!(read, content);
        assert_eq!(read.expose("token"), Some("c2VjcmV0"));
        assert!(!format!("{content:?}").contains("c2VjcmV0"));
        assert_eq!(SecretContent::parse(br#"{"token":"c2VjcmV0"}"#), None);
    }

    #[test]
    fn equal_values_look_alike_under_one_salt_and_one_name_only() {
        let (one, two) = (
            content(1, r#"{"a":"eA==","b":"eA=="}"#),
            content(2, r#"{"a":"eA=="}"#),
        );
        let other = content(1, r#"{"a":"eQ=="}"#);
        assert_eq!(one.fingerprint("a", &one), one.fingerprint("a", &two));
        assert_ne!(one.fingerprint("a", &one), two.fingerprint("a", &two));
        assert_ne!(one.fingerprint("a", &one), one.fingerprint("b", &one));
        assert_ne!(one.fingerprint("a", &one), one.fingerprint("a", &other));
        assert_ne!(one.to_bytes(), two.to_bytes());
    }
}

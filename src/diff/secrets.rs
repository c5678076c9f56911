//! Two contents of secret values: which are others, and nothing of what they are.
//!
//! Invariant: a value is in nothing that is told; of two that are equal nothing is told at all.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::manifest::SecretContent;

/// A secret value that is another one. Fingerprints are equal where values are, within one comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretChange {
    /// The name of the value.
    pub name: String,
    /// The fingerprint of what it was; none if there was none.
    pub before: Option<String>,
    /// The fingerprint of what it is; none if there is none.
    pub after: Option<String>,
}

/// The values that differ.
pub(super) fn secret_changes(before: &SecretContent, after: &SecretContent) -> Vec<SecretChange> {
    let names: BTreeSet<&str> = before.names().chain(after.names()).collect();
    let differs = |name: &&str| !before.agrees(after, name);
    let change = |name: &str| SecretChange {
        name: name.to_owned(),
        // Both under one salt: the two may have come from different stores.
        before: after.fingerprint(name, before),
        after: after.fingerprint(name, after),
    };
    names.into_iter().filter(differs).map(change).collect()
}

/// `secret value of api-token: 3f2a91... -> 77bc02...`
impl fmt::Display for SecretChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret value of {}: ", self.name)?;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                write!(f, "changed (fingerprint {before} -> {after})")
            }
            (None, _) => f.write_str("added"),
            (_, None) => f.write_str("removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_that_differ_are_told_and_never_what_they_are() {
        let content = |salt: u8, values: &str| SecretContent::new(&[salt; 32], values.as_bytes());
        let before = content(1, r#"{"a":"b2xk","b":"c2FtZQ==","c":"Z29uZQ=="}"#).unwrap();
        let after = content(2, r#"{"a":"bmV3","b":"c2FtZQ==","d":"Y29tZQ=="}"#).unwrap();
        let changes = secret_changes(&before, &after);
        let text: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert!(
            text[0].starts_with("secret value of a: changed"),
            "{text:?}"
        );
        assert_eq!(
            text[1..],
            ["secret value of c: removed", "secret value of d: added"]
        );
        let told = serde_json::to_string(&changes).unwrap() + &text.concat();
        for value in ["b2xk", "bmV3", "Z29uZQ", "Y29tZQ", "old", "gone"] {
            assert!(!told.contains(value), "{told}");
        }
    }
}

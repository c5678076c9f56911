//! What is kept of a mount: where it is, what it leads to, and nothing that opens it.
//!
//! Invariant: a credential never leaves here. What is not known to be harmless is withheld, and it is said that it was.

use serde_json::{Map, Value, json};

use super::dbfs::DBFS_SCHEME;
use super::key::{KindName, ObjectKey};
use super::kind::{Kind, Source};
use super::kinds::ALL;

/// What stands in the place of a credential.
pub const WITHHELD: &str = "(withheld)";

/// Storage that a cluster may reach by what it is, without a credential of the mount's own.
const BY_IDENTITY: [&str; 4] = ["s3", "s3a", "s3n", "gs"];

/// Words that only come with credentials.
const TELLTALES: [&str; 8] = [
    "sig=",
    "accountkey",
    "accesskey",
    "access_key",
    "secret",
    "password",
    "token=",
    "credential",
];

/// A mount as a cluster tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    /// Where it is, as the DBFS has it.
    pub point: String,
    /// What is kept of it.
    pub body: Value,
}

impl Mount {
    /// Reads what a cluster says of one mount; none if that is not understood.
    pub fn read(told: &Map<String, Value>) -> Option<Self> {
        let text = |field: &str| told.get(field).and_then(Value::as_str);
        let point = text("mountPoint")?.to_owned();
        let (source, is_bare) = without_credentials(text("source")?);
        let mut body = json!({"source": source});
        let mut withheld = Vec::new();
        if !is_bare {
            withheld.push("credentials in the source".to_owned());
        }
        match text("encryptionType").unwrap_or_default() {
            "" => {}
            kind => body["encryption_type"] = json!(kind),
        }
        let known = ["mountPoint", "source", "encryptionType"];
        for (name, value) in told
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
        {
            match value.as_str() {
                None | Some("") => {}
                Some(text) if is_secret_reference(text) => body["options"][name] = json!(text),
                Some(_) => withheld.push(name.clone()),
            }
        }
        if !withheld.is_empty() {
            body["withheld"] = json!(withheld);
        }
        Some(Self { point, body })
    }

    /// Whether it is one of those that every workspace has, which lead to no storage of a user.
    pub fn is_of_the_service(&self) -> bool {
        self.body["source"]
            .as_str()
            .is_none_or(|source| !source.contains("://"))
    }

    /// What it is called.
    pub fn key(&self) -> ObjectKey {
        let kind = ALL.iter().find(|kind| kind.is_mount());
        let kind = kind.expect("mounts are registered");
        ObjectKey::new(
            KindName::known(kind.name),
            format!("{DBFS_SCHEME}{}", self.point),
        )
    }
}

/// Whether a mount like this needs no credential of its own, so that a cluster that may use the storage can make it.
pub fn is_made_by_identity(body: &Value) -> bool {
    let source = body["source"].as_str().unwrap_or_default();
    let scheme = source.split_once("://").map_or("", |(scheme, _)| scheme);
    BY_IDENTITY.contains(&scheme) && body.get("withheld").is_none() && body.get("options").is_none()
}

impl Kind {
    /// Whether objects of the kind are mounts.
    pub const fn is_mount(&self) -> bool {
        matches!(self.source, Source::Mounts)
    }
}

/// A source without what opens it, and whether there was nothing to take away. A container before the account is no
/// credential, a key with a secret is; so is whatever follows a question mark.
fn without_credentials(source: &str) -> (String, bool) {
    let Some((scheme, rest)) = source.split_once("://") else {
        return match is_suspicious(source) {
            true => (WITHHELD.to_owned(), false),
            false => (source.to_owned(), true),
        };
    };
    let mut rest = rest;
    let mut is_bare = true;
    if let Some((before, _)) = rest.split_once('?') {
        (rest, is_bare) = (before, false);
    }
    let is_bucket = BY_IDENTITY.contains(&scheme);
    // A secret may hold slashes, so that what looks like the path may be a part of it.
    let credentials = rest
        .rsplit_once('@')
        .filter(|(before, _)| before.contains(':') || (is_bucket && !before.contains('/')));
    let mut kept = match credentials {
        Some((_, place)) => {
            is_bare = false;
            format!("{scheme}://{WITHHELD}@{place}")
        }
        None => format!("{scheme}://{rest}"),
    };
    if is_suspicious(&kept) {
        kept = format!("{scheme}://{WITHHELD}");
        is_bare = false;
    }
    (kept, is_bare)
}

fn is_suspicious(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    TELLTALES.iter().any(|word| {
        let mut found = text.match_indices(word);
        // `secret` may well be a part of a name; with a value behind it, it is not.
        found.any(|(at, _)| word.ends_with('=') || text[at..].contains('='))
    })
}

/// Whether a value only says where the secret is.
fn is_secret_reference(value: &str) -> bool {
    let inner = value
        .strip_prefix("{{secrets/")
        .and_then(|rest| rest.strip_suffix("}}"));
    inner.is_some_and(|inner| {
        let parts: Vec<&str> = inner.split('/').collect();
        let is_name = |part: &&str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || "-_.@".contains(c))
        };
        parts.len() == 2 && parts.iter().all(is_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(source: &str) -> Value {
        let told = json!({"mountPoint": "/mnt/x", "source": source, "encryptionType": ""});
        Mount::read(told.as_object().unwrap()).unwrap().body
    }

    #[test]
    fn no_credential_in_a_source_is_kept_and_what_is_none_stays() {
        for (source, kept) in [
            (
                "s3a://AKIA:se/cr+et@bucket/path",
                "s3a://(withheld)@bucket/path",
            ),
            ("s3n://AKIA:s%2Fecret@bucket", "s3n://(withheld)@bucket"),
            ("s3a://AKIA@bucket/a", "s3a://(withheld)@bucket/a"),
            (
                "wasbs://c@acct.blob.core.windows.net/d?sv=1&sig=hush",
                "wasbs://c@acct.blob.core.windows.net/d",
            ),
            (
                "wasbs://user:hush@acct.blob.core.windows.net",
                "wasbs://(withheld)@acct.blob.core.windows.net",
            ),
            ("adl://x/y;AccountKey=hush", "adl://(withheld)"),
            ("https://h/p&sig=hush", "https://(withheld)"),
            ("AccountName=a;AccountKey=hush", "(withheld)"),
        ] {
            let body = told(source);
            assert_eq!(body["source"], kept, "{source}");
            assert_eq!(
                body["withheld"],
                json!(["credentials in the source"]),
                "{source}"
            );
            assert!(!body.to_string().contains("hush") && !body.to_string().contains("cr+et"));
        }
        for source in [
            "s3a://bucket/path/a@b",
            "abfss://container@acct.dfs.core.windows.net/raw",
            "gs://bucket/secrets/of-the-trade",
            "databricks-datasets",
        ] {
            assert_eq!(told(source), json!({"source": source}));
        }
    }

    #[test]
    fn what_is_not_known_to_be_harmless_is_named_and_not_kept() {
        let told = json!({"mountPoint": "/mnt/x", "source": "abfss://c@a/", "encryptionType": "sse-s3",
            "fs.azure.account.key": "hush", "fs.azure.sas": "{{secrets/etl/sas}}", "odd": "{{secrets/a/b}} hush"});
        let mount = Mount::read(told.as_object().unwrap()).unwrap();
        assert_eq!(
            mount.body,
            json!({"source": "abfss://c@a/", "encryption_type": "sse-s3",
                "options": {"fs.azure.sas": "{{secrets/etl/sas}}"}, "withheld": ["fs.azure.account.key", "odd"]})
        );
        assert_eq!(mount.key().to_string(), "mount dbfs:/mnt/x");
    }

    #[test]
    fn only_storage_that_knows_the_cluster_is_mounted_without_a_credential() {
        assert!(is_made_by_identity(&told("s3a://bucket")));
        assert!(!is_made_by_identity(&told("s3a://AKIA:x@bucket")));
        assert!(!is_made_by_identity(&told(
            "abfss://c@a.dfs.core.windows.net/"
        )));
    }
}

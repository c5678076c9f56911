//! `dbsnap.json`: what a store says about itself.
//!
//! Invariant: the file is written once, when the store is created, and never again.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::backend::Files;
use super::error::{Purpose, StoreError, corrupt};
use super::layout::CONFIG;

/// The format this version writes, and the only one there is.
pub(super) const FORMAT: u64 = 1;
const LIMIT: u64 = 1 << 20;

/// What the files of a store are sealed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    None,
    XChaCha20Poly1305,
}

/// The stored form of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Config {
    dbsnap: String,
    format: u64,
    pub(super) id: String,
    created: String,
    encryption: String,
    chunker: Chunker,
    #[serde(default)]
    features: Features,
}

/// How contents that are too large for one blob are cut; a fact of the store, so that all writers cut alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Chunker {
    algorithm: String,
    min: u32,
    average: u32,
    max: u32,
}

/// Names of things a program must know of before it may read or write the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Features {
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    write: Vec<String>,
}

/// What every version of the file has, read before anything else is believed.
#[derive(Deserialize)]
struct Envelope {
    dbsnap: String,
    format: u64,
}

impl Encryption {
    const ALL: [Self; 2] = [Self::None, Self::XChaCha20Poly1305];

    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::XChaCha20Poly1305 => "xchacha20poly1305",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl Config {
    pub(super) fn new(id: [u8; 16], now: DateTime<Utc>, encryption: Encryption) -> Self {
        Self {
            dbsnap: "store".into(),
            format: FORMAT,
            id: format!("{:032x}", u128::from_be_bytes(id)),
            created: now.to_rfc3339_opts(SecondsFormat::Secs, true),
            encryption: encryption.name().into(),
            chunker: Chunker {
                algorithm: "fastcdc-2020".into(),
                min: 256 << 10,
                average: 1 << 20,
                max: 4 << 20,
            },
            features: Features::default(),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("strings and numbers are JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads the configuration of the store at `root`; `None` when there is no such file.
    pub(super) fn load(files: &Files) -> Result<Option<Self>, StoreError> {
        let (root, path) = (files.root(), files.path(CONFIG));
        let Some(bytes) = files.read(CONFIG, LIMIT)? else {
            return Ok(None);
        };
        let json = |error: serde_json::Error| corrupt(&path, error.to_string());
        let envelope: Envelope = serde_json::from_slice(&bytes).map_err(json)?;
        if envelope.dbsnap != "store" {
            return Err(StoreError::NotAStore(root.to_owned()));
        }
        if envelope.format > FORMAT {
            return Err(StoreError::NewerVersion {
                path: root.to_owned(),
                format: envelope.format,
            });
        }
        if envelope.format < FORMAT {
            return Err(corrupt(
                &path,
                format!("there never was a format {}", envelope.format),
            ));
        }
        let config: Self = serde_json::from_slice(&bytes).map_err(json)?;
        if Encryption::named(&config.encryption).is_none() {
            return Err(StoreError::UnknownEncryption {
                path: root.to_owned(),
                scheme: config.encryption,
            });
        }
        refuse_unknown(root, &config.features.read, Purpose::Reading)?;
        Ok(Some(config))
    }

    pub(super) fn is_encrypted(&self) -> bool {
        Encryption::named(&self.encryption) != Some(Encryption::None)
    }

    /// Refuses to write to a store with a feature that writers must know of.
    pub(super) fn writable(&self, root: &Path) -> Result<(), StoreError> {
        refuse_unknown(root, &self.features.write, Purpose::Writing)
    }
}

// This version knows no features, so that the first one named is unknown.
fn refuse_unknown(root: &Path, features: &[String], purpose: Purpose) -> Result<(), StoreError> {
    features.first().map_or(Ok(()), |feature| {
        Err(StoreError::UnknownFeature {
            path: root.to_owned(),
            feature: feature.clone(),
            purpose,
        })
    })
}

//! `dbsnap.json`: what a store says about itself.
//!
//! Invariant: the file is written once, when the store is created, and never again. It holds a checksum of itself, since
//! no name tells what should be in it; one that does not match keeps nobody from reading the store, but from writing to it.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::backend::Files;
use super::error::{Purpose, StoreError, corrupt};
use super::id::BlobId;
use super::keys::{Ring, Secret};
use super::layout::CONFIG;
use super::traces;

/// The format this version writes, and the only one there is.
pub(super) const FORMAT: u64 = 1;
const LIMIT: u64 = 1 << 20;
/// What stands in the place of the checksum while it is made.
const NO_CHECK: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const CHANGED: &str = "its checksum does not match: something in it was changed";

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
    /// The hash of the file with zeros in the place of this.
    #[serde(default)]
    check: String,
    /// Whether that is so.
    #[serde(skip)]
    is_intact: bool,
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
    #[serde(default)]
    check: String,
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
            check: NO_CHECK.to_owned(),
            is_intact: true,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let unchecked = Self {
            check: NO_CHECK.to_owned(),
            ..self.clone()
        };
        let mut text =
            serde_json::to_string_pretty(&unchecked).expect("strings and numbers are JSON");
        text.push('\n');
        let check = BlobId::of(text.as_bytes()).to_string();
        text.replacen(NO_CHECK, &check, 1).into_bytes()
    }

    /// Reads the configuration of a store; `None` when there is no such file.
    pub(super) fn load(files: &Files) -> Result<Option<Self>, StoreError> {
        let bytes = files.read(CONFIG, LIMIT)?;
        bytes
            .map(|bytes| Self::parse(&bytes, files.root()))
            .transpose()
    }

    /// Reads the configuration of the store at `root`.
    pub(super) fn parse(bytes: &[u8], root: &Path) -> Result<Self, StoreError> {
        let path = root.join(CONFIG);
        let json = |error: serde_json::Error| corrupt(&path, error.to_string());
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(json)?;
        let is_intact = is_intact(bytes, &envelope.check);
        match Self::understand(bytes, &envelope, root) {
            Ok(config) => Ok(Self {
                is_intact,
                ..config
            }),
            // What was changed by accident is no newer format, and no other scheme.
            Err(error) if !is_intact && !envelope.check.is_empty() => {
                let what = match error {
                    StoreError::Corrupt { what, .. } => what,
                    error => error.to_string(),
                };
                Err(corrupt(&path, format!("{CHANGED} ({what})")))
            }
            Err(error) => Err(error),
        }
    }

    fn understand(bytes: &[u8], envelope: &Envelope, root: &Path) -> Result<Self, StoreError> {
        let path = root.join(CONFIG);
        let json = |error: serde_json::Error| corrupt(&path, error.to_string());
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
        let config: Self = serde_json::from_slice(bytes).map_err(json)?;
        if Encryption::named(&config.encryption).is_none() {
            return Err(StoreError::UnknownEncryption {
                path: root.to_owned(),
                scheme: config.encryption,
            });
        }
        refuse_unknown(root, &config.features.read, Purpose::Reading)?;
        Ok(config)
    }

    /// When the store was made, by the clock of whoever made it.
    pub(super) fn created(&self) -> Option<DateTime<Utc>> {
        let time = DateTime::parse_from_rfc3339(&self.created).ok();
        time.map(|time| time.to_utc())
    }

    pub(super) fn damage(&self, files: &Files) -> Option<StoreError> {
        (!self.is_intact).then(|| corrupt(&files.path(CONFIG), CHANGED))
    }

    pub(super) fn is_encrypted(&self) -> bool {
        Encryption::named(&self.encryption) != Some(Encryption::None)
    }

    /// What is wrong with it although it can be understood: it was changed, or it denies that the store is encrypted, or
    /// claims it.
    /// `files` are as they lie there.
    pub(super) fn fault(&self, files: &Files) -> Result<Option<StoreError>, StoreError> {
        if let Some(damage) = self.damage(files) {
            return Ok(Some(damage));
        }
        Ok(match self.is_encrypted() {
            true => traces::is_all_plain(files)?.then(|| traces::claimed(files)),
            false => traces::any(files)?.map(|trace| traces::denied(files, &trace)),
        })
    }

    /// What is wrong if the keys that lie there are of another store than it says, which takes one of their secrets to know.
    pub(super) fn of_another_store(&self, files: &Files, secrets: &[Secret]) -> Option<StoreError> {
        let id = Ring { files, store: "" }.store_of(secrets).ok()?;
        self.of_store(files, &id)
    }

    /// What is wrong if the keys that lie there are of the store with this id.
    pub(super) fn of_store(&self, files: &Files, id: &str) -> Option<StoreError> {
        let what = format!(
            "it is of the store {}, and the keys are of the store {id}",
            self.id
        );
        (id != self.id).then(|| corrupt(&files.path(CONFIG), what))
    }

    /// Refuses to write to a store with a feature that writers must know of, and by a configuration that is wrong.
    pub(super) fn writable(&self, files: &Files) -> Result<(), StoreError> {
        refuse_unknown(files.root(), &self.features.write, Purpose::Writing)?;
        self.fault(files)?.map_or(Ok(()), Err)
    }
}

/// Whether the hash is that of the file with zeros in its place.
fn is_intact(bytes: &[u8], check: &str) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    check.len() == NO_CHECK.len()
        && BlobId::of(text.replacen(check, NO_CHECK, 1).as_bytes()).to_string() == check
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

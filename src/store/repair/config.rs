//! A configuration that is gone or damaged, made anew from what else tells of the store.
//!
//! Invariant: what can be read is never replaced unless it is damaged, and an encrypted store stays one: all that is sealed
//! says so, and of a store without data its slots. Slots alone make no encrypted store of data that are not sealed.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::store::backend::{Files, Local};
use crate::store::config::{Config, Encryption};
use crate::store::encrypted;
use crate::store::error::StoreError;
use crate::store::keys::{Ring, Secret, SlotName};
use crate::store::layout::{self, CONFIG, HeadName, KEYS, PENDING, README, SNAPSHOTS};
use crate::store::{MAX_HEAD, README_TEXT, SnapshotId, Store, random, traces};

/// A configuration that was made anew, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRepair {
    /// The id of the store.
    pub id: String,
    /// Nothing told of the id, so that it is a new one.
    pub is_new_id: bool,
    /// The store is encrypted.
    pub is_encrypted: bool,
    /// What was wrong with the old one; none if there was none.
    pub was: Option<String>,
}

impl Store {
    /// Makes the configuration of the store at `path` anew if it is gone or damaged, and else does nothing. The id comes
    /// from the key slots, or else from the heads: `told` reads it out of one. With `dry_run` only says what it would do.
    pub fn repair_config(
        path: &Path,
        secrets: &[Secret],
        now: DateTime<Utc>,
        told: &dyn Fn(&[u8]) -> Option<String>,
        dry_run: bool,
    ) -> Result<Option<ConfigRepair>, StoreError> {
        if !path.exists() || (path.is_dir() && Local::is_empty(path)?) {
            return Err(StoreError::NoStore(path.to_owned()));
        }
        if !path.is_dir() {
            return Err(StoreError::NotAStore(path.to_owned()));
        }
        repair(&Files::local(path), secrets, now, told, dry_run)
    }
}

pub(in crate::store) fn repair(
    files: &Files,
    secrets: &[Secret],
    now: DateTime<Utc>,
    told: &dyn Fn(&[u8]) -> Option<String>,
    dry_run: bool,
) -> Result<Option<ConfigRepair>, StoreError> {
    let damage = match Config::load(files) {
        Ok(Some(config)) => {
            let strange = || config.of_another_store(files, secrets);
            let strange = || strange().filter(|_| config.is_encrypted());
            match config.fault(files)?.or_else(strange) {
                None => return Ok(None),
                damage => damage,
            }
        }
        Ok(None) => None,
        // A newer format, another scheme or another program's file is no damage.
        Err(error @ StoreError::Corrupt { .. }) => Some(error),
        Err(error) => return Err(error),
    };
    let slots = layout::list::<SlotName>(files, KEYS)?;
    let heads = heads(files)?;
    let is_empty = heads.is_empty() && layout::list_packs(files)?.is_empty();
    if slots.is_empty() && is_empty {
        return Err(StoreError::NotAStore(files.root().to_owned()));
    }
    let is_sealed = traces::sealed(files)?.is_some();
    if !slots.is_empty() && !is_empty && !is_sealed {
        return Err(StoreError::ForeignSlots(files.path(KEYS)));
    }
    let is_encrypted = is_sealed || !slots.is_empty();
    let known = match is_encrypted {
        true => Some(Ring { files, store: "" }.store_of(secrets)?),
        false => id_of_heads(files, &heads, told)?,
    };
    let mut bytes = [0; 16];
    match &known {
        Some(id) => bytes = number(id).unwrap_or_default().to_be_bytes(),
        None => random(&mut bytes, files.root())?,
    }
    let encryption = match is_encrypted {
        true => Encryption::XChaCha20Poly1305,
        false => Encryption::None,
    };
    let first = heads.iter().map(|(_, name)| name.time).min();
    let config = Config::new(bytes, first.unwrap_or(now), encryption);
    let done = ConfigRepair {
        id: config.id.clone(),
        is_new_id: known.is_none(),
        is_encrypted,
        was: damage.as_ref().map(ToString::to_string),
    };
    if !dry_run {
        write(files, &config, damage.is_some())?;
    }
    Ok(Some(done))
}

/// Whoever dies in between leaves a store without a configuration, which can be repaired again.
fn write(files: &Files, config: &Config, is_there: bool) -> Result<(), StoreError> {
    if is_there {
        files.remove(CONFIG)?;
    }
    if !files.create(CONFIG, &config.to_bytes())? {
        return Err(StoreError::AlreadyExists(files.root().to_owned()));
    }
    let text = match config.is_encrypted() {
        true => encrypted::README_TEXT,
        false => README_TEXT,
    };
    files.create(README, text.as_bytes()).map(drop)
}

/// Heads and intents with the directories they are in.
fn heads(files: &Files) -> Result<Vec<(&'static str, HeadName)>, StoreError> {
    let mut heads = Vec::new();
    for dir in [SNAPSHOTS, PENDING] {
        let names = layout::list::<HeadName>(files, dir)?;
        heads.extend(names.into_iter().map(|name| (dir, name)));
    }
    Ok(heads)
}

/// The id that most heads tell of: some may have come from another store.
fn id_of_heads(
    files: &Files,
    heads: &[(&str, HeadName)],
    told: &dyn Fn(&[u8]) -> Option<String>,
) -> Result<Option<String>, StoreError> {
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    for (dir, name) in heads {
        let Some(bytes) = files.read(&format!("{dir}/{name}"), MAX_HEAD)? else {
            continue;
        };
        if SnapshotId::of(&bytes) == name.id
            && let Some(id) = told(&bytes).filter(|id| number(id).is_some())
        {
            *ids.entry(id).or_default() += 1;
        }
    }
    Ok(ids
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(id, _)| id))
}

/// The number that an id is; none if it is no id.
fn number(id: &str) -> Option<u128> {
    let number = u128::from_str_radix(id, 16).ok()?;
    (format!("{number:032x}") == id).then_some(number)
}

//! Verifying every file of a store that is neither a pack nor a segment. They are small, so that every check reads them.
//!
//! Invariant: whatever lies in a directory of the store is whole, or it is told of.

use chrono::{DateTime, Utc};

use super::verified::Verified;
use super::{Verification, check_hash, strangers};
use crate::store::error::{StoreError, corrupt};
use crate::store::history::MARK;
use crate::store::keys::SlotName;
use crate::store::layout::{
    self, BEGUN, CONDEMNED, HeadName, KEYS, LOST, PAUSED, PENDING, RESTORES, SNAPSHOTS,
};
use crate::store::{Store, look, whole_lines};

/// No file of lines is longer than this.
const MAX_LINES: u64 = 1 << 30;

impl Store {
    /// Verifies what a store has beside packs, index and heads of snapshots, and notes what is none of its own.
    pub fn verify_small(&self) -> Result<Verification, StoreError> {
        let mut found = Verification::default();
        check(self, &[PENDING, CONDEMNED], &mut found)?;
        let verified = Verified::load(self.files(), &[], DateTime::<Utc>::MAX_UTC);
        found.notes.extend(verified.notes());
        strangers::note(self, &mut found)?;
        Ok(found)
    }
}

/// Checks key slots, lines, and the heads and records in these directories.
pub(super) fn check(
    store: &Store,
    dirs: &[&'static str],
    found: &mut Verification,
) -> Result<(), StoreError> {
    check_slots(store, found)?;
    for dir in dirs {
        check_heads(store, dir, found)?;
    }
    for dir in [BEGUN, LOST] {
        check_marks(store, dir, found)?;
    }
    for dir in [PAUSED, RESTORES] {
        check_lines(store, dir, found)?;
    }
    Ok(())
}

/// What a slot holds, only those know who can open it; but it has its hash in its name. One that was removed leaves no
/// trace, unless it was the last.
fn check_slots(store: &Store, found: &mut Verification) -> Result<(), StoreError> {
    let mut whole = 0;
    for file in store.files().list(KEYS)? {
        let path = store.files().path(&file.name);
        let name = file.file_name().parse::<SlotName>();
        let checked = match name {
            Err(_) if is_passing(file.file_name()) => continue,
            Err(_) => Err(corrupt(
                &path,
                "it has not the name of a key, so nobody can open the store by it",
            )),
            Ok(name) => check_hash(store.files(), &file.name, &name.id),
        };
        match checked {
            Ok(_) => whole += 1,
            Err(_) if store.files().len_stored(&file.name)?.is_none() => {}
            Err(error) => found.problem(store.path(), &path, Vec::new(), &error),
        }
    }
    if store.is_encrypted() && store.below().is_none() && whole == 0 {
        let path = store.files().path(KEYS);
        let none = corrupt(
            &path,
            "no key in it is whole: nobody can open the store any more",
        );
        found.problem(store.path(), &path, Vec::new(), &none);
    }
    Ok(())
}

/// Unfinished files, and what systems put everywhere.
fn is_passing(name: &str) -> bool {
    name.starts_with('.')
}

fn check_heads(
    store: &Store,
    dir: &'static str,
    found: &mut Verification,
) -> Result<(), StoreError> {
    for name in layout::list::<HeadName>(store.files(), dir)? {
        let file = store.files().path(&format!("{dir}/{name}"));
        let checked = store.read_named(dir, &name).and_then(|bytes| match dir {
            CONDEMNED => look::parse_record(&name, &bytes)
                .map(drop)
                .map_err(|what| corrupt(&file, what)),
            _ => Ok(()),
        });
        match checked {
            Ok(()) => found.heads += u64::from(dir == SNAPSHOTS),
            // A commit or a prune that runs at this moment removes what it no longer needs.
            Err(StoreError::MissingHead(_)) => {}
            Err(error) => found.problem(store.path(), &file, Vec::new(), &error),
        }
    }
    Ok(())
}

/// Files of which only the name says something.
fn check_marks(
    store: &Store,
    dir: &'static str,
    found: &mut Verification,
) -> Result<(), StoreError> {
    for name in layout::list::<HeadName>(store.files(), dir)? {
        let name = format!("{dir}/{name}");
        let path = store.files().path(&name);
        let damage = match store.files().read(&name, MAX_LINES) {
            Ok(Some(text)) if text != MARK => corrupt(&path, "it is not the one word that it was"),
            Ok(_) => continue,
            Err(error) => error,
        };
        found.problem(store.path(), &path, Vec::new(), &damage);
    }
    Ok(())
}

/// Each line is JSON, and opens with the key of the store if that is encrypted, or has its hash; what a kill cut off at the
/// end is no line.
fn check_lines(
    store: &Store,
    dir: &'static str,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let seal = store.line_seal();
    for file in store.files().list(dir)? {
        if is_passing(file.file_name()) {
            continue;
        }
        let path = store.files().path(&file.name);
        let text = match store.files().read(&file.name, MAX_LINES) {
            Ok(Some(text)) => text,
            Ok(None) => continue,
            Err(error) => {
                found.problem(store.path(), &path, Vec::new(), &error);
                continue;
            }
        };
        let lines = whole_lines(&text).split(|byte| *byte == b'\n');
        let is_whole = |line: &[u8]| {
            let text = seal.open(line);
            text.is_some_and(|text| serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok())
        };
        let mut lines = lines.enumerate().filter(|(_, line)| !line.is_empty());
        if let Some((number, _)) = lines.find(|(_, line)| !is_whole(line)) {
            let what = format!("line {} cannot be read", number + 1);
            let broken = corrupt(&path, what);
            found.problem(store.path(), &path, Vec::new(), &broken);
        }
    }
    Ok(())
}

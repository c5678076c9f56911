//! Files in a store that are none of its own, and the one that is only for people.
//!
//! Invariant: a stranger is told of and left alone.

use super::Verification;
use crate::store::error::StoreError;
use crate::store::id::FileId;
use crate::store::keys::SlotName;
use crate::store::layout::{
    BEGUN, CONDEMNED, CONFIG, HeadName, INDEX, KEYS, LOST, PACKS, PAUSED, PENDING, README,
    RESTORES, SNAPSHOTS, SegmentName, VERIFIED, pack_name,
};
use crate::store::{READMES, Store};

/// No text for people is longer than this.
const MAX_README: u64 = 1 << 20;

/// Notes unfinished and foreign files, and a README that somebody has changed or removed.
pub(super) fn note(store: &Store, found: &mut Verification) -> Result<(), StoreError> {
    note_readme(store, found)?;
    for file in store.files().list("")? {
        if is_ours(&file.name) {
            continue;
        }
        let name = &file.name;
        found.notes.push(match file.is_unfinished() {
            true => {
                format!("{name} is unfinished: a run is writing it, or was killed while it did")
            }
            false => format!("{name} does not belong to the store"),
        });
    }
    Ok(())
}

fn note_readme(store: &Store, found: &mut Verification) -> Result<(), StoreError> {
    let what = match store.files().read(README, MAX_README) {
        Ok(Some(text)) if READMES.iter().any(|known| known.as_bytes() == text) => return Ok(()),
        Ok(None) => "is gone",
        Ok(Some(_)) | Err(StoreError::Corrupt { .. }) => "was changed",
        Err(error) => return Err(error),
    };
    let note = format!("{README} {what}; it is for people, and the store does without it");
    found.notes.push(note);
    Ok(())
}

fn is_ours(name: &str) -> bool {
    let Some((dir, rest)) = name.split_once('/') else {
        return [CONFIG, README].contains(&name);
    };
    match dir {
        INDEX => rest.parse::<SegmentName>().is_ok(),
        SNAPSHOTS | PENDING | CONDEMNED | VERIFIED | BEGUN | LOST => {
            rest.parse::<HeadName>().is_ok()
        }
        PACKS => {
            let id = rest
                .rsplit('/')
                .next()
                .and_then(|id| id.parse::<FileId>().ok());
            id.is_some_and(|id| pack_name(&id) == name)
        }
        // What is no slot is told of with the slots.
        KEYS => rest.parse::<SlotName>().is_ok() || !rest.starts_with('.'),
        dir => dir == RESTORES || dir == PAUSED,
    }
}

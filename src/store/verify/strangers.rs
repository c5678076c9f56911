//! Files in a store that are none of its own.
//!
//! Invariant: a stranger is told of and left alone.

use std::path::Path;

use super::Verification;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::files::TEMPORARY;
use crate::store::id::FileId;
use crate::store::layout::{
    self, CONDEMNED, CONFIG, DIRECTORIES, HeadName, INDEX, PACKS, PENDING, README, RESTORES,
    SNAPSHOTS, SegmentName,
};

/// Notes unfinished and foreign files.
pub(super) fn note(store: &Store, found: &mut Verification) -> Result<(), StoreError> {
    let root = store.path();
    let in_root = |name: &str| {
        [CONFIG, README, RESTORES, "keys"].contains(&name) || DIRECTORIES.contains(&name)
    };
    note_in(root, root, &in_root, found)?;
    note_in(
        root,
        &root.join(INDEX),
        &|name| name.parse::<SegmentName>().is_ok(),
        found,
    )?;
    for dir in [SNAPSHOTS, PENDING, CONDEMNED] {
        note_in(
            root,
            &root.join(dir),
            &|name| name.parse::<HeadName>().is_ok(),
            found,
        )?;
    }
    let packs = root.join(PACKS);
    let prefix = |name: &str| {
        name.len() == 2 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    note_in(root, &packs, &prefix, found)?;
    for dir in layout::entries(&packs)? {
        let name = dir.file_name();
        if let Some(start) = name
            .to_str()
            .filter(|name| prefix(name) && dir.path().is_dir())
        {
            let ours = |name: &str| name.starts_with(start) && name.parse::<FileId>().is_ok();
            note_in(root, &dir.path(), &ours, found)?;
        }
    }
    Ok(())
}

fn note_in(
    root: &Path,
    dir: &Path,
    ours: &dyn Fn(&str) -> bool,
    found: &mut Verification,
) -> Result<(), StoreError> {
    for entry in layout::entries(dir)? {
        let name = entry.file_name();
        if name.to_str().is_some_and(ours) {
            continue;
        }
        let file = layout::relative(root, &entry.path());
        found
            .notes
            .push(match name.to_string_lossy().starts_with(TEMPORARY) {
                true => {
                    format!("{file} is unfinished: a run is writing it, or was killed while it did")
                }
                false => format!("{file} does not belong to the store"),
            });
    }
    Ok(())
}

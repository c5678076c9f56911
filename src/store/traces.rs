//! Whether what is in a store is encrypted as its configuration says, and with its key.
//!
//! The checksum of the configuration tells of damage, but whoever changes the file on purpose makes the checksum anew. So
//! what else is in the store has its say too.
//!
//! Invariant: where a trace is found nothing is written, since what is to be sealed would lie there for all to read.

use std::path::Path;

use super::backend::Files;
use super::crypt::MAGIC;
use super::error::{StoreError, corrupt};
use super::keys::SlotName;
use super::layout::{
    self, CONDEMNED, CONFIG, HeadName, INDEX, KEYS, PENDING, SNAPSHOTS, SegmentName, pack_name,
};
use super::random;

/// So many packs are looked at, drawn by lot: whoever hides sealed packs among others has to add far more than there are.
const PACKS_LOOKED_AT: usize = 16;

/// A key slot, or the newest head if it is sealed: what each opening of a store can afford to look for.
pub(super) fn plain(files: &Files) -> Result<Option<String>, StoreError> {
    if let Some(slot) = layout::list::<SlotName>(files, KEYS)?.first() {
        return Ok(Some(format!("{KEYS}/{slot}")));
    }
    let newest = layout::list::<HeadName>(files, SNAPSHOTS)?.pop();
    let newest = newest.map(|head| format!("{SNAPSHOTS}/{head}"));
    Ok(newest.filter(|name| is_sealed(files, name)))
}

/// All that, or anything in the store that is sealed, of packs only of some.
pub(super) fn any(files: &Files) -> Result<Option<String>, StoreError> {
    match plain(files)? {
        Some(found) => Ok(Some(found)),
        None => sealed(files),
    }
}

/// Anything in the store that is sealed, of packs only of some. A key slot does not count: it may be that of another store.
pub(super) fn sealed(files: &Files) -> Result<Option<String>, StoreError> {
    let mut names = Vec::new();
    for dir in [SNAPSHOTS, PENDING, CONDEMNED] {
        let heads = layout::list::<HeadName>(files, dir)?.into_iter();
        names.extend(heads.map(|head| format!("{dir}/{head}")));
    }
    let segments = layout::list::<SegmentName>(files, INDEX)?.into_iter();
    names.extend(segments.map(|segment| layout::segment_name(&segment)));
    let mut packs = layout::list_packs(files)?;
    for _ in 0..PACKS_LOOKED_AT.min(packs.len()) {
        let (id, _) = packs.swap_remove(draw(packs.len(), files.root())?);
        names.push(pack_name(&id));
    }
    Ok(names.into_iter().find(|name| is_sealed(files, name)))
}

/// Whether there is a store, and no sign that it is encrypted: no key slot, and nothing sealed.
pub(super) fn is_all_plain(files: &Files) -> Result<bool, StoreError> {
    let has_heads = !layout::list::<HeadName>(files, SNAPSHOTS)?.is_empty();
    Ok(has_heads && any(files)?.is_none())
}

/// Whether anything of a sealed store opens: a head, or else a pack, of some. True of a store without either.
pub(super) fn opens_any(sealed: &Files) -> Result<bool, StoreError> {
    let heads = layout::list::<HeadName>(sealed, SNAPSHOTS)?.into_iter();
    let heads = heads.rev().map(|head| format!("{SNAPSHOTS}/{head}"));
    let packs = layout::list_packs(sealed)?.into_iter();
    let packs = packs.map(|(id, _)| pack_name(&id));
    let heads: Vec<String> = heads.take(PACKS_LOOKED_AT).collect();
    let packs: Vec<String> = packs.take(PACKS_LOOKED_AT).collect();
    let mut names = heads.iter().chain(&packs).peekable();
    // What is gone or out of reach by now is told of elsewhere.
    let is_strange = |error: &StoreError| matches!(error, StoreError::Corrupt { .. });
    let opens = |name: &String| match sealed.read_at(name, 0, 1) {
        Ok(_) => true,
        Err(error) => !is_strange(&error),
    };
    Ok(names.peek().is_none() || names.any(opens))
}

/// Why a configuration is not to be believed that claims what nothing else tells.
pub(super) fn claimed(files: &Files) -> StoreError {
    let what = "it says that the store is encrypted, but nothing in it is, and there is no key";
    corrupt(&files.path(CONFIG), what)
}

/// Why a configuration is not to be believed that denies what `trace` tells.
pub(super) fn denied(files: &Files, trace: &str) -> StoreError {
    let what = format!(
        "it says that the store is not encrypted, but there is {trace}, which only an encrypted store has"
    );
    corrupt(&files.path(CONFIG), what)
}

/// Whether a file is seen to be sealed. What is damaged, gone or out of reach is told of elsewhere.
fn is_sealed(files: &Files, name: &str) -> bool {
    let start = files.read_at(name, 0, MAGIC.len());
    start.is_ok_and(|start| start == MAGIC)
}

/// A number below `count`, which is not 0.
fn draw(count: usize, root: &Path) -> Result<usize, StoreError> {
    let mut bytes = [0; 8];
    random(&mut bytes, root)?;
    Ok((u64::from_le_bytes(bytes) % count as u64) as usize)
}

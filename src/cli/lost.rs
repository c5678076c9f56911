//! Snapshots that are gone although nobody forgot them: what each command says that would else pass over them.

use dbsnap::store::{LostSnapshots, Store};

use super::error::Failure;
use super::render::units::{plural, time};
use super::session::Session;

/// Warns of snapshots that were lost with their heads, and says whether any were.
pub(crate) fn warn(session: &Session, store: &Store) -> Result<bool, Failure> {
    let lost = store.lost_snapshots();
    let lost =
        lost.map_err(|error| Failure::doing("look for the snapshots of the store", error))?;
    if let Some(lost) = &lost {
        session.out.warning(words(lost));
    }
    Ok(lost.is_some())
}

fn words(lost: &LostSnapshots) -> String {
    match lost {
        LostSnapshots::All { packs, .. } => format!(
            "the store has {} but no snapshot: if its directory `snapshots` was lost, bring it back from a copy; \
             `dbsnap check` says more",
            plural(*packs, "pack")
        ),
        LostSnapshots::Before(before) => format!(
            "the snapshots from before {} are gone, and nobody forgot them: bring what was in the directory `snapshots` \
             back from a copy; `dbsnap check` says more",
            time(*before)
        ),
    }
}

//! One side of a comparison, and what it cannot know.
//!
//! Invariant: whether an object's absence means anything is decided here and nowhere else.

use std::collections::HashMap;

use serde_json::Value;

use crate::manifest::{Entry, Extent, Gap, ManifestError, Selection, Tree};
use crate::resource::{KindName, ObjectKey};

/// Which part of an object a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Its canonical JSON.
    Body,
    /// The bytes of a notebook or file. These are never normalised.
    Content,
    /// Who may do what with it.
    Permissions,
}

/// Rewrites a body or permissions so that they can be compared with those of another workspace: ids become names,
/// principals are mapped. The key is the side's own.
pub type Normalise<'a> = dyn Fn(&ObjectKey, Aspect, Value) -> Value + 'a;

/// One side of a comparison.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Its entries.
    pub tree: &'a Tree,
    /// What it set out to read, in the names of the comparison (see [`super::Options::rename`]).
    pub selection: &'a Selection,
    /// The workspace: ids mean the same on both sides when this is equal.
    pub workspace: &'a str,
    /// How bodies and permissions are made comparable. When either side has this, every object is compared by what
    /// it gives, else by digests alone.
    pub normalise: Option<&'a Normalise<'a>>,
}

/// The gaps of a side that hide other objects, by the names of the comparison.
pub(super) struct Blind {
    kinds: HashMap<KindName, Gap>,
    subtrees: HashMap<String, Gap>,
}

impl Blind {
    pub(super) fn of(
        tree: &Tree,
        rename: &dyn Fn(&ObjectKey) -> ObjectKey,
    ) -> Result<Self, ManifestError> {
        let mut blind = Self {
            kinds: HashMap::new(),
            subtrees: HashMap::new(),
        };
        for entry in tree.uncertain() {
            let entry = entry?;
            let Some(gap) = entry.gap else { continue };
            match gap.extent {
                Extent::Kind => drop(blind.kinds.insert(entry.key.kind, gap)),
                Extent::Subtree => drop(blind.subtrees.insert(rename(&entry.key).name, gap)),
                Extent::Object | Extent::Content | Extent::Permissions => {}
            }
        }
        Ok(blind)
    }

    /// The gap that hides whether there is an object of this name.
    pub(super) fn gap_over(&self, key: &ObjectKey) -> Option<&Gap> {
        self.kinds.get(&key.kind).or_else(|| {
            // A folder may hold objects of every kind, so its gap counts for all of them.
            let ends = key.name.match_indices('/').map(|(at, _)| at.max(1));
            ends.filter(|end| *end < key.name.len())
                .find_map(|end| self.subtrees.get(&key.name[..end]))
        })
    }
}

/// Why a side does not know whether it has an object that it lists, if it does not: the object was taken over whole
/// from an earlier snapshot. That is so for everything taken over below a gap, and for what was taken over and has no
/// gap of its own; a gap of its own may stem from the earlier snapshot.
pub(super) fn unconfirmed(entry: &Entry, key: &ObjectKey, blind: &Blind) -> Option<Gap> {
    if !entry.carried_over {
        return None;
    }
    let taken_over = || Gap::new(Extent::Object, "it was taken over from an earlier snapshot");
    let over = blind.gap_over(key).cloned();
    over.or_else(|| entry.gap.is_none().then(taken_over))
}

/// Whether the content of an object is secret.
pub(super) fn has_secrets(key: &ObjectKey) -> bool {
    let kind = crate::resource::kind(key.kind.as_str());
    kind.is_some_and(|kind| kind.secrets().is_some())
}

/// Whether nobody misses the content of an object unless it was asked for: secret values, the history of metrics.
fn is_extra(key: &ObjectKey) -> bool {
    let kind = crate::resource::kind(key.kind.as_str());
    has_secrets(key) || kind.is_some_and(|kind| kind.restore.logged().is_some())
}

/// Whether exactly one side left the content of a file out because it was too long for what it set out to read.
pub(super) fn is_left_out_once(before: &Entry, after: &Entry) -> bool {
    let kind = crate::resource::kind(after.key.kind.as_str());
    let is_read = [before, after].map(|entry| entry.content.is_some());
    kind.is_some_and(|kind| kind.may_be_left_out())
        && before.gap.is_none()
        && after.gap.is_none()
        && is_read[0] != is_read[1]
}

/// Whether a side that does have the object knows this part of it.
pub(super) fn knows(entry: &Entry, aspect: Aspect) -> bool {
    if aspect == Aspect::Content && entry.content.is_none() && is_extra(&entry.key) {
        return false;
    }
    match entry.gap.as_ref().map(|gap| gap.extent) {
        None => true,
        // A folder that could not be listed may have lacked more than its list; there is only one gap to say it.
        Some(Extent::Subtree) => match aspect {
            Aspect::Body => entry.body.is_some(),
            Aspect::Content => entry.content.is_some(),
            Aspect::Permissions => entry.permissions.is_some(),
        },
        Some(Extent::Object | Extent::Kind) => false,
        Some(Extent::Content) => aspect != Aspect::Content,
        Some(Extent::Permissions) => aspect != Aspect::Permissions,
    }
}

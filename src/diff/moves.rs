//! Objects that have another name than before.
//!
//! Invariant: a move is told only when the workspace's id says so on both sides, and each id once.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;

use super::DiffError;
use super::walk::Pair;
use crate::manifest::Entry;
use crate::resource::{KindName, ObjectKey};

/// The moves of a comparison.
#[derive(Default)]
pub(super) struct Moves {
    /// By the new name: the left side's own key, and what that is called in the comparison.
    origins: HashMap<ObjectKey, Origin>,
    gone: HashSet<ObjectKey>,
}

/// Where a moved object was.
#[derive(Clone)]
pub(super) struct Origin {
    /// The left side's own key.
    pub(super) own: ObjectKey,
    /// The key in the comparison.
    pub(super) key: ObjectKey,
}

/// Hands out all pairs once more.
pub(super) type Again<'a> =
    dyn FnMut(&mut dyn FnMut(&Pair) -> ControlFlow<()>) -> Result<(), DiffError> + 'a;

impl Moves {
    /// Finds the moves among the pairs, which are walked once, and once more if there may be any. Of all objects
    /// that have no partner only a number each is held, and the names of those whose number occurs on both sides.
    pub(super) fn find(again: &mut Again<'_>) -> Result<Self, DiffError> {
        let (mut gone, mut come) = (HashSet::new(), HashSet::new());
        again(&mut |pair| {
            match alone(pair) {
                Some((entry, true)) => drop(number(entry).map(|number| gone.insert(number))),
                Some((entry, false)) => drop(number(entry).map(|number| come.insert(number))),
                None => {}
            }
            ControlFlow::Continue(())
        })?;
        gone.retain(|number| come.contains(number));
        drop(come);
        if gone.is_empty() {
            return Ok(Self::default());
        }
        let mut ends: HashMap<(KindName, String), (Vec<Origin>, Vec<ObjectKey>)> = HashMap::new();
        again(&mut |pair| {
            let Some((entry, left)) =
                alone(pair).filter(|(entry, _)| number(entry).is_some_and(|n| gone.contains(&n)))
            else {
                return ControlFlow::Continue(());
            };
            let id = entry.object_id.clone().unwrap_or_default();
            let ends = ends.entry((entry.key.kind.clone(), id)).or_default();
            if left {
                ends.0.push(Origin {
                    own: entry.key.clone(),
                    key: pair.key.clone(),
                });
            } else {
                ends.1.push(pair.key.clone());
            }
            ControlFlow::Continue(())
        })?;
        let mut moves = Self::default();
        for (mut from, mut to) in ends.into_values() {
            // An id that occurs twice on a side says nothing.
            if let (Some(origin), Some(key)) = (from.pop(), to.pop())
                && from.is_empty()
                && to.is_empty()
            {
                moves.gone.insert(origin.key.clone());
                moves.origins.insert(key, origin);
            }
        }
        Ok(moves)
    }

    /// Where the object that is now called `key` was before, if it was moved.
    pub(super) fn origin(&self, key: &ObjectKey) -> Option<&Origin> {
        self.origins.get(key)
    }

    /// Whether the object that was called `key` has moved away.
    pub(super) fn has_left(&self, key: &ObjectKey) -> bool {
        self.gone.contains(key)
    }
}

/// The entry of a pair that has only one, and whether it is the left one.
fn alone(pair: &Pair) -> Option<(&Entry, bool)> {
    match (&pair.before, &pair.after) {
        (Some(entry), None) => Some((entry, true)),
        (None, Some(entry)) => Some((entry, false)),
        _ => None,
    }
}

/// A number that is equal for equal kinds and ids.
fn number(entry: &Entry) -> Option<u64> {
    let id = entry.object_id.as_ref()?;
    let mut hasher = DefaultHasher::new();
    (&entry.key.kind, id).hash(&mut hasher);
    Some(hasher.finish())
}

//! The comparison from end to end.
//!
//! Invariant: memory does not grow with the number of objects that are equal, and changes are told while they are
//! found.

use std::ops::ControlFlow;

use serde::Serialize;

use super::moves::{Again, Moves};
use super::pair::{Comparison, Verdict};
use super::sides::Blind;
use super::walk::{Pair, Renamed, few_pairs, pairs};
use super::{Change, Side, What};
use crate::manifest::ManifestError;
use crate::resource::ObjectKey;

/// How two manifests are compared.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// What objects of the left side are called on the right one, as a restore maps them.
    pub rename: Option<&'a dyn Fn(&ObjectKey) -> ObjectKey>,
    /// Which objects are of interest; without it, all.
    pub wanted: Option<&'a dyn Fn(&ObjectKey) -> bool>,
    /// Find out what differs in each object, for which the store is read, instead of only that it does.
    pub details: bool,
}

/// How much of what there was to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Objects that are new.
    pub added: u64,
    /// Objects that are gone.
    pub removed: u64,
    /// Objects that have another name.
    pub moved: u64,
    /// Objects that differ.
    pub changed: u64,
    /// Objects of which nobody knows.
    pub unknown: u64,
    /// Objects that one side did not set out to read.
    pub not_compared: u64,
    /// Of the objects that differ, those of which the store could not give back what differs.
    pub unreadable: u64,
    /// Objects that a side only took over, and that are equal as far as anybody knows.
    pub carried_over: u64,
}

impl Summary {
    /// Whether there is any difference; what is unknown is none.
    pub const fn has_differences(&self) -> bool {
        self.added + self.removed + self.moved + self.changed > 0
    }

    const fn count(&mut self, what: &What) {
        match what {
            What::Added => self.added += 1,
            What::Removed => self.removed += 1,
            What::Moved { .. } => self.moved += 1,
            What::Changed => self.changed += 1,
            What::Unknown { .. } => self.unknown += 1,
        }
    }
}

/// Why a comparison failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// A manifest could not be read.
    #[error("failed to compare the manifests")]
    Manifest(#[from] ManifestError),
}

/// Tells every change between two sides in the order of keys, until `each` has had enough.
///
/// Objects that cannot be read back from the store do not end the comparison; they say so in their details.
pub fn compare(
    before: &Side<'_>,
    after: &Side<'_>,
    options: &Options<'_>,
    each: &mut dyn FnMut(Change) -> ControlFlow<()>,
) -> Result<Summary, DiffError> {
    let unmapped = |key: &ObjectKey| key.clone();
    let comparison = Comparison {
        before,
        after,
        rename: options.rename,
        details: options.details,
        blind_before: Blind::of(before.tree, options.rename.unwrap_or(&unmapped))?,
        blind_after: Blind::of(after.tree, &unmapped)?,
    };
    let renamed = Renamed::of(&comparison)?;
    let kept = if comparison.same_workspace() {
        few_pairs(&comparison, &renamed, PAIRS_KEPT)?
    } else {
        None
    };
    let mut again = |see: &mut dyn FnMut(&Pair) -> ControlFlow<()>| {
        walk(&comparison, &renamed, kept.as_deref(), see)
    };
    let moves = if comparison.same_workspace() {
        Moves::find(&mut again)?
    } else {
        Moves::default()
    };
    let mut telling = Telling {
        comparison: &comparison,
        options,
        moves,
        summary: Summary::default(),
        each,
    };
    telling.all(&mut again)?;
    Ok(telling.summary)
}

/// As long as there are no more pairs than this they are kept, which spares further walks.
const PAIRS_KEPT: usize = 20_000;

fn walk(
    comparison: &Comparison<'_>,
    renamed: &Renamed,
    kept: Option<&[Pair]>,
    see: &mut dyn FnMut(&Pair) -> ControlFlow<()>,
) -> Result<(), DiffError> {
    match kept {
        Some(kept) => drop(kept.iter().try_for_each(see)),
        None => {
            for pair in pairs(comparison, renamed) {
                if see(&pair?).is_break() {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// The last walk, which tells.
struct Telling<'a> {
    comparison: &'a Comparison<'a>,
    options: &'a Options<'a>,
    moves: Moves,
    summary: Summary,
    each: &'a mut dyn FnMut(Change) -> ControlFlow<()>,
}

impl Telling<'_> {
    fn all(&mut self, again: &mut Again<'_>) -> Result<(), DiffError> {
        let mut failed = None;
        again(&mut |pair| match self.pair(pair) {
            Ok(flow) => flow,
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn pair(&mut self, pair: &Pair) -> Result<ControlFlow<()>, DiffError> {
        if pair.before.is_none()
            && let Some(after) = &pair.after
            && let Some(origin) = self.moves.origin(&pair.key).cloned()
        {
            if !self.wants(&pair.key) && !self.wants(&origin.key) {
                return Ok(ControlFlow::Continue(()));
            }
            if let Some(before) = self.comparison.before.tree.get(&origin.own)? {
                let moved = ((&origin.key, &before), (&pair.key, after));
                let details = self.comparison.details_of_move(moved.0, moved.1);
                let whole = Pair {
                    before: Some(before),
                    ..pair.clone()
                };
                return Ok(self.tell(What::Moved { from: origin.key }, &whole, details));
            }
        }
        let has_left = pair.after.is_none() && self.moves.has_left(&pair.key);
        if has_left || !self.wants(&pair.key) {
            return Ok(ControlFlow::Continue(()));
        }
        match self.comparison.judge(pair) {
            Verdict::Told(what, details) => return Ok(self.tell(what, pair, *details)),
            Verdict::Same => {}
            Verdict::CarriedOver => self.summary.carried_over += 1,
            Verdict::NotCompared => self.summary.not_compared += 1,
        }
        Ok(ControlFlow::Continue(()))
    }

    fn wants(&self, key: &ObjectKey) -> bool {
        self.options.wanted.is_none_or(|wanted| wanted(key))
    }

    fn tell(&mut self, what: What, pair: &Pair, details: super::Details) -> ControlFlow<()> {
        self.summary.count(&what);
        self.summary.unreadable += u64::from(!details.unreadable.is_empty());
        (self.each)(Change {
            what,
            key: pair.key.clone(),
            before: pair.before.clone(),
            after: pair.after.clone(),
            details,
        })
    }
}

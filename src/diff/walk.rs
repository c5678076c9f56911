//! The entries of both sides in pairs, in the order of keys.
//!
//! Invariant: every key that may have something to tell comes once. Of what is not told only renamed keys are held
//! in memory.

use std::cmp::Ordering;
use std::thread;

use super::DiffError;
use super::pair::Comparison;
use super::regroup::Regrouped;
use crate::manifest::{self, Entry, ManifestError, changes_and_gaps};
use crate::resource::ObjectKey;

/// In fewer entries one thread has found everything before the others have begun.
const WORTH_THREADS: u64 = 20_000;
/// More threads than these only wait for each other.
const MOST_THREADS: usize = 8;

/// What both sides have under one name.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// The name on the right, which is the mapped one on the left.
    pub(super) key: ObjectKey,
    pub(super) before: Option<Entry>,
    pub(super) after: Option<Entry>,
}

pub(super) type Pairs<'a> = Box<dyn Iterator<Item = Result<Pair, DiffError>> + 'a>;

/// All pairs that may have something to tell, by the cheapest walk that will do.
pub(super) fn pairs<'a>(comparison: &'a Comparison<'a>, renamed: &'a Renamed) -> Pairs<'a> {
    let (before, after) = (comparison.before.tree, comparison.after.tree);
    let pairs: Pairs<'a> = if comparison.by_digest() && comparison.rename.is_none() {
        Box::new(changes_and_gaps(before, after).map(own_names))
    } else {
        let stay = before.iter().filter_map(|entry| match entry {
            Ok(entry) => (comparison.name_of(&entry.key) == entry.key)
                .then(|| Ok((entry.key.clone(), entry))),
            Err(error) => Some(Err(error)),
        });
        let go = renamed.0.iter().filter_map(|(to, from)| {
            let entry = before.get(from).transpose()?;
            Some(entry.map(|entry| (to.clone(), entry)))
        });
        let right = after
            .iter()
            .map(|entry| entry.map(|entry| (entry.key.clone(), entry)));
        Box::new(join(merge(stay, go), right))
    };
    if comparison.same_workspace() {
        pairs
    } else {
        Box::new(Regrouped::new(comparison, pairs))
    }
}

/// All pairs, if there are no more than `most`.
pub(super) fn few_pairs(
    comparison: &Comparison<'_>,
    renamed: &Renamed,
    most: usize,
) -> Result<Option<Vec<Pair>>, DiffError> {
    let (before, after) = (comparison.before.tree, comparison.after.tree);
    let is_plain = comparison.by_digest() && comparison.rename.is_none();
    if !is_plain || !comparison.same_workspace() || after.root().totals.entries < WORTH_THREADS {
        let found: Vec<Pair> = pairs(comparison, renamed)
            .take(most + 1)
            .collect::<Result<_, _>>()?;
        return Ok(Some(found).filter(|found| found.len() <= most));
    }
    let threads = thread::available_parallelism().map_or(1, |n| n.get().min(MOST_THREADS));
    let parts = thread::scope(|scope| {
        let of_part = |part| {
            let pairs = changes_and_gaps(before, after).within(part).map(own_names);
            scope.spawn(move || pairs.take(most + 1).collect::<Result<Vec<_>, _>>())
        };
        let running: Vec<_> = after.parts(threads)?.into_iter().map(of_part).collect();
        let join = |part: thread::ScopedJoinHandle<'_, _>| {
            part.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running
            .into_iter()
            .map(join)
            .collect::<Result<Vec<_>, DiffError>>()
    })?;
    let found: Vec<Pair> = parts.into_iter().flatten().collect();
    Ok(Some(found).filter(|found| found.len() <= most))
}

fn own_names(pair: Result<manifest::Pair, ManifestError>) -> Result<Pair, DiffError> {
    let (before, after) = pair?;
    let named = after.as_ref().or(before.as_ref());
    let key = named
        .map(|entry| entry.key.clone())
        .expect("a pair has at least one entry");
    Ok(Pair { key, before, after })
}

/// The names of the left side that the mapping changes, new and old, sorted by the new one.
pub(super) struct Renamed(Vec<(ObjectKey, ObjectKey)>);

impl Renamed {
    pub(super) fn of(comparison: &Comparison<'_>) -> Result<Self, ManifestError> {
        let mut renamed = Vec::new();
        if comparison.rename.is_some() {
            for entry in comparison.before.tree.iter() {
                let old = entry?.key;
                let new = comparison.name_of(&old);
                if new != old {
                    renamed.push((new, old));
                }
            }
        }
        renamed.sort_unstable();
        Ok(Self(renamed))
    }
}

type Keyed = Result<(ObjectKey, Entry), ManifestError>;

/// Errors come first, so that they are seen at once.
fn order(a: &Keyed, b: &Keyed) -> Ordering {
    match (a, b) {
        (Ok((a, _)), Ok((b, _))) => a.cmp(b),
        (Err(_), _) => Ordering::Less,
        (_, Err(_)) => Ordering::Greater,
    }
}

/// Two sorted runs as one.
fn merge(
    a: impl Iterator<Item = Keyed>,
    b: impl Iterator<Item = Keyed>,
) -> impl Iterator<Item = Keyed> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(first), Some(second)) if order(first, second) == Ordering::Greater => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}

/// What has the same key in two sorted runs, side by side.
fn join(
    before: impl Iterator<Item = Keyed>,
    after: impl Iterator<Item = Keyed>,
) -> impl Iterator<Item = Result<Pair, DiffError>> {
    let (mut before, mut after) = (before.peekable(), after.peekable());
    std::iter::from_fn(move || {
        let next = match (before.peek(), after.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => order(a, b),
        };
        let a = if next == Ordering::Greater {
            None
        } else {
            before.next()
        };
        let b = if next == Ordering::Less {
            None
        } else {
            after.next()
        };
        Some(pair_of(a, b))
    })
}

fn pair_of(before: Option<Keyed>, after: Option<Keyed>) -> Result<Pair, DiffError> {
    let (before, after) = (before.transpose()?, after.transpose()?);
    let key = after
        .as_ref()
        .or(before.as_ref())
        .map(|(key, _)| key.clone())
        .expect("a pair has at least one entry");
    Ok(Pair {
        key,
        before: before.map(|(_, entry)| entry),
        after: after.map(|(_, entry)| entry),
    })
}

//! Objects that are told apart by id, between workspaces where ids mean nothing.
//!
//! Invariant: whoever is on one side has at most one partner on the other, and nobody is lost. Only objects that share
//! a name are held in memory together.

use std::collections::{HashMap, VecDeque};
use std::iter::Peekable;

use super::pair::Comparison;
use super::walk::{Pair, Pairs};
use super::{DiffError, Where};
use crate::manifest::Entry;
use crate::store::BlobId;

/// Pairs in which the objects that share a name are matched anew: first those with equal bodies, then the others in
/// order.
pub(super) struct Regrouped<'a> {
    comparison: &'a Comparison<'a>,
    pairs: Peekable<Pairs<'a>>,
    ready: VecDeque<Pair>,
}

impl<'a> Regrouped<'a> {
    pub(super) fn new(comparison: &'a Comparison<'a>, pairs: Pairs<'a>) -> Self {
        Self {
            comparison,
            pairs: pairs.peekable(),
            ready: VecDeque::new(),
        }
    }

    fn matched(&self, group: Vec<Pair>) -> Vec<Pair> {
        let mut matched = Vec::new();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for pair in group {
            // Ids may be equal by chance, and with equal bodies it does no harm to leave it at that.
            if self.have_equal_bodies(&pair) {
                matched.push(pair);
            } else {
                before.extend(pair.before);
                after.extend(pair.after);
            }
        }
        let partners = self.equal_bodies(&before, &after);
        let mut before: Vec<Option<Entry>> = before.into_iter().map(Some).collect();
        let mut rest = Vec::new();
        for (entry, partner) in after.into_iter().zip(partners) {
            match partner.and_then(|at| before[at].take()) {
                Some(partner) => matched.push(self.pair(Some(partner), Some(entry))),
                None => rest.push(entry),
            }
        }
        let mut before = before.into_iter().flatten();
        for entry in rest {
            matched.push(self.pair(before.next(), Some(entry)));
        }
        matched.extend(before.map(|entry| self.pair(Some(entry), None)));
        matched.sort_by(|a, b| a.key.cmp(&b.key));
        matched
    }

    fn have_equal_bodies(&self, pair: &Pair) -> bool {
        let (Some(before), Some(after)) = (&pair.before, &pair.after) else {
            return false;
        };
        let body = self.comparison.body_digest(before, Where::Before);
        body.is_some() && body == self.comparison.body_digest(after, Where::After)
    }

    /// For each entry of the right side the place of one with an equal body on the left, each place once.
    fn equal_bodies(&self, before: &[Entry], after: &[Entry]) -> Vec<Option<usize>> {
        let mut places: HashMap<BlobId, VecDeque<usize>> = HashMap::new();
        for (place, entry) in before.iter().enumerate() {
            if let Some(body) = self.comparison.body_digest(entry, Where::Before) {
                places.entry(body).or_default().push_back(place);
            }
        }
        let place = |entry| {
            places
                .get_mut(&self.comparison.body_digest(entry, Where::After)?)?
                .pop_front()
        };
        after.iter().map(place).collect()
    }

    fn pair(&self, before: Option<Entry>, after: Option<Entry>) -> Pair {
        let key = match (&before, &after) {
            (_, Some(after)) => Some(after.key.clone()),
            (Some(before), None) => Some(self.comparison.name_of(&before.key)),
            (None, None) => None,
        };
        Pair {
            key: key.expect("a pair has at least one entry"),
            before,
            after,
        }
    }
}

impl Iterator for Regrouped<'_> {
    type Item = Result<Pair, DiffError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(pair) = self.ready.pop_front() {
            return Some(Ok(pair));
        }
        let first = match self.pairs.next()? {
            Ok(pair) if pair.key.id.is_some() => pair,
            other => return Some(other),
        };
        let (kind, name) = (first.key.kind.clone(), first.key.name.clone());
        let belongs =
            |pair: &Pair| pair.key.id.is_some() && pair.key.kind == kind && pair.key.name == name;
        let mut group = vec![first];
        while let Some(Ok(pair)) = self.pairs.next_if(|pair| pair.as_ref().is_ok_and(belongs)) {
            group.push(pair);
        }
        self.ready = self.matched(group).into();
        self.ready.pop_front().map(Ok)
    }
}

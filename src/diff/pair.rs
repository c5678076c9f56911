//! One object, compared part by part.
//!
//! Invariant: a part that a side does not know is never compared; it is listed as unknown instead.

use super::sides::{Blind, is_left_out_once, knows, unconfirmed};
use super::walk::Pair;
use super::{Aspect, ContentChange, Details, Side, UnknownPart, What, Where};
use crate::manifest::{Entry, Extent, Gap};
use crate::resource::ObjectKey;

/// Two sides and how they are compared.
pub(super) struct Comparison<'a> {
    pub(super) before: &'a Side<'a>,
    pub(super) after: &'a Side<'a>,
    pub(super) rename: Option<&'a dyn Fn(&ObjectKey) -> ObjectKey>,
    pub(super) details: bool,
    pub(super) blind_before: Blind,
    pub(super) blind_after: Blind,
}

/// What a pair has to tell.
pub(super) enum Verdict {
    /// A change.
    Told(What, Box<Details>),
    /// Nothing: both sides have the same.
    Same,
    /// Nothing new: a side took the object over, and nothing else is known of it.
    CarriedOver,
    /// Nothing: a side did not set out to read it.
    NotCompared,
}

impl Comparison<'_> {
    /// Whether digests say all there is to say.
    pub(super) fn by_digest(&self) -> bool {
        self.before.normalise.is_none() && self.after.normalise.is_none()
    }

    pub(super) fn same_workspace(&self) -> bool {
        self.before.workspace == self.after.workspace
    }

    /// What an object of the left side is called in the comparison.
    pub(super) fn name_of(&self, key: &ObjectKey) -> ObjectKey {
        self.rename
            .map_or_else(|| key.clone(), |rename| rename(key))
    }

    /// What is to be said of a pair that is no move.
    pub(super) fn judge(&self, pair: &Pair) -> Verdict {
        match (&pair.before, &pair.after) {
            (Some(before), Some(after)) => self.judge_both(&pair.key, before, after),
            (Some(before), None) => self.judge_one(&pair.key, before, Where::Before),
            (None, Some(after)) => self.judge_one(&pair.key, after, Where::After),
            (None, None) => Verdict::Same,
        }
    }

    /// What differs in an object that had the name `from` and has the name `to`.
    pub(super) fn details_of_move(
        &self,
        (from, before): (&ObjectKey, &Entry),
        (to, after): (&ObjectKey, &Entry),
    ) -> Details {
        let sights = (
            self.sight(from, before, Where::Before),
            self.sight(to, after, Where::After),
        );
        let mut details = self.compare_known(&sights.0, &sights.1).1;
        details.unknown = unknown_parts(&sights.0, &sights.1);
        details
    }

    fn judge_one(&self, key: &ObjectKey, entry: &Entry, at: Where) -> Verdict {
        let (other, blind, other_blind) = match at {
            Where::Before => (self.after, &self.blind_before, &self.blind_after),
            Where::After => (self.before, &self.blind_after, &self.blind_before),
        };
        let other_at = if at == Where::Before {
            Where::After
        } else {
            Where::Before
        };
        let unknown = |gap: Gap, at| Verdict::Told(What::Unknown { gap, at }, Box::default());
        if !other.selection.covers(key) {
            return Verdict::NotCompared;
        }
        if let Some(gap) = entry.gap.as_ref().filter(|gap| gap.extent == Extent::Kind) {
            return unknown(gap.clone(), at);
        }
        if let Some(gap) = other_blind.gap_over(key) {
            return unknown(gap.clone(), other_at);
        }
        if let Some(gap) = unconfirmed(entry, key, blind) {
            return unknown(gap, at);
        }
        let own = entry.gap.iter().map(|gap| UnknownPart {
            at,
            gap: gap.clone(),
        });
        let details = Details {
            unknown: own.collect(),
            ..Details::default()
        };
        let what = match at {
            Where::Before => What::Removed,
            Where::After => What::Added,
        };
        Verdict::Told(what, Box::new(details))
    }

    /// What the listing tells of a file that only one side read: how long it is, and within one workspace when it was
    /// written.
    fn judge_by_listing(&self, before: &Entry, after: &Entry) -> Verdict {
        // Storage behind signed addresses tells the time only to who reads it.
        let times = before.modified_at.zip(after.modified_at);
        let is_as_old = !self.same_workspace() || times.is_none_or(|(one, other)| one == other);
        if before.size == after.size && is_as_old {
            return Verdict::NotCompared;
        }
        let len = |entry: &Entry| entry.size.unwrap_or_default();
        let content = ContentChange::TooLong {
            before: len(before),
            after: len(after),
        };
        let details = Details {
            content: Some(content),
            ..Details::default()
        };
        Verdict::Told(What::Changed, Box::new(details))
    }

    fn judge_both(&self, key: &ObjectKey, before: &Entry, after: &Entry) -> Verdict {
        if is_left_out_once(before, after) {
            return self.judge_by_listing(before, after);
        }
        let before = self.sight(key, before, Where::Before);
        let after = self.sight(key, after, Where::After);
        let (differs, mut details) = self.compare_known(&before, &after);
        details.unknown = unknown_parts(&before, &after);
        if differs {
            return Verdict::Told(What::Changed, Box::new(details));
        }
        if !details.unreadable.is_empty() {
            // Nothing that could be compared differs, and something could not be.
            let gap = Gap::new(Extent::Object, details.unreadable.join("; "));
            let at = Where::Before;
            return Verdict::Told(What::Unknown { gap, at }, Box::new(details));
        }
        let Some(part) = details.unknown.last() else {
            return Verdict::Same;
        };
        let what = What::Unknown {
            gap: part.gap.clone(),
            at: part.at,
        };
        // What was taken over is news only when it is not what the other side has.
        let says_so = before.has_news() || after.has_news();
        if says_so
            || self
                .compare_parts(before.entry, after.entry, &|_| true, false)
                .0
        {
            Verdict::Told(what, Box::new(details))
        } else {
            Verdict::CarriedOver
        }
    }

    fn sight<'e>(&self, key: &ObjectKey, entry: &'e Entry, at: Where) -> Sight<'e> {
        let blind = match at {
            Where::Before => &self.blind_before,
            Where::After => &self.blind_after,
        };
        Sight {
            entry,
            at,
            taken_over: unconfirmed(entry, key, blind),
        }
    }

    /// Whether anything differs that both sides know, and what.
    fn compare_known(&self, before: &Sight<'_>, after: &Sight<'_>) -> (bool, Details) {
        // A directory that was imported says nothing of permissions, which is not to say that there are none.
        let has = |of: &Sight<'_>| of.entry.permissions.is_some();
        let recorded = has(before) == has(after);
        let known = |aspect| {
            let is_recorded = aspect != Aspect::Permissions || recorded;
            is_recorded && before.knows(aspect) && after.knows(aspect)
        };
        self.compare_parts(before.entry, after.entry, &known, self.details)
    }
}

/// An object as a side sees it.
struct Sight<'a> {
    entry: &'a Entry,
    at: Where,
    /// Why nothing is known of it but what an earlier snapshot had, if that is so.
    taken_over: Option<Gap>,
}

impl Sight<'_> {
    fn knows(&self, aspect: Aspect) -> bool {
        self.taken_over.is_none() && knows(self.entry, aspect)
    }

    /// Whether the entry itself says that something could not be read.
    const fn has_news(&self) -> bool {
        self.taken_over.is_none() && self.entry.gap.is_some()
    }
}

/// What the two sides do not know of an object that both have; the right side comes last.
fn unknown_parts(before: &Sight<'_>, after: &Sight<'_>) -> Vec<UnknownPart> {
    [before, after]
        .into_iter()
        .filter_map(|sight| {
            let gap = sight.taken_over.as_ref().or(sight.entry.gap.as_ref())?;
            Some(UnknownPart {
                at: sight.at,
                gap: gap.clone(),
            })
        })
        .collect()
}

//! The rules, one by one.
//!
//! Invariant: a rule only ever adds reasons to keep, and none looks at what another has added.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{Age, Candidate, Decision, Period, Policy, Reason, Series, age};
use crate::manifest::Selection;
use crate::store::SnapshotId;

/// One way to look at the snapshots of a workspace: which are seen, and which time of them counts.
#[derive(Clone, Copy)]
enum View {
    /// Only those whose times agree.
    Credible,
    /// All; where the times differ, the store's counts.
    Stored,
    /// All, by what their writers claim.
    Claimed,
}

/// What holds for a whole workspace, seen in one way.
struct Scale<'p> {
    policy: &'p Policy,
    view: View,
    /// From where time is counted back.
    end: DateTime<Utc>,
    /// What was asked for, and the newest complete snapshot of that, of all series that have one.
    complete: Vec<(Selection, Age)>,
    only_safety: bool,
}

/// Adds the reasons of all rules to the snapshots of a workspace.
pub(super) fn workspace(all: &mut [Series<'_>], policy: &Policy, now: DateTime<Utc>) {
    let mut snapshots = all.iter().flat_map(|series| &series.decisions);
    let views = match snapshots.all(|decision| decision.snapshot.is_credible()) {
        true => &[View::Credible][..],
        false => &[View::Credible, View::Stored, View::Claimed],
    };
    for view in views {
        let scale = Scale::new(all, policy, *view, now);
        for series in &mut *all {
            scale.weigh(series);
        }
    }
    for series in all {
        keep_together(&mut series.decisions);
    }
}

/// Keeps what was repaired with its repair, and the other way round.
fn keep_together(decisions: &mut [Decision<'_>]) {
    loop {
        let kept = decisions.iter().filter(|decision| decision.is_kept());
        let kept: BTreeSet<SnapshotId> = kept.map(|decision| decision.snapshot.name.id).collect();
        let mut is_done = true;
        for decision in decisions.iter_mut().filter(|decision| !decision.is_kept()) {
            let Candidate {
                repairs,
                repaired_as,
                ..
            } = decision.snapshot;
            let others = [repairs, repaired_as].into_iter().flatten();
            let with = others.filter(|other| kept.contains(*other));
            decision.reasons.extend(with.copied().map(Reason::With));
            is_done &= !decision.is_kept();
        }
        if is_done {
            return;
        }
    }
}

impl View {
    fn sees(self, snapshot: &Candidate) -> bool {
        !matches!(self, Self::Credible) || snapshot.is_credible()
    }

    fn time(self, snapshot: &Candidate) -> DateTime<Utc> {
        match self {
            Self::Stored => snapshot.time(),
            Self::Credible | Self::Claimed => snapshot.name.time,
        }
    }

    fn age(self, snapshot: &Candidate) -> Age {
        age(snapshot, self.time(snapshot))
    }
}

impl<'p> Scale<'p> {
    fn new(all: &[Series<'_>], policy: &'p Policy, view: View, now: DateTime<Utc>) -> Self {
        let snapshots = || {
            let decisions = all.iter().flat_map(|series| &series.decisions);
            let snapshots = decisions.map(|decision| decision.snapshot);
            snapshots.filter(|snapshot| view.sees(snapshot))
        };
        let complete = all.iter().filter_map(|series| {
            let selection = series.selection?.of_series();
            let complete = (series.decisions.iter())
                .map(|decision| decision.snapshot)
                .filter(|snapshot| snapshot.complete && view.sees(snapshot));
            Some((
                selection,
                complete.map(|snapshot| view.age(snapshot)).max()?,
            ))
        });
        // Where backups have stopped, what there is does not grow old: there will be nothing in its place.
        let newest = snapshots().map(|snapshot| view.time(snapshot)).max();
        Self {
            policy,
            view,
            end: newest.map_or(now, |newest| newest.min(now)),
            complete: complete.collect(),
            only_safety: snapshots().all(|snapshot| snapshot.safety),
        }
    }

    fn weigh(&self, series: &mut Series<'_>) {
        let is_safety = series.is_safety();
        for decision in &mut series.decisions {
            self.name(decision);
        }
        let decisions = series.decisions.iter_mut();
        let mut newest_first: Vec<&mut Decision<'_>> = decisions
            .filter(|decision| self.view.sees(decision.snapshot))
            .filter(|decision| decision.snapshot.repaired_as.is_none())
            .collect();
        newest_first.sort_by_key(|decision| std::cmp::Reverse(self.view.age(decision.snapshot)));
        if !is_safety || self.only_safety {
            self.guard(&mut newest_first, self.makes_up_for(series.selection));
        }
        for (period, count) in &self.policy.counts {
            // Days and weeks are for what was backed up, not for what was in the way of a restore.
            if !is_safety || *period == Period::Snapshot {
                self.count(*period, *count, &mut newest_first);
            }
        }
        for decision in newest_first {
            self.age(decision, is_safety);
        }
    }

    /// The newest complete snapshot that set out to read all that this selection has. One with less makes up for nothing: the
    /// files of the DBFS, say, are in none that was taken without them, however much else it has.
    fn makes_up_for(&self, selection: Option<&Selection>) -> Option<Age> {
        let selection = selection?.of_series();
        let complete = self.complete.iter();
        let wider = complete.filter(|(other, _)| other.includes(&selection));
        wider.map(|(_, age)| *age).max()
    }

    /// Keeps the newest and the newest complete one, unless a newer complete snapshot makes up for it.
    fn guard(&self, newest_first: &mut [&mut Decision<'_>], makes_up: Option<Age>) {
        let complete = newest_first
            .iter()
            .position(|decision| decision.snapshot.complete);
        let newest = (complete != Some(0)).then_some(0);
        for (at, reason) in [(complete, Reason::NewestComplete), (newest, Reason::Newest)] {
            let decision = at.and_then(|at| newest_first.get_mut(at));
            let decision =
                decision.filter(|decision| makes_up <= Some(self.view.age(decision.snapshot)));
            if let Some(decision) = decision {
                decision.reasons.insert(reason);
            }
        }
    }

    /// Keeps one snapshot of each of the newest periods, a complete one where there is one. Periods without a complete
    /// one do not count against those that have one.
    fn count(&self, period: Period, count: u32, newest_first: &mut [&mut Decision<'_>]) {
        let mut kept: Vec<(String, usize)> = Vec::new();
        for (at, decision) in newest_first.iter().enumerate() {
            let which = period.of(self.view.time(decision.snapshot));
            let is_new = period == Period::Snapshot
                || kept.last().is_none_or(|(newest, _)| *newest != which);
            let is_complete = |at: usize| newest_first[at].snapshot.complete;
            match kept.last_mut() {
                Some((_, of)) if !is_new => {
                    if !is_complete(*of) && is_complete(at) {
                        *of = at;
                    }
                }
                _ => kept.push((which, at)),
            }
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let (mut all, mut complete) = (0, 0);
        for (which, at) in kept {
            let decision = &mut newest_first[at];
            let counts = all < count || (decision.snapshot.complete && complete < count);
            all += 1;
            complete += usize::from(decision.snapshot.complete);
            if counts {
                decision.reasons.insert(Reason::Counted { period, which });
            }
        }
    }

    /// Keeps what is young.
    fn age(&self, decision: &mut Decision<'_>, is_safety: bool) {
        let time = self.view.time(decision.snapshot);
        let is_within = |span: &super::Span| !span.is_zero() && span.before(self.end) <= time;
        if let Some(span) = self.policy.within.filter(is_within) {
            decision.reasons.insert(Reason::Within(span));
        }
        let safety = Some(self.policy.safety_within).filter(|_| is_safety);
        if let Some(span) = safety.filter(is_within) {
            decision.reasons.insert(Reason::SafetyWithin(span));
        }
    }

    /// Keeps what somebody named.
    fn name(&self, decision: &mut Decision<'_>) {
        let Candidate { name, tags, .. } = decision.snapshot;
        if decision.snapshot.is_protected() {
            decision.reasons.insert(Reason::Protected);
        }
        let id = name.id.to_string();
        if self.policy.ids.iter().any(|held| id.starts_with(held)) {
            decision.reasons.insert(Reason::Held);
        }
        let wanted = tags.iter().filter(|tag| self.policy.tags.contains(tag));
        let wanted = wanted.map(|tag| Reason::Tag(tag.clone()));
        decision.reasons.extend(wanted);
    }
}

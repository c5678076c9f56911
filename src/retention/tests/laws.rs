//! What holds for all snapshots and policies, and a second opinion: every rule said again, slowly and in another way.

use std::collections::BTreeMap;

use chrono::Datelike;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::*;

/// Tells the time of a snapshot.
type Clock<'a> = &'a dyn Fn(&Candidate) -> DateTime<Utc>;

/// Whether a snapshot stays, by a definition of every rule that looks at all pairs.
fn oracle(candidates: &[Candidate], policy: &Policy, now: DateTime<Utc>) -> BTreeSet<HeadName> {
    let agrees = |one: &&Candidate| {
        (-300_000..=86_400_000).contains(&(one.stored - one.name.time).num_milliseconds())
    };
    let credible: Vec<Candidate> = candidates.iter().filter(agrees).cloned().collect();
    let claimed: fn(&Candidate) -> DateTime<Utc> = |one| one.name.time;
    let stored = |one: &Candidate| match agrees(&one) {
        true => one.name.time,
        false => one.stored,
    };
    let views: [(&[Candidate], Clock<'_>); 3] = [
        (&credible, &claimed),
        (candidates, &stored),
        (candidates, &claimed),
    ];
    let mut kept = BTreeSet::new();
    for (seen, clock) in views {
        for one in seen {
            let of_workspace = seen.iter().filter(|b| b.workspace == one.workspace);
            let of_workspace: Vec<&Candidate> = of_workspace.collect();
            if second_opinion(one, &of_workspace, policy, now, clock) {
                kept.insert(one.name);
            }
        }
    }
    kept
}

fn second_opinion(
    one: &Candidate,
    of_workspace: &[&Candidate],
    policy: &Policy,
    now: DateTime<Utc>,
    clock: Clock<'_>,
) -> bool {
    let key = |a: &Candidate| (clock(a), a.name.time, a.name.id);
    let makes_up = |a: &Candidate| a.complete && !a.safety && a.selection.includes(&one.selection);
    let is_peer =
        |a: &Candidate| a.safety == one.safety && (a.safety || a.selection == one.selection);
    let peers: Vec<_> = of_workspace.iter().filter(|a| is_peer(a)).collect();
    let newer: Vec<_> = peers.iter().filter(|a| key(a) > key(one)).collect();

    let is_guarded = (!one.safety || of_workspace.iter().all(|a| a.safety))
        && !of_workspace
            .iter()
            .any(|a| makes_up(a) && key(a) > key(one))
        && (newer.is_empty() || (one.complete && !newer.iter().any(|a| a.complete)));

    let start = of_workspace
        .iter()
        .map(|a| clock(a))
        .max()
        .unwrap()
        .min(now);
    let is_young = |days: i64| days > 0 && clock(one) >= start - TimeDelta::days(days);
    let days = |span: Span| span.to_string().trim_end_matches('d').parse().unwrap();

    let counted = policy.counts.iter().any(|(period, count)| {
        if one.safety && *period != Period::Snapshot {
            return false;
        }
        let count = usize::try_from(*count).unwrap();
        let same = |a: &Candidate| bucket(*period, a, clock) == bucket(*period, one, clock);
        let better = |a: &Candidate| (a.complete, key(a)) > (one.complete, key(one));
        let newer_buckets = |of: &dyn Fn(&Candidate) -> bool| {
            let others = newer.iter().filter(|a| !same(a) && of(a));
            let buckets: BTreeSet<_> = others.map(|a| bucket(*period, a, clock)).collect();
            buckets.len()
        };
        !peers.iter().any(|a| same(a) && better(a))
            && (newer_buckets(&|_| true) < count
                || (one.complete && newer_buckets(&|a| a.complete) < count))
    });

    let named = one
        .tags
        .iter()
        .any(|tag| tag == "keep" || policy.tags.contains(tag))
        || policy
            .ids
            .iter()
            .any(|held| format!("{}", one.name.id).starts_with(held.as_str()));
    is_guarded
        || counted
        || named
        || policy.within.is_some_and(|span| is_young(days(span)))
        || (one.safety && is_young(days(policy.safety_within)))
}

/// The number of the period, counted from some beginning.
fn bucket(period: Period, a: &Candidate, clock: Clock<'_>) -> (i64, Option<SnapshotId>) {
    let time = clock(a);
    let seconds = time.timestamp();
    let number = match period {
        Period::Snapshot => return (0, Some(a.name.id)),
        Period::Hour => seconds.div_euclid(3600),
        Period::Day => seconds.div_euclid(86_400),
        // The first day of all was a Thursday.
        Period::Week => (seconds.div_euclid(86_400) + 3).div_euclid(7),
        Period::Month => i64::from(time.year()) * 12 + i64::from(time.month()),
        Period::Year => i64::from(time.year()),
    };
    (number, None)
}

const PERIODS: [Period; 6] = [
    Period::Snapshot,
    Period::Hour,
    Period::Day,
    Period::Week,
    Period::Month,
    Period::Year,
];

/// Times that often share an hour, a day, a week or nothing at all.
fn times() -> impl Strategy<Value = DateTime<Utc>> {
    let steps = (0..3_i64, 0..4_i64, 0..8_i64, 0..4_i64, 0..3_i64);
    steps.prop_map(|(years, months, days, hours, minutes)| {
        let days = years * 365 + months * 30 + days;
        noon(-days) - TimeDelta::hours(hours) - TimeDelta::minutes(minutes * 25)
    })
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let delay =
        prop_oneof![8 => 0..900_i64, 1 => -200_000..200_000_i64, 1 => -40_000_000..40_000_000_i64];
    let tags = subsequence(vec!["keep", "a", "b"], 0..=1);
    let what = prop_oneof![6 => Just(0), 2 => Just(1), 1 => Just(2), 2 => Just(3)];
    let one = (
        times(),
        delay,
        0..2_u8,
        what,
        prop::bool::weighted(0.7),
        tags,
        prop::bool::weighted(0.2),
    );
    vec(one, 1..40).prop_map(|all| {
        let all = all.into_iter().zip(0..);
        all.map(
            |((time, delay, workspace, what, complete, tags, tagged), number)| Candidate {
                name: name(number, time),
                stored: time + TimeDelta::seconds(delay),
                workspace: workspace.to_string(),
                host: "https://a".into(),
                selection: match what {
                    0 => Selection::default(),
                    3 => Selection::all(),
                    _ => only_jobs(),
                },
                complete,
                tags: tags
                    .into_iter()
                    .filter(|_| tagged)
                    .map(ToOwned::to_owned)
                    .collect(),
                safety: what == 2,
                repairs: None,
                repaired_as: None,
            },
        )
        .collect()
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let counts = subsequence(PERIODS.to_vec(), 0..=3);
    let numbers = vec(0..5_u32, 3);
    let spans = prop::option::weighted(0.3, (0..90_u32).prop_map(Span::days));
    let tags = subsequence(vec!["a", "b"], 0..=1);
    let ids = prop::option::weighted(0.2, select(vec!["0", "7", "ab"]));
    (counts, numbers, spans, 0..60_u32, tags, ids).prop_map(
        |(periods, numbers, within, safety, tags, id)| Policy {
            counts: periods.into_iter().zip(numbers).collect::<BTreeMap<_, _>>(),
            within,
            safety_within: Span::days(safety),
            tags: tags.into_iter().map(ToOwned::to_owned).collect(),
            ids: id.into_iter().map(ToOwned::to_owned).collect(),
        },
    )
}

/// The policy with one rule more, or a rule that keeps more.
fn with_more(mut policy: Policy, more: &Policy) -> Policy {
    for (period, count) in &more.counts {
        *policy.counts.entry(*period).or_default() += count;
    }
    policy.within = policy.within.or(more.within);
    policy.tags.extend(more.tags.iter().cloned());
    policy.ids.extend(more.ids.iter().cloned());
    policy
}

proptest! {
    #[test]
    fn the_rules_and_the_second_opinion_agree(candidates in candidates(), policy in policies()) {
        prop_assume!(policy.has_rules());
        let now = noon(-20);
        prop_assert_eq!(kept_names(&candidates, &policy, now), oracle(&candidates, &policy, now));
    }

    #[test]
    fn the_order_of_the_candidates_does_not_matter(
        candidates in candidates(), policy in policies(), swaps in vec(any::<(Index, Index)>(), 9),
    ) {
        prop_assume!(policy.has_rules());
        let mut shuffled = candidates.clone();
        for (a, b) in swaps {
            shuffled.swap(a.index(candidates.len()), b.index(candidates.len()));
        }
        let told = |candidates| format!("{:?}", decide(candidates, &policy, noon(0)));
        prop_assert_eq!(told(&candidates), told(&shuffled));
    }

    #[test]
    fn snapshots_whose_times_differ_push_nothing_out(candidates in candidates(), policy in policies()) {
        prop_assume!(policy.has_rules());
        let credible = candidates.iter().filter(|one| one.is_credible());
        let credible: Vec<Candidate> = credible.cloned().collect();
        let without = kept_names(&credible, &policy, noon(0));
        prop_assert!(kept_names(&candidates, &policy, noon(0)).is_superset(&without));
    }

    #[test]
    fn another_rule_never_forgets_more(candidates in candidates(), policy in policies(), more in policies()) {
        prop_assume!(policy.has_rules());
        let before = kept_names(&candidates, &policy, noon(0));
        let after = kept_names(&candidates, &with_more(policy, &more), noon(0));
        prop_assert!(after.is_superset(&before));
    }

    #[test]
    fn every_workspace_keeps_a_complete_snapshot_if_it_has_one(candidates in candidates(), policy in policies()) {
        prop_assume!(policy.has_rules());
        let kept = kept_names(&candidates, &policy, noon(0));
        for one in candidates.iter().filter(|one| one.complete && !one.safety) {
            let is_left = |other: &Candidate| {
                other.workspace == one.workspace
                    && other.complete
                    && other.selection.includes(&one.selection)
                    && !other.safety
                    && kept.contains(&other.name)
            };
            prop_assert!(candidates.iter().any(is_left));
        }
    }
}

//! The laws of retention, and a second opinion: every rule said again, slowly and in another way.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, TimeDelta};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::*;

/// A moment in the middle of a week, a month and a year.
fn noon(day: i64) -> DateTime<Utc> {
    let start = NaiveDate::from_ymd_opt(2024, 5, 15).unwrap();
    start.and_hms_opt(12, 0, 0).unwrap().and_utc() + TimeDelta::days(day)
}

fn name(number: u32, time: DateTime<Utc>) -> HeadName {
    let id = SnapshotId::of(&number.to_le_bytes());
    HeadName { time, id }
}

/// A complete snapshot of everything, taken at noon of the day.
fn complete(number: u32, day: i64) -> Candidate {
    Candidate {
        name: name(number, noon(day)),
        stored: noon(day) + TimeDelta::minutes(20),
        workspace: "1".into(),
        host: "https://a".into(),
        selection: Selection::default(),
        complete: true,
        tags: Vec::new(),
        safety: false,
    }
}

fn partial(number: u32, day: i64) -> Candidate {
    Candidate {
        complete: false,
        ..complete(number, day)
    }
}

fn jobs(number: u32, day: i64) -> Candidate {
    Candidate {
        selection: only_jobs(),
        ..complete(number, day)
    }
}

fn safety(number: u32, day: i64) -> Candidate {
    Candidate {
        safety: true,
        ..jobs(number, day)
    }
}

fn only_jobs() -> Selection {
    Selection {
        only: vec!["job".into()],
        ..Selection::default()
    }
}

fn counting(counts: &[(Period, u32)]) -> Policy {
    Policy {
        counts: counts.iter().copied().collect(),
        ..Policy::default()
    }
}

/// The places of the candidates that stay.
fn kept(candidates: &[Candidate], policy: &Policy) -> Vec<usize> {
    let now = candidates.iter().map(|one| one.stored).max().unwrap();
    let kept = kept_names(candidates, policy, now);
    let places = candidates.iter().enumerate();
    places
        .filter(|(_, one)| kept.contains(&one.name))
        .map(|(at, _)| at)
        .collect()
}

fn kept_names(candidates: &[Candidate], policy: &Policy, now: DateTime<Utc>) -> BTreeSet<HeadName> {
    let series = decide(candidates, policy, now).unwrap();
    let decisions = series.iter().flat_map(|series| &series.decisions);
    let kept = decisions.filter(|decision| decision.is_kept());
    kept.map(|decision| decision.snapshot.name).collect()
}

#[test]
fn a_policy_without_rules_is_refused() {
    let candidates = [complete(0, 0)];
    let empty = Policy {
        ids: vec!["a".into()],
        ..Policy::default()
    };
    assert_eq!(decide(&candidates, &empty, noon(1)).unwrap_err(), NoRules);
}

#[test]
fn every_reason_is_told() {
    let mut one = complete(0, 0);
    one.tags = vec!["keep".into(), "release".into(), "other".into()];
    let policy = Policy {
        within: Some(Span::days(2)),
        tags: vec!["release".into()],
        ids: vec![one.name.id.to_string()[..5].to_owned()],
        ..counting(&[(Period::Snapshot, 1), (Period::Hour, 1), (Period::Week, 1)])
    };
    let candidates = [one];
    let series = decide(&candidates, &policy, noon(1)).unwrap();
    let reasons = series[0].decisions[0].reasons.iter();
    let reasons: Vec<String> = reasons.map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            "tag keep",
            "held by id",
            "tag release",
            "newest complete",
            "last",
            "hourly 2024-05-15 12h",
            "weekly 2024-W20",
            "within 2d",
        ]
    );
}

#[test]
fn a_partial_snapshot_does_not_push_out_a_complete_one() {
    let days = [complete(0, 0), complete(1, 1), partial(2, 1), partial(3, 2)];
    // The day of the complete one is told by it, and days without one do not count against those that have one.
    assert_eq!(kept(&days, &counting(&[(Period::Day, 2)])), [0, 1, 3]);
    assert_eq!(
        kept(&days, &counting(&[(Period::Snapshot, 2)])),
        [0, 1, 2, 3]
    );
    assert_eq!(kept(&days, &counting(&[(Period::Day, 1)])), [1, 3]);
}

#[test]
fn the_newest_and_the_newest_complete_stay_whatever_the_policy() {
    let policy = Policy {
        tags: vec!["none has it".into()],
        ..Policy::default()
    };
    assert_eq!(kept(&[complete(0, 0), complete(1, 1)], &policy), [1]);
    assert_eq!(kept(&[complete(0, 0), partial(1, 1)], &policy), [0, 1]);
    assert_eq!(kept(&[partial(0, 0), partial(1, 1)], &policy), [1]);
    assert_eq!(kept(&[safety(0, 0), safety(1, 99)], &policy), [1]);
}

#[test]
fn a_part_does_not_stand_for_everything() {
    let candidates = [complete(0, 0), jobs(1, 0), jobs(2, 0)];
    assert_eq!(kept(&candidates, &counting(&[(Period::Day, 1)])), [0, 2]);
    // Alone it is the best there is; a newer complete snapshot of everything makes up for it.
    let within = Policy {
        within: Some(Span::days(7)),
        ..Policy::default()
    };
    assert_eq!(
        kept(&[complete(0, 0), jobs(1, 1), jobs(2, 99)], &within),
        [0, 2]
    );
    assert_eq!(
        kept(&[jobs(0, 0), jobs(1, 1), complete(2, 99)], &within),
        [2]
    );
    assert_eq!(
        kept(&[jobs(0, 0), jobs(1, 1), partial(2, 99)], &within),
        [1, 2]
    );
}

#[test]
fn workspaces_are_weighed_alone() {
    let mut other = complete(2, 9);
    other.workspace = "2".into();
    let candidates = [complete(0, 0), complete(1, 1), other];
    assert_eq!(
        kept(&candidates, &counting(&[(Period::Snapshot, 1)])),
        [1, 2]
    );
}

#[test]
fn safety_snapshots_are_kept_for_a_month_and_stand_for_no_day() {
    let candidates = [
        safety(0, 0),
        safety(1, 40),
        complete(2, 50),
        safety(3, 50),
        complete(4, 51),
    ];
    let daily = counting(&[(Period::Day, 9)]);
    assert_eq!(kept(&candidates, &daily), [1, 2, 3, 4]);
    let shorter = Policy {
        safety_within: Span::days(5),
        ..daily
    };
    assert_eq!(kept(&candidates, &shorter), [2, 3, 4]);
    let last = Policy {
        safety_within: Span::default(),
        ..counting(&[(Period::Snapshot, 1)])
    };
    assert_eq!(kept(&candidates, &last), [3, 4]);
}

#[test]
fn where_backups_stopped_nothing_grows_old() {
    let candidates = [complete(0, 0), complete(1, 20), complete(2, 40)];
    let policy = Policy {
        within: Some(Span::days(30)),
        ..Policy::default()
    };
    for now in [noon(41), noon(9999)] {
        let kept = kept_names(&candidates, &policy, now);
        assert_eq!(
            kept,
            BTreeSet::from([candidates[1].name, candidates[2].name])
        );
    }
}

#[test]
fn made_up_claims_push_nothing_out() {
    let real: Vec<Candidate> = (0..7).map(|day| complete(day, day.into())).collect();
    let policy = counting(&[(Period::Day, 7)]);
    for years in [1, -1] {
        let fake = (7..99).map(|number| {
            let mut fake = complete(number, 6);
            fake.name.time += TimeDelta::days(years * i64::from(365 + number));
            fake
        });
        let both: Vec<Candidate> = real.iter().cloned().chain(fake).collect();
        let kept = kept_names(&both, &policy, noon(7));
        // The last day is told by whatever came last on it.
        for snapshot in &real[..6] {
            assert!(kept.contains(&snapshot.name), "{}", snapshot.name);
        }
    }
}

#[test]
fn a_copied_store_whose_files_are_all_new_keeps_what_it_kept() {
    let mut candidates: Vec<Candidate> = (0..99).map(|day| complete(day, day.into())).collect();
    let policy = counting(&[(Period::Day, 3), (Period::Month, 9)]);
    let before = kept_names(&candidates, &policy, noon(100));
    for candidate in &mut candidates {
        candidate.stored = noon(100);
    }
    let after = kept_names(&candidates, &policy, noon(100));
    assert!(after.is_superset(&before));
    assert!(before.len() > 5 && after.len() < before.len() + 2);
}

#[test]
fn a_claim_is_credible_within_a_day_before_the_store_got_it() {
    for (minutes, credible) in [
        (0, true),
        (-6, false),
        (-5, true),
        (1440, true),
        (1441, false),
    ] {
        let mut candidate = complete(0, 0);
        candidate.stored = candidate.name.time + TimeDelta::minutes(minutes);
        assert_eq!(candidate.is_credible(), credible, "{minutes}");
    }
}

#[test]
fn the_last_that_holds_as_much_is_not_forgotten_by_name() {
    let protected = Candidate {
        tags: vec!["keep".into()],
        ..complete(9, 9)
    };
    let objected = |candidates: &[Candidate], chosen: &[usize]| {
        let chosen: BTreeSet<_> = chosen.iter().map(|at| candidates[*at].name).collect();
        let objections = objections(candidates, &chosen).into_iter();
        objections.map(|(_, reason)| reason).collect::<Vec<_>>()
    };
    let newest = [Reason::NewestComplete];
    assert_eq!(objected(&[complete(0, 0), complete(1, 1)], &[1]), []);
    assert_eq!(objected(&[complete(0, 0), partial(1, 1)], &[0]), newest);
    assert_eq!(objected(&[complete(0, 0), partial(1, 1)], &[1]), []);
    assert_eq!(objected(&[complete(0, 0), jobs(1, 1)], &[0]), newest);
    assert_eq!(objected(&[complete(0, 0), jobs(1, 1)], &[1]), []);
    assert_eq!(objected(&[partial(0, 0), jobs(1, 1)], &[1]), newest);
    assert_eq!(objected(&[partial(0, 0), partial(1, 1)], &[1]), []);
    assert_eq!(objected(&[partial(0, 0)], &[0]), [Reason::Newest]);
    assert_eq!(objected(&[complete(0, 0), safety(1, 1)], &[1]), []);
    assert_eq!(objected(&[complete(0, 0), safety(1, 1)], &[0]), newest);
    assert_eq!(objected(&[safety(0, 0)], &[0]), newest);
    let twice = [complete(0, 0), complete(1, 1)];
    assert_eq!(objected(&twice, &[0, 1]).len(), 2);
    assert_eq!(
        objected(&[complete(0, 0), protected], &[1]),
        [Reason::Protected]
    );
}

/// Whether a snapshot stays, by a definition of every rule that looks at all pairs.
fn oracle(candidates: &[Candidate], policy: &Policy, now: DateTime<Utc>) -> BTreeSet<HeadName> {
    let clocks: [fn(&Candidate) -> DateTime<Utc>; 2] = [
        |one| match (one.stored - one.name.time).num_milliseconds() {
            -300_000..=86_400_000 => one.name.time,
            _ => one.stored,
        },
        |one| one.name.time,
    ];
    let mut kept = BTreeSet::new();
    for clock in clocks {
        for one in candidates {
            let of_workspace = candidates.iter().filter(|b| b.workspace == one.workspace);
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
    clock: fn(&Candidate) -> DateTime<Utc>,
) -> bool {
    let key = |a: &Candidate| (clock(a), a.name.time, a.name.id);
    let is_whole = |a: &Candidate| a.complete && !a.safety && a.selection == Selection::default();
    let is_peer =
        |a: &Candidate| a.safety == one.safety && (a.safety || a.selection == one.selection);
    let peers: Vec<_> = of_workspace.iter().filter(|a| is_peer(a)).collect();
    let newer: Vec<_> = peers.iter().filter(|a| key(a) > key(one)).collect();

    let is_guarded = (!one.safety || of_workspace.iter().all(|a| a.safety))
        && !of_workspace
            .iter()
            .any(|a| is_whole(a) && key(a) > key(one))
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
fn bucket(
    period: Period,
    a: &Candidate,
    clock: fn(&Candidate) -> DateTime<Utc>,
) -> (i64, Option<SnapshotId>) {
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
    let what = prop_oneof![6 => Just(0), 2 => Just(1), 1 => Just(2)];
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
                selection: if what == 0 {
                    Selection::default()
                } else {
                    only_jobs()
                },
                complete,
                tags: tags
                    .into_iter()
                    .filter(|_| tagged)
                    .map(ToOwned::to_owned)
                    .collect(),
                safety: what == 2,
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
                    && (other.selection == one.selection || other.selection.is_everything())
                    && !other.safety
                    && kept.contains(&other.name)
            };
            prop_assert!(candidates.iter().any(is_left));
        }
    }
}

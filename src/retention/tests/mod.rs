//! The rules one by one, and what they promise together.

use std::collections::BTreeSet;

use chrono::{NaiveDate, TimeDelta};

use super::*;
use crate::manifest::Runs;

mod laws;

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
        repairs: None,
        repaired_as: None,
    }
}

/// A damaged snapshot, and what was made of it on a later day.
fn repaired(number: u32, day: i64, later: i64) -> [Candidate; 2] {
    let time = noon(day) + TimeDelta::milliseconds(1);
    let new = name(number + 1, time);
    let damaged = Candidate {
        repaired_as: Some(new.id),
        ..partial(number, day)
    };
    let repaired = Candidate {
        name: new,
        stored: noon(later),
        repairs: Some(damaged.name.id),
        ..partial(number, day)
    };
    [damaged, repaired]
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
        safety_within: Span::default(),
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
fn the_last_snapshot_that_has_what_is_only_read_on_request_stays_until_another_one_has_it() {
    let within = Policy {
        within: Some(Span::days(7)),
        ..Policy::default()
    };
    let of = |number, day, selection: &Selection| Candidate {
        selection: selection.clone(),
        ..complete(number, day)
    };
    let none = Selection::default();
    let all = Selection::all();
    let requests = [
        Selection {
            metastore: all.metastore.clone(),
            ..none.clone()
        },
        Selection {
            dbfs: all.dbfs.clone(),
            ..none.clone()
        },
        Selection {
            runs: all.runs.clone(),
            ..none.clone()
        },
        Selection {
            mounts: true,
            ..none.clone()
        },
        Selection {
            secret_values: true,
            ..none.clone()
        },
    ];
    for request in &requests {
        let before = [of(0, 0, request), of(1, 1, request)];
        let later = [complete(2, 50), complete(3, 99)];
        let both = [before.as_slice(), &later].concat();
        assert_eq!(kept(&both, &within), [1, 3], "{request:?}");
        // One that has it all makes up for it, and one that only set out to does not.
        let wide = Selection {
            secret_values: true,
            ..all.clone()
        };
        let more = [both.as_slice(), &[of(4, 100, &wide)]].concat();
        assert_eq!(kept(&more, &within), [3, 4], "{request:?}");
        let broken = Candidate {
            complete: false,
            ..of(4, 100, &wide)
        };
        let more = [both.as_slice(), &[broken]].concat();
        assert_eq!(kept(&more, &within), [1, 3, 4], "{request:?}");
    }
}

#[test]
fn backups_whose_window_of_runs_moves_on_are_one_series_and_the_newer_stands_for_the_older() {
    let windowed = |number, day| Candidate {
        selection: Selection {
            runs: Some(Runs {
                since: Some(noon(day) - TimeDelta::days(90)),
                ..Runs::default()
            }),
            ..Selection::default()
        },
        ..complete(number, day)
    };
    let candidates = [windowed(1, 0), windowed(2, 1), complete(3, 1)];
    let policy = counting(&[(Period::Snapshot, 1)]);
    // Without runs a snapshot stands for none that has them.
    assert_eq!(kept(&candidates, &policy), [1, 2]);
    let named = |at: usize| BTreeSet::from([candidates[at].name]);
    assert_eq!(objections(&candidates, &named(0)), []);
    assert_eq!(objections(&candidates[..1], &named(0)).len(), 1);
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
fn made_up_times_push_nothing_out() {
    let real: Vec<Candidate> = (0..7).map(|day| complete(day, day.into())).collect();
    for days in [1, -1] {
        let fake = (7..99).map(|number| {
            let mut fake = complete(number, 6);
            fake.stored += TimeDelta::hours(1);
            fake.name.time += TimeDelta::days(days * i64::from(365 + number));
            fake
        });
        let both: Vec<Candidate> = real.iter().cloned().chain(fake).collect();
        let kept = kept(&both, &counting(&[(Period::Day, 7)]));
        assert_eq!(kept[..7], [0, 1, 2, 3, 4, 5, 6]);
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

#[test]
fn what_was_repaired_stays_or_goes_with_its_repair_and_counts_once() {
    let [damaged, new] = repaired(10, 2, 40);
    let all = [complete(1, 0), complete(2, 1), damaged, new, complete(3, 3)];
    assert!(all.iter().all(Candidate::is_credible));
    let last = |count| counting(&[(Period::Snapshot, count)]);
    assert_eq!(kept(&all, &last(1)), [4]);
    assert_eq!(kept(&all, &last(2)), [1, 2, 3, 4]);
    assert_eq!(kept(&all, &counting(&[(Period::Month, 1)])), [4]);

    let series = decide(&all, &last(2), noon(41)).unwrap();
    let why = |at: usize| series[0].decisions[at].reasons.clone();
    let with = Reason::With(all[3].name.id);
    assert_eq!(why(2), BTreeSet::from([with]));
    assert!(!why(3).is_empty());

    // Whoever holds one of the two holds both.
    for held in [2, 3] {
        let policy = Policy {
            ids: vec![all[held].name.id.to_string()],
            ..last(1)
        };
        assert_eq!(kept(&all, &policy), [2, 3, 4]);
    }
}

#[test]
fn a_damaged_snapshot_stands_for_no_complete_one() {
    let [damaged, new] = repaired(10, 2, 40);
    let all = [complete(1, 0), complete(2, 1), damaged, new];
    let last = counting(&[(Period::Snapshot, 1)]);
    assert_eq!(kept(&all, &last), [1, 2, 3]);
    let chosen = |chosen: &[usize]| -> Vec<Reason> {
        let chosen = chosen.iter().map(|at| all[*at].name).collect();
        let objections = objections(&all, &chosen).into_iter();
        objections.map(|(_, reason)| reason).collect()
    };
    assert_eq!(chosen(&[2]), [], "its repair is there");
    assert_eq!(chosen(&[0, 1]), vec![Reason::NewestComplete; 2]);
    assert_eq!(chosen(&[3]), [], "the complete ones are there");
    let pair = &all[2..];
    let only: BTreeSet<HeadName> = [pair[1].name].into();
    assert_eq!(
        objections(pair, &only).len(),
        1,
        "only the damaged one would be left"
    );
}

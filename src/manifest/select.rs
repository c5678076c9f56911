//! Finding the snapshot that somebody means.
//!
//! Invariant: what may mean two snapshots means neither; nothing is guessed.

use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, SubsecRound, TimeDelta, Utc};

use super::SelectError;
use crate::store::HeadName;

/// A snapshot as it is named on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotRef {
    /// `latest`, or `latest~2`: that many before the latest.
    Latest(usize),
    /// The beginning of an id, in lower case.
    Id(String),
    /// The newest of this time or before. A date means its end, in UTC.
    At(DateTime<Utc>),
    /// The workspace itself.
    Live,
}

impl FromStr for SnapshotRef {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        parse(text.trim()).ok_or_else(|| SelectError::NotAReference(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<SnapshotRef> {
    if text == "live" {
        return Some(SnapshotRef::Live);
    }
    if let Some(rest) = text.strip_prefix("latest") {
        let back = match rest.strip_prefix('~') {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            None if rest.is_empty() => 0,
            _ => return None,
        };
        return Some(SnapshotRef::Latest(back));
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        let end = date
            .checked_add_days(Days::new(1))?
            .and_time(NaiveTime::MIN)
            - TimeDelta::milliseconds(1);
        return Some(SnapshotRef::At(end.and_utc()));
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(SnapshotRef::At(whole_second(time.to_utc())));
    }
    let is_id =
        (1..=64).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_id.then(|| SnapshotRef::Id(text.to_ascii_lowercase()))
}

/// Times are shown to the second: one that is given so means the whole of it.
fn whole_second(time: DateTime<Utc>) -> DateTime<Utc> {
    match time == time.trunc_subsecs(0) {
        true => time + TimeDelta::milliseconds(999),
        false => time,
    }
}

/// Finds the snapshot among `heads`, which may come in any order.
pub fn resolve<'a>(
    wanted: &SnapshotRef,
    heads: &'a [HeadName],
) -> Result<&'a HeadName, SelectError> {
    match wanted {
        SnapshotRef::Live => Err(SelectError::LiveIsNoSnapshot),
        _ if heads.is_empty() => Err(SelectError::Empty),
        SnapshotRef::Latest(back) => {
            let mut sorted: Vec<_> = heads.iter().collect();
            sorted.sort_by_key(|head| (head.time, head.id));
            let count = sorted.len();
            sorted
                .into_iter()
                .rev()
                .nth(*back)
                .ok_or(SelectError::TooFarBack { back: *back, count })
        }
        SnapshotRef::Id(prefix) => by_id(prefix, heads),
        SnapshotRef::At(at) => by_time(*at, heads),
    }
}

fn by_id<'a>(prefix: &str, heads: &'a [HeadName]) -> Result<&'a HeadName, SelectError> {
    let mut fitting: Vec<_> = heads
        .iter()
        .filter(|head| head.id.to_string().starts_with(prefix))
        .collect();
    match fitting[..] {
        [] => Err(SelectError::NoSuchId(prefix.to_owned())),
        [head] => Ok(head),
        _ => {
            fitting.sort_by_key(|head| (head.time, head.id));
            let candidates = fitting.into_iter().cloned().collect();
            Err(SelectError::Ambiguous {
                prefix: prefix.to_owned(),
                candidates,
            })
        }
    }
}

fn by_time(at: DateTime<Utc>, heads: &[HeadName]) -> Result<&HeadName, SelectError> {
    let newest = heads
        .iter()
        .filter(|head| head.time <= at)
        .max_by_key(|head| (head.time, head.id));
    newest.ok_or_else(|| SelectError::NoneBefore {
        at,
        oldest: heads.iter().map(|head| head.time).min().unwrap_or(at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SnapshotId;

    fn head(time: &str, first: u8, last: u8) -> HeadName {
        let mut id = [0; 32];
        (id[0], id[31]) = (first, last);
        HeadName {
            time: DateTime::parse_from_rfc3339(time).unwrap().to_utc(),
            id: SnapshotId::from_bytes(id),
        }
    }

    fn three() -> Vec<HeadName> {
        vec![
            head("2024-05-31T23:59:59Z", 0xab, 1),
            head("2024-05-30T10:00:00Z", 0xab, 2),
            head("2024-06-02T00:00:00Z", 0xcd, 3),
        ]
    }

    fn find(text: &str, heads: &[HeadName]) -> Result<u8, String> {
        let wanted: SnapshotRef = text
            .parse()
            .map_err(|error: SelectError| error.to_string())?;
        resolve(&wanted, heads)
            .map(|head| head.id.as_bytes()[31])
            .map_err(|error| error.to_string())
    }

    #[test]
    fn snapshots_are_found_by_position_id_and_time() {
        for (text, found) in [
            ("latest", 3),
            ("latest~0", 3),
            ("latest~2", 2),
            ("cd", 3),
            ("CD0", 3),
            ("2024-05-31", 1),
            ("2024-06-01", 1),
            ("2024-05-31T23:59:58Z", 2),
            ("2024-06-01T01:59:59+02:00", 1),
            (" 2024-06-02T00:00:00.5Z ", 3),
        ] {
            assert_eq!(find(text, &three()), Ok(found), "{text}");
        }
    }

    #[test]
    fn an_ambiguous_id_names_its_candidates_with_their_times() {
        insta::assert_snapshot!(
            find("ab", &three()).unwrap_err(),
            @"ab may be any of ab0000000000 (2024-05-30T10:00:00Z), ab0000000000 (2024-05-31T23:59:59Z)"
        );
        let many: Vec<_> = (0..20)
            .map(|last| head("2024-05-31T23:59:59Z", 1, last))
            .collect();
        assert!(find("0", &many).unwrap_err().ends_with("12 more"));
    }

    #[test]
    fn a_snapshot_that_is_not_there_is_said_to_be_missing() {
        insta::assert_snapshot!(find("ef", &three()).unwrap_err(), @"no snapshot has an id that begins with ef");
        insta::assert_snapshot!(find("latest~3", &three()).unwrap_err(), @"there is no `latest~3`: there are only 3 snapshots");
        insta::assert_snapshot!(find("latest~3", &three()[..1]).unwrap_err(), @"there is no `latest~3`: there is only 1 snapshot");
        insta::assert_snapshot!(
            find("2024-05-29", &three()).unwrap_err(),
            @"there is no snapshot of 2024-05-29T23:59:59Z or before: the oldest is of 2024-05-30T10:00:00Z"
        );
        insta::assert_snapshot!(find("latest", &[]).unwrap_err(), @"there are no snapshots yet");
        insta::assert_snapshot!(find("live", &three()).unwrap_err(), @"`live` is the workspace itself, and a snapshot is needed here");
    }

    #[test]
    fn text_that_names_nothing_is_refused() {
        for text in [
            "",
            "latest~",
            "latest~x",
            "latest~+1",
            "latest1",
            "2024-13-01",
            "xyz",
            "2024-05-31T10:00",
            "é",
        ] {
            assert!(text.parse::<SnapshotRef>().is_err(), "{text}");
        }
        assert!("a".repeat(65).parse::<SnapshotRef>().is_err());
    }
}

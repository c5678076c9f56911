//! What `forget` keeps, by flags or else by the settings, and of which workspaces.
//!
//! Invariant: settings and flags can only say what stays. A hold (`keep-id`) in the settings holds whatever flags say.

use std::collections::{BTreeMap, BTreeSet};

use dbsnap::retention::{Candidate, Period, Policy, SAFETY_WITHIN, Span};
use serde::Deserialize;

use super::connect::{self, ConnectArgs};
use super::error::Failure;
use super::session::Session;

/// The rules: flags of `forget`, and the keys of `[retention]`.
#[derive(clap::Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Rules")]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Rules {
    /// Keep the last N snapshots
    #[arg(long, value_name = "N")]
    pub(crate) keep_last: Option<u32>,

    /// Keep the last snapshot of each of the newest N hours that have one
    #[arg(long, value_name = "N")]
    pub(crate) keep_hourly: Option<u32>,

    /// The same for days
    #[arg(long, value_name = "N")]
    pub(crate) keep_daily: Option<u32>,

    /// The same for weeks, from Monday to Sunday
    #[arg(long, value_name = "N")]
    pub(crate) keep_weekly: Option<u32>,

    /// The same for months
    #[arg(long, value_name = "N")]
    pub(crate) keep_monthly: Option<u32>,

    /// The same for years
    #[arg(long, value_name = "N")]
    pub(crate) keep_yearly: Option<u32>,

    /// Keep all snapshots that are not older than this: 30d, 12h, 1y6m (y years, m months, w weeks, d days, h hours),
    /// counted back from the newest snapshot of the workspace
    #[arg(long, value_name = "SPAN")]
    pub(crate) keep_within: Option<Span>,

    /// Keep all snapshots with this tag; may be repeated
    #[arg(long, value_name = "TAG")]
    pub(crate) keep_tag: Vec<String>,

    /// Keep what restores captured before they wrote (tag `before-restore`) at least this long; 0d: no longer than the
    /// other rules do [default: 30d]
    #[arg(long, value_name = "SPAN")]
    pub(crate) keep_safety_within: Option<Span>,

    /// Keep the snapshot with this id, or this beginning of an id; may be repeated, and adds to those of dbsnap.toml
    #[arg(long, value_name = "ID")]
    pub(crate) keep_id: Vec<String>,
}

impl Rules {
    /// These, and where they say nothing, those below.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            keep_last: self.keep_last.or(below.keep_last),
            keep_hourly: self.keep_hourly.or(below.keep_hourly),
            keep_daily: self.keep_daily.or(below.keep_daily),
            keep_weekly: self.keep_weekly.or(below.keep_weekly),
            keep_monthly: self.keep_monthly.or(below.keep_monthly),
            keep_yearly: self.keep_yearly.or(below.keep_yearly),
            keep_within: self.keep_within.or(below.keep_within),
            keep_tag: [self.keep_tag, below.keep_tag].concat(),
            keep_safety_within: self.keep_safety_within.or(below.keep_safety_within),
            keep_id: [self.keep_id, below.keep_id].concat(),
        }
    }

    /// Whether anything is said about what to keep; holds and safety snapshots come on top of that.
    pub(crate) fn say_something(&self) -> bool {
        self.counts().iter().any(|(_, count)| count.is_some())
            || self.keep_within.is_some()
            || !self.keep_tag.is_empty()
    }

    /// Whether anything is said beside the rules.
    pub(crate) fn hold_something(&self) -> bool {
        self.keep_safety_within.is_some() || !self.keep_id.is_empty()
    }

    fn counts(&self) -> [(Period, Option<u32>); 6] {
        [
            (Period::Snapshot, self.keep_last),
            (Period::Hour, self.keep_hourly),
            (Period::Day, self.keep_daily),
            (Period::Week, self.keep_weekly),
            (Period::Month, self.keep_monthly),
            (Period::Year, self.keep_yearly),
        ]
    }
}

/// What is to be kept: the rules of the flags if there are any, else those of the settings.
pub(crate) fn policy(flags: &Rules, settings: &Rules) -> Result<Policy, Failure> {
    let rules = if flags.say_something() {
        flags
    } else {
        settings
    };
    let counts = rules.counts().into_iter();
    let ids = flags.keep_id.iter().chain(&settings.keep_id);
    let policy = Policy {
        counts: counts
            .filter_map(|(period, count)| Some((period, count?)))
            .collect(),
        within: rules.keep_within,
        safety_within: flags
            .keep_safety_within
            .or(settings.keep_safety_within)
            .unwrap_or(SAFETY_WITHIN),
        tags: rules.keep_tag.clone(),
        ids: ids.map(|id| held(id)).collect::<Result<_, _>>()?,
    };
    if !policy.has_rules() {
        return Err(Failure::usage("no rule says what to keep").hint(
            "give --keep-daily 7 or another rule, or write the rules into the table [retention] of dbsnap.toml",
        ));
    }
    Ok(policy)
}

fn held(id: &str) -> Result<String, Failure> {
    let is_id = !id.is_empty() && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    match is_id {
        true => Ok(id.to_ascii_lowercase()),
        false => Err(Failure::usage(format!(
            "`{id}` is not the beginning of an id, and can be held by nothing"
        ))),
    }
}

/// Leaves the snapshots of the workspaces that are meant: the one that is named, else that of the profile, else all.
pub(crate) fn of_workspace(
    session: &Session,
    named: Option<&str>,
    candidates: &mut Vec<Candidate>,
) -> Result<(), Failure> {
    let mut hosts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for candidate in &*candidates {
        let known = hosts.entry(candidate.workspace.clone()).or_default();
        known.insert(candidate.host.clone());
    }
    let is_called = |name: &str, text: &str| bare(name) == bare(text);
    let fitting = |fits: &dyn Fn(&str) -> bool| -> BTreeSet<&str> {
        let fitting = hosts
            .iter()
            .filter(|(id, hosts)| fits(id) || hosts.iter().any(|host| fits(host)));
        fitting.map(|(id, _)| id.as_str()).collect()
    };
    let wanted = if let Some(text) = named {
        let exactly = fitting(&|name| is_called(name, text));
        let somehow = fitting(&|name| name.contains(text));
        match (exactly.len(), somehow.len()) {
            (0, 0) => return Err(no_workspace(text, &hosts)),
            (0, 1) => somehow,
            (0, _) => return Err(several(text, &hosts, &somehow)),
            _ => exactly,
        }
    } else if let Some(host) = of_profile(session)? {
        let exactly = fitting(&|name| is_called(name, &host));
        if exactly.is_empty() {
            return Err(no_workspace(&host, &hosts));
        }
        exactly
    } else {
        return Ok(());
    };
    candidates.retain(|candidate| wanted.contains(candidate.workspace.as_str()));
    Ok(())
}

/// The host of the profile, if one is named: its rules are for its own workspace.
fn of_profile(session: &Session) -> Result<Option<String>, Failure> {
    let variable = session.environment.variable("DATABRICKS_CONFIG_PROFILE");
    if session.global.profile.is_none() && variable.is_none() {
        return Ok(None);
    }
    let config = connect::config(session, &ConnectArgs::default());
    let config = config.map_err(|failure| {
        failure
            .hint("`forget` with a profile is for its workspace alone; --workspace names another")
    })?;
    Ok(Some(config.host().url().to_owned()))
}

/// An address without what not everybody types.
fn bare(name: &str) -> &str {
    let name = name.trim_end_matches('/');
    name.strip_prefix("https://").unwrap_or(name)
}

fn no_workspace(text: &str, hosts: &BTreeMap<String, BTreeSet<String>>) -> Failure {
    let failure = Failure::refused(format!(
        "the store has no snapshot of the workspace `{text}`"
    ));
    match hosts.is_empty() {
        true => failure,
        false => failure.hint(format!("it has those of {}", names(hosts, |_| true))),
    }
}

fn several(
    text: &str,
    hosts: &BTreeMap<String, BTreeSet<String>>,
    fitting: &BTreeSet<&str>,
) -> Failure {
    let names = names(hosts, |id| fitting.contains(id));
    Failure::usage(format!("`{text}` may be any of {names}"))
}

fn names(hosts: &BTreeMap<String, BTreeSet<String>>, wanted: impl Fn(&str) -> bool) -> String {
    let wanted = hosts.iter().filter(|(id, _)| wanted(id));
    let names = wanted.map(|(id, hosts)| {
        let others = hosts.iter().filter(|host| *host != id);
        let all: Vec<&str> = others.chain([id]).map(String::as_str).collect();
        all.join(" = ")
    });
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_the_flags_take_the_place_of_those_of_the_settings_but_holds_stay() {
        let settings = Rules {
            keep_daily: Some(7),
            keep_safety_within: Some(Span::days(90)),
            keep_id: vec!["3F2A".into()],
            ..Rules::default()
        };
        let flags = Rules {
            keep_last: Some(3),
            keep_id: vec!["77".into()],
            ..Rules::default()
        };
        let both = policy(&flags, &settings).unwrap();
        assert_eq!(both.counts, BTreeMap::from([(Period::Snapshot, 3)]));
        assert_eq!(both.safety_within, Span::days(90));
        assert_eq!(both.ids, ["77", "3f2a"]);
        let only_hold = Rules {
            keep_last: None,
            ..flags
        };
        let set = policy(&only_hold, &settings).unwrap();
        assert_eq!(set.counts, BTreeMap::from([(Period::Day, 7)]));
        assert!(policy(&only_hold, &Rules::default()).is_err());
    }

    #[test]
    fn a_hold_on_nothing_is_refused() {
        for id in ["", "latest", "3f2a~1"] {
            assert!(held(id).is_err(), "{id}");
        }
    }
}

//! Which objects a snapshot set out to read.
//!
//! Invariant: what a selection does not cover was not looked at; its absence says nothing.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::dbfs::DbfsFiles;
use super::runs::{Artifacts, Runs};
use crate::resource::hive::Securable;
use crate::resource::{KindName, ObjectKey, dbfs_path};

/// What was asked for. The default is everything.
///
/// Paths are taken segment by segment: `/Users/ana` covers itself and everything below, not `/Users/anabel`.
/// A `*` stands for any part of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Only these kinds; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Not these kinds, even if they are named above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
    /// Of objects with a path, only those at or below one of these; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Of objects with a path, none at or below one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Only the home of this user: paths below `/Users/<user>`, and nothing without a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// The values of secrets as well, and not only their names.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secret_values: bool,
    /// What of the Hive metastore, which only a warehouse or a cluster can read; none of it where none was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metastore: Option<Databases>,
    /// Which runs of experiments; none of them where no window was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<Runs>,
    /// The mounts as well, of which only a cluster tells.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mounts: bool,
    /// What of the files of the DBFS root; none of them where that was not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dbfs: Option<DbfsFiles>,
    /// What a newer dbsnap recorded.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// Which databases of the Hive metastore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Databases {
    /// Only these; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
}

impl Databases {
    /// Whether a database is selected. The metastore does not tell upper case from lower case.
    pub fn covers(&self, database: &str) -> bool {
        let is_it = |name: &String| name.eq_ignore_ascii_case(database);
        self.only.is_empty() || self.only.iter().any(is_it)
    }
}

impl Selection {
    /// Everything there can be in a snapshot: the Hive metastore, runs, mounts and the files of the DBFS included.
    pub fn all() -> Self {
        Self {
            runs: Some(Runs::all()),
            metastore: Some(Databases::default()),
            dbfs: Some(DbfsFiles::default()),
            mounts: true,
            ..Self::default()
        }
    }

    /// Whether all objects are selected that a workspace shows by itself: of the metastore all of it, or none of it. Values
    /// of secrets, runs, mounts and files of the DBFS come on top of that.
    pub fn is_everything(&self) -> bool {
        let some_databases = self.metastore.iter().any(|of| !of.only.is_empty());
        let objects = Self {
            secret_values: false,
            ..self.by_itself()
        };
        !some_databases && objects == Self::default()
    }

    /// Whether everything that `other` selects is surely selected.
    pub fn includes(&self, other: &Self) -> bool {
        let metastore = match (&self.metastore, &other.metastore) {
            (_, None) => true,
            (Some(own), Some(of)) => own.only.is_empty() || own == of,
            (None, Some(_)) => false,
        };
        let files = match (&self.dbfs, &other.dbfs) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(of)) => own.includes(of),
        };
        let runs = match (&self.runs, &other.runs) {
            (_, None) => true,
            (Some(own), Some(of)) => own.includes(of),
            (None, Some(_)) => false,
        };
        let (own, of) = (self.by_itself(), other.by_itself());
        let same = || {
            let with = |secret_values| Self {
                secret_values,
                ..of.clone()
            };
            own == with(own.secret_values)
        };
        let values = self.secret_values || !other.secret_values;
        let mounts = self.mounts || !other.mounts;
        let extras = metastore && files && runs && mounts && values;
        extras && (own.is_everything() || same())
    }

    /// The same with only what a workspace shows by itself: nothing of the Hive metastore, no run, no mount and no file
    /// of the DBFS.
    #[must_use]
    pub fn by_itself(&self) -> Self {
        Self {
            metastore: None,
            runs: None,
            dbfs: None,
            mounts: false,
            ..self.clone()
        }
    }

    /// The same with a window of runs that stands for all that ever begin: a window moves on from day to day, and the
    /// snapshots of all days are of one series.
    #[must_use]
    pub fn of_series(&self) -> Self {
        let window = |runs: &Runs| Runs {
            since: runs.since.map(|_| DateTime::UNIX_EPOCH),
            ..runs.clone()
        };
        Self {
            runs: self.runs.as_ref().map(window),
            ..self.clone()
        }
    }

    /// Which files of runs are selected.
    pub fn artifacts(&self) -> Option<&Artifacts> {
        self.runs.as_ref()?.artifacts.as_ref()
    }

    /// Whether an object of this name is selected. A kind as a whole (neither name nor id) is selected with its kind.
    pub fn covers(&self, key: &ObjectKey) -> bool {
        self.covers_kind(&key.kind)
            && (key.is_whole_kind()
                || (self.covers_name(&key.name)
                    && self.covers_database(key)
                    && self.covers_file(key)
                    && self.has_time(key)))
    }

    /// Whether any object of the kind may be selected.
    pub fn covers_kind(&self, kind: &KindName) -> bool {
        let named = |list: &[String]| list.iter().any(|name| name == kind.as_str());
        let is_there = (self.metastore.is_some() || securable(kind).is_none())
            && (self.runs.is_some() || !is_by_time(kind))
            && (self.artifacts().is_some() || !is_artifact(kind))
            && (self.dbfs.is_some() || !is_dbfs_file(kind))
            && (self.mounts || !is_mount(kind));
        is_there && (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }

    fn covers_database(&self, key: &ObjectKey) -> bool {
        let database = securable(&key.kind).and_then(|of| of.database(&key.name));
        match (&self.metastore, database) {
            (Some(databases), Some(name)) => databases.covers(&name),
            _ => true,
        }
    }

    fn has_time(&self, key: &ObjectKey) -> bool {
        let covers = |runs: &Runs| runs.covers(&key.name);
        !is_by_time(&key.kind) || self.runs.as_ref().is_none_or(covers)
    }

    fn covers_file(&self, key: &ObjectKey) -> bool {
        let is_file = is_dbfs_file(&key.kind);
        let files = self.dbfs.as_ref().filter(|_| is_file);
        files.is_none_or(|files| files.covers(dbfs_path(&key.name)))
    }

    /// Whether anything at or below a path may be selected: whether it is worth listing.
    pub fn enters(&self, path: &str) -> bool {
        let leads = |pattern: &str| matches(pattern, path) || leads_to(path, pattern);
        self.wanted_by(&leads) && !self.exclude.iter().any(|pattern| matches(pattern, path))
    }

    fn covers_name(&self, name: &str) -> bool {
        if !name.starts_with('/') {
            return self.home.is_none();
        }
        let within = |pattern: &str| matches(pattern, name);
        self.wanted_by(&within) && !self.exclude.iter().any(|pattern| matches(pattern, name))
    }

    fn wanted_by(&self, fits: &dyn Fn(&str) -> bool) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|pattern| fits(pattern));
        // A user name is taken literally: none has a star, but a star in it must not select other homes.
        let at_home = self
            .home
            .as_ref()
            .is_none_or(|user| !user.contains('*') && fits(&format!("/Users/{user}")));
        included && at_home
    }
}

fn securable(kind: &KindName) -> Option<Securable> {
    crate::resource::kind(kind.as_str())?.securable()
}

fn is_by_time(kind: &KindName) -> bool {
    crate::resource::kind(kind.as_str()).is_some_and(|kind| kind.is_by_time())
}

fn is_artifact(kind: &KindName) -> bool {
    crate::resource::kind(kind.as_str()).is_some_and(|kind| kind.is_artifact())
}

fn is_mount(kind: &KindName) -> bool {
    crate::resource::kind(kind.as_str()).is_some_and(|kind| kind.is_mount())
}

fn is_dbfs_file(kind: &KindName) -> bool {
    crate::resource::kind(kind.as_str()).is_some_and(|kind| kind.is_dbfs_file())
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// Whether `path` is at or below `pattern`.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let mut path = segments(path);
    segments(pattern).all(|pattern| {
        path.next()
            .is_some_and(|segment| segment_matches(pattern, segment))
    })
}

/// Whether something that `pattern` selects may lie below `path`.
pub(super) fn leads_to(path: &str, pattern: &str) -> bool {
    let mut patterns = segments(pattern);
    segments(path).all(|segment| {
        patterns
            .next()
            .is_some_and(|pattern| segment_matches(pattern, segment))
    })
}

/// Matches with `*` for any run of characters, in time proportional to the product of the lengths.
fn segment_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> ObjectKey {
        ObjectKey::new(KindName::known("notebook"), name)
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_is_covered_by_default() {
        let all = Selection::default();
        assert!(all.is_everything());
        assert!(all.covers(&path("/a")));
        assert!(all.covers(&ObjectKey::with_id(KindName::known("job"), "nightly", "1")));
    }

    #[test]
    fn a_path_covers_what_is_below_it_and_no_neighbour() {
        let selection = Selection {
            include: strings(&["/Users/ana/"]),
            ..Selection::default()
        };
        for (name, covered) in [
            ("/Users/ana", true),
            ("/Users/ana/x/y", true),
            ("/Users/anabel", false),
            ("/Users", false),
            ("/", false),
        ] {
            assert_eq!(selection.covers(&path(name)), covered, "{name}");
        }
        assert!(
            selection.covers(&ObjectKey::new(KindName::known("group"), "admins")),
            "has no path"
        );
    }

    #[test]
    fn an_excluded_path_wins_over_an_included_one() {
        let selection = Selection {
            include: strings(&["/Users"]),
            exclude: strings(&["/Users/*/tmp*"]),
            ..Selection::default()
        };
        assert!(selection.covers(&path("/Users/ana/report")));
        assert!(!selection.covers(&path("/Users/ana/tmp-1/x")));
        assert!(!selection.covers(&path("/Shared/x")));
    }

    #[test]
    fn kinds_are_selected_and_skipped_with_their_whole() {
        let selection = Selection {
            only: strings(&["job", "notebook"]),
            skip: strings(&["notebook"]),
            ..Selection::default()
        };
        assert!(selection.covers(&ObjectKey::whole_kind(KindName::known("job"))));
        assert!(!selection.covers(&ObjectKey::whole_kind(KindName::known("notebook"))));
        assert!(!selection.covers(&ObjectKey::new(KindName::known("user"), "ana")));
    }

    #[test]
    fn a_home_is_one_folder_and_nothing_else() {
        let selection = Selection {
            home: Some("ana@example.com".into()),
            ..Selection::default()
        };
        assert!(selection.covers(&path("/Users/ana@example.com/x")));
        assert!(!selection.covers(&path("/Users/bob@example.com/x")));
        assert!(!selection.covers(&ObjectKey::new(KindName::known("group"), "admins")));
        assert!(
            !Selection {
                home: Some("*".into()),
                ..Selection::default()
            }
            .covers(&path("/Users/bob/x"))
        );
    }

    #[test]
    fn only_folders_that_may_hold_something_selected_are_entered() {
        let selection = Selection {
            include: strings(&["/Users/*/project", "/Shared"]),
            exclude: strings(&["/Shared/old"]),
            ..Selection::default()
        };
        for (folder, entered) in [
            ("/", true),
            ("/Users", true),
            ("/Users/ana", true),
            ("/Users/ana/project/deep", true),
            ("/Users/ana/other", false),
            ("/Repos", false),
            ("/Shared/new", true),
            ("/Shared/old", false),
        ] {
            assert_eq!(selection.enters(folder), entered, "{folder}");
        }
    }

    #[test]
    fn nothing_of_the_metastore_is_covered_unless_it_is_asked_for() {
        let key = |kind, name: &str| ObjectKey::new(KindName::known(kind), name);
        let none = Selection::default();
        assert!(!none.covers(&key("table", "sales.orders")));
        assert!(!none.covers(&ObjectKey::whole_kind(KindName::known("view"))));
        let all = Selection::all();
        assert!(all.covers(&key("table", "sales.orders")) && all.is_everything());
        let sales = Selection {
            metastore: Some(Databases {
                only: strings(&["Sales"]),
            }),
            ..Selection::default()
        };
        assert!(sales.covers(&key("table", "sales.orders")));
        assert!(sales.covers(&key("database", "sales")));
        assert!(!sales.covers(&key("view", "salesforce.leads")));
        assert!(sales.covers(&key("metastore-securable", "any file")));
        assert!(!sales.is_everything());
    }

    #[test]
    fn a_selection_includes_a_narrower_one_and_no_wider_one() {
        let of = |only: &[&str], databases: Option<&[&str]>| Selection {
            only: strings(only),
            metastore: databases.map(|only| Databases {
                only: strings(only),
            }),
            ..Selection::default()
        };
        let (all, tables) = (of(&[], Some(&[])), of(&["table"], Some(&[])));
        assert!(all.includes(&tables) && all.includes(&of(&[], Some(&["a"]))));
        assert!(all.includes(&Selection::default()) && tables.includes(&of(&["table"], None)));
        assert!(!Selection::default().includes(&all) && !of(&[], Some(&["a"])).includes(&all));
        assert!(!tables.includes(&Selection::default()));
    }

    #[test]
    fn runs_are_selected_by_the_time_in_their_names_and_come_on_top() {
        let run = ObjectKey::new(
            KindName::known("run"),
            "/Shared/x/2026-02-01T00:00:00.000Z 1",
        );
        let since = |day: &str| Selection {
            runs: Some(Runs {
                since: Some(format!("{day}T00:00:00Z").parse().unwrap()),
                ..Runs::default()
            }),
            ..Selection::default()
        };
        let none = Selection::default();
        assert!(!none.covers(&run) && !none.covers_kind(&run.kind));
        assert!(since("2026-02-01").covers(&run) && !since("2026-02-02").covers(&run));
        assert!(since("2026-02-02").covers(&ObjectKey::whole_kind(run.kind.clone())));
        assert!(since("2026-02-01").is_everything() && Selection::all().covers(&run));
        assert!(since("2026-02-01").includes(&since("2026-02-02")));
        assert!(!since("2026-02-02").includes(&since("2026-02-01")));
        assert!(since("2026-02-01").includes(&none) && !none.includes(&since("2026-02-01")));
        let elsewhere = Selection {
            include: strings(&["/Users"]),
            ..since("2026-02-01")
        };
        assert!(!elsewhere.covers(&run));
    }

    #[test]
    fn a_star_stays_within_its_segment() {
        for (pattern, text, fits) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "ab", false),
            ("*", "anything", true),
            ("*a*b*", "xxaxxbxx", true),
            ("ab*ba", "aba", false),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ] {
            assert_eq!(segment_matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn everything_includes_all_but_secret_values_that_were_not_asked_for() {
        let all = Selection::default();
        let jobs = Selection {
            only: strings(&["job"]),
            ..Selection::default()
        };
        let with_values = |of: &Selection| Selection {
            secret_values: true,
            ..of.clone()
        };
        assert!(all.includes(&jobs) && !jobs.includes(&all));
        assert!(with_values(&all).includes(&all) && with_values(&jobs).includes(&jobs));
        assert!(!all.includes(&with_values(&jobs)) && !jobs.includes(&with_values(&jobs)));
        assert!(with_values(&all).is_everything() && !with_values(&jobs).is_everything());
        assert_eq!(serde_json::to_string(&all).unwrap(), "{}");
    }

    #[test]
    fn what_a_newer_version_selects_by_survives() {
        let text = r#"{"only":["job"],"owner":"ana"}"#;
        let selection: Selection = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&selection).unwrap(), text);
    }
}

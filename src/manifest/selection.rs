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
mod tests;

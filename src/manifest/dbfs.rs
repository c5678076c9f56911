//! Which files of the DBFS root a snapshot set out to read.
//!
//! Invariant: a file that is too long is listed all the same; only its content is not read.

use serde::{Deserialize, Serialize};

use super::selection::{leads_to, matches};

/// Which files of the DBFS root. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DbfsFiles {
    /// Only those at or below one of these paths; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Of longer files than this only that they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_file_size: Option<u64>,
}

impl DbfsFiles {
    /// Whether the file at a path is selected.
    pub fn covers(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|pattern| matches(pattern, path))
    }

    /// Whether anything in the folder at a path may be.
    pub fn enters(&self, path: &str) -> bool {
        let leads = |pattern: &String| matches(pattern, path) || leads_to(path, pattern);
        self.paths.is_empty() || self.paths.iter().any(leads)
    }

    /// The paths at which there is something to look at, none of them below another.
    pub fn roots(&self) -> Vec<String> {
        let mut roots: Vec<String> = self.paths.iter().map(|path| before_star(path)).collect();
        if roots.is_empty() {
            roots.push("/".to_owned());
        }
        roots.sort_unstable();
        roots.dedup();
        let all = roots.clone();
        let is_below = |root: &String| {
            all.iter()
                .any(|other| other != root && matches(other, root))
        };
        roots.retain(|root| !is_below(root));
        roots
    }

    /// Whether everything that `other` selects is surely selected.
    pub(super) fn includes(&self, other: &Self) -> bool {
        let paths = match other.paths.is_empty() {
            true => self.paths.is_empty(),
            false => other.paths.iter().all(|path| self.covers(path)),
        };
        let is_as_long = match (self.max_file_size, other.max_file_size) {
            (None, _) => true,
            (Some(own), Some(of)) => own >= of,
            (Some(_), None) => false,
        };
        paths && is_as_long
    }
}

/// The folder in which the first star of a pattern stands, or the path if there is none.
fn before_star(pattern: &str) -> String {
    let plain = pattern
        .split('/')
        .filter(|segment| !segment.is_empty())
        .take_while(|segment| !segment.contains('*'));
    let path = plain.fold(String::new(), |path, segment| path + "/" + segment);
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str], max_file_size: Option<u64>) -> DbfsFiles {
        DbfsFiles {
            paths: paths.iter().map(ToString::to_string).collect(),
            max_file_size,
        }
    }

    #[test]
    fn a_folder_is_walked_once_and_from_where_its_pattern_begins() {
        let roots = |paths: &[&str]| files(paths, None).roots();
        assert_eq!(roots(&[]), ["/"]);
        assert_eq!(
            roots(&["/FileStore/jars", "/FileStore", "/FileStore2/"]),
            ["/FileStore", "/FileStore2"]
        );
        assert_eq!(roots(&["/data/*/in", "/x"]), ["/data", "/x"]);
        assert_eq!(roots(&["/", "/x"]), ["/"]);
    }

    #[test]
    fn only_what_is_selected_is_covered_and_only_what_leads_there_entered() {
        let some = files(&["/data/*/in"], None);
        assert!(some.covers("/data/a/in/x.csv") && !some.covers("/data/a/out/x.csv"));
        assert!(some.enters("/data/a") && !some.enters("/data/a/out"));
        assert!(files(&[], None).covers("/anything"));
    }

    #[test]
    fn more_paths_and_longer_files_include_fewer_and_shorter_ones() {
        let (all, some) = (files(&[], None), files(&["/FileStore/jars"], None));
        assert!(all.includes(&some) && !some.includes(&all));
        assert!(files(&["/FileStore"], None).includes(&some));
        let (short, long) = (files(&[], Some(1)), files(&[], Some(2)));
        assert!(long.includes(&short) && !short.includes(&long));
        assert!(all.includes(&long) && !long.includes(&all));
    }
}

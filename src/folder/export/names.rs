//! Names of a workspace as names of files.
//!
//! Invariant: every place that is handed out is below the place it belongs to, and is handed out once. A name that a file
//! cannot have is written with `%XX` for what it cannot have; one that is too long or taken ends in `~` and something.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};

use serde_json::{Map, Value, json};

use crate::resource::{DBFS_SCHEME, KindName, ObjectKey, artifact_kind};
use crate::store::BlobId;

/// What file systems commonly hold.
const LONGEST_NAME: usize = 255;

/// Names that Windows keeps for devices, whatever follows the first dot.
const RESERVED: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// The folder of the files of the DBFS.
const DBFS: &str = "dbfs";

/// Where files of runs lie.
const ARTIFACTS: &str = "artifacts";

/// Which names there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Nothing that Windows refuses.
    pub(super) windows: bool,
    /// No two names that differ in case only.
    pub(super) fold_case: bool,
}

impl Rules {
    /// The rules of this system; with `portable` those of all.
    pub(super) const fn new(portable: bool) -> Self {
        Self {
            windows: portable || cfg!(windows),
            fold_case: portable || cfg!(any(windows, target_os = "macos")),
        }
    }

    /// The name of a file: `name` and `extension` (with its dot), as far as they are possible.
    fn safe(self, name: &str, extension: &str) -> String {
        let mut safe = String::with_capacity(name.len() + extension.len());
        let is_dots = extension.is_empty() && matches!(name, "." | "..");
        let last = name.len().saturating_sub(1);
        for (at, c) in name.char_indices() {
            let ends = at == last && extension.is_empty() && matches!(c, '.' | ' ');
            let is_bad = matches!(c, '/' | '\0')
                || is_dots
                || (self.windows
                    && (ends
                        || c.is_ascii_control()
                        || matches!(c, '<' | '>' | ':' | '"' | '\\' | '|' | '?' | '*')));
            if is_bad {
                let _ = write!(safe, "%{:02X}", u32::from(c));
            } else {
                safe.push(c);
            }
        }
        if self.windows && is_reserved(&safe) {
            let first = safe.remove(0);
            safe.insert_str(0, &format!("%{:02X}", u32::from(first)));
        }
        if safe.is_empty() && extension.is_empty() {
            safe.push('%');
        }
        if safe.len() + extension.len() > LONGEST_NAME {
            let hash = BlobId::of(name.as_bytes());
            safe = with_mark(&safe, &format!("{hash:.12}"), extension.len());
        }
        safe + extension
    }
}

/// `name~mark`, of which the beginning is left out that would make it too long.
fn with_mark(name: &str, mark: &str, extension: usize) -> String {
    let room = LONGEST_NAME - (mark.len() + 1 + extension).min(LONGEST_NAME);
    let end = (0..=room.min(name.len()))
        .rev()
        .find(|end| name.is_char_boundary(*end))
        .unwrap_or(0);
    format!("{}~{mark}", &name[..end])
}

fn is_reserved(name: &str) -> bool {
    let bare = name.split('.').next().unwrap_or_default().trim_end();
    let is = |of: &str| bare.eq_ignore_ascii_case(of);
    let numbered = |of: &str| {
        let (head, tail) = bare.split_at_checked(of.len()).unwrap_or_default();
        head.eq_ignore_ascii_case(of) && matches!(tail.as_bytes(), [b'0'..=b'9'])
    };
    RESERVED.into_iter().any(is) || numbered("COM") || numbered("LPT")
}

/// Hands out places.
pub(super) struct Names {
    rules: Rules,
    keys: RandomState,
    /// Hashes of all places. Should two agree by chance, one name is marked without need.
    taken: HashSet<u64>,
    /// The places of folders of the workspace.
    folders: HashMap<String, String>,
    /// Objects that are not called as they were.
    changed: Map<String, Value>,
}

impl Names {
    /// The tree lies below `root`.
    pub(super) fn new(rules: Rules, root: &str) -> Self {
        Self {
            rules,
            keys: RandomState::new(),
            taken: HashSet::new(),
            folders: HashMap::from([
                (String::new(), root.to_owned()),
                // Files of the DBFS and of runs lie beside the tree, and not in it.
                (DBFS_SCHEME.to_owned(), DBFS.to_owned()),
                (format!("{ARTIFACTS}:"), ARTIFACTS.to_owned()),
            ]),
            changed: Map::new(),
        }
    }

    /// The place of a folder of the workspace.
    pub(super) fn folder(&mut self, path: &str) -> String {
        let path = path.trim_end_matches('/');
        if let Some(place) = self.folders.get(path) {
            return place.clone();
        }
        let key = ObjectKey::new(KindName::known("directory"), path);
        let place = self.file(&key, "");
        self.folders.insert(path.to_owned(), place.clone());
        place
    }

    /// The place of something that lies in the workspace, as a file with this extension.
    pub(super) fn file(&mut self, key: &ObjectKey, extension: &str) -> String {
        let is_of_run = key.kind.as_str() == artifact_kind().name;
        let path = match is_of_run {
            true => format!("{ARTIFACTS}:{}", key.name.replacen("//", "/", 1)),
            false => key.name.clone(),
        };
        let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let folder = self.folder(above);
        self.place(&folder, name, extension, key)
    }

    /// The place of something that lies nowhere, below `root`.
    pub(super) fn object(&mut self, root: &str, key: &ObjectKey) -> String {
        let kind = self.rules.safe(key.kind.as_str(), "");
        let root = format!("{root}/{kind}");
        let name = match &key.id {
            Some(id) => format!("{}#{id}", key.name),
            None => key.name.clone(),
        };
        self.place(&root, &name, ".json", key)
    }

    /// What is called otherwise than before: from the place to the object.
    pub(super) fn into_changed(self) -> Map<String, Value> {
        self.changed
    }

    fn place(&mut self, folder: &str, name: &str, extension: &str, key: &ObjectKey) -> String {
        let safe = self.rules.safe(name, extension);
        let mut place = format!("{folder}/{safe}");
        let mut number = 1;
        while !self.take(&place) {
            number += 1;
            let bare = safe.strip_suffix(extension).unwrap_or(&safe);
            let marked = with_mark(bare, &number.to_string(), extension.len());
            place = format!("{folder}/{marked}{extension}");
        }
        let is_as_it_was = number == 1 && safe.strip_suffix(extension) == Some(name);
        if !is_as_it_was {
            let mut object = json!({"kind": key.kind.as_str(), "name": key.name});
            if let Some(id) = &key.id {
                object["id"] = json!(id);
            }
            self.changed.insert(place.clone(), object);
        }
        place
    }

    fn take(&mut self, place: &str) -> bool {
        let hash = if self.rules.fold_case {
            self.keys.hash_one(place.to_lowercase())
        } else {
            self.keys.hash_one(place)
        };
        self.taken.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Rules = Rules {
        windows: false,
        fold_case: false,
    };
    const ANYWHERE: Rules = Rules {
        windows: true,
        fold_case: true,
    };

    #[test]
    fn files_of_the_dbfs_and_of_runs_lie_beside_the_tree() {
        let mut names = Names::new(ANYWHERE, "workspace");
        let key = crate::resource::dbfs_key("/FileStore/a.jar");
        assert_eq!(names.file(&key, ""), "dbfs/FileStore/a.jar");
        assert_eq!(names.file(&crate::resource::dbfs_key("/x"), ""), "dbfs/x");
        assert_eq!(names.file(&file("/dbfs/x"), ""), "workspace/dbfs/x");
        let name = crate::resource::artifact_name("/Shared/x/2026 0123", "model/MLmodel");
        let key = ObjectKey::new(KindName::known("run-artifact"), name);
        let place = "artifacts/Shared/x/2026 0123/model/MLmodel";
        assert_eq!(names.file(&key, ""), place);
        assert_eq!(names.file(&file("/Shared/y"), ""), "workspace/Shared/y");
        assert!(names.into_changed().is_empty());
    }

    fn file(path: &str) -> ObjectKey {
        ObjectKey::new(KindName::known("file"), path)
    }

    #[test]
    fn names_stay_as_they_are_where_they_can() {
        for name in ["a", ".hidden", "100%", "ünï code", "a:b", "CON", "x. "] {
            assert_eq!(HERE.safe(name, ""), name);
        }
        assert_eq!(
            HERE.safe(".", ".py"),
            "..py",
            "with an extension it is a name"
        );
    }

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for rules in [HERE, ANYWHERE] {
            assert_eq!(rules.safe("..", ""), "%2E%2E");
            assert_eq!(rules.safe(".", ""), "%2E");
            assert_eq!(rules.safe("", ""), "%");
            assert_eq!(rules.safe("a/b\0c", ".json"), "a%2Fb%00c.json");
        }
        let mut names = Names::new(HERE, "workspace");
        for path in ["/../../etc/passwd", "//x", "/a/../b", "relative"] {
            let place = names.file(&file(path), "");
            assert!(place.starts_with("workspace/"), "{place}");
            let inner = place.split('/').skip(1);
            assert!(
                inner
                    .into_iter()
                    .all(|name| !matches!(name, "" | "." | "..")),
                "{place}"
            );
        }
    }

    #[test]
    fn portable_names_are_possible_on_windows() {
        for (name, safe) in [
            ("a:b?", "a%3Ab%3F"),
            ("con.txt", "%63on.txt"),
            ("LPT1", "%4CPT1"),
            ("COMET", "COMET"),
            ("trailing.", "trailing%2E"),
            ("C:\\x", "C%3A%5Cx"),
        ] {
            assert_eq!(ANYWHERE.safe(name, ""), safe);
        }
        assert_eq!(ANYWHERE.safe("nul", ".py"), "%6Eul.py");
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_told_apart_by_its_hash() {
        let [a, b] = ["a", "b"].map(|end| format!("{}{end}", "ü".repeat(200)));
        let [a, b] = [a, b].map(|name| HERE.safe(&name, ".scala"));
        assert_ne!(a, b);
        assert!(a.len() <= LONGEST_NAME && a.ends_with(".scala"), "{a}");
        assert_eq!(HERE.safe(&"x".repeat(255), "").len(), 255);
    }

    #[test]
    fn a_taken_name_is_marked_and_the_map_says_whose_it_is() {
        let mut names = Names::new(ANYWHERE, "w");
        assert_eq!(names.file(&file("/f/a"), ".py"), "w/f/a.py");
        assert_eq!(names.file(&file("/f/a.py"), ""), "w/f/a.py~2");
        assert_eq!(names.file(&file("/f/A"), ".py"), "w/f/A~2.py");
        assert_eq!(names.folder("/F"), "w/F~2");
        assert_eq!(names.file(&file("/F/x"), ""), "w/F~2/x");
        let job = ObjectKey::with_id(KindName::known("job"), "a/b", "7");
        assert_eq!(names.object("o", &job), "o/job/a%2Fb#7.json");
        let changed = names.into_changed();
        let places: Vec<_> = changed.keys().collect();
        assert_eq!(
            places,
            ["o/job/a%2Fb#7.json", "w/F~2", "w/f/A~2.py", "w/f/a.py~2"]
        );
        assert_eq!(
            changed["o/job/a%2Fb#7.json"],
            json!({"kind": "job", "name": "a/b", "id": "7"})
        );
    }
}

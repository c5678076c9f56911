//! Where paths go: explicit rules, homes, archives, and everything beneath another folder.
//!
//! Invariant: paths are compared by whole components; `/Users/ana@x` is no part of `/Users/ana@x.org`.

use serde::Serialize;

use super::Mapping;
use crate::resource::Principal;

/// Where the home of someone goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    /// It is the home of this principal.
    Of(String),
    /// Its owner is gone: to the archive, under this name.
    Archive(String),
    /// It is not restored.
    Nowhere,
}

/// The folders that hold one folder for each principal.
const HOMES: [&str; 2] = ["Users", "Repos"];

impl Mapping {
    /// Decides where the home of `owner`, and what refers to it, goes.
    pub fn place_home(&mut self, owner: &str, home: Home) {
        self.homes.insert(owner.to_lowercase(), home);
    }

    /// Where an object of the tree is put; `None` when it is not restored.
    pub fn place(&self, path: &str) -> Option<String> {
        let moved = self.moved(path)?;
        Some(match &self.beneath {
            Some(beneath) => format!("{}{moved}", beneath.target),
            None => moved,
        })
    }

    /// What a path that something refers to becomes. What is no absolute path stays as it is.
    pub fn path(&self, text: &str) -> String {
        // Requirements files are named as pip wants it; `/Workspace` is another name of the root.
        let (option, rest) = match text.strip_prefix("-r") {
            Some(rest) => text.split_at(text.len() - rest.trim_start().len()),
            None => ("", text),
        };
        let (alias, path) = match rest.strip_prefix("/Workspace") {
            Some(path) if path.starts_with('/') => ("/Workspace", path),
            _ => ("", rest),
        };
        if !path.starts_with('/') {
            return text.to_owned();
        }
        let moved = self.moved(path).unwrap_or_else(|| path.to_owned());
        match &self.beneath {
            Some(beneath) if beneath.only.iter().any(|top| is_at_or_below(path, top)) => {
                format!("{option}{alias}{}{moved}", beneath.target)
            }
            _ => format!("{option}{alias}{moved}"),
        }
    }

    fn moved(&self, path: &str) -> Option<String> {
        let rules = self
            .paths
            .iter()
            .filter(|(old, _)| is_at_or_below(path, old));
        if let Some((old, new)) = rules.max_by_key(|(old, _)| old.len()) {
            return Some(format!("{new}{}", &path[old.len()..]));
        }
        let Some((root, owner, rest)) = home_of(path) else {
            return Some(path.to_owned());
        };
        match self.homes.get(&owner.to_lowercase()) {
            // Beneath another folder nobody's home is meant.
            Some(Home::Archive(name)) if self.beneath.is_none() => Some(match root {
                "Repos" => format!("/Archive/{name}/Repos{rest}"),
                _ => format!("/Archive/{name}{rest}"),
            }),
            Some(Home::Of(name) | Home::Archive(name)) => Some(format!("/{root}/{name}{rest}")),
            Some(Home::Nowhere) => None,
            None => {
                let what = match owner.contains('@') {
                    true => Principal::User,
                    false => Principal::ServicePrincipal,
                };
                Some(format!("/{root}/{}{rest}", self.renamed(what, owner)))
            }
        }
    }
}

/// Splits a path into the folder of homes, the owner, and the rest with its slash.
pub(crate) fn home_of(path: &str) -> Option<(&str, &str, &str)> {
    let (root, below) = path.strip_prefix('/')?.split_once('/')?;
    let end = below.find('/').unwrap_or(below.len());
    let (owner, rest) = below.split_at(end);
    (HOMES.contains(&root) && !owner.is_empty()).then_some((root, owner, rest))
}

/// Whether `path` is `top` or lies below it.
pub(crate) fn is_at_or_below(path: &str, top: &str) -> bool {
    let top = top.trim_end_matches('/');
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::super::Table;
    use super::*;

    #[test]
    fn homes_follow_their_owners_by_whole_components() {
        let mut mapping = Mapping::default();
        mapping.add_pair(Table::Users, "ana@x=ana@y").unwrap();
        assert_eq!(mapping.path("/Users/Ana@x/n"), "/Users/ana@y/n");
        assert_eq!(mapping.path("/Users/ana@x"), "/Users/ana@y");
        assert_eq!(mapping.path("/Repos/ana@x/r"), "/Repos/ana@y/r");
        assert_eq!(mapping.path("/Users/ana@x.org/n"), "/Users/ana@x.org/n");
        assert_eq!(
            mapping.path("/Workspace/Users/ana@x/n"),
            "/Workspace/Users/ana@y/n"
        );
        assert_eq!(
            mapping.path("-r /Users/ana@x/req.txt"),
            "-r /Users/ana@y/req.txt"
        );
        assert_eq!(mapping.path("/Shared/Users/ana@x"), "/Shared/Users/ana@x");
        assert_eq!(mapping.path("src/Users/ana@x"), "src/Users/ana@x");
        assert_eq!(mapping.path("dbfs:/Users/ana@x"), "dbfs:/Users/ana@x");
    }

    #[test]
    fn the_longest_rule_for_a_path_wins_over_the_home() {
        let mut mapping = Mapping::default();
        mapping.add_pair(Table::Users, "ana@x=ana@y").unwrap();
        mapping
            .add_pair(Table::Paths, "/Users/ana@x/lib=/Shared/lib")
            .unwrap();
        mapping
            .add_pair(Table::Paths, "/Users/ana@x/lib/old=/Old")
            .unwrap();
        assert_eq!(mapping.path("/Users/ana@x/lib/a"), "/Shared/lib/a");
        assert_eq!(mapping.path("/Users/ana@x/lib/old/a"), "/Old/a");
        assert_eq!(mapping.path("/Users/ana@x/library"), "/Users/ana@y/library");
    }

    #[test]
    fn the_home_of_someone_gone_goes_to_the_archive_with_what_refers_to_it() {
        let mut mapping = Mapping::default();
        mapping.place_home("Left@x", Home::Archive("left@x".into()));
        mapping.place_home("skip@x", Home::Nowhere);
        assert_eq!(
            mapping.place("/Users/left@x/n").as_deref(),
            Some("/Archive/left@x/n")
        );
        assert_eq!(
            mapping.path("/Workspace/Users/left@x"),
            "/Workspace/Archive/left@x"
        );
        assert_eq!(
            mapping.place("/Repos/left@x/r").as_deref(),
            Some("/Archive/left@x/Repos/r")
        );
        assert_eq!(mapping.place("/Users/skip@x/n"), None);
        assert_eq!(mapping.path("/Users/skip@x/n"), "/Users/skip@x/n");
    }

    #[test]
    fn beneath_another_folder_only_restored_paths_are_followed() {
        let mut mapping = Mapping::default();
        mapping.place_home("left@x", Home::Archive("left@x".into()));
        mapping.put_beneath(
            "/Restored/",
            vec!["/Shared/etl".into(), "/Users/left@x".into()],
        );
        assert_eq!(
            mapping.place("/Shared/etl/n").as_deref(),
            Some("/Restored/Shared/etl/n")
        );
        assert_eq!(
            mapping.place("/Users/left@x/n").as_deref(),
            Some("/Restored/Users/left@x/n")
        );
        assert_eq!(mapping.path("/Shared/etl/n"), "/Restored/Shared/etl/n");
        assert_eq!(mapping.path("/Shared/other"), "/Shared/other");
    }
}

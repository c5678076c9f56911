//! The registry: every kind dbsnap knows, in the order in which they can be made again.
//!
//! Invariant: a kind stands after every kind it refers to (itself excepted); a test holds it.

mod cluster;
mod cluster_policy;
mod dbfs;
mod experiment;
mod global_init_script;
mod group;
mod instance_pool;
mod instance_profile;
mod job;
mod metastore;
mod mount;
mod registered_model;
mod run;
mod run_artifact;
mod secret_scope;
mod service_principal;
mod shared;
mod tree;
mod user;

pub use cluster::LAUNCHED_TAG;

use super::kind::{Kind, Node};

/// All kinds, in order of restore.
pub static ALL: &[&Kind] = &[
    &user::KIND,
    &service_principal::KIND,
    &instance_profile::KIND,
    &group::KIND,
    &secret_scope::KIND,
    &tree::DIRECTORY,
    &tree::GIT_FOLDER,
    &tree::NOTEBOOK,
    &tree::FILE,
    &tree::DASHBOARD,
    &experiment::KIND,
    &tree::OPAQUE,
    &mount::KIND,
    &dbfs::FILE,
    &instance_pool::KIND,
    &cluster_policy::KIND,
    &cluster::KIND,
    &global_init_script::KIND,
    &job::KIND,
    &run::KIND,
    &run_artifact::KIND,
    &registered_model::KIND,
    &metastore::SECURABLE,
    &metastore::DATABASE,
    &metastore::TABLE,
    &metastore::FUNCTION,
    &metastore::VIEW,
];

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.name == name).copied()
}

/// The kind of a node of the workspace tree, by the `object_type` the API gives it.
///
/// Types of the future are opaque: listed and reported, never skipped.
pub fn by_object_type(object_type: &str, is_git_folder: bool) -> &'static Kind {
    let node = match object_type {
        "DIRECTORY" if is_git_folder => Node::GitFolder,
        "DIRECTORY" => Node::Directory,
        "NOTEBOOK" => Node::Notebook,
        "FILE" => Node::File,
        "REPO" => Node::GitFolder,
        "DASHBOARD" => Node::Dashboard,
        "MLFLOW_EXPERIMENT" => Node::Experiment,
        _ => Node::Opaque,
    };
    let is_node = |kind: &&&'static Kind| kind.node() == Some(node);
    ALL.iter()
        .find(is_node)
        .expect("every node of the tree has a kind")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::resource::field::is_well_formed;
    use crate::resource::kind::{Restore, Target};

    fn references(
        kind: &Kind,
    ) -> impl Iterator<Item = (&'static str, &'static super::super::kind::Reference)> {
        let groups = kind.fields.references.iter();
        groups.flat_map(|group| {
            group
                .under
                .iter()
                .flat_map(|at| group.fields.iter().map(move |field| (*at, field)))
        })
    }

    #[test]
    fn names_are_kebab_case_and_unique() {
        let names: BTreeSet<_> = ALL.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), ALL.len());
        for name in names {
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{name}"
            );
        }
    }

    #[test]
    fn every_path_of_every_table_is_well_formed() {
        for kind in ALL {
            let mut paths = vec![kind.id.at, kind.naming.at];
            paths.extend(kind.fields.dropped.iter().map(|rule| rule.at));
            paths.extend(kind.fields.unordered);
            paths.extend(kind.fields.quiet.iter().map(|quiet| quiet.at));
            paths.extend(kind.fields.principal.map(|(_, at)| at));
            paths.extend(kind.fields.linked.iter().map(|linked| linked.list));
            paths.extend(kind.fields.elsewhere.as_ref().map(|rule| rule.at));
            paths.extend(kind.fields.made_by);
            paths.extend(kind.fields.markers.iter().map(|rule| rule.at));
            paths.extend(kind.secrets().map(|secrets| secrets.element));
            paths.extend(references(kind).flat_map(|(under, field)| [under, field.at]));
            for path in paths.into_iter().filter(|path| !path.is_empty()) {
                assert!(is_well_formed(path), "{}: {path}", kind.name);
            }
        }
    }

    #[test]
    fn a_kind_stands_after_the_kinds_it_refers_to() {
        for (position, kind) in ALL.iter().enumerate() {
            for (_, reference) in references(kind) {
                let Target::Id(targets) = reference.to else {
                    continue;
                };
                for target in targets {
                    let at = ALL.iter().position(|other| other.name == *target);
                    let at = at.unwrap_or_else(|| {
                        panic!("{} refers to the unknown kind {target}", kind.name)
                    });
                    assert!(
                        at <= position,
                        "{} refers to {target}, which is restored later",
                        kind.name
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_said_about_missing_objects_is_said_about_references() {
        for kind in ALL {
            let known: BTreeSet<_> = references(kind)
                .map(|(_, reference)| reference.at)
                .collect();
            for missing in kind.fields.missing {
                assert!(known.contains(missing.at), "{}: {}", kind.name, missing.at);
            }
        }
    }

    #[test]
    fn every_rule_says_why() {
        for kind in ALL {
            assert!(
                (kind.fields.dropped.iter().chain(kind.fields.markers))
                    .all(|rule| rule.why.len() > 3),
                "{}",
                kind.name
            );
            if let Restore::RecordOnly { why } = kind.restore {
                assert!(!why.is_empty(), "{}", kind.name);
            }
        }
    }

    #[test]
    fn every_file_of_this_folder_is_registered() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/resource/kinds");
        let kinds_of = |text: &str| text.matches(": Kind = Kind {").count();
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path());
        let defined: usize = files
            .filter(|path| path.file_name().is_some_and(|name| name != "mod.rs"))
            .map(|path| kinds_of(&std::fs::read_to_string(path).unwrap()))
            .sum();
        assert_eq!(defined, ALL.len());
    }

    #[test]
    fn an_unknown_node_of_the_tree_is_opaque_not_skipped() {
        assert_eq!(by_object_type("HOLOGRAM", false).name, "workspace-object");
        assert_eq!(by_object_type("DIRECTORY", true).name, "git-folder");
    }
}

//! What has to be known of the target to plan a restore.
//!
//! Invariant: never less than the plan looks at; what was not captured would look as if it did not exist.

use std::collections::BTreeSet;

use super::options::Options;
use crate::manifest::Selection;
use crate::mapping::home_of;
use crate::resource::hive::Securable;
use crate::resource::{ALL, Kind, KindName, Principal, Target};

/// The part of the target that a restore has to look at.
pub fn scope(options: &Options) -> Selection {
    let selection = &options.selection;
    let metastore = selection.metastore.clone();
    let metastore = metastore.filter(|_| options.runs_statements);
    let dbfs = selection.dbfs.clone();
    let mounts = selection.mounts && options.reads_mounts;
    // What dependencies need is anywhere.
    if options.with_dependencies {
        return Selection {
            metastore,
            runs: selection.runs.clone(),
            dbfs,
            mounts,
            ..Selection::default()
        };
    }
    let mut paths: Vec<String> = selection.include.clone();
    paths.extend(selection.home.iter().map(|user| format!("/Users/{user}")));
    if let Some(exactly) = &options.exactly {
        paths = exactly.iter().map(|key| key.name.clone()).collect();
        paths.retain(|path| path.starts_with('/'));
    }
    let is_asked_for = |kind: &Kind| match &options.exactly {
        Some(exactly) => exactly.iter().any(|key| key.kind.as_str() == kind.name),
        None => {
            let paths_only = !paths.is_empty() && selection.only.is_empty();
            selection.covers_kind(&KindName::known(kind.name))
                && (kind.node().is_some() || !paths_only)
        }
    };
    let mut kinds: BTreeSet<&str> = ALL
        .iter()
        .filter(|kind| kind.fields.principal.is_some() || is_asked_for(kind))
        .map(|kind| kind.name)
        .collect();
    // A kind stands after the kinds it refers to.
    for kind in ALL.iter().rev() {
        if kinds.contains(kind.name) {
            kinds.extend(referred_kinds(kind));
        }
    }
    if kinds
        .iter()
        .any(|name| crate::resource::kind(name).is_some_and(|kind| kind.node().is_some()))
    {
        // Something else may be in the place of any node.
        let nodes = ALL.iter().filter(|kind| kind.node().is_some());
        kinds.extend(nodes.map(|kind| kind.name));
    }
    // Whether the target has table ACLs decides about grants and owners.
    if kinds.iter().any(|name| securable(name).is_some()) {
        kinds.extend(
            ALL.iter()
                .map(|kind| kind.name)
                .filter(|name| securable(name) == Some(Securable::Top)),
        );
    }
    Selection {
        metastore,
        runs: selection.runs.clone(),
        dbfs,
        mounts,
        only: kinds.into_iter().map(str::to_owned).collect(),
        include: places(options, &paths),
        ..Selection::default()
    }
}

/// Where paths of the snapshot may go.
fn places(options: &Options, paths: &[String]) -> Vec<String> {
    let mut mapping = options.mapping.clone();
    if let Some(target) = &options.target_path {
        mapping.put_beneath(target, Vec::new());
        if paths.is_empty() {
            return vec![target.clone()];
        }
    }
    let mut places = BTreeSet::new();
    for path in paths {
        places.extend(mapping.place(path));
        if let Some((root, owner, rest)) = home_of(path) {
            let name = mapping.renamed(Principal::Any, owner);
            places.insert(match root {
                "Repos" => format!("/Archive/{name}/Repos{rest}"),
                _ => format!("/Archive/{name}{rest}"),
            });
        }
    }
    places.into_iter().collect()
}

fn securable(kind: &str) -> Option<Securable> {
    crate::resource::kind(kind)?.securable()
}

fn referred_kinds(kind: &Kind) -> impl Iterator<Item = &'static str> {
    let references = kind.fields.references.iter().flat_map(|group| group.fields);
    references.flat_map(|reference| match reference.to {
        Target::Id(kinds) => kinds.iter().copied(),
        Target::Principal(_) | Target::Path => [].iter().copied(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Cloud;
    use crate::mapping::Table;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_restore_of_a_path_looks_at_its_new_place_the_archive_and_at_people() {
        let mut options = Options::new(Cloud::Aws);
        options.selection.include = strings(&["/Users/ana@a.com/etl"]);
        options
            .mapping
            .add_pair(Table::Domains, "a.com=b.com")
            .unwrap();
        let scope = scope(&options);
        assert_eq!(
            scope.include,
            ["/Archive/ana@b.com/etl", "/Users/ana@b.com/etl"]
        );
        assert!(scope.only.contains(&"user".to_owned()));
        assert!(!scope.only.contains(&"job".to_owned()));
    }

    #[test]
    fn a_restore_of_jobs_looks_at_what_jobs_refer_to() {
        let mut options = Options::new(Cloud::Aws);
        options.selection.only = strings(&["job"]);
        let mut kinds = scope(&options).only;
        kinds.sort_unstable();
        assert_eq!(
            kinds,
            [
                "cluster",
                "cluster-policy",
                "group",
                "instance-pool",
                "job",
                "service-principal",
                "user"
            ]
        );
    }

    #[test]
    fn a_restore_of_everything_looks_at_everything() {
        let mut options = Options::new(Cloud::Aws);
        options.runs_statements = true;
        options.reads_mounts = true;
        let scope = scope(&options);
        assert!(
            ALL.iter()
                .all(|kind| scope.covers_kind(&KindName::known(kind.name)))
        );
        assert_eq!(scope.include, Vec::<String>::new());
    }
}

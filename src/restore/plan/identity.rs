//! Who of the snapshot is who in the target, who will be made, and where homes go.
//!
//! Invariant: afterwards the mapping knows everybody there is or will be; whoever it does not know has no name there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::PlanError;
use super::matching::Match;
use super::planner::{Planner, body_of, id_of, read_failed, whole_body_of};
use crate::manifest::Entry;
use crate::mapping::{Home, Known, Table, home_of};
use crate::resource::{ALL, Kind, KindName, ObjectKey, Principal, visit};
use crate::restore::options::MissingUsers;

impl Planner<'_> {
    /// Finds out who is who, and completes the mapping with it.
    pub(super) fn identify(&mut self) -> Result<(), PlanError> {
        let mut known = Known::default();
        let mut learnt = Vec::new();
        for kind in ALL.iter().filter(|kind| kind.fields.principal.is_some()) {
            if let Some(reason) = self.gaps.of_kind(kind) {
                return Err(PlanError::TargetUnknown {
                    kind: kind.name,
                    reason: reason.to_owned(),
                });
            }
            self.load(kind)?;
            self.learn(kind, &mut known, &mut learnt)?;
        }
        self.mapping.restrict_to(known);
        for (table, old, new) in learnt {
            self.mapping.learn(table, &old, &new);
        }
        self.place_homes()
    }

    /// Takes note of everybody of one kind.
    fn learn(
        &mut self,
        kind: &'static Kind,
        known: &mut Known,
        learnt: &mut Vec<(Table, String, String)>,
    ) -> Result<(), PlanError> {
        let (what, _) = kind
            .fields
            .principal
            .expect("only kinds of people are asked");
        let (table, names) = match what {
            Principal::Group => (Table::Groups, &mut known.groups),
            Principal::ServicePrincipal => {
                (Table::ServicePrincipals, &mut known.service_principals)
            }
            _ => (Table::Users, &mut known.users),
        };
        let mut add = |name: &str| drop(names.insert(name.to_lowercase(), name.to_owned()));
        kind.naming.built_in.iter().for_each(|name| add(name));
        let loaded = self.load(kind)?.clone();
        let target_tree = self.inputs.target.tree;
        let mut target_names = Vec::new();
        for entry in &loaded.target {
            let name = own_name(kind, entry, body_of(target_tree, entry, "target")?.as_ref());
            add(&name);
            target_names.push(name);
        }
        for (entry, found) in loaded.snapshot.iter().zip(&loaded.matches) {
            let body = whole_body_of(self.inputs.snapshot.tree, entry, "snapshot")?;
            let old = own_name(kind, entry, body.as_ref());
            let renamed = self.inputs.options.mapping.renamed(what, &old);
            match found {
                Match::Here { target, .. } => {
                    let name = &target_names[*target];
                    if name.to_lowercase() != renamed.to_lowercase() {
                        learnt.push((table, old, name.clone()));
                    }
                }
                Match::New if self.will_be_made(kind, entry, body.as_ref(), &old) => {
                    add(&renamed);
                    self.newcomers.insert((kind.name, id_of(entry).to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn will_be_made(
        &mut self,
        kind: &Kind,
        entry: &Entry,
        body: Option<&Value>,
        name: &str,
    ) -> bool {
        let Some(body) = body else { return false };
        if kind.is_made_elsewhere(body) {
            return false;
        }
        let is_group = matches!(kind.fields.principal, Some((Principal::Group, _)));
        if !is_group {
            if self.inputs.options.missing_users != MissingUsers::Create {
                return false;
            }
            // A home without its owner is no home.
            if self.selected.enters(&format!("/Users/{name}")) {
                self.selected.need(entry.key.clone());
            }
        }
        self.selected.covers(&entry.key)
    }

    /// Decides where every home of the snapshot goes.
    fn place_homes(&mut self) -> Result<(), PlanError> {
        let mut missing = BTreeSet::new();
        for owner in self.home_owners()? {
            let what = match owner.contains('@') {
                true => Principal::User,
                false => Principal::ServicePrincipal,
            };
            let renamed = self.mapping.renamed(what, &owner);
            let home = match self.mapping.principal(what, &owner) {
                Some(name) => Home::Of(name),
                // The owner is gone there too, and the home is still in its place.
                None if self.target_has_folder(&format!("/Users/{renamed}"))? => Home::Of(renamed),
                None => match self.inputs.options.missing_users {
                    MissingUsers::Archive | MissingUsers::Create => Home::Archive(renamed),
                    MissingUsers::Skip => Home::Nowhere,
                    MissingUsers::Fail => {
                        if self.selected.enters(&format!("/Users/{owner}")) {
                            missing.insert(renamed.clone());
                        }
                        Home::Archive(renamed)
                    }
                },
            };
            self.mapping.place_home(&owner, home);
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(PlanError::MissingUsers(missing.into_iter().collect())),
        }
    }

    /// Everybody who has a home in the snapshot, or may have one that something refers to.
    fn home_owners(&self) -> Result<BTreeSet<String>, PlanError> {
        let mut owners = BTreeSet::new();
        // A snapshot of some kinds may have none of the folders.
        for kind in ALL {
            for root in ["/Users/", "/Repos/"] {
                self.owners_below(&KindName::known(kind.name), root, &mut owners)?;
            }
        }
        let users = self.loaded.get("user").into_iter();
        let users = users.flat_map(|loaded| &loaded.snapshot);
        owners.extend(users.map(|entry| entry.key.name.clone()));
        Ok(owners)
    }

    /// Whose homes objects of a kind lie in. Of each home only the first is read.
    fn owners_below(
        &self,
        kind: &KindName,
        root: &str,
        owners: &mut BTreeSet<String>,
    ) -> Result<(), PlanError> {
        let key = |name: &str| ObjectKey::new(kind.clone(), name).to_bytes();
        let mut start = key(root);
        let below = |start| {
            self.inputs
                .snapshot
                .tree
                .range_from(start, key(root))
                .next()
        };
        while let Some(entry) = below(start).transpose().map_err(read_failed("snapshot"))? {
            let name = entry.key.name;
            // The first name after it, and after all that lies in the home: `0` comes after `/`.
            let mut next = format!("{name}\u{1}");
            if let Some((_, owner, rest)) = home_of(&name) {
                if !rest.is_empty() {
                    next = format!("{root}{owner}0");
                }
                owners.insert(owner.to_owned());
            }
            start = key(&next);
        }
        Ok(())
    }

    fn target_has_folder(&self, path: &str) -> Result<bool, PlanError> {
        let key = ObjectKey::new(KindName::known("directory"), path);
        let found = self.inputs.target.tree.get(&key);
        Ok(found.map_err(read_failed("target"))?.is_some())
    }
}

/// What permissions call someone.
pub(super) fn own_name(kind: &Kind, entry: &Entry, body: Option<&Value>) -> String {
    let mut name = None;
    if let (Some((_, at)), Some(body)) = (kind.fields.principal, body) {
        visit(body, at, &mut |value| {
            name = value.as_str().map(str::to_owned)
        });
    }
    name.unwrap_or_else(|| entry.key.name.clone())
}

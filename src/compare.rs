//! What makes two workspaces comparable: names in place of ids, and everybody called as on the right side.
//!
//! Invariant: an object has the same symbol on both sides if and only if it is the same object by name; no id of either
//! workspace is left in what is compared.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::diff::Aspect;
use crate::manifest::{Entry, ManifestError, Tree};
use crate::mapping::{Ids, Mapping};
use crate::resource::{ALL, Acl, Kind, KindName, ObjectKey};

/// Two sides of which ids and names do not mean the same.
pub struct Comparable<'a> {
    mapping: &'a Mapping,
    left: Ids,
    right: Ids,
    /// What objects of the left that share a name with others are on the right.
    partners: HashMap<ObjectKey, ObjectKey>,
}

impl<'a> Comparable<'a> {
    /// Reads the lists of both sides. `mapping` says who of the left is called how on the right.
    pub fn new(left: &Tree, right: &Tree, mapping: &'a Mapping) -> Result<Self, ManifestError> {
        let mut comparable = Self {
            mapping,
            left: Ids::default(),
            right: Ids::default(),
            partners: HashMap::new(),
        };
        let listed = |kind: &&&'static Kind| kind.has_ids();
        let kinds: Vec<&'static Kind> = ALL.iter().filter(listed).copied().collect();
        for kind in &kinds {
            fill(&mut comparable.left, left, kind)?;
            fill(&mut comparable.right, right, kind)?;
        }
        // In the order of the registry: whom an object refers to has its partner already.
        for kind in kinds.iter().filter(|kind| !kind.naming.unique) {
            comparable.pair_up(kind, left, right)?;
        }
        Ok(comparable)
    }

    /// What an object of the left side is called on the right.
    pub fn rename(&self, key: &ObjectKey) -> ObjectKey {
        if let Some(partner) = self.partners.get(key) {
            return partner.clone();
        }
        let Some(kind) = crate::resource::kind(key.kind.as_str()) else {
            return key.clone();
        };
        let name = match kind.fields.principal {
            Some((what, at)) if at == kind.naming.at => {
                let renamed = self.mapping.renamed(what, &key.name);
                self.mapping.principal(what, &key.name).unwrap_or(renamed)
            }
            _ if kind.node().is_some() || kind.is_by_time() => self
                .mapping
                .place(&key.name)
                .unwrap_or_else(|| key.name.clone()),
            _ => key.name.clone(),
        };
        ObjectKey {
            name,
            ..key.clone()
        }
    }

    /// A body or access list of the left side, as the right side would have it.
    pub fn normalise_left(&self, key: &ObjectKey, aspect: Aspect, value: Value) -> Value {
        let symbol = |kinds: &[&str], id: &str| {
            let key = self.left.get(kinds, id)?;
            Some(self.rename(key).to_string())
        };
        normalise(self.mapping, &symbol, key, aspect, value)
    }

    /// A body or access list of the right side.
    pub fn normalise_right(&self, key: &ObjectKey, aspect: Aspect, value: Value) -> Value {
        let symbol = |kinds: &[&str], id: &str| self.right.get(kinds, id).map(ObjectKey::to_string);
        normalise(&Mapping::default(), &symbol, key, aspect, value)
    }

    /// Finds partners for objects whose names are not unique: the only two of a name, then equal ones, then in order.
    fn pair_up(&mut self, kind: &Kind, left: &Tree, right: &Tree) -> Result<(), ManifestError> {
        let mut groups: BTreeMap<String, (Vec<Entry>, Vec<Entry>)> = BTreeMap::new();
        for entry in left.kind(&KindName::known(kind.name)) {
            let entry = entry?;
            groups
                .entry(entry.key.name.clone())
                .or_default()
                .0
                .push(entry);
        }
        for entry in right.kind(&KindName::known(kind.name)) {
            let entry = entry?;
            groups
                .entry(entry.key.name.clone())
                .or_default()
                .1
                .push(entry);
        }
        let mut found = Vec::new();
        for (mut ours, mut theirs) in groups.into_values() {
            if ours.len() > 1 || theirs.len() > 1 {
                let body = |tree: &Tree, entry: &Entry, is_left| {
                    let bytes = entry.body.as_ref()?.read(tree.store()).ok()?;
                    let body = serde_json::from_slice(&bytes).ok()?;
                    Some(match is_left {
                        true => self.normalise_left(&entry.key, Aspect::Body, body),
                        false => self.normalise_right(&entry.key, Aspect::Body, body),
                    })
                };
                let mut bodies: Vec<_> = theirs
                    .iter()
                    .map(|entry| body(right, entry, false))
                    .collect();
                ours.retain(|entry| {
                    let own = body(left, entry, true);
                    let Some(at) = bodies
                        .iter()
                        .position(|body| body.is_some() && *body == own)
                    else {
                        return true;
                    };
                    bodies.remove(at);
                    found.push((entry.key.clone(), theirs.remove(at).key));
                    false
                });
            }
            let rest = ours.into_iter().zip(theirs);
            found.extend(rest.map(|(ours, theirs)| (ours.key, theirs.key)));
        }
        self.partners.extend(found);
        Ok(())
    }
}

fn normalise(
    mapping: &Mapping,
    symbol: &dyn Fn(&[&str], &str) -> Option<String>,
    key: &ObjectKey,
    aspect: Aspect,
    mut value: Value,
) -> Value {
    match aspect {
        Aspect::Content => value,
        Aspect::Permissions => match Acl::from_json(&value) {
            Some(acl) => mapping.acl(&acl).0.to_json(),
            None => value,
        },
        Aspect::Body => {
            if let Some(kind) = crate::resource::kind(key.kind.as_str()) {
                // What is not resolved stays as it is, and differs.
                let _ = mapping.rewrite(kind, &mut value, symbol);
                kind.without_markers(&mut value);
                kind.sort_unordered(&mut value);
            }
            value
        }
    }
}

fn fill(ids: &mut Ids, tree: &Tree, kind: &Kind) -> Result<(), ManifestError> {
    for entry in tree.kind(&KindName::known(kind.name)) {
        let entry = entry?;
        let id = entry.object_id.clone().or_else(|| entry.key.id.clone());
        if let Some(id) = id {
            ids.insert(entry.key, &id);
        }
    }
    Ok(())
}

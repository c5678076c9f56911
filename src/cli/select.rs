//! From what a user calls a snapshot to the snapshot.
//!
//! Invariant: what may mean two snapshots means neither; the candidates are listed instead.

use std::collections::HashSet;

use dbsnap::manifest::{self, Entry, SelectError, Snapshot, SnapshotRef, Tree};
use dbsnap::resource::{KindName, ObjectKey};
use dbsnap::store::{HeadName, Store};

use super::capture;
use super::error::Failure;
use super::near::nearest;

/// More names than these are not searched for similar ones.
const MOST_SEARCHED: usize = 200_000;

/// A snapshot that was found.
pub(crate) struct Found {
    /// Its name in the store.
    pub(crate) name: HeadName,
    /// What it says of itself.
    pub(crate) head: Snapshot,
    /// What it holds.
    pub(crate) tree: Tree,
}

/// Finds the snapshot that is called `wanted`.
pub(crate) fn snapshot(store: &Store, wanted: &SnapshotRef, given: &str) -> Result<Found, Failure> {
    let name = name(store, wanted, given)?;
    let reading = || format!("read the snapshot {:.8}", name.id);
    let head = manifest::read(store, &name).map_err(|error| Failure::doing(reading(), error))?;
    let tree = Tree::open(store, &head.root).map_err(|error| Failure::doing(reading(), error))?;
    Ok(Found { name, head, tree })
}

/// Finds the name of the snapshot that is called `wanted`, whether or not it can be read.
pub(crate) fn name(store: &Store, wanted: &SnapshotRef, given: &str) -> Result<HeadName, Failure> {
    let doing = || format!("find the snapshot `{given}`");
    let heads = store.heads();
    let heads = heads.map_err(|error| Failure::doing(doing(), error))?;
    let heads = without_stand_ins(store, wanted, heads);
    let found = manifest::resolve(wanted, &heads).copied();
    found.map_err(|error| {
        let hint = hint(&error);
        let failure = Failure::doing(doing(), error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// The heads that `wanted` may mean. Only by its id is meant what a restore captured before it wrote, and a damaged snapshot
/// of which a repair made another.
fn without_stand_ins(store: &Store, wanted: &SnapshotRef, heads: Vec<HeadName>) -> Vec<HeadName> {
    let (mut left, until) = match wanted {
        SnapshotRef::Latest(back) => (back.saturating_add(1), None),
        SnapshotRef::At(at) => (1, Some(*at)),
        SnapshotRef::Id(_) | SnapshotRef::Live => return heads,
    };
    // The newest come first, and what was repaired comes right before what was made of it.
    let mut repaired = HashSet::new();
    let mut is_passed_over = |head: &HeadName| {
        let was_repaired = repaired.remove(&head.id);
        // One that cannot be read may be what is meant, and then says so.
        let is_safety = manifest::read(store, head).is_ok_and(|head| {
            repaired.extend(head.repairs);
            capture::is_safety(&head)
        });
        was_repaired || is_safety
    };
    let mut kept = Vec::new();
    for head in heads.into_iter().rev() {
        let is_candidate = left > 0 && until.is_none_or(|until| head.time <= until);
        if is_candidate && is_passed_over(&head) {
            continue;
        }
        left -= usize::from(is_candidate);
        kept.push(head);
    }
    kept.reverse();
    kept
}

/// Understands what a user calls a snapshot.
pub(crate) fn reference(given: &str) -> Result<SnapshotRef, Failure> {
    given.parse().map_err(|error: SelectError| {
        Failure::doing(format!("find the snapshot `{given}`"), error).into_usage()
    })
}

fn hint(error: &SelectError) -> Option<&'static str> {
    Some(match error {
        SelectError::Ambiguous { .. } => "give more of the id",
        SelectError::Empty => {
            "take one with `dbsnap backup`; if there were some, `dbsnap check` says what became of them"
        }
        SelectError::NoSuchId(_)
        | SelectError::TooFarBack { .. }
        | SelectError::NoneBefore { .. } => "`dbsnap snapshots` lists all there are",
        _ => return None,
    })
}

/// Finds the object that is called `wanted`: a path, of the workspace tree or (`dbfs:/...`) of the DBFS, or `KIND/NAME`, or
/// `KIND/NAME#ID`.
pub(crate) fn object(found: &Found, wanted: &str) -> Result<Entry, Failure> {
    let wanted = &with_kind(wanted);
    let reading = |error| Failure::doing(format!("read the snapshot {:.8}", found.name.id), error);
    let mut fitting = if wanted.starts_with('/') {
        at_path(&found.tree, wanted).map_err(reading)?
    } else {
        let (kind, rest) = wanted.split_once('/').ok_or_else(|| {
            Failure::usage(format!("`{wanted}` is neither a path nor KIND/NAME"))
                .hint("a path begins with a slash; other objects are named like job/nightly")
        })?;
        let kind = super::kinds::parse(&format!("`{wanted}`"), &[kind.to_owned()])?.remove(0);
        of_kind(&found.tree, &kind, rest).map_err(reading)?
    };
    match fitting.len() {
        0 => Err(not_there(found, wanted)),
        1 => Ok(fitting.remove(0)),
        _ => Err(several(wanted, &fitting)),
    }
}

fn at_path(tree: &Tree, path: &str) -> Result<Vec<Entry>, manifest::ManifestError> {
    let path = match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let mut fitting = Vec::new();
    for kind in dbsnap::resource::ALL {
        let key = ObjectKey::new(KindName::known(kind.name), path);
        fitting.extend(tree.get(&key)?);
    }
    // A notebook may have an experiment, which is called as the notebook is: its path means the notebook.
    if fitting.len() > 1 {
        let is_experiment = |entry: &Entry| entry.key.kind.as_str() == "experiment";
        fitting.retain(|entry| !is_experiment(entry));
    }
    Ok(fitting)
}

fn of_kind(tree: &Tree, kind: &str, rest: &str) -> Result<Vec<Entry>, manifest::ManifestError> {
    let kind = KindName::read(kind);
    // A name may hold a `#` itself, so the whole is tried first.
    let named = entries_named(tree, &kind, rest)?;
    if !named.is_empty() {
        return Ok(named);
    }
    let Some((name, id)) = rest.rsplit_once('#') else {
        return Ok(named);
    };
    let key = ObjectKey::with_id(kind, name, id);
    Ok(tree.get(&key)?.into_iter().collect())
}

fn entries_named(
    tree: &Tree,
    kind: &KindName,
    name: &str,
) -> Result<Vec<Entry>, manifest::ManifestError> {
    let prefix = ObjectKey::new(kind.clone(), name).to_bytes();
    let mut fitting = Vec::new();
    for entry in tree.range(prefix) {
        let entry = entry?;
        // Names go on after a prefix, ids follow it: those with ids come first in the order of keys.
        if entry.key.name == name {
            fitting.push(entry);
        } else if entry.key.name.as_bytes() > name.as_bytes() {
            break;
        }
    }
    Ok(fitting)
}

/// Whether anything of the workspace tree is at or below a path.
pub(crate) fn has_path(tree: &Tree, path: &str) -> Result<bool, manifest::ManifestError> {
    let path = path.trim_end_matches('/');
    let nodes = dbsnap::resource::ALL
        .iter()
        .filter(|kind| kind.node().is_some());
    for kind in nodes {
        let first = ObjectKey::new(KindName::known(kind.name), path);
        for entry in tree.range(first.to_bytes()) {
            let name = entry?.key.name;
            let rest = name.strip_prefix(path).unwrap_or_default();
            if rest.is_empty() || rest.starts_with('/') {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Refuses paths that are not in the snapshot: a typing error must not restore nothing and call that done.
pub(crate) fn require_paths(found: &Found, paths: &[String]) -> Result<(), Failure> {
    let reading = |error| Failure::doing(format!("read the snapshot {:.8}", found.name.id), error);
    for path in paths.iter().filter(|path| !path.contains('*')) {
        if !has_path(&found.tree, path).map_err(reading)? {
            return Err(not_there(found, path));
        }
    }
    Ok(())
}

/// What begins like a name of the DBFS is one.
fn with_kind(wanted: &str) -> String {
    match wanted.strip_prefix(dbsnap::resource::DBFS_SCHEME) {
        Some(path) if path.starts_with('/') => format!("dbfs-file/{wanted}"),
        _ => wanted.to_owned(),
    }
}

/// Whether the snapshot set out to read an object that is called `wanted`.
fn was_selected(found: &Found, wanted: &str) -> bool {
    let covers = |kind: &str, name: &str| {
        let key = ObjectKey::new(KindName::read(kind), name);
        found.head.selection.covers(&key)
    };
    if wanted.starts_with('/') {
        let mut nodes = dbsnap::resource::ALL
            .iter()
            .filter(|kind| kind.node().is_some());
        return nodes.any(|kind| covers(kind.name, wanted));
    }
    let Some((kind, name)) = wanted.split_once('/') else {
        return true;
    };
    let kinds = super::kinds::parse("", &[kind.to_owned()]);
    kinds.map_or(true, |kinds| kinds.iter().any(|kind| covers(kind, name)))
}

fn not_there(found: &Found, wanted: &str) -> Failure {
    if !was_selected(found, wanted) {
        return Failure::refused(format!(
            "{wanted} was not selected into snapshot {:.8}, so that nothing is known of it",
            found.name.id
        ))
        .hint(format!(
            "`dbsnap show {:.8}` tells what was selected",
            found.name.id
        ));
    }
    let failure = Failure::refused(format!(
        "there is no {wanted} in snapshot {:.8}",
        found.name.id
    ));
    let failure = match hint_of_gaps(found) {
        Some(hint) => failure.hint(hint),
        None => failure,
    };
    let mut names: Vec<String> = found
        .tree
        .iter()
        .take(MOST_SEARCHED)
        .filter_map(|entry| Some(called(&entry.ok()?.key)))
        .collect();
    // Of one name there may be several, one after the other.
    names.dedup();
    let near = nearest(wanted, names.iter().map(String::as_str));
    if near.is_empty() {
        failure.hint(format!(
            "`dbsnap ls {:.8}` lists what there is",
            found.name.id
        ))
    } else {
        failure.hint(format!("did you mean {}?", near.join(" or ")))
    }
}

fn several(wanted: &str, fitting: &[Entry]) -> Failure {
    let names: Vec<String> = fitting.iter().map(|entry| exactly(&entry.key)).collect();
    Failure::usage(format!("`{wanted}` may be any of {}", names.join(", ")))
}

/// How a user names an object: its path, or `KIND/NAME`.
pub(crate) fn called(key: &ObjectKey) -> String {
    if key.name.starts_with('/') {
        key.name.clone()
    } else {
        format!("{}/{}", key.kind, key.name)
    }
}

/// What to say beside an object not being in a snapshot that does not know everything.
pub(crate) fn hint_of_gaps(found: &Found) -> Option<String> {
    let is_partial = found.head.gaps.count > 0;
    is_partial.then(|| {
        let id = found.name.id;
        format!("the snapshot lacks what could not be read or was lost: `dbsnap show {id:.8} --gaps` lists it")
    })
}

/// How a user names just this object, whatever else has its name.
pub(crate) fn exactly(key: &ObjectKey) -> String {
    match &key.id {
        Some(id) => format!("{}/{}#{id}", key.kind, key.name),
        None => format!("{}/{}", key.kind, key.name),
    }
}

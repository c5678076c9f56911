//! What could not be read, as a list.

use std::collections::BTreeMap;

use dbsnap::manifest::{Entry, Extent, ManifestError, Snapshot, Tree};
use dbsnap::resource::{ALL, KindName, ObjectKey};
use dbsnap::store::Store;
use serde::Serialize;

use super::table::{Align, Table};

/// So many are listed before a command says how to see the rest.
pub(crate) const SHOWN: usize = 20;

/// One gap.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Gap {
    kind: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    extent: Extent,
    reason: String,
    #[serde(skip)]
    shown: String,
}

impl Gap {
    fn of(entry: &Entry) -> Option<Self> {
        let (key, gap) = (&entry.key, entry.gap.as_ref()?);
        Some(Self {
            kind: key.kind.to_string(),
            name: key.name.clone(),
            id: key.id.clone(),
            extent: gap.extent,
            reason: gap.reason.clone(),
            shown: key.to_string(),
        })
    }
}

/// The gaps of a snapshot: those of whole kinds, and the first of the others.
pub(crate) fn of_tree(tree: &Tree, most: usize) -> Result<Vec<Gap>, ManifestError> {
    let mut gaps = Vec::new();
    for kind in ALL {
        let key = ObjectKey::whole_kind(KindName::known(kind.name));
        gaps.extend(tree.get(&key)?.as_ref().and_then(Gap::of));
    }
    let kinds = gaps.len();
    let is_told = |entry: &Entry| {
        let kind = entry.key.kind.as_str();
        entry.key.is_whole_kind() && ALL.iter().any(|known| known.name == kind)
    };
    for entry in tree.uncertain() {
        if gaps.len() >= kinds.saturating_add(most) {
            break;
        }
        let entry = entry?;
        gaps.extend(
            Some(&entry)
                .filter(|entry| !is_told(entry))
                .and_then(Gap::of),
        );
    }
    Ok(gaps)
}

/// The same, of a snapshot of which only the head is at hand.
pub(crate) fn of_snapshot(
    store: &Store,
    head: &Snapshot,
    most: usize,
) -> Result<Vec<Gap>, ManifestError> {
    if head.gaps.count == 0 {
        return Ok(Vec::new());
    }
    of_tree(&Tree::open(store, &head.root)?, most)
}

/// Gaps with what is missing and why.
pub(crate) fn table(gaps: &[Gap]) -> String {
    let columns = [("", Align::Left), ("", Align::Left), ("", Align::Left)];
    let mut table = Table::new(columns).with_widest(60);
    // Kinds that one and the same thing hides, as all of the metastore, are one line.
    let mut hidden: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for gap in gaps.iter().filter(|gap| gap.extent == Extent::Kind) {
        hidden.entry(&gap.reason).or_default().push(&gap.kind);
    }
    for gap in gaps {
        let kinds = match gap.extent {
            // All were told with the first.
            Extent::Kind => match hidden.remove(gap.reason.as_str()) {
                Some(kinds) => kinds,
                None => continue,
            },
            _ => Vec::new(),
        };
        let (shown, extent) = match kinds.len() {
            0 | 1 => (gap.shown.clone(), missing(gap.extent)),
            _ => (kinds.join(", "), "all of these kinds"),
        };
        table.row([format!("  {shown}"), extent.to_owned(), gap.reason.clone()]);
    }
    table.render()
}

fn missing(extent: Extent) -> &'static str {
    match extent {
        Extent::Object => "object",
        Extent::Content => "content",
        Extent::Permissions => "permissions",
        Extent::Subtree => "all below",
        Extent::Kind => "all of this kind",
    }
}

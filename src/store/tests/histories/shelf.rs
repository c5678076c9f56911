//! A store, what must be in it, and what its snapshots say.

use std::collections::{BTreeMap, BTreeSet};

use super::super::at;
use super::Which;
use super::source::Contents;
use crate::manifest::{self, Tree};
use crate::store::backend::{Files, Memory};
use crate::store::crypt::{Crypt, MasterKey};
use crate::store::{HeadName, SnapshotId, Store};

/// A store and the snapshots that must be in it.
pub(super) struct Shelf {
    pub(super) memory: Memory,
    is_sealed: bool,
    pub(super) snapshots: BTreeSet<SnapshotId>,
    /// The files at the last look. Their names are hashes: if none came and none went, all are the same.
    pub(super) seen: Vec<String>,
}

impl Shelf {
    pub(super) fn new(is_sealed: bool) -> Self {
        let shelf = Self {
            memory: Memory::new(at(0)),
            is_sealed,
            snapshots: BTreeSet::new(),
            seen: Vec::new(),
        };
        Store::create_in(shelf.files(&shelf.memory), at(0)).unwrap();
        shelf
    }

    pub(super) fn files(&self, memory: &Memory) -> Files {
        let files = Files::new("memory", memory.clone());
        match self.is_sealed {
            true => files.sealed(Crypt::new(MasterKey::from_bytes(&[5; 32]))),
            false => files,
        }
    }

    pub(super) fn open(&self) -> Store {
        Store::open_in(self.files(&self.memory), &[])
            .unwrap()
            .unwrap()
    }

    pub(super) fn heads(&self) -> Vec<HeadName> {
        self.open().heads().unwrap()
    }

    pub(super) fn some(&self, which: Which) -> Vec<HeadName> {
        let heads = self.heads();
        match which {
            Which::One(which) if !heads.is_empty() => vec![*which.get(&heads)],
            Which::One(_) | Which::Newest => heads.last().copied().into_iter().collect(),
            Which::All => heads,
        }
    }
}

/// What a snapshot says.
pub(super) fn said(store: &Store, head: &HeadName) -> Contents {
    let snapshot = manifest::read(store, head).unwrap();
    let tree = Tree::open(store, &snapshot.root).unwrap();
    let mut said = Contents::new();
    for entry in tree.iter() {
        let entry = entry.unwrap();
        assert!(entry.gap.is_none() && !entry.carried_over, "{entry:?}");
        let content = entry
            .content
            .map(|content| content.read(store).unwrap().to_vec());
        said.insert((entry.key.kind.to_string(), entry.key.name), content);
    }
    said
}

/// The names under which two differ.
pub(super) fn difference(found: &Contents, expected: &Contents) -> String {
    let all: BTreeMap<_, _> = found.iter().chain(expected).collect();
    let mut words = String::new();
    for name in all.keys() {
        let len = |of: &Contents| of.get(*name).map(|bytes| bytes.as_ref().map(Vec::len));
        if found.get(*name) != expected.get(*name) {
            words += &format!("{name:?}: {:?} for {:?}; ", len(found), len(expected));
        }
    }
    words
}

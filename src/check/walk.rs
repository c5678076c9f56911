//! What snapshots refer to, and what of that is lost.
//!
//! Invariant: what several snapshots share is looked at once, and what is lost is told of for each.

use std::collections::HashSet;

use super::{CheckReport, Loss, Problem, is_out_of_reach};
use crate::manifest::{self, Entry, Stored, Surveyed, Tree, survey};
use crate::report::chain;
use crate::store::{BlobId, Store, Verification};

/// Losses of one snapshot that are spelt out; the others are counted.
const LOSSES_SPELT_OUT: usize = 1_000;
const GONE_IS_HARMLESS: &str = "no snapshot lacks anything by it, and a prune mends that";

const NOBODY_KNOWS: &str = "whether a snapshot lacks anything by it is not known, because a part of what snapshots list is lost";

/// Blobs of damaged files that lie nowhere else.
fn lost_blobs(store: &Store, verification: Option<&Verification>) -> HashSet<BlobId> {
    let problems = verification.into_iter().flat_map(|found| &found.problems);
    let gone = verification.into_iter().flat_map(|found| &found.gone);
    let hanging = verification.into_iter().flat_map(|found| &found.hanging);
    let blobs = problems.chain(gone).chain(hanging);
    let blobs = blobs.flat_map(|problem| problem.blobs.iter().copied());
    blobs.filter(|blob| store.read(blob).is_err()).collect()
}

/// What is there and what is lost, found out bit by bit.
pub(crate) struct Check<'a> {
    store: &'a Store,
    lost: HashSet<BlobId>,
    pub(super) present: HashSet<BlobId>,
    visited: HashSet<BlobId>,
    pub(super) any_lost: bool,
    /// A part of what snapshots refer to cannot be had.
    pub(super) lists_lost: bool,
    pub(super) out_of_reach: bool,
    /// What some snapshot refers to and what cannot be had, nodes left out.
    missed: HashSet<BlobId>,
}

impl<'a> Check<'a> {
    /// Begins with what a verification found damaged.
    pub(crate) fn new(store: &'a Store, verification: Option<&Verification>) -> Self {
        Self {
            store,
            lost: lost_blobs(store, verification),
            present: HashSet::new(),
            visited: HashSet::new(),
            any_lost: false,
            lists_lost: false,
            out_of_reach: false,
            missed: HashSet::new(),
        }
    }
}

impl Check<'_> {
    /// Walks the nodes of a snapshot that no other snapshot had.
    pub(super) fn visit(&mut self, root: &manifest::Root, report: &mut CheckReport) {
        let Ok(tree) = Tree::open(self.store, root) else {
            self.any_lost = true;
            self.lists_lost = true;
            self.missed.insert(root.node);
            return;
        };
        let mut visited = std::mem::take(&mut self.visited);
        let mut lists_lost = false;
        survey(
            &tree,
            &mut |node| visited.insert(*node),
            &mut |found| match found {
                Surveyed::Entry(entry) => {
                    report.entries += u64::from(!entry.key.is_whole_kind());
                    self.any_lost |= !self.lost_parts(&entry).is_empty();
                }
                Surveyed::Lost { .. } => lists_lost = true,
            },
        );
        self.any_lost |= lists_lost;
        self.lists_lost |= lists_lost;
        self.visited = visited;
    }

    /// A pack that is gone is a problem if a snapshot lost something by it, and else only a wrong name in the index. A
    /// patch on what is gone is a problem likewise.
    pub(super) fn judge_gone(&self, report: &mut CheckReport) {
        let is_needed = |blob: &BlobId| {
            self.lost.contains(blob) && (self.missed.contains(blob) || self.visited.contains(blob))
        };
        let Some(found) = &report.verification else {
            return;
        };
        let gone = found.gone.iter().map(|gone| (gone, GONE_IS_HARMLESS));
        let hanging = found.hanging.iter();
        let hanging = hanging.map(|hanging| (hanging, "no snapshot lacks anything by it"));
        let is_lost = |blob: &BlobId| self.lost.contains(blob);
        for (problem, harmless) in gone.chain(hanging) {
            let (file, what) = (&problem.file, &problem.what);
            if problem.blobs.iter().any(is_needed) {
                report.problems.push(Problem::of(problem));
            } else if self.lists_lost && problem.blobs.iter().any(is_lost) {
                let what = format!("{what}; {NOBODY_KNOWS}");
                let file = file.clone();
                report.problems.push(Problem::Store { file, what });
            } else if !report.tells_of(file) {
                report.notes.push(format!("{file}: {what}; {harmless}"));
            }
        }
    }

    /// Everything that a snapshot lacks.
    pub(super) fn losses(&mut self, root: &manifest::Root) -> (Vec<Loss>, u64) {
        let mut losses = Vec::new();
        let mut count = 0;
        let mut out_of_reach = false;
        let mut add = |loss| {
            count += 1;
            if losses.len() < LOSSES_SPELT_OUT {
                losses.push(loss);
            }
        };
        match Tree::open(self.store, root) {
            Err(error) => {
                out_of_reach |= is_out_of_reach(&error);
                add(Loss::Entries {
                    first: None,
                    end: None,
                    what: chain(&error),
                });
            }
            Ok(tree) => survey(&tree, &mut |_| true, &mut |found| match found {
                Surveyed::Entry(entry) => {
                    for part in self.lost_parts(&entry) {
                        let key = entry.key.clone();
                        add(Loss::Object { key, part });
                    }
                }
                Surveyed::Lost { first, end, error } => {
                    out_of_reach |= is_out_of_reach(&*error);
                    let what = chain(&*error);
                    let [first, end] = [first, end].map(|key| key.map(|key| *key));
                    add(Loss::Entries { first, end, what });
                }
            }),
        }
        self.out_of_reach |= out_of_reach;
        (losses, count)
    }

    /// The parts of an object that are not all there.
    pub(crate) fn lost_parts(&mut self, entry: &Entry) -> Vec<Stored> {
        let lost = entry
            .parts()
            .filter(|(_, payload)| match payload.blobs(self.store) {
                Ok(blobs) => !blobs.iter().all(|blob| self.is_there(blob)),
                Err(_) => true,
            });
        lost.map(|(part, _)| part).collect()
    }

    fn is_there(&mut self, blob: &BlobId) -> bool {
        if self.lost.contains(blob) {
            self.missed.insert(*blob);
            return false;
        }
        if self.present.contains(blob) {
            return true;
        }
        let is_there = self.store.contains(blob);
        if is_there {
            self.present.insert(*blob);
        } else {
            self.lost.insert(*blob);
            self.missed.insert(*blob);
        }
        is_there
    }
}

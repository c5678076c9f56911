//! Which entries differ between two trees.
//!
//! Invariant: a node that both trees share is never read, so the cost follows the changes, and every key whose
//! entries differ is told exactly once, in order.

use std::cmp::Ordering;

use super::cursor::{Cursor, Head};
use super::tree::Tree;
use super::{Entry, ManifestError};

/// Keys in bytes, from the first up to but without the second; without a second, up to the end.
pub type KeyRange = (Vec<u8>, Option<Vec<u8>>);

/// An entry before and after; at least one of them is there.
pub type Pair = (Option<Entry>, Option<Entry>);

/// The keys whose entries differ, sorted, with the entry of either tree.
pub fn changes(before: &Tree, after: &Tree) -> Changes {
    Changes::new(before, after, false)
}

/// Like [`changes`], but entries with a gap and entries that were taken over are told even if both trees agree
/// on them: what is unknown on both sides is not known to be unchanged.
pub fn changes_and_gaps(before: &Tree, after: &Tree) -> Changes {
    Changes::new(before, after, true)
}

/// The iterator of [`changes`]. It ends after the first error.
pub struct Changes {
    before: Cursor,
    after: Cursor,
    uncertain_too: bool,
    /// Where it begins, as long as it has not begun there.
    start: Option<Vec<u8>>,
    end: Option<Vec<u8>>,
    /// Both cursors are in leaves with the same keys; these rows are still to be told.
    rows: Option<std::vec::IntoIter<usize>>,
}

/// What to do next, decided while both heads are in view.
enum Step {
    Done,
    SkipBoth,
    Enter { before: bool, after: bool },
    Tell { before: bool, after: bool },
}

impl Changes {
    fn new(before: &Tree, after: &Tree, uncertain_too: bool) -> Self {
        Self {
            before: Cursor::new(before.clone()),
            after: Cursor::new(after.clone()),
            uncertain_too,
            start: None,
            end: None,
            rows: None,
        }
    }

    /// Only what is in a range of keys.
    pub fn within(mut self, (start, end): KeyRange) -> Self {
        self.start = Some(start).filter(|start| !start.is_empty());
        self.end = end;
        self
    }

    fn step(&mut self) -> Result<Option<Pair>, ManifestError> {
        if let Some(start) = self.start.take() {
            self.before.seek(&start)?;
            self.after.seek(&start)?;
        }
        loop {
            if let Some(pair) = self.next_row()? {
                return Ok(Some(pair));
            }
            match self.decide()? {
                Step::Done => return Ok(None),
                Step::SkipBoth => {
                    self.before.advance();
                    self.after.advance();
                }
                Step::Enter { before, after } => {
                    if before {
                        self.before.descend()?;
                    }
                    if after {
                        self.after.descend()?;
                    }
                    if before && after {
                        self.rows = self.rows_to_tell()?.map(Vec::into_iter);
                    }
                }
                Step::Tell { before, after } => {
                    let before = before.then(|| self.before.take()).transpose()?;
                    let after = after.then(|| self.after.take()).transpose()?;
                    return Ok(Some((before, after)));
                }
            }
        }
    }

    /// The next of the rows still to be told. The cursors stay in their leaves until all of them are.
    fn next_row(&mut self) -> Result<Option<Pair>, ManifestError> {
        let Some(rows) = &mut self.rows else {
            return Ok(None);
        };
        let row = rows.next();
        self.before.go_to_row(row.unwrap_or(usize::MAX));
        self.after.go_to_row(row.unwrap_or(usize::MAX));
        if row.is_none() {
            self.rows = None;
            return Ok(None);
        }
        Ok(Some((Some(self.before.look()?), Some(self.after.look()?))))
    }

    /// What is to be told of two leaves that were just entered, if they have the same keys: the usual case, because
    /// most changes neither add nor remove an object.
    fn rows_to_tell(&self) -> Result<Option<Vec<usize>>, ManifestError> {
        let (Some(before), Some(after)) = (self.before.fresh_leaf(), self.after.fresh_leaf())
        else {
            return Ok(None);
        };
        let find = || {
            let Some(mut rows) = before.differing_rows(after)? else {
                return Ok(None);
            };
            if self.uncertain_too && (before.may_be_uncertain() || after.may_be_uncertain()) {
                for row in 0..before.rows() {
                    if before.is_uncertain(row)? || after.is_uncertain(row)? {
                        rows.push(row);
                    }
                }
                rows.sort_unstable();
                rows.dedup();
            }
            rows.retain(|row| self.is_within(before.key(*row)));
            Ok(Some(rows))
        };
        find().map_err(|source| self.before.tree().damaged(source))
    }

    fn is_within(&self, key: &[u8]) -> bool {
        self.end.as_deref().is_none_or(|end| key < end)
    }

    /// The side that is behind moves first. Where both begin with the same key, the higher node is entered, until
    /// two nodes of one level, or two entries, face each other.
    fn decide(&self) -> Result<Step, ManifestError> {
        let before = self.before.head()?;
        let after = self.after.head()?;
        let is_within = |head: &Head<'_>| self.is_within(head.key());
        let (before, after) = match (before.filter(is_within), after.filter(is_within)) {
            (None, None) => return Ok(Step::Done),
            (Some(head), None) => return Ok(alone(&head, true)),
            (None, Some(head)) => return Ok(alone(&head, false)),
            (Some(before), Some(after)) => (before, after),
        };
        match before.key().cmp(after.key()) {
            Ordering::Less => return Ok(alone(&before, true)),
            Ordering::Greater => return Ok(alone(&after, false)),
            Ordering::Equal => {}
        }
        Ok(match (before, after) {
            (
                Head::Subtree {
                    level: a,
                    child: before,
                    ..
                },
                Head::Subtree {
                    level: b,
                    child: after,
                    ..
                },
            ) => {
                let worth_entering = self.uncertain_too && before.totals.is_uncertain();
                if before.id == after.id && !worth_entering {
                    Step::SkipBoth
                } else {
                    Step::Enter {
                        before: a >= b,
                        after: b >= a,
                    }
                }
            }
            (Head::Subtree { .. }, Head::Entry { .. }) => Step::Enter {
                before: true,
                after: false,
            },
            (Head::Entry { .. }, Head::Subtree { .. }) => Step::Enter {
                before: false,
                after: true,
            },
            (
                Head::Entry {
                    node: a,
                    row: before,
                },
                Head::Entry {
                    node: b,
                    row: after,
                },
            ) => {
                let same = a
                    .same_values(before, b, after)
                    .map_err(|source| self.before.tree().damaged(source))?;
                if same && !(self.uncertain_too && self.before.is_uncertain()?) {
                    Step::SkipBoth
                } else {
                    Step::Tell {
                        before: true,
                        after: true,
                    }
                }
            }
        })
    }
}

const fn alone(head: &Head<'_>, before: bool) -> Step {
    match head {
        Head::Subtree { .. } => Step::Enter {
            before,
            after: !before,
        },
        Head::Entry { .. } => Step::Tell {
            before,
            after: !before,
        },
    }
}

impl Iterator for Changes {
    type Item = Result<Pair, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step();
        if item.is_err() {
            self.before.stop();
            self.after.stop();
        }
        item.transpose()
    }
}

//! A place in a tree that moves forward, entering nodes only when told to.
//!
//! Invariant: what the cursor stands before is either one entry or one whole node that nobody has entered; a node
//! that is stepped over is never read.

use std::sync::Arc;

use super::node::Node;
use super::rows::Child;
use super::tree::Tree;
use super::{Entry, ManifestError, NodeError};

/// What a cursor stands before.
pub(super) enum Head<'a> {
    /// A node with everything below it. `first` is its first key, which for the root counts as empty.
    Subtree {
        first: &'a [u8],
        level: u8,
        child: Child,
    },
    /// A row of a leaf.
    Entry { node: &'a Arc<Node>, row: usize },
}

impl Head<'_> {
    /// The key of the entry, or the first key of the node.
    pub(super) fn key(&self) -> &[u8] {
        match self {
            Self::Subtree { first, .. } => first,
            Self::Entry { node, row } => node.key(*row),
        }
    }
}

/// A place in a tree.
pub(super) struct Cursor {
    tree: Tree,
    /// The root was neither entered nor stepped over yet.
    at_root: bool,
    /// The nodes that were entered, from the top, each with the row that comes next.
    path: Vec<(Arc<Node>, usize)>,
}

impl Cursor {
    /// A cursor before the whole tree.
    pub(super) const fn new(tree: Tree) -> Self {
        Self {
            tree,
            at_root: true,
            path: Vec::new(),
        }
    }

    pub(super) const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What comes next, or `None` at the end.
    pub(super) fn head(&self) -> Result<Option<Head<'_>>, ManifestError> {
        if self.at_root {
            let root = self.tree.root();
            let child = Child {
                id: root.node,
                totals: root.totals,
            };
            return Ok(Some(Head::Subtree {
                first: b"",
                level: self.tree.top(),
                child,
            }));
        }
        let Some((node, row)) = self.path.last() else {
            return Ok(None);
        };
        if node.level() == 0 {
            return Ok(Some(Head::Entry { node, row: *row }));
        }
        let child = node
            .child(*row)
            .map_err(|source| self.tree.damaged(source))?;
        Ok(Some(Head::Subtree {
            first: node.key(*row),
            level: node.level() - 1,
            child,
        }))
    }

    /// The first key after what comes next; `None` when nothing comes after it.
    pub(super) fn end(&self) -> Option<&[u8]> {
        let (node, row) = self
            .path
            .iter()
            .rev()
            .find(|(node, row)| row + 1 < node.rows())?;
        Some(node.key(row + 1))
    }

    /// Steps over what comes next.
    pub(super) fn advance(&mut self) {
        if self.at_root {
            self.at_root = false;
            return;
        }
        if let Some((_, row)) = self.path.last_mut() {
            *row += 1;
        }
        self.leave_finished();
    }

    /// Enters the node that comes next. Before an entry it does nothing.
    pub(super) fn descend(&mut self) -> Result<(), ManifestError> {
        let Some(Head::Subtree {
            first,
            level,
            child,
        }) = self.head()?
        else {
            return Ok(());
        };
        let node = self.tree.node(&child.id, level, first)?;
        if let Some(end) = self.end()
            && node.rows() > 0
            && node.key(node.rows() - 1) >= end
        {
            let source = NodeError::Malformed("its last key lies beyond its end");
            return Err(ManifestError::BadNode {
                id: child.id,
                source,
            });
        }
        self.at_root = false;
        self.path.push((node, 0));
        self.leave_finished();
        Ok(())
    }

    /// Goes to the first entry whose key is not below `key`, from wherever the cursor is.
    pub(super) fn seek(&mut self, key: &[u8]) -> Result<(), ManifestError> {
        self.path.clear();
        self.at_root = true;
        loop {
            self.descend()?;
            let Some((node, row)) = self.path.last_mut() else {
                return Ok(());
            };
            *row = node.seek(key);
            if node.level() == 0 {
                break;
            }
            // The child before the first one that begins after `key` may hold it.
            if *row == node.rows() || node.key(*row) > key {
                *row = row.saturating_sub(1);
            }
        }
        self.leave_finished();
        while let Some(Head::Subtree { .. }) = self.head()? {
            self.descend()?;
        }
        Ok(())
    }

    /// The leaf that the cursor is in, if it has not gone beyond its first row yet.
    pub(super) fn fresh_leaf(&self) -> Option<&Arc<Node>> {
        match self.path.last() {
            Some((node, 0)) if node.level() == 0 => Some(node),
            _ => None,
        }
    }

    /// Goes to a row of the node that the cursor is in; one beyond its last leaves the node.
    pub(super) fn go_to_row(&mut self, to: usize) {
        if let Some((_, row)) = self.path.last_mut() {
            *row = to;
        }
        self.leave_finished();
    }

    /// Goes to the end.
    pub(super) fn stop(&mut self) {
        self.at_root = false;
        self.path.clear();
    }

    /// The entry that comes next.
    pub(super) fn look(&self) -> Result<Entry, ManifestError> {
        let entry = match self.path.last() {
            Some((node, row)) if node.level() == 0 => node.entry(*row),
            _ => Err(NodeError::Malformed("there is no entry")),
        };
        entry.map_err(|source| self.tree.damaged(source))
    }

    /// The entry that comes next, which is stepped over.
    pub(super) fn take(&mut self) -> Result<Entry, ManifestError> {
        let entry = self.look()?;
        self.advance();
        Ok(entry)
    }

    /// Whether the entry that comes next has a gap or was taken over.
    pub(super) fn is_uncertain(&self) -> Result<bool, ManifestError> {
        match self.path.last() {
            Some((node, row)) if node.level() == 0 => node
                .is_uncertain(*row)
                .map_err(|source| self.tree.damaged(source)),
            _ => Ok(false),
        }
    }

    fn leave_finished(&mut self) {
        while let Some((node, row)) = self.path.last()
            && *row >= node.rows()
        {
            self.path.pop();
            if let Some((_, row)) = self.path.last_mut() {
                *row += 1;
            }
        }
    }
}

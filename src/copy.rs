//! Snapshots of one store that become snapshots of another, under the same ids.
//!
//! Invariant: heads, nodes and blobs are copied byte for byte, and a head comes last. So a copy that ends early leaves
//! whole snapshots, and blobs that the next copy finds there.

use std::collections::{HashMap, HashSet};

use thiserror::Error;

use crate::manifest::{self, ManifestError, Marked, Snapshot, Tree, mark, require_key};
use crate::report::{Event, Reporter};
use crate::store::{BlobId, BlobKind, HeadName, Store, StoreError, Writer, Written};

/// What was copied.
#[derive(Debug, Default)]
pub struct CopyReport {
    /// Snapshots that the other store has now, or would get.
    pub copied: Vec<HeadName>,
    /// Snapshots that it had already.
    pub present: Vec<HeadName>,
    /// Snapshots that cannot be copied because something of them cannot be read.
    pub failed: Vec<Failed>,
    /// What was added to the other store.
    pub written: Written,
}

/// A snapshot that cannot be copied.
#[derive(Debug)]
pub struct Failed {
    /// The snapshot.
    pub name: HeadName,
    /// What of it cannot be read.
    pub error: ManifestError,
}

/// Why no more was copied. What was copied before is whole.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The snapshots of the other store cannot be listed.
    #[error("failed to list the snapshots of the store to copy to")]
    List(#[source] StoreError),
    /// The other store does not take something.
    #[error("failed to write snapshot {:.8} to the store to copy to", name.id)]
    Write {
        /// The snapshot.
        name: HeadName,
        /// Why it could not be written.
        source: StoreError,
    },
    /// Somebody stopped it.
    #[error("interrupted; the snapshots that were copied are whole, and the next copy goes on")]
    Interrupted,
}

/// Why one snapshot was not copied.
enum Stop {
    Read(ManifestError),
    Write(StoreError),
    Interrupted,
}

/// Which of these snapshots a copy would make.
pub fn plan(to: Option<&Store>, heads: &[HeadName]) -> Result<CopyReport, CopyError> {
    let there = match to {
        Some(to) => to.heads().map_err(CopyError::List)?,
        None => Vec::new(),
    };
    let (present, copied) = heads.iter().partition(|head| there.contains(head));
    Ok(CopyReport {
        copied,
        present,
        ..CopyReport::default()
    })
}

/// Copies snapshots that `to` does not have. They should come oldest first: what changed since the snapshot before is
/// then stored as the difference to it.
pub fn run(
    from: &Store,
    to: &Store,
    heads: &[HeadName],
    stop: &dyn Fn() -> bool,
    reporter: &dyn Reporter,
) -> Result<CopyReport, CopyError> {
    let mut report = plan(Some(to), heads)?;
    let wanted = std::mem::take(&mut report.copied);
    let name = "copying snapshots";
    reporter.report(Event::PhaseStarted { name });
    let more = wanted.len() as u64;
    reporter.report(Event::Expected { more });
    let mut copy = Copy {
        from,
        to,
        stop,
        known: Known::default(),
    };
    for name in wanted {
        let mut copied = copy.snapshot(&name);
        if let Err(Stop::Write(StoreError::ParentForgotten(_))) = copied {
            // Somebody forgets snapshots there meanwhile: this one does without the others.
            copy.known = Known::default();
            copied = copy.snapshot(&name);
        }
        let mut bytes = 0;
        match copied {
            Ok(written) => {
                bytes = written.raw_bytes;
                report.written.blobs += written.blobs;
                report.written.raw_bytes += written.raw_bytes;
                report.written.stored_bytes += written.stored_bytes;
                report.copied.push(name);
            }
            Err(Stop::Read(_)) if from.has_head(&name).is_ok_and(|is_there| !is_there) => {
                reporter.report(Event::Warning(&format!(
                    "snapshot {:.8} was forgotten before it was copied",
                    name.id
                )));
            }
            Err(Stop::Read(error)) => report.failed.push(Failed { name, error }),
            Err(Stop::Write(source)) => return Err(CopyError::Write { name, source }),
            Err(Stop::Interrupted) => return Err(CopyError::Interrupted),
        }
        reporter.report(Event::Done { count: 1, bytes });
    }
    reporter.report(Event::PhaseFinished);
    Ok(report)
}

/// What some snapshots of the other store hold.
#[derive(Default)]
struct Known {
    heads: Vec<HeadName>,
    /// Their nodes, with everything below them.
    nodes: HashSet<BlobId>,
    /// The last version of everything, to store the next one against.
    versions: HashMap<u64, BlobId>,
}

struct Copy<'a> {
    from: &'a Store,
    to: &'a Store,
    stop: &'a dyn Fn() -> bool,
    known: Known,
}

impl Copy<'_> {
    fn snapshot(&mut self, name: &HeadName) -> Result<Written, Stop> {
        // Parsed only to find the way: what is written is what was read.
        let head = self.from.read_head(name).map_err(|source| {
            let name = *name;
            Stop::Read(ManifestError::ReadHead { name, source })
        })?;
        let snapshot = Snapshot::parse(&head).map_err(Stop::Read)?;
        let tree = Tree::open(self.from, &snapshot.root).map_err(Stop::Read)?;
        require_key(&tree, self.to).map_err(Stop::Read)?;
        self.learn(&snapshot)?;
        let writer = self.to.writer().map_err(Stop::Write)?;
        for &known in &self.known.heads {
            writer.rely_on(known);
        }
        let mut nodes = HashSet::new();
        let mut result = Ok(());
        let walked = mark(&tree, &mut |marked| {
            if result.is_err() || self.known.nodes.contains(&marked.blob) {
                return false;
            }
            if marked.is_node && !nodes.insert(marked.blob) {
                return false;
            }
            result = self.blob(&writer, &marked);
            result.is_ok()
        });
        result?;
        walked.map_err(Stop::Read)?;
        // A commit takes the writer away, and what it has written with it.
        writer.flush().map_err(Stop::Write)?;
        let blobs = writer.written();
        writer.commit(&head, name.time).map_err(Stop::Write)?;
        self.known.heads.push(*name);
        self.known.nodes.extend(nodes);
        Ok(Written {
            stored_bytes: blobs.stored_bytes + head.len() as u64,
            ..blobs
        })
    }

    /// Copies one blob, unless it is there.
    fn blob(&mut self, writer: &Writer, marked: &Marked) -> Result<(), Stop> {
        if (self.stop)() {
            return Err(Stop::Interrupted);
        }
        let id = marked.blob;
        let base = self.known.versions.insert(marked.group, id);
        if writer.reuse(&id).map_err(Stop::Write)? {
            return Ok(());
        }
        let bytes = self.from.read(&id);
        let (kind, bytes) = match marked.is_node {
            true => (
                BlobKind::Node,
                bytes.map_err(|source| ManifestError::ReadNode { id, source }),
            ),
            false => (
                BlobKind::Data,
                bytes.map_err(|source| ManifestError::ReadPayload { id, source }),
            ),
        };
        let bytes = bytes.map_err(Stop::Read)?;
        if kind.id_of(&bytes) != id {
            let what = "it is of another kind than the manifest says";
            return Err(Stop::Read(ManifestError::BadPayload { id, what }));
        }
        let put = writer.put(kind, &bytes, base.as_ref());
        put.map(drop).map_err(Stop::Write)
    }

    /// Makes the snapshot's parent known, if the other store has it.
    fn learn(&mut self, snapshot: &Snapshot) -> Result<(), Stop> {
        let Some(parent) = snapshot.parent else {
            return Ok(());
        };
        if self.known.heads.iter().any(|known| known.id == parent) {
            return Ok(());
        }
        let heads = self.to.heads().map_err(Stop::Write)?;
        let Some(name) = heads.into_iter().find(|name| name.id == parent) else {
            return Ok(());
        };
        let mut nodes = HashSet::new();
        let read = manifest::read(self.to, &name).and_then(|head| {
            let tree = Tree::open(self.to, &head.root)?;
            mark(&tree, &mut |marked| {
                let below_known = self.known.nodes.contains(&marked.blob);
                if below_known || (marked.is_node && !nodes.insert(marked.blob)) {
                    return false;
                }
                self.known.versions.insert(marked.group, marked.blob);
                true
            })
        });
        // A parent that cannot be read there helps nobody: everything is looked at by itself then.
        if read.is_ok() {
            self.known.heads.push(name);
            self.known.nodes.extend(nodes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

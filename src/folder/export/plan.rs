//! What becomes of every entry of a snapshot.
//!
//! Invariant: an entry ends as a job, as a gap that is told, or was not asked for; so does what the manifest lost.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use serde_json::{Value, json};

use super::names::{Names, Rules};
use super::work::{Done, Job, What, Work};
use super::{Damage, ExportOptions, naming};
use crate::folder::{chain, notebook};
use crate::manifest::{Entry, ManifestError, Payload, Selection, Surveyed, Tree, survey};
use crate::resource::{self, Node, ObjectKey};

/// So much is read at a time.
const BATCH_BYTES: u64 = 1 << 20;
const BATCH_JOBS: usize = 256;

/// The jobs of a batch, as soon as they are done.
pub(super) type Ticket = Receiver<Vec<Done>>;

/// Decides what becomes of every entry, in the order of the manifest.
pub(super) struct Planner<'a> {
    pub(super) names: Names,
    options: &'a ExportOptions,
    selection: Selection,
    /// Gaps of the snapshot, as they are told.
    pub(super) gaps: Vec<Value>,
    /// Parts of the manifest that cannot be read.
    pub(super) lost: Vec<Damage>,
    jobs: Vec<Job>,
    bytes: u64,
    /// The last body of a notebook, and the extension that follows from it.
    extension: (Bytes, Option<&'static str>),
}

impl<'a> Planner<'a> {
    pub(super) fn new(options: &'a ExportOptions) -> Self {
        Self {
            names: Names::new(Rules::new(options.portable), "workspace"),
            options,
            selection: Selection {
                include: options.paths.clone(),
                ..Selection::all()
            },
            gaps: Vec::new(),
            lost: Vec::new(),
            jobs: Vec::new(),
            bytes: 0,
            extension: (Bytes::new(), None),
        }
    }

    /// Hands out all jobs, unless nobody takes them any more.
    pub(super) fn run(
        mut self,
        tree: &Tree,
        (work, tickets): (&SyncSender<Work>, &SyncSender<Ticket>),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Self {
        let goes_on = Cell::new(true);
        let send = |jobs: Vec<Job>| {
            let (done, ticket) = sync_channel(1);
            let sent = work.send(Work { jobs, done }).is_ok() && tickets.send(ticket).is_ok();
            goes_on.set(sent && !stop());
        };
        survey(tree, &mut |_| goes_on.get(), &mut |found| {
            if !goes_on.get() {
                return;
            }
            match found {
                Surveyed::Entry(entry) => self.entry(*entry, tree),
                Surveyed::Lost { first, error, .. } => self.lost(first.map(|key| *key), &error),
            }
            if self.bytes >= BATCH_BYTES || self.jobs.len() >= BATCH_JOBS {
                self.bytes = 0;
                send(std::mem::take(&mut self.jobs));
            }
        });
        if goes_on.get() {
            send(std::mem::take(&mut self.jobs));
        }
        self
    }

    fn entry(&mut self, entry: Entry, tree: &Tree) {
        let kind = resource::kind(entry.key.kind.as_str());
        let node = kind.and_then(|kind| kind.node());
        let is_wanted =
            self.options.paths.is_empty() || (node.is_some() && self.selection.covers(&entry.key));
        if !is_wanted {
            return;
        }
        if let Some(gap) = &entry.gap {
            let mut told = naming(&entry.key);
            told["extent"] = json!(gap.extent);
            told["reason"] = json!(gap.reason);
            told["carried_over"] = json!(entry.carried_over);
            self.gaps.push(told);
        }
        if entry.key.is_whole_kind() {
            return;
        }
        // Values that must not be seen do not go into plain files.
        let has_secrets = kind.is_some_and(|kind| kind.secrets().is_some());
        if has_secrets && entry.content.is_some() {
            let mut told = naming(&entry.key);
            told["extent"] = json!("content");
            told["reason"] = json!("secret values are not written into plain files");
            self.gaps.push(told);
        }
        let is_logged = kind.is_some_and(|kind| kind.restore.logged().is_some());
        if let Some(history) = entry.content.clone().filter(|_| is_logged) {
            self.bytes += history.len();
            self.jobs.push(Job {
                key: entry.key.clone(),
                place: Some(self.names.object("histories", &entry.key)),
                what: What::Content(history),
                permissions: None,
                modified_at: None,
            });
        }
        let content = entry.content.filter(|_| !has_secrets && !is_logged);
        let (what, place) = match (content, &entry.body, node) {
            (Some(content), body, _) => {
                let extension = match (node, body) {
                    (Some(Node::Notebook), Some(body)) => self.extension(body, tree),
                    _ => None,
                };
                let extension = extension.map_or_else(String::new, |of| format!(".{of}"));
                let place = self.names.file(&entry.key, &extension);
                (What::Content(content), Some(place))
            }
            (None, _, Some(Node::Directory)) => {
                let place = self.names.folder(&entry.key.name);
                (What::Directory, Some(place))
            }
            // The language alone, of a notebook whose content is a gap, says nothing that the gap does not.
            (None, _, Some(Node::Notebook | Node::File)) | (None, None, _) => (What::Nothing, None),
            (None, Some(body), _) => {
                let place = self.names.object("objects", &entry.key);
                (What::Body(body.clone()), Some(place))
            }
        };
        self.bytes += match &what {
            What::Content(payload) => payload.len(),
            _ => 0,
        };
        self.jobs.push(Job {
            key: entry.key,
            place,
            what,
            permissions: entry.permissions,
            modified_at: entry.modified_at,
        });
    }

    fn extension(&mut self, body: &Payload, tree: &Tree) -> Option<&'static str> {
        let bytes = body.read(tree.store()).ok()?;
        if self.extension.0 != bytes {
            let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            self.extension = (bytes, notebook::extension_of(&body));
        }
        self.extension.1
    }

    fn lost(&mut self, first: Option<ObjectKey>, error: &ManifestError) {
        let unknown = || ObjectKey::new(resource::KindName::read("manifest"), "");
        self.lost.push(Damage {
            key: first.unwrap_or_else(unknown),
            part: "entries from here on",
            reason: chain(error),
        });
    }
}

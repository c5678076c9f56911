//! The walk through the folders.
//!
//! Folders wait on a stack, so that a few of them are open at a time however wide the tree is; a folder closes when all
//! below it has closed.
//!
//! Invariant: every folder is told after its listing, so what could not be listed is told with it.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::pin::pin;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::mpsc;

use super::found::{Found, listed, mark_ambiguous};
use super::groups::{Group, Open};
use super::work::{Work, Workshop};
use crate::api::ApiError;
use crate::export::permissions::may_be_gone;
use crate::export::run::{Run, reason};
use crate::manifest::{Extent, Gap};
use crate::resource::{KindName, Node, ObjectKey, identify};

/// Folders that are listed at the same time.
const AT_ONCE: usize = 32;

/// A walk under way.
pub(super) struct Walk<'a> {
    run: &'a Run<'a>,
    workshop: &'a Workshop<'a>,
    work: mpsc::Sender<Work>,
    stack: Vec<Visit>,
    open: HashMap<usize, OpenFolder>,
    next: usize,
}

/// A folder, or a Git folder, to be looked at; `parent` is the number of the open folder it lies in.
struct Visit {
    found: Found,
    parent: Option<usize>,
}

/// What a look brought.
struct Looked {
    visit: Visit,
    answer: Result<Value, ApiError>,
    is_gone: bool,
}

struct OpenFolder {
    groups: Open,
    parent: Option<usize>,
    waiting: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        run: &'a Run<'a>,
        workshop: &'a Workshop<'a>,
        work: mpsc::Sender<Work>,
    ) -> Self {
        Self {
            run,
            workshop,
            work,
            stack: Vec::new(),
            open: HashMap::new(),
            next: 0,
        }
    }

    /// Walks from the root to the last folder.
    pub(super) async fn run(mut self) {
        let (run, workshop) = (self.run, self.workshop);
        let mut looks = FuturesUnordered::new();
        self.stack.push(Visit {
            found: Found::root(),
            parent: None,
        });
        let mut ready = VecDeque::new();
        loop {
            while looks.len() + ready.len() < AT_ONCE
                && let Some(visit) = self.stack.pop()
            {
                looks.push(look(run, workshop, visit));
            }
            let looked = match ready.pop_front() {
                Some(looked) => looked,
                None => match looks.next().await {
                    Some(looked) => looked,
                    None => return,
                },
            };
            // Taking may wait for work to be done, and that work for requests whose turn the looks hold: a look that
            // nobody drives would hold it for ever.
            let mut taking = pin!(self.take(looked));
            while let Either::Right((looked, _)) = select(taking.as_mut(), looks.next()).await {
                match looked {
                    Some(looked) => ready.push_back(looked),
                    None => {
                        taking.await;
                        break;
                    }
                }
            }
        }
    }

    async fn take(&mut self, looked: Looked) {
        let Looked {
            visit,
            answer,
            is_gone,
        } = looked;
        let Visit { found, parent } = visit;
        if is_gone {
            if self.run.selection.covers(&found.key) {
                self.run.gone(&found.key);
            }
            return self.closed(parent, Group::new(found.path())).await;
        }
        match (found.node, answer) {
            (Node::GitFolder, answer) => self.git_folder(found, parent, answer).await,
            (_, answer) => match answer.map_err(|error| reason(&error)).and_then(listed) {
                Ok(items) => self.folder(found, parent, items).await,
                Err(reason) => self.unlisted(found, parent, reason).await,
            },
        }
    }

    /// A folder that could not be listed, or not trustworthily.
    async fn unlisted(&mut self, mut found: Found, parent: Option<usize>, reason: String) {
        let mut group = Group::new(found.path());
        group.seal();
        found.gap = Some(Gap::new(Extent::Subtree, reason));
        self.tell(found).await;
        self.closed(parent, group).await;
    }

    async fn git_folder(
        &mut self,
        mut found: Found,
        parent: Option<usize>,
        answer: Result<Value, ApiError>,
    ) {
        match answer.map_err(|error| reason(&error)) {
            // A folder in /Repos without a remote is a folder.
            Ok(answer) if answer["url"].as_str().is_none_or(str::is_empty) => {
                found.make_directory();
                self.run
                    .expect(usize::from(self.run.selection.covers(&found.key)));
                return self.stack.push(Visit { found, parent });
            }
            Ok(mut answer) => {
                // The answer may spell the path with the alias of the root.
                answer["path"] = Value::from(found.path());
                match identify(found.kind, &answer) {
                    Ok(identified) => found.body = identified.body,
                    Err(error) => found.gap = Some(Gap::new(Extent::Object, reason(&error))),
                }
            }
            Err(reason) => found.gap = Some(Gap::new(Extent::Object, reason)),
        }
        let mut group = Group::new(found.path());
        // What it holds is unknown, and would be in an archive of the folders above.
        group.seal();
        self.tell(found).await;
        self.closed(parent, group).await;
    }

    async fn folder(&mut self, mut folder: Found, parent: Option<usize>, items: Vec<Value>) {
        let mut children = Vec::new();
        for item in &items {
            match Found::read(item) {
                // Asked for a file, the service lists the file: the folder has become one meanwhile.
                Ok(child) if child.path() == folder.path() && child.node != Node::Directory => {
                    self.run.gone(&folder.key);
                    self.run.expect(1);
                    self.tell(child).await;
                    return self.closed(parent, Group::new(folder.path())).await;
                }
                // A list of their own tells these, or says why it cannot.
                Ok(child) if child.node == Node::Experiment => {}
                Ok(child) => children.push(child),
                Err(reason) => folder.gap = Some(Gap::new(Extent::Subtree, reason)),
            }
        }
        drop(items);
        mark_ambiguous(&mut children);
        let mut own = Group::new(folder.path());
        if folder.gap.is_some() {
            own.seal();
        }
        self.tell(folder).await;
        let number = self.next;
        self.next += 1;
        let mut visits = Vec::new();
        for child in children {
            if let Some(found) = self.child(child, &mut own).await {
                visits.push(Visit {
                    found,
                    parent: Some(number),
                });
            }
        }
        let waiting = visits.len();
        // The last on the stack is looked at first: in the order of the listing, as a manifest is.
        self.stack.extend(visits.into_iter().rev());
        let open = OpenFolder {
            groups: Open::new(own),
            parent,
            waiting,
        };
        self.open.insert(number, open);
        if waiting == 0 {
            self.close(number).await;
        }
    }

    /// Sends a child to where it belongs; returns it when it is to be looked at.
    async fn child(&mut self, mut child: Found, own: &mut Group) -> Option<Found> {
        let is_selected = self.run.selection.covers(&child.key);
        self.run.expect(usize::from(is_selected));
        match child.node {
            Node::Directory | Node::GitFolder => {
                let enters = self.run.selection.enters(child.path());
                let is_wanted = match child.node {
                    Node::Directory => enters,
                    _ => is_selected,
                };
                if !is_wanted {
                    // Nobody has looked how large it is.
                    own.seal();
                }
                is_wanted.then_some(child)
            }
            Node::Opaque | Node::Experiment => {
                if is_selected {
                    self.tell(child).await;
                }
                None
            }
            Node::Notebook | Node::File | Node::Dashboard => {
                if is_selected {
                    child.look_up(self.run.known);
                }
                let len = self.workshop.estimate(&child);
                if is_selected && !child.knowledge.is_unchanged && !child.is_ambiguous {
                    own.push(child, len);
                    return None;
                }
                own.count(len);
                if is_selected {
                    self.tell(child).await;
                }
                None
            }
        }
    }

    /// Something below an open folder is done.
    async fn closed(&mut self, mut parent: Option<usize>, mut group: Group) {
        while let Some(number) = parent {
            let Some(folder) = self.open.get_mut(&number) else {
                return;
            };
            let now = folder.groups.add(group, self.workshop.archive_limit());
            folder.waiting -= 1;
            let is_done = folder.waiting == 0;
            parent = folder.parent;
            self.dispatch(now).await;
            if !is_done {
                return;
            }
            let Some(folder) = self.open.remove(&number) else {
                return;
            };
            let (up, now) = folder.groups.close(self.workshop.archive_limit());
            self.dispatch(now).await;
            group = up;
        }
        self.dispatch(vec![group]).await;
    }

    /// A folder without anything to wait for.
    async fn close(&mut self, number: usize) {
        if let Some(folder) = self.open.remove(&number) {
            let (up, now) = folder.groups.close(self.workshop.archive_limit());
            self.dispatch(now).await;
            self.closed(folder.parent, up).await;
        }
    }

    async fn dispatch(&mut self, groups: Vec<Group>) {
        for mut group in groups {
            if group.is_worth_an_archive() && self.workshop.takes_archives() {
                self.send(Work::Archive(group)).await;
            } else {
                for (found, _) in mem::take(&mut group.pending) {
                    self.send(Work::Object(Box::new(found))).await;
                }
            }
        }
    }

    async fn tell(&mut self, found: Found) {
        // What lies below a folder that could not be listed is unknown, whether folders are selected or not.
        if self.run.selection.covers(&found.key) || found.gap.is_some() {
            self.send(Work::Object(Box::new(found))).await;
        }
    }

    async fn send(&self, work: Work) {
        // The other end takes everything; it ends only with the export.
        let _ = self.work.send(work).await;
    }
}

/// Lists a folder, or asks what a Git folder is.
async fn look(run: &Run<'_>, workshop: &Workshop<'_>, visit: Visit) -> Looked {
    let answer = match visit.found.node {
        Node::GitFolder => {
            let path = format!("/api/2.0/repos/{}", visit.found.object_id);
            run.get(&path, &[]).await
        }
        _ => workshop.list(visit.found.path()).await,
    };
    let in_doubt = matches!(&answer, Err(error) if may_be_gone(error));
    let is_root = visit.parent.is_none();
    let is_gone = in_doubt && !is_root && !workshop.is_still_listed(&visit.found).await;
    Looked {
        visit,
        answer,
        is_gone,
    }
}

impl Found {
    /// Takes a Git folder for the plain folder that it is.
    fn make_directory(&mut self) {
        let plain = Found::root();
        self.kind = plain.kind;
        self.node = plain.node;
        self.key = ObjectKey::new(KindName::known(plain.kind.name), self.path());
    }
}

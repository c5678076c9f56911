//! From listed nodes to items: contents and permissions.
//!
//! Invariant: an object is sent on once, with its content or with the reason why there is none, unless a second look at its
//! folder shows that it is gone.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream;
use serde_json::Value;
use tokio::sync::{OnceCell, mpsc};

use super::archive::{Archives, Outcome};
use super::found::Found;
use super::groups::Group;
use super::library;
use super::single::{self, Content, Failure};
use crate::api::ApiError;
use crate::export::item::{Captured, Memory, Part};
use crate::export::permissions::{self, Answer};
use crate::export::run::{self, Run, reason};
use crate::manifest::{Extent, Gap};
use crate::resource::Node;

/// Objects and groups in work at the same time; how many requests are really sent, the client decides.
const AT_ONCE: usize = 96;

/// Objects of one group in work at the same time.
const AT_ONCE_IN_GROUP: usize = 16;

/// The length of a notebook nobody has seen yet, until some were seen.
const FIRST_GUESS: u64 = 12 << 10;

/// Something to be done.
pub(super) enum Work {
    /// An object that is told as it is, or read on its own.
    Object(Box<Found>),
    /// Objects that are read as one archive.
    Archive(Group),
}

/// Does the work.
pub(super) struct Workshop<'a> {
    run: &'a Run<'a>,
    archives: Archives,
    /// Number and length of the notebooks seen.
    seen: [AtomicU64; 2],
    /// What second looks at folders showed.
    relisted: Mutex<HashMap<String, Arc<OnceCell<Relisted>>>>,
}

/// Ids of the nodes that a second look at a folder showed; `None` when it failed.
type Relisted = Option<HashSet<String>>;

impl<'a> Workshop<'a> {
    pub(super) fn new(run: &'a Run<'a>) -> Self {
        Self {
            run,
            archives: Archives::new(),
            seen: Default::default(),
            relisted: Mutex::default(),
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(&self, queue: mpsc::Receiver<Work>) {
        let work = run::stream(queue);
        work.for_each_concurrent(AT_ONCE, |work| async move {
            match work {
                Work::Object(found) => self.object(*found).await,
                Work::Archive(group) => self.archive(group).await,
            }
        })
        .await;
    }

    /// How long the content of a node may be.
    pub(super) fn estimate(&self, found: &Found) -> u64 {
        let [count, len] = &self.seen;
        let (count, len) = (count.load(Ordering::Relaxed), len.load(Ordering::Relaxed));
        let average = (len + 4 * FIRST_GUESS) / (count + 4);
        found
            .size
            .or(found.knowledge.content_len)
            .unwrap_or(average)
    }

    /// Whether archives are worth asking for.
    pub(super) fn takes_archives(&self) -> bool {
        self.archives.are_used()
    }

    /// The estimated size up to which folders are asked for as a whole.
    pub(super) fn archive_limit(&self) -> u64 {
        self.archives.limit()
    }

    /// Lists a folder.
    pub(super) async fn list(&self, path: &str) -> Result<Value, ApiError> {
        self.run
            .get("/api/2.0/workspace/list", &[("path", path)])
            .await
    }

    /// Whether a second look at the folder of a node still shows it. To callers without rights the service says that an
    /// object does not exist; the listing of its folder knows better. A look that fails says nothing against the node.
    pub(super) async fn is_still_listed(&self, found: &Found) -> bool {
        let folder = match found.path().rsplit_once('/') {
            None | Some(("", _)) => "/",
            Some((folder, _)) => folder,
        };
        let cell = {
            let mut relisted = self.relisted.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(relisted.entry(folder.to_owned()).or_default())
        };
        let look = || async {
            let answer = self.list(folder).await.ok()?;
            let items = answer["objects"].as_array().into_iter().flatten();
            Some(items.map(|item| item["object_id"].to_string()).collect())
        };
        let ids = cell.get_or_init(look).await;
        ids.as_ref()
            .is_none_or(|ids: &HashSet<String>| ids.contains(&found.object_id))
    }

    async fn object(&self, mut found: Found) {
        let needs_content = found.has_content() && !found.knowledge.is_unchanged;
        let asked = permissions::read(self.run, found.kind, &found.object_id);
        if !needs_content {
            let answer = asked.await;
            let (content, memory) = match library::read(self.run, &mut found).await {
                Some((content, memory)) => (Some(content), memory),
                None => (None, None),
            };
            return self.tell(found, content, answer, memory).await;
        }
        let memory = self.run.memory(self.estimate(&found)).await;
        let (content, answer) = join(single::export(self.run, &found), asked).await;
        self.tell(found, Some(content), answer, Some(memory)).await;
    }

    async fn archive(&self, group: Group) {
        let mut left = vec![group];
        while let Some(group) = left.pop() {
            if !group.is_worth_an_archive() || !self.archives.are_used() {
                self.each(group.pending.into_iter().map(|(found, _)| found))
                    .await;
                continue;
            }
            // The packed and the unpacked form.
            let memory = self.run.memory(2 * group.total()).await;
            match self.archives.fetch(self.run, &group).await {
                Outcome::Contents(contents) => self.tell_all(group, contents, memory).await,
                Outcome::TooLarge => {
                    drop(memory);
                    let (direct, parts) = group.split();
                    self.each(direct.into_iter()).await;
                    left.extend(parts);
                }
                Outcome::None => {
                    drop(memory);
                    self.each(group.pending.into_iter().map(|(found, _)| found))
                        .await;
                }
            }
        }
    }

    /// Reads objects one by one.
    async fn each(&self, objects: impl Iterator<Item = Found>) {
        let objects = stream::iter(objects);
        objects
            .for_each_concurrent(AT_ONCE_IN_GROUP, |found| self.object(found))
            .await;
    }

    /// Sends on what an archive held, then reads the rest one by one.
    async fn tell_all(&self, group: Group, contents: Vec<Option<Content>>, memory: Memory) {
        let mut rest = Vec::new();
        let mut read = Vec::new();
        for ((found, _), content) in group.pending.into_iter().zip(contents) {
            match content {
                Some(content) => read.push((found, content)),
                None => rest.push(found),
            }
        }
        let share = &memory;
        stream::iter(read)
            .for_each_concurrent(AT_ONCE_IN_GROUP, |(found, content)| async move {
                let answer = permissions::read(self.run, found.kind, &found.object_id).await;
                self.tell(found, Some(Ok(content)), answer, Some(share.clone()))
                    .await;
            })
            .await;
        // What follows needs memory itself; nobody may wait for some with some in hand.
        drop(memory);
        self.each(rest.into_iter()).await;
    }

    /// Puts together what was read of an object and sends it on.
    async fn tell(
        &self,
        found: Found,
        content: Option<Result<Content, Failure>>,
        answer: Answer,
        memory: Option<Memory>,
    ) {
        let in_doubt = matches!(content, Some(Err(Failure::Missing(_))))
            || matches!(answer, Answer::Missing(_));
        if in_doubt && found.path() != "/" && !self.is_still_listed(&found).await {
            return self.run.gone(&found.key);
        }
        let mut object = Captured::new(found.key.clone(), Some(found.object_id.clone()));
        object.modified_at = found.modified_at;
        object.size = found.size;
        object.memory = memory;
        self.fill(&mut object, found, content);
        object.permissions = match answer {
            Answer::Known(part) => part,
            Answer::Missing(error) => unread(&mut object, Extent::Permissions, reason(&error)),
            Answer::Failed(reason) => unread(&mut object, Extent::Permissions, reason),
        };
        self.run.send(object).await;
    }

    /// Body and content.
    fn fill(&self, object: &mut Captured, found: Found, content: Option<Result<Content, Failure>>) {
        let mut body = found.body;
        let unknown_body = matches!(&found.gap, Some(gap) if gap.extent == Extent::Object);
        if let Some(gap) = found.gap {
            object.add_gap(gap);
        }
        object.content = match content {
            // Its body was asked for, and tells that its file is as it was.
            None if found.knowledge.is_unchanged && found.node == Node::Opaque => Part::Known,
            None if found.knowledge.is_unchanged => {
                object.body = Part::Known;
                object.content = Part::Known;
                return;
            }
            None if found.node == Node::Opaque => {
                let what = body["object_type"].as_str().unwrap_or("this type");
                let reason = format!("the API gives no content for objects of type {what}");
                unread(object, Extent::Content, reason)
            }
            None => Part::Absent,
            Some(Ok(content)) => {
                if let Some(format) = content.format {
                    body["format"] = Value::from(format);
                    self.seen[0].fetch_add(1, Ordering::Relaxed);
                    self.seen[1].fetch_add(content.bytes.len() as u64, Ordering::Relaxed);
                }
                Part::Read(content.bytes)
            }
            Some(Err(Failure::Missing(error))) => unread(object, Extent::Content, reason(&error)),
            Some(Err(Failure::Failed(reason))) => unread(object, Extent::Content, reason),
        };
        object.body = if unknown_body {
            Part::Unread
        } else {
            Part::Read(body)
        };
    }
}

fn unread<T>(object: &mut Captured, extent: Extent, reason: String) -> Part<T> {
    object.add_gap(Gap::new(extent, reason));
    Part::Unread
}

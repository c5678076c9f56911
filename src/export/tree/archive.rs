//! Whole folders as archives.
//!
//! Invariant: archives are used as long as they hold what single exports would give; that is tried out once per run.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::found::Found;
use super::groups::Group;
use super::members::{assign, unpack};
use super::single::{self, Content};
use crate::api::{ApiError, ErrorKind};
use crate::export::run::{Run, reason};
use crate::report::Event;

/// Folders of this estimated size make one archive. The service's limit is 10 MB for the answer; nobody says whether
/// before or after packing.
const FIRST_LIMIT: u64 = 6 << 20;
const SMALLEST_LIMIT: u64 = 256 << 10;

/// Text shrinks to a tenth at best, and an answer has at most 10 MB.
const LONGEST_UNPACKED: u64 = 96 << 20;

/// After so many archives that were good for nothing, and none that was good, no more are asked for.
const MOST_USELESS: u32 = 2;

/// What a run has learnt about archives.
pub(super) struct Archives {
    limit: AtomicU64,
    useless: AtomicU32,
    any_good: AtomicBool,
    off: AtomicBool,
    tried_out: OnceCell<bool>,
}

/// What came of asking for an archive.
pub(super) enum Outcome {
    /// The contents of the group's objects, `None` for those that have to be read one by one.
    Contents(Vec<Option<Content>>),
    /// It is too large for one answer.
    TooLarge,
    /// There is none.
    None,
}

impl Archives {
    pub(super) fn new() -> Self {
        Self {
            limit: AtomicU64::new(FIRST_LIMIT),
            useless: AtomicU32::new(0),
            any_good: AtomicBool::new(false),
            off: AtomicBool::new(false),
            tried_out: OnceCell::new(),
        }
    }

    /// Whether archives are worth asking for.
    pub(super) fn are_used(&self) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    /// The estimated size up to which folders are asked for as a whole.
    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Asks for a group as one archive.
    pub(super) async fn fetch(&self, run: &Run<'_>, group: &Group) -> Outcome {
        let query = [("path", group.root.as_str()), ("format", "AUTO")];
        let answer = match run.get("/api/2.0/workspace/export", &query).await {
            Ok(answer) => answer,
            Err(error) => return self.refused(run, group, &error),
        };
        let text = answer["content"].as_str().unwrap_or_default().to_owned();
        drop(answer);
        let unpacked = spawn_blocking(move || {
            let archive = STANDARD.decode(text).map_err(|error| reason(&error))?;
            unpack(&archive, LONGEST_UNPACKED).map_err(|error| reason(&error))
        });
        let members = match unpacked.await {
            Ok(Ok(members)) => members,
            Ok(Err(reason)) => return self.useless(run, group, &reason),
            Err(error) => return self.useless(run, group, &reason(&error)),
        };
        let objects: Vec<&Found> = group.pending.iter().map(|(found, _)| found).collect();
        let contents = assign(&group.root, &objects, &members);
        if contents.iter().all(Option::is_none) {
            return self.useless(run, group, "no member is one of the folder's objects");
        }
        if !self.are_true(run, &objects, &contents).await {
            return Outcome::None;
        }
        self.any_good.store(true, Ordering::Relaxed);
        Outcome::Contents(contents)
    }

    /// Compares one object of the first archive with its single export.
    async fn are_true(
        &self,
        run: &Run<'_>,
        objects: &[&Found],
        contents: &[Option<Content>],
    ) -> bool {
        let try_out = || async {
            let sample = objects.iter().zip(contents);
            let sample = sample.filter_map(|(found, content)| Some((*found, content.as_ref()?)));
            let Some((found, content)) = sample.min_by_key(|(_, content)| content.bytes.len())
            else {
                return true;
            };
            match single::export(run, found).await {
                Ok(single) if single != *content => {
                    self.off.store(true, Ordering::Relaxed);
                    run.reporter.report(Event::Warning(&format!(
                        "{} looks different in an archive of its folder: objects are read one by one",
                        found.key
                    )));
                    false
                }
                // No content to compare with says nothing about archives.
                _ => true,
            }
        };
        *self.tried_out.get_or_init(try_out).await
    }

    fn refused(&self, run: &Run<'_>, group: &Group, error: &ApiError) -> Outcome {
        match error.kind() {
            ErrorKind::TooLarge => {
                // One surprise says little about the next folder; several in a row bring the limit down fast enough.
                let smaller = (self.limit() * 3 / 4).max(SMALLEST_LIMIT);
                self.limit.store(smaller, Ordering::Relaxed);
                Outcome::TooLarge
            }
            ErrorKind::BadRequest | ErrorKind::FeatureDisabled | ErrorKind::NotImplemented => {
                self.useless(run, group, &reason(error))
            }
            _ => Outcome::None,
        }
    }

    fn useless(&self, run: &Run<'_>, group: &Group, reason: &str) -> Outcome {
        run.reporter.report(Event::Detail(&format!(
            "the archive of {} is of no use: {reason}",
            group.root
        )));
        let useless = self.useless.fetch_add(1, Ordering::Relaxed) + 1;
        if useless >= MOST_USELESS && !self.any_good.load(Ordering::Relaxed) {
            self.off.store(true, Ordering::Relaxed);
        }
        Outcome::None
    }
}

//! What is to be written of one object, and the threads that read it from the store.
//!
//! Invariant: a part that cannot be read stops no other; what is handed on was checked against its hash.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Damage, chain, sink};
use crate::manifest::{ManifestError, Payload};
use crate::resource::ObjectKey;
use crate::store::Store;

/// What is to be written of one object.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) key: ObjectKey,
    /// Where its main part goes.
    pub(super) place: Option<String>,
    pub(super) what: What,
    pub(super) permissions: Option<Payload>,
    pub(super) modified_at: Option<i64>,
}

/// The main part of an object.
#[derive(Debug)]
pub(super) enum What {
    /// A directory.
    Directory,
    /// The bytes of a file.
    Content(Payload),
    /// A body, to be laid out for people.
    Body(Payload),
    /// Nothing, or it is done already.
    Nothing,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) job: Job,
    /// What is still to be written, by whoever writes in order.
    pub(super) bytes: Option<Bytes>,
    /// How much was written as content.
    pub(super) written: Option<u64>,
    /// The line for the list of permissions.
    pub(super) permissions: Option<Vec<u8>>,
    pub(super) damage: Vec<Damage>,
}

/// Jobs that are done together, and where they go then.
pub(super) struct Work {
    pub(super) jobs: Vec<Job>,
    pub(super) done: SyncSender<Vec<Done>>,
}

/// Why a job stops everything: the disk is full, say.
pub(super) type Stuck = (String, std::io::Error);

/// Does jobs until there are no more. What can be written out of order goes into `directory` at once.
pub(super) fn work(
    to_do: &Mutex<Receiver<Work>>,
    store: &Store,
    directory: Option<&Path>,
    stuck: &Mutex<Option<Stuck>>,
) {
    loop {
        let next = to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Work { jobs, done }) = next else {
            return;
        };
        let held = || stuck.lock().unwrap_or_else(PoisonError::into_inner);
        if held().is_some() {
            // Work is still taken, so that nobody waits for ever to hand it out.
            continue;
        }
        let results = jobs.into_iter().map(|job| one(job, store, directory));
        match results.collect() {
            // Nobody waits for it when the export failed meanwhile.
            Ok(results) => drop(done.send(results)),
            Err(error) => drop(held().get_or_insert(error)),
        }
    }
}

fn one(job: Job, store: &Store, directory: Option<&Path>) -> Result<Done, Stuck> {
    let mut done = Done {
        bytes: None,
        written: None,
        permissions: None,
        damage: Vec::new(),
        job,
    };
    let main = match (&done.job.what, directory, &done.job.place) {
        (What::Content(payload), Some(directory), Some(place)) => {
            let times = done.job.modified_at;
            match sink::write_file(&directory.join(place), payload, store, times) {
                Ok(()) => {
                    done.written = Some(payload.len());
                    done.job.what = What::Nothing;
                    Ok(None)
                }
                Err(ManifestError::WriteTarget(error)) => return Err((place.clone(), error)),
                Err(error) => Err(error),
            }
        }
        (What::Content(payload), ..) if !sink::is_long(payload) => payload.read(store).map(Some),
        (What::Content(payload), ..) => {
            // It is written piece by piece later; whether it is whole must be known before it is begun.
            payload.write_to(store, &mut std::io::sink()).map(|()| None)
        }
        (What::Body(payload), ..) => payload.read(store).map(|bytes| Some(laid_out(bytes))),
        (What::Directory | What::Nothing, ..) => Ok(None),
    };
    match main {
        Ok(bytes) => done.bytes = bytes,
        Err(error) => {
            let part = if matches!(done.job.what, What::Body(_)) {
                "body"
            } else {
                "content"
            };
            done.damaged(part, &error);
            done.job.what = What::Nothing;
        }
    }
    if let Some(payload) = &done.job.permissions {
        match payload.read(store).map(|bytes| line(&done.job.key, &bytes)) {
            Ok(line) => done.permissions = Some(line),
            Err(error) => done.damaged("permissions", &error),
        }
    }
    Ok(done)
}

impl Done {
    fn damaged(&mut self, part: &'static str, error: &ManifestError) {
        self.damage.push(Damage {
            key: self.job.key.clone(),
            part,
            reason: chain(error),
        });
    }
}

/// JSON as people read it; what is none stays as it is.
fn laid_out(bytes: Bytes) -> Bytes {
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) => {
            let mut text = format!("{value:#}");
            text.push('\n');
            text.into()
        }
        Err(_) => bytes,
    }
}

fn line(key: &ObjectKey, permissions: &[u8]) -> Vec<u8> {
    let permissions: Value = serde_json::from_slice(permissions).unwrap_or_default();
    let mut line = super::naming(key);
    line["permissions"] = permissions;
    let mut line = json!(line).to_string();
    line.push('\n');
    line.into_bytes()
}

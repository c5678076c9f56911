//! A backend that is asked again when it did not answer, or answered that it is busy.
//!
//! Invariant: every call of a backend may be made twice, so nothing but time is lost by asking again. Whether one's own
//! file is there, when nobody said so, is found out by looking at what is there.

use std::fmt;
use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Backend, Listed, Stat};
use crate::store::error::is_transient;

/// How often a call is made, at most.
const ATTEMPTS: u32 = 8;
/// How long to wait after the first; after each further one twice as long,
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// but never longer than this. All together that is half a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// What waits.
type Pause = dyn Fn(Duration) + Send + Sync;

/// A patient way to a backend.
pub(in crate::store) struct Retrying<B> {
    below: B,
    pause: Box<Pause>,
}

impl<B: Backend> Retrying<B> {
    pub(in crate::store) fn new(
        below: B,
        pause: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Self {
        let pause = Box::new(pause);
        Self { below, pause }
    }

    fn ask<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let mut wait = FIRST_WAIT;
        for _ in 1..ATTEMPTS {
            match call() {
                Err(error) if is_transient(error.kind()) => (self.pause)(wait),
                answer => return answer,
            }
            wait = (2 * wait).min(LONGEST_WAIT);
        }
        call()
    }

    /// Whether what is there of this name is `bytes`. If nothing is there, whoever was in the way has given up.
    fn is_there(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let len = match self.below.stat(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(busy(name)),
            found => found?.len,
        };
        if len != bytes.len() as u64 {
            return Ok(false);
        }
        let mut there = vec![0; bytes.len()];
        self.below.read_at(name, 0, &mut there)?;
        Ok(there == bytes)
    }
}

/// Somebody else is writing this file at the same time.
fn busy(name: &str) -> io::Error {
    let what = format!("somebody else is writing {name}");
    io::Error::new(io::ErrorKind::ResourceBusy, what)
}

impl<B: Backend> Backend for Retrying<B> {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.ask(|| match self.below.put(name, bytes) {
            // One's own earlier attempt may be what is in the way: its answer was lost, or is still to come.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match self.below.stat(name) {
                    Ok(found) if found.len == bytes.len() as u64 => Ok(()),
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Err(busy(name)),
                }
            }
            done => done,
        })
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        self.ask(|| match self.below.create(name, bytes) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(true) => Ok(true),
            // Who is right about who was first cannot know of an answer that was lost.
            _ => self.is_there(name, bytes),
        })
    }

    fn stat(&self, name: &str) -> io::Result<Stat> {
        self.ask(|| self.below.stat(name))
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.ask(|| self.below.read_at(name, offset, buffer))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<Listed>> {
        self.ask(|| self.below.list(dir))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.ask(|| self.below.remove(name))
    }

    fn settle(&self, dir: &str) -> io::Result<()> {
        self.ask(|| self.below.settle(dir))
    }

    fn now(&self) -> io::Result<DateTime<Utc>> {
        self.ask(|| self.below.now())
    }
}

impl<B: fmt::Debug> fmt::Debug for Retrying<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Retrying").field(&self.below).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind as Kind;
    use std::sync::{Arc, Mutex};

    use super::super::memory::{Fate, Memory, Op};
    use super::*;
    use crate::store::tests::at;

    /// A backend whose writes meet these fates, one after the other, and how long was waited.
    fn with_fates(
        memory: &Memory,
        fates: Vec<Fate>,
    ) -> (Retrying<Memory>, Arc<Mutex<Vec<Duration>>>) {
        let fates = Mutex::new(fates.into_iter());
        let hooked = memory.hooked(Arc::new(move |op: Op<'_>| match op.writes() {
            true => fates.lock().unwrap().next().unwrap_or(Fate::Done),
            false => Fate::Done,
        }));
        let waits = Arc::new(Mutex::new(Vec::new()));
        let waited = Arc::clone(&waits);
        let pause = move |wait| waited.lock().unwrap().push(wait);
        (Retrying::new(hooked, pause), waits)
    }

    fn read(memory: &Memory, name: &str) -> Vec<u8> {
        let mut bytes = vec![0; memory.stat(name).unwrap().len as usize];
        memory.read_at(name, 0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_may_pass_is_tried_again_ever_more_slowly_and_not_for_ever() {
        let busy = || Fate::Refused(Kind::ResourceBusy.into());
        let memory = Memory::new(at(0));
        let (patient, waits) = with_fates(&memory, (0..7).map(|_| busy()).collect());
        patient.put("a", b"1").unwrap();
        assert_eq!(read(&memory, "a"), b"1");
        let millis: Vec<u128> = waits
            .lock()
            .unwrap()
            .iter()
            .map(Duration::as_millis)
            .collect();
        assert_eq!(millis, [250, 500, 1000, 2000, 4000, 8000, 8000]);

        let (patient, waits) = with_fates(&memory, (0..8).map(|_| busy()).collect());
        let error = patient.remove("a").unwrap_err();
        assert_eq!(error.kind(), Kind::ResourceBusy);
        assert_eq!(
            (waits.lock().unwrap().len(), read(&memory, "a")),
            (7, b"1".to_vec())
        );
    }

    #[test]
    fn what_will_not_pass_is_not_tried_again() {
        for kind in [Kind::PermissionDenied, Kind::StorageFull, Kind::Other] {
            let memory = Memory::new(at(0));
            let (patient, waits) = with_fates(&memory, vec![Fate::Refused(kind.into())]);
            assert_eq!(patient.put("a", b"1").unwrap_err().kind(), kind);
            assert!(waits.lock().unwrap().is_empty() && memory.names().is_empty());
        }
    }

    #[test]
    fn who_created_a_file_and_was_not_told_so_has_created_it() {
        let memory = Memory::new(at(0));
        for (name, kind) in [("a", Kind::TimedOut), ("b", Kind::AlreadyExists)] {
            let (patient, _) = with_fates(&memory, vec![Fate::Lost(kind.into())]);
            assert!(patient.create(name, b"mine").unwrap());
            let (patient, _) = with_fates(&memory, vec![Fate::Refused(kind.into())]);
            assert!(!patient.create(name, b"more").unwrap());
            assert!(!patient.create(name, b"other").unwrap());
            assert_eq!(read(&memory, name), b"mine");
        }
    }

    #[test]
    fn a_conflict_with_a_file_that_is_all_there_is_none() {
        let memory = Memory::new(at(0));
        memory.put("a", b"whole").unwrap();
        let conflicts = (0..8).map(|_| Fate::Refused(Kind::AlreadyExists.into()));
        let (patient, waits) = with_fates(&memory, conflicts.collect());
        patient.put("a", b"whole").unwrap();
        assert!(waits.lock().unwrap().is_empty());
    }

    #[test]
    fn a_conflict_with_nobody_is_tried_again() {
        let conflict = || vec![Fate::Refused(Kind::AlreadyExists.into())];
        let memory = Memory::new(at(0));
        let (patient, waits) = with_fates(&memory, conflict());
        assert!(patient.create("a", b"mine").unwrap());
        assert_eq!(waits.lock().unwrap().len(), 1);
        memory.put("b", b"torn").unwrap();
        for name in ["b", "c"] {
            let (patient, _) = with_fates(&memory, conflict());
            patient.put(name, b"whole").unwrap();
            assert_eq!(read(&memory, name), b"whole");
        }
    }
}

//! An object store in memory on its bad days, for tests.
//!
//! Invariant: what it does is what object stores have been seen to do. A file is there whole or not at all, and whoever
//! reads one or asks for it sees what is there. All else may go wrong, but never more than a few times in a row.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, TimeDelta, Utc};

use super::schedule::Random;
use crate::store::backend::{Backend, Listed, Memory, Stat};

/// For how long a new file may be missing from listings, and an attempt at writing it may be under way.
pub(super) const LAG: TimeDelta = TimeDelta::minutes(5);
/// So many calls in a row fail at most. A backend that is asked again more often than that gets its answer.
const MOST_IN_A_ROW: u32 = 5;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// Nothing is done: 500, 503, 429, a connection that breaks.
    Refused,
    /// It is done, but the answer is lost.
    Unanswered,
    /// It is done, and then done once more.
    Twice,
    /// Nothing is done yet, and nobody answers. Later it is done.
    Delayed,
    /// It is done, and then the answer is that somebody else has done it: 409, 412.
    OwnConflict,
    /// Nothing is done, because somebody else is at it: 409.
    Conflict,
    /// The connection breaks after a part of the answer.
    Cut,
    /// A listing without files that are new.
    Stale,
}

/// A backend with troubles. A clone is another way to the same files.
#[derive(Clone, Debug)]
pub(super) struct Flaky {
    memory: Memory,
    /// The directory of which no listing shows new files, and that is the only trouble.
    lagging: Option<&'static str>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    random: Random,
    in_a_row: u32,
    /// How many calls have gone well since the last that did not.
    well: u32,
    delayed: Vec<Delayed>,
    troubles: BTreeMap<Trouble, u64>,
}

/// An attempt that is still under way.
#[derive(Debug)]
struct Delayed {
    due: DateTime<Utc>,
    name: String,
    bytes: Vec<u8>,
    is_conditional: bool,
}

impl Flaky {
    pub(super) fn new(memory: Memory, seed: u64) -> Self {
        let state = State {
            random: Random(seed),
            in_a_row: 0,
            well: 0,
            delayed: Vec::new(),
            troubles: BTreeMap::new(),
        };
        Self {
            memory,
            lagging: None,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The same files with no trouble but that the listings of this directory lag behind.
    pub(super) fn lagging(&self, dir: &'static str) -> Self {
        Self {
            lagging: Some(dir),
            ..self.clone()
        }
    }

    /// How often each kind of trouble has come.
    pub(super) fn troubles(&self) -> BTreeMap<Trouble, u64> {
        self.state().troubles.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn now(&self) -> DateTime<Utc> {
        self.memory.now().unwrap()
    }

    /// What goes wrong this time, if anything.
    fn trouble(&self, possible: &[Trouble]) -> Option<Trouble> {
        if self.lagging.is_some() {
            return None;
        }
        let now = self.now();
        let mut state = self.state();
        for late in state.delayed.extract_if(.., |late| late.due <= now) {
            match late.is_conditional {
                true => drop(self.memory.create(&late.name, &late.bytes).unwrap()),
                false => self.memory.put(&late.name, &late.bytes).unwrap(),
            }
        }
        if state.in_a_row == MOST_IN_A_ROW || state.random.below(4) > 0 {
            state.well += 1;
            // Not before: one attempt may take as many calls.
            if state.well == 3 {
                state.in_a_row = 0;
            }
            return None;
        }
        state.well = 0;
        state.in_a_row += 1;
        let trouble = possible[state.random.below(possible.len() as u64) as usize];
        *state.troubles.entry(trouble).or_default() += 1;
        Some(trouble)
    }

    fn delay(&self, name: &str, bytes: &[u8], is_conditional: bool) {
        let now = self.now();
        let mut state = self.state();
        let seconds = state.random.below(LAG.num_seconds() as u64) as i64;
        state.delayed.push(Delayed {
            due: now + TimeDelta::seconds(seconds),
            name: name.to_owned(),
            bytes: bytes.to_vec(),
            is_conditional,
        });
    }

    /// One of the many ways not to answer.
    fn no_answer(&self) -> io::Error {
        let kinds = [
            ErrorKind::ResourceBusy,
            ErrorKind::TimedOut,
            ErrorKind::ConnectionReset,
            ErrorKind::ConnectionAborted,
            ErrorKind::BrokenPipe,
        ];
        let which = self.state().random.below(kinds.len() as u64);
        kinds[which as usize].into()
    }

    /// Writes in a way that `done` does it.
    fn write<T>(
        &self,
        (name, bytes): (&str, &[u8]),
        is_conditional: bool,
        done: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        let possible = [
            Trouble::Refused,
            Trouble::Unanswered,
            Trouble::Twice,
            Trouble::Delayed,
            Trouble::OwnConflict,
            Trouble::Conflict,
        ];
        match self.trouble(&possible) {
            Some(Trouble::Unanswered) => done().and_then(|_| Err(self.no_answer())),
            Some(Trouble::Twice) => done().and_then(|_| done()),
            Some(Trouble::OwnConflict) => done().and_then(|_| Err(ErrorKind::AlreadyExists.into())),
            Some(Trouble::Conflict) => Err(ErrorKind::AlreadyExists.into()),
            Some(Trouble::Delayed) => {
                self.delay(name, bytes, is_conditional);
                Err(self.no_answer())
            }
            Some(_) => Err(self.no_answer()),
            None => done(),
        }
    }
}

impl Backend for Flaky {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write((name, bytes), false, || self.memory.put(name, bytes))
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        self.write((name, bytes), true, || self.memory.create(name, bytes))
    }

    fn stat(&self, name: &str) -> io::Result<Stat> {
        match self.trouble(&[Trouble::Refused]) {
            Some(_) => Err(self.no_answer()),
            None => self.memory.stat(name),
        }
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self.trouble(&[Trouble::Refused, Trouble::Cut]) {
            Some(Trouble::Cut) => {
                self.memory.read_at(name, offset, buffer)?;
                let end = self.state().random.below(buffer.len() as u64 + 1);
                buffer[end as usize..].fill(0xee);
                Err(self.no_answer())
            }
            Some(_) => Err(self.no_answer()),
            None => self.memory.read_at(name, offset, buffer),
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<Listed>> {
        let trouble = self.trouble(&[Trouble::Refused, Trouble::Stale]);
        if trouble == Some(Trouble::Refused) {
            return Err(self.no_answer());
        }
        let mut listed = self.memory.list(dir)?;
        if trouble == Some(Trouble::Stale) {
            let now = self.now();
            let mut state = self.state();
            // An answer, and none after which anybody would ask again.
            state.in_a_row -= 1;
            listed.retain(|file| file.modified <= now - LAG || state.random.below(2) == 0);
        }
        if self.lagging == Some(dir) {
            let now = self.now();
            listed.retain(|file| file.modified <= now - LAG);
        }
        Ok(listed)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.trouble(&[Trouble::Refused, Trouble::Unanswered, Trouble::Twice]) {
            Some(Trouble::Refused) => Err(self.no_answer()),
            Some(Trouble::Unanswered) => {
                self.memory.remove(name)?;
                Err(self.no_answer())
            }
            _ => self.memory.remove(name),
        }
    }

    fn settle(&self, dir: &str) -> io::Result<()> {
        self.memory.settle(dir)
    }

    fn now(&self) -> io::Result<DateTime<Utc>> {
        match self.trouble(&[Trouble::Refused]) {
            Some(_) => Err(self.no_answer()),
            None => self.memory.now(),
        }
    }
}

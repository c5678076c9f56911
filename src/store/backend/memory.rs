//! A store in memory, for tests: what is on it can be looked at, dated and disturbed.
//!
//! Invariant: the clock is the test's own, and everybody who has a clone sees the same files.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Backend, Listed, Stat, TEMPORARY};

/// What is about to be done to which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Op<'a> {
    Put(&'a str),
    Create(&'a str),
    Read(&'a str),
    List(&'a str),
    Remove(&'a str),
    /// Asking for the time, for which a file is written.
    Now,
}

impl Op<'_> {
    pub(in crate::store) fn writes(&self) -> bool {
        matches!(self, Self::Put(_) | Self::Create(_) | Self::Remove(_))
    }
}

/// What becomes of it.
#[derive(Debug)]
pub(in crate::store) enum Fate {
    /// It is done.
    Done,
    /// It is not done.
    Refused(io::Error),
    /// Only half of the file is written, and it gets no name.
    Torn(io::Error),
    /// It is done, but the answer is this.
    Lost(io::Error),
}

/// Decides what becomes of each call. It may block: then the caller stands still at that very point.
pub(in crate::store) type Hook = Arc<dyn Fn(Op<'_>) -> Fate + Send + Sync>;

/// Files in memory. A clone is another way to the same files.
#[derive(Clone)]
pub(in crate::store) struct Memory {
    state: Arc<Mutex<State>>,
    hook: Option<Hook>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, (Arc<[u8]>, DateTime<Utc>)>,
    now: DateTime<Utc>,
}

impl Memory {
    pub(in crate::store) fn new(now: DateTime<Utc>) -> Self {
        let state = State {
            now,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            hook: None,
        }
    }

    /// The same files, with somebody who watches and disturbs what is done to them this way.
    pub(in crate::store) fn hooked(&self, hook: Hook) -> Self {
        Self {
            state: Arc::clone(&self.state),
            hook: Some(hook),
        }
    }

    /// Files of their own with the same content.
    pub(in crate::store) fn copy(&self) -> Self {
        let state = self.state();
        let files = state.files.clone();
        let now = state.now;
        Self {
            state: Arc::new(Mutex::new(State { files, now })),
            hook: None,
        }
    }

    pub(in crate::store) fn pass(&self, time: TimeDelta) {
        self.state().now += time;
    }

    pub(in crate::store) fn names(&self) -> Vec<String> {
        self.state().files.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn fate(&self, op: Op<'_>) -> Fate {
        self.hook.as_ref().map_or(Fate::Done, |hook| hook(op))
    }
}

impl State {
    fn write(&mut self, fate: Fate, name: &str, bytes: &[u8]) -> io::Result<()> {
        match fate {
            Fate::Refused(error) => Err(error),
            Fate::Torn(error) => {
                let (dir, file) = name.rsplit_once('/').unwrap_or(("", name));
                let torn = format!("{dir}/{TEMPORARY}{file}");
                let half = Arc::from(&bytes[..bytes.len() / 2]);
                self.files.insert(torn, (half, self.now));
                Err(error)
            }
            fate => {
                let file = (Arc::from(bytes), self.now);
                self.files.insert(name.to_owned(), file);
                done(fate)
            }
        }
    }
}

fn done(fate: Fate) -> io::Result<()> {
    match fate {
        Fate::Done => Ok(()),
        Fate::Refused(error) | Fate::Torn(error) | Fate::Lost(error) => Err(error),
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Backend for Memory {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fate = self.fate(Op::Put(name));
        let is_same = |(found, _): &(Arc<[u8]>, _)| found.len() == bytes.len();
        let mut state = self.state();
        if state.files.get(name).is_some_and(is_same) {
            return done(fate);
        }
        state.write(fate, name, bytes)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let fate = self.fate(Op::Create(name));
        let mut state = self.state();
        if state.files.contains_key(name) {
            return done(fate).map(|()| false);
        }
        state.write(fate, name, bytes).map(|()| true)
    }

    fn stat(&self, name: &str) -> io::Result<Stat> {
        done(self.fate(Op::Read(name)))?;
        let state = self.state();
        let (bytes, modified) = state.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Stat {
            len: bytes.len() as u64,
            modified: *modified,
        })
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        done(self.fate(Op::Read(name)))?;
        let state = self.state();
        let (bytes, _) = state.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let part = start.checked_add(buffer.len());
        let part = part.and_then(|end| bytes.get(start..end));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<Listed>> {
        done(self.fate(Op::List(dir)))?;
        let state = self.state();
        let is_below = |name: &str| {
            let rest = name.strip_prefix(dir);
            dir.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let files = state.files.iter().filter(|(name, _)| is_below(name));
        let listed = files.map(|(name, (bytes, modified))| Listed {
            name: name.clone(),
            len: bytes.len() as u64,
            modified: *modified,
        });
        Ok(listed.collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let fate = self.fate(Op::Remove(name));
        if let Fate::Done | Fate::Lost(_) = fate {
            self.state().files.remove(name);
        }
        done(fate)
    }

    fn settle(&self, _dir: &str) -> io::Result<()> {
        Ok(())
    }

    fn now(&self) -> io::Result<DateTime<Utc>> {
        done(self.fate(Op::Now))?;
        Ok(self.state().now)
    }
}

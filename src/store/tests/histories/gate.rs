//! A place where a run stands still before a call to its store.
//!
//! Invariant: while it is closed, no thread of the run does anything to the store.

use std::io;
use std::sync::{Arc, Condvar, Mutex};

use crate::store::backend::{Fate, Op};

/// Where a run stands still next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// After so many calls.
    Calls(usize),
    /// Before the next file in this directory is written or removed.
    Change(&'static str),
    /// Nowhere.
    End,
}

impl Until {
    fn is_here(self, op: Op<'_>) -> bool {
        match (self, op) {
            (Self::Calls(calls), _) => calls == 0,
            (Self::Change(dir), Op::Put(name) | Op::Create(name) | Op::Remove(name)) => {
                name.starts_with(dir)
            }
            (Self::Change(_), Op::Read(_) | Op::List(_) | Op::Now) | (Self::End, _) => false,
        }
    }
}

#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// None while it is closed.
    until: Option<Until>,
    has_ended: bool,
    is_dead: bool,
    /// The next file is written by half.
    is_torn: bool,
}

impl Gate {
    /// What lets every call through this gate.
    pub(super) fn hook(self: &Arc<Self>) -> impl Fn(Op<'_>) -> Fate + Send + Sync + use<> {
        let gate = Arc::clone(self);
        move |op| gate.pass(op)
    }

    fn pass(&self, op: Op<'_>) -> Fate {
        let mut state = self.state.lock().unwrap();
        let mut must_move = state.until.is_none();
        while !state.is_dead {
            match &mut state.until {
                // One that stood still before this very call has made it now.
                Some(until) if must_move || !until.is_here(op) => {
                    if let Until::Calls(calls) = until {
                        *calls = calls.saturating_sub(1);
                    }
                    break;
                }
                Some(_) => {
                    state.until = None;
                    self.changed.notify_all();
                }
                None => {}
            }
            must_move = true;
            state = self.changed.wait(state).unwrap();
        }
        if state.is_dead {
            let error = io::Error::other("dead");
            return match op {
                Op::Put(_) if std::mem::take(&mut state.is_torn) => Fate::Torn(error),
                _ => Fate::Refused(error),
            };
        }
        Fate::Done
    }

    /// The run is over.
    pub(super) fn end(&self) {
        self.state.lock().unwrap().has_ended = true;
        self.changed.notify_all();
    }

    /// Lets calls through, waits until the run stands still or is over, and says whether it is over.
    pub(super) fn open(&self, until: Until) -> bool {
        let mut state = self.state.lock().unwrap();
        state.until = Some(until);
        self.changed.notify_all();
        while !state.has_ended && state.until.is_some() {
            state = self.changed.wait(state).unwrap();
        }
        state.has_ended
    }

    /// From here on nothing that is tried is done, but that the file being written may have come half way.
    pub(super) fn kill(&self, is_torn: bool) {
        let mut state = self.state.lock().unwrap();
        state.is_dead = true;
        state.is_torn = is_torn;
        self.changed.notify_all();
    }
}

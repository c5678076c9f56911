//! The run beside: an import, a prune or a copy that stands still while others do what they like.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::Errand;
use super::gate::{Gate, Until};
use super::source::Contents;
use super::world::{World, without_grace};
use crate::folder::import;
use crate::report::Silent;
use crate::store::Store;
use crate::{copy, prune};

type Work = Box<dyn FnOnce(&Store) -> Result<(), String> + Send>;

/// A run that stands still now and then.
pub(super) struct Run {
    pub(super) shelf: usize,
    what: &'static str,
    gate: Arc<Gate>,
    thread: JoinHandle<Result<(), String>>,
    /// What its snapshot will say, if it makes one.
    pub(super) contents: Option<Arc<Contents>>,
    /// How long it has stood still in all.
    pub(super) hours: i64,
    /// Others did something since it began on which it may fail.
    is_disturbed: bool,
}

impl World {
    pub(super) fn disturb(&mut self, shelf: usize) {
        if let Some(run) = self.run.as_mut().filter(|run| run.shelf == shelf) {
            run.is_disturbed = true;
        }
    }

    pub(super) fn begin(&mut self, shelf: usize, errand: &Errand, until: Until) {
        let gate = Arc::new(Gate::default());
        let place = &self.shelves[shelf];
        let files = place.files(&place.memory.hooked(Arc::new(gate.hook())));
        let (work, ends) = (self.work(shelf, errand), Arc::clone(&gate));
        let thread = std::thread::spawn(move || {
            let store = Store::open_in(files, &[]).map_err(words);
            let done = store.and_then(|store| work(&store.ok_or("there is no store")?));
            ends.end();
            done
        });
        let what = match errand {
            Errand::Import { .. } => "import beside",
            Errand::Prune { .. } => "prune beside",
            Errand::Copy => "copy beside",
        };
        let is_import = matches!(errand, Errand::Import { .. });
        self.run = Some(Run {
            shelf,
            what,
            gate,
            thread,
            contents: is_import.then(|| Arc::new(self.sources[1].contents())),
            hours: 0,
            is_disturbed: false,
        });
        self.go_on(until);
    }

    fn work(&mut self, shelf: usize, errand: &Errand) -> Work {
        match errand {
            Errand::Import { edits, how } => {
                for edit in edits {
                    self.sources[1].edit(edit);
                }
                let options = self.options(1, *how);
                Box::new(move |store| {
                    let done = import(store, &options, &|| false, &Silent);
                    done.map(drop).map_err(words)
                })
            }
            Errand::Prune { max_repack } => {
                let options = without_grace(*max_repack);
                Box::new(move |store| {
                    let done = prune::run(store, options, false, &Silent);
                    done.map(drop).map_err(words)
                })
            }
            Errand::Copy => {
                let from = self.shelves[1 - shelf].open();
                let heads = from.heads().unwrap();
                Box::new(move |store| {
                    let done = copy::run(&from, store, &heads, &|| false, &Silent);
                    done.map(drop).map_err(words)
                })
            }
        }
    }

    pub(super) fn go_on(&mut self, until: Until) {
        let has_ended = self.run.as_ref().is_some_and(|run| run.gate.open(until));
        if let Some(run) = self.run.take_if(|_| has_ended) {
            self.take_in(run.shelf, run.contents.as_ref());
            match run.thread.join().unwrap() {
                Ok(()) if run.is_disturbed => self.done(run.what),
                Ok(()) => self.done("run beside, undisturbed"),
                Err(words) => {
                    assert!(run.is_disturbed, "{}: {words}", run.what);
                    self.done("run beside, refused");
                }
            }
        }
    }

    pub(super) fn kill(&mut self, is_torn: bool) {
        if let Some(run) = self.run.take() {
            run.gate.kill(is_torn);
            // It may have been after the last call.
            let _ = run.thread.join().unwrap();
            self.take_in(run.shelf, run.contents.as_ref());
            self.done("kill");
        }
    }

    /// Takes for meant what the run beside has made: a snapshot of its directory, or copies.
    pub(super) fn take_in(&mut self, shelf: usize, contents: Option<&Arc<Contents>>) {
        for head in self.shelves[shelf].heads() {
            if !self.shelves[shelf].snapshots.insert(head.id) {
                continue;
            }
            if let Some(contents) = contents {
                let before = self.contents.insert(head.id, Arc::clone(contents));
                assert!(before.is_none(), "snapshot {} came back", head.id);
            } else {
                assert!(self.contents.contains_key(&head.id), "nobody made {head}");
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run.gate.kill(false);
            let _ = run.thread.join();
        }
    }
}

fn words(error: impl std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words += &format!(": {error}");
        cause = error.source();
    }
    words
}

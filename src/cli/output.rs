//! The one place that decides what is written where: data to stdout, words to stderr.
//!
//! Invariant: a command never learns about a terminal from here, and never fails because of a reader that went away:
//! a broken pipe on stdout closes it, any other failure is reported once, at the end.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Data is one JSON document.
    pub(crate) json: bool,
    /// Only warnings and errors, no other words.
    pub(crate) quiet: bool,
    /// 0, 1 (`-v`) or 2 (`-vv`).
    pub(crate) verbose: u8,
    /// How progress is shown.
    pub(crate) progress: ProgressManner,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProgressManner {
    /// Not at all.
    #[default]
    Hidden,
    /// As a line every so often.
    Lines,
    /// As bars on a terminal.
    Bars,
}

/// Writes everything the program writes.
pub(crate) struct Printer {
    pub(crate) manner: Manner,
    pub(crate) bars: MultiProgress,
    sinks: Mutex<Sinks>,
    closed: AtomicBool,
}

struct Sinks {
    data: Box<dyn Write + Send>,
    words: Box<dyn Write + Send>,
    failed: Option<io::Error>,
}

impl Printer {
    /// A printer for the process's own stdout and stderr.
    pub(crate) fn standard(manner: Manner) -> Self {
        let data = io::BufWriter::with_capacity(64 << 10, io::stdout());
        Self::new(manner, Box::new(data), Box::new(io::stderr()))
    }

    /// A printer for any two writers.
    pub(crate) fn new(
        manner: Manner,
        data: Box<dyn Write + Send>,
        words: Box<dyn Write + Send>,
    ) -> Self {
        let bars = match manner.progress {
            ProgressManner::Bars => ProgressDrawTarget::stderr(),
            ProgressManner::Hidden | ProgressManner::Lines => ProgressDrawTarget::hidden(),
        };
        let sinks = Sinks {
            data,
            words,
            failed: None,
        };
        Self {
            manner,
            bars: MultiProgress::with_draw_target(bars),
            sinks: Mutex::new(sinks),
            closed: AtomicBool::new(false),
        }
    }

    /// Whether nobody reads stdout any more: time to stop producing data.
    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Writes data as it is: bytes that somebody asked for.
    pub(crate) fn data(&self, bytes: impl AsRef<[u8]>) {
        if self.closed() {
            return;
        }
        self.bars.suspend(|| {
            let mut sinks = self.sinks();
            let written = sinks.data.write_all(bytes.as_ref());
            self.settle(&mut sinks, written);
        });
    }

    /// Writes data for people to read.
    pub(crate) fn text(&self, text: impl AsRef<str>) {
        self.data(harmless(text.as_ref()).as_bytes());
    }

    /// Writes what became of a command. Who wants to hear of failures only hears of it when something is amiss.
    pub(crate) fn result(&self, text: impl AsRef<str>, is_fine: bool) {
        if !(self.manner.quiet && is_fine) {
            self.text(text);
        }
    }

    /// Writes a line of data.
    pub(crate) fn line(&self, line: impl AsRef<str>) {
        let mut line = line.as_ref().to_owned();
        line.push('\n');
        self.text(line);
    }

    /// Writes the JSON document of a command.
    pub(crate) fn json(&self, document: &impl Serialize) {
        let text = serde_json::to_string_pretty(document);
        self.line(text.expect("documents of commands have text keys only"));
    }

    /// Says something a user may skip.
    pub(crate) fn note(&self, words: impl AsRef<str>) {
        if !self.manner.quiet {
            self.say(words.as_ref());
        }
    }

    /// Says something only a curious user wants to know.
    pub(crate) fn detail(&self, words: impl AsRef<str>) {
        if self.manner.verbose > 0 {
            self.say(words.as_ref());
        }
    }

    /// Says something a user should know although all goes on.
    pub(crate) fn warning(&self, words: impl AsRef<str>) {
        self.say(&format!("warning: {}", words.as_ref()));
    }

    /// Says why the program stops.
    pub(crate) fn error(&self, words: impl AsRef<str>) {
        self.say(words.as_ref());
    }

    /// Hands on what was written so far, for commands that go on for long afterwards.
    pub(crate) fn flush(&self) {
        let mut sinks = self.sinks();
        let flushed = sinks.data.flush();
        self.settle(&mut sinks, flushed);
    }

    /// Asks a question and waits for the answer: a line of stdin.
    pub(crate) fn ask(&self, question: &str) -> io::Result<String> {
        self.bars.suspend(|| {
            let mut sinks = self.sinks();
            sinks.data.flush()?;
            write!(sinks.words, "{question} ")?;
            sinks.words.flush()
        })?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Makes sure that everything is written.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.flush();
        self.sinks().failed.take().map_or(Ok(()), Err)
    }

    fn say(&self, words: &str) {
        self.bars.suspend(|| {
            let mut sinks = self.sinks();
            // What was said later must not be read earlier, where both end up on one screen.
            let flushed = sinks.data.flush();
            self.settle(&mut sinks, flushed);
            // There is nowhere left to complain about words that cannot be said.
            let _ = writeln!(sinks.words, "{}", harmless(words.trim_end()));
        });
    }

    fn settle(&self, sinks: &mut Sinks, written: io::Result<()>) {
        if let Err(error) = written {
            self.closed.store(true, Ordering::Relaxed);
            if error.kind() != io::ErrorKind::BrokenPipe {
                sinks.failed.get_or_insert(error);
            }
        }
    }

    fn sinks(&self) -> MutexGuard<'_, Sinks> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text without what a terminal would obey: names come from a workspace, and may hold anything.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_obeyed(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure_and_ends_the_data() {
        let failing = Box::new(Failing(io::ErrorKind::BrokenPipe));
        let printer = Printer::new(Manner::default(), failing, Box::new(io::sink()));
        printer.line("x");
        assert!(printer.closed());
        assert!(printer.finish().is_ok());
    }

    #[test]
    fn a_full_disk_under_stdout_is_a_failure() {
        let failing = Box::new(Failing(io::ErrorKind::StorageFull));
        let printer = Printer::new(Manner::default(), failing, Box::new(io::sink()));
        printer.line("x");
        assert_eq!(
            printer.finish().unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_bytes_stay_bytes() {
        let (data, words) = (Shared::default(), Shared::default());
        let printer = Printer::new(
            Manner::default(),
            Box::new(data.clone()),
            Box::new(words.clone()),
        );
        printer.line("/a\u{1b}[2J\u{9b}é\tb");
        printer.data("\u{1b}");
        printer.warning("\r\u{7}");
        printer.finish().unwrap();
        let shown = b"/a\\u{1b}[2J\\u{9b}\xc3\xa9\tb\n\x1b";
        assert_eq!(*data.0.lock().unwrap(), shown);
        assert_eq!(*words.0.lock().unwrap(), b"warning: \\r\\u{7}\n");
    }

    #[test]
    fn quiet_keeps_warnings_and_data() {
        let (data, words) = (Shared::default(), Shared::default());
        let manner = Manner {
            quiet: true,
            ..Manner::default()
        };
        let printer = Printer::new(manner, Box::new(data.clone()), Box::new(words.clone()));
        printer.line("data");
        printer.note("a note");
        printer.detail("a detail");
        printer.warning("a warning");
        printer.finish().unwrap();
        assert_eq!(*data.0.lock().unwrap(), b"data\n");
        assert_eq!(*words.0.lock().unwrap(), b"warning: a warning\n");
    }
}

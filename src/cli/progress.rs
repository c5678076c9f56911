//! Progress on a terminal, in a log, or not at all.
//!
//! Invariant: what is shown here decides nothing; a run without it does the same.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dbsnap::report::{Event, Reporter};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::output::{Printer, ProgressManner};
use super::render::units::{bytes, count};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// Shows what long operations report.
pub(crate) struct Progress {
    printer: Arc<Printer>,
    phase: Mutex<Option<Phase>>,
}

struct Phase {
    name: String,
    bar: ProgressBar,
    expected: u64,
    done: u64,
    bytes: u64,
    started: Instant,
    last_line: Instant,
}

impl Progress {
    /// Shows progress through `printer`, in its manner.
    pub(crate) fn new(printer: Arc<Printer>) -> Self {
        Self {
            printer,
            phase: Mutex::new(None),
        }
    }

    fn start(&self, name: &str) -> Phase {
        let bar = self.printer.bars.add(ProgressBar::no_length());
        let style = "{msg:<26} {bar:24} {human_pos}/{human_len}  {rate}  {left}  {prefix}";
        let style = ProgressStyle::with_template(style).expect("the template is well formed");
        let style = style.with_key(
            "rate",
            |state: &ProgressState, text: &mut dyn fmt::Write| {
                // A bar that cannot be drawn is no reason to fail.
                let _ = write!(text, "{:.0}/s", state.per_sec());
            },
        );
        let style = style.with_key(
            "left",
            |state: &ProgressState, text: &mut dyn fmt::Write| {
                let _ = match state.len() {
                    Some(_) => write!(text, "{} left", super::render::units::duration(state.eta())),
                    None => Ok(()),
                };
            },
        );
        bar.set_style(style.progress_chars("=> "));
        bar.set_message(name.to_owned());
        let now = Instant::now();
        Phase {
            name: name.to_owned(),
            bar,
            expected: 0,
            done: 0,
            bytes: 0,
            started: now,
            last_line: now,
        }
    }
}

impl Phase {
    /// A line for a log, if it is time for one.
    fn line(&mut self, now: Instant) -> Option<String> {
        if now.duration_since(self.last_line) < EVERY {
            return None;
        }
        self.last_line = now;
        let rate = self.done as f64 / now.duration_since(self.started).as_secs_f64();
        let mut line = format!("{}: {}", self.name, count(self.done));
        if self.expected > 0 {
            line += &format!(" of {}", count(self.expected));
        }
        line += &format!(", {rate:.0}/s");
        if self.bytes > 0 {
            line += &format!(", {}", bytes(self.bytes));
        }
        if rate > 0.0 && self.expected > self.done {
            let left = Duration::from_secs_f64((self.expected - self.done) as f64 / rate);
            line += &format!(", about {} left", super::render::units::duration(left));
        }
        Some(line)
    }
}

impl Reporter for Progress {
    fn report(&self, event: Event<'_>) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::PhaseStarted { name } => {
                if let Some(old) = phase.replace(self.start(name)) {
                    old.bar.finish_and_clear();
                }
            }
            Event::PhaseFinished => {
                if let Some(old) = phase.take() {
                    old.bar.finish_and_clear();
                }
            }
            Event::Expected { more } => {
                if let Some(phase) = phase.as_mut() {
                    phase.expected += more;
                    phase.bar.set_length(phase.expected);
                }
            }
            Event::Done { count, bytes: more } => {
                let Some(phase) = phase.as_mut() else { return };
                phase.done += count;
                phase.bytes += more;
                phase.bar.set_position(phase.done);
                if more > 0 {
                    phase.bar.set_prefix(bytes(phase.bytes));
                }
                if self.printer.manner.progress == ProgressManner::Lines
                    && let Some(line) = phase.line(Instant::now())
                {
                    self.printer.note(line);
                }
            }
            Event::Warning(words) => self.printer.warning(words),
            Event::Detail(words) => self.printer.detail(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Manner;

    #[test]
    fn a_log_gets_a_line_only_every_so_often() {
        let printer = Printer::new(
            Manner::default(),
            Box::new(std::io::sink()),
            Box::new(std::io::sink()),
        );
        let mut phase = Progress::new(Arc::new(printer)).start("reading");
        (phase.expected, phase.done, phase.bytes) = (3_000, 1_000, 4096);
        let start = phase.started;
        assert_eq!(phase.line(start + EVERY / 2), None);
        let line = phase.line(start + EVERY).unwrap();
        assert_eq!(
            line,
            "reading: 1,000 of 3,000, 100/s, 4.0 KiB, about 20 s left"
        );
        assert_eq!(phase.line(start + EVERY), None);
    }
}

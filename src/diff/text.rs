//! Two contents as a unified diff that knows the cells of notebooks.
//!
//! Invariant: what it takes and what it tells is bounded, and where something is left out it says how much.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices, group_diff_ops};

use super::SecretChange;
use super::cells::{Document, Form, outputs_differ};

/// Longer contents are not compared line by line.
pub(super) const LONGEST_TEXT: u64 = 8 << 20;

/// More lines than this are not compared one by one.
const MOST_LINES: usize = 100_000;

/// More lines than this are not told.
const MOST_LINES_TOLD: usize = 5_000;

/// Lines that are equal, shown around those that are not.
const CONTEXT: usize = 3;

/// How two contents differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "form", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContentChange {
    /// In lines.
    Text {
        /// The places where they differ, each with the lines around it.
        hunks: Vec<Hunk>,
        /// How many lines were left out because there are too many.
        #[serde(skip_serializing_if = "is_zero")]
        lines_left_out: usize,
        /// One is a source notebook or plain text, and the other a Jupyter notebook.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        format_changed: bool,
    },
    /// Only in how lines end.
    LineEndings,
    /// Only in what the cells of a notebook put out: the sources are the same.
    Outputs,
    /// Only in what a notebook says of itself: sources and outputs are the same.
    Metadata,
    /// One of them is no text.
    Binary {
        /// The length before.
        before: u64,
        /// The length now.
        after: u64,
    },
    /// They are secret values, of which only is told that they are others.
    Secrets {
        /// The values that differ.
        changed: Vec<SecretChange>,
    },
    /// They are too long to be compared line by line.
    TooLong {
        /// The length before.
        before: u64,
        /// The length now.
        after: u64,
    },
    /// There was none before.
    Appeared {
        /// The length now.
        after: u64,
    },
    /// There is none any more.
    Vanished {
        /// The length before.
        before: u64,
    },
}

/// A place where two texts differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hunk {
    /// The first and the last cell that differ, from 1, when it is a notebook; of the new text, or of the old one
    /// when lines were only removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells: Option<(u32, u32)>,
    /// The first line in the old text, from 1, and how many there are.
    pub before: (usize, usize),
    /// The first line in the new text, from 1, and how many there are.
    pub after: (usize, usize),
    /// The lines, each after a ` `, `-` or `+`, without line breaks.
    pub lines: Vec<String>,
}

/// Compares two contents that are known to differ.
pub fn content_change(before: &[u8], after: &[u8]) -> ContentChange {
    let lengths = (before.len() as u64, after.len() as u64);
    if lengths.0.max(lengths.1) > LONGEST_TEXT {
        return ContentChange::TooLong {
            before: lengths.0,
            after: lengths.1,
        };
    }
    let (Some(old), Some(new)) = (Document::read(before), Document::read(after)) else {
        return ContentChange::Binary {
            before: lengths.0,
            after: lengths.1,
        };
    };
    if old.lines.len().max(new.lines.len()) > MOST_LINES {
        return ContentChange::TooLong {
            before: lengths.0,
            after: lengths.1,
        };
    }
    if old.lines == new.lines {
        return if outputs_differ(before, after) {
            ContentChange::Outputs
        } else {
            ContentChange::Metadata
        };
    }
    if ends_only(&old.lines).eq(ends_only(&new.lines)) {
        return ContentChange::LineEndings;
    }
    compare_lines(&old, &new)
}

fn ends_only<'a>(lines: &'a [Cow<'_, str>]) -> impl Iterator<Item = &'a str> {
    lines.iter().map(|line| {
        line.strip_suffix("\r\n")
            .or(line.strip_suffix('\n'))
            .unwrap_or(line)
    })
}

fn compare_lines(old: &Document<'_>, new: &Document<'_>) -> ContentChange {
    let operations = capture_diff_slices(Algorithm::Myers, &old.lines, &new.lines);
    let mut hunks = Vec::new();
    let (mut told, mut lines_left_out) = (0, 0);
    for group in group_diff_ops(operations, CONTEXT) {
        let mut hunk = hunk(&group, old, new);
        let kept = hunk.lines.len().min(MOST_LINES_TOLD - told);
        lines_left_out += hunk.lines.len() - kept;
        hunk.lines.truncate(kept);
        told += kept;
        if kept > 0 {
            hunks.push(hunk);
        }
    }
    let format_changed = (old.form == Form::Jupyter) != (new.form == Form::Jupyter);
    ContentChange::Text {
        hunks,
        lines_left_out,
        format_changed,
    }
}

fn hunk(group: &[DiffOp], old: &Document<'_>, new: &Document<'_>) -> Hunk {
    let whole = |range: fn(&DiffOp) -> Range<usize>| {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return 0..0;
        };
        range(first).start..range(last).end
    };
    let mut lines = Vec::new();
    for operation in group {
        let equal = operation.tag() == DiffTag::Equal;
        for line in &old.lines[operation.old_range()] {
            push_line(&mut lines, if equal { ' ' } else { '-' }, line);
        }
        if !equal {
            for line in &new.lines[operation.new_range()] {
                push_line(&mut lines, '+', line);
            }
        }
    }
    Hunk {
        cells: changed_cells(group, old, new),
        before: position(&whole(DiffOp::old_range)),
        after: position(&whole(DiffOp::new_range)),
        lines,
    }
}

/// Line numbers as unified diffs have them: an empty range is that after the line before it.
fn position(range: &Range<usize>) -> (usize, usize) {
    (
        if range.is_empty() {
            range.start
        } else {
            range.start + 1
        },
        range.len(),
    )
}

fn push_line(lines: &mut Vec<String>, mark: char, line: &str) {
    let text = line.strip_suffix('\n').unwrap_or(line);
    lines.push(format!("{mark}{text}"));
    if text.len() == line.len() {
        lines.push("\\ No newline at end of file".to_owned());
    }
}

fn changed_cells(group: &[DiffOp], old: &Document<'_>, new: &Document<'_>) -> Option<(u32, u32)> {
    let changed = group
        .iter()
        .filter(|operation| operation.tag() != DiffTag::Equal);
    let numbers = changed.flat_map(|operation| {
        if operation.new_range().is_empty() {
            old.cells.get(operation.old_range()).unwrap_or_default()
        } else {
            new.cells.get(operation.new_range()).unwrap_or_default()
        }
    });
    let (mut first, mut last) = (u32::MAX, 0);
    for number in numbers {
        (first, last) = (first.min(*number), last.max(*number));
    }
    (last > 0).then_some((first, last))
}

/// Longer lines are cut in the text form.
const LONGEST_LINE: usize = 400;

/// A unified diff without file names, or one line that says what differs.
impl fmt::Display for ContentChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text {
                hunks,
                lines_left_out,
                format_changed,
            } => {
                if *format_changed {
                    writeln!(f, "the notebook's format changed")?;
                }
                for hunk in hunks {
                    write!(f, "{hunk}")?;
                }
                if *lines_left_out > 0 {
                    writeln!(f, "({lines_left_out} more lines)")?;
                }
                Ok(())
            }
            Self::LineEndings => writeln!(f, "only line endings differ"),
            Self::Outputs => writeln!(f, "only outputs differ"),
            Self::Metadata => writeln!(f, "only metadata differs"),
            Self::Binary { before, after } => {
                writeln!(f, "binary content: {before} -> {after} bytes")
            }
            Self::Secrets { changed } => changed.iter().try_for_each(|one| writeln!(f, "{one}")),
            Self::TooLong { before, after } => {
                writeln!(
                    f,
                    "too long to compare line by line: {before} -> {after} bytes"
                )
            }
            Self::Appeared { after } => writeln!(f, "content added: {after} bytes"),
            Self::Vanished { before } => writeln!(f, "content removed: {before} bytes"),
        }
    }
}

/// `@@ -1,4 +1,5 @@ cell 2` and the lines.
impl fmt::Display for Hunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (self.before, self.after);
        write!(
            f,
            "@@ -{},{} +{},{} @@",
            before.0, before.1, after.0, after.1
        )?;
        match self.cells {
            Some((first, last)) if first == last => writeln!(f, " cell {first}")?,
            Some((first, last)) => writeln!(f, " cells {first}-{last}")?,
            None => writeln!(f)?,
        }
        for line in &self.lines {
            match line.char_indices().nth(LONGEST_LINE) {
                Some((end, _)) => writeln!(f, "{}… ({} bytes)", &line[..end], line.len() - 1)?,
                None => writeln!(f, "{line}")?,
            }
        }
        Ok(())
    }
}

const fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests;

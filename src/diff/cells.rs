//! A notebook or file as lines, with the cell that each line belongs to.
//!
//! Invariant: for everything but Jupyter notebooks the lines put together are the content, byte for byte.

use std::borrow::Cow;

use serde_json::Value;

/// A text taken apart.
pub(super) struct Document<'a> {
    pub(super) form: Form,
    /// Each with its line break, so that a missing one at the end makes a difference.
    pub(super) lines: Vec<Cow<'a, str>>,
    /// The number of each line's cell, from 1; empty when there are no cells.
    pub(super) cells: Vec<u32>,
}

/// What kind of text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines, and no more.
    Plain,
    /// A notebook in its source form.
    Source,
    /// A Jupyter notebook, of which the lines are the sources of the cells.
    Jupyter,
}

impl<'a> Document<'a> {
    /// Takes a text apart; `None` for bytes that are no text.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'))?;
        Some(jupyter(text).unwrap_or_else(|| plain_or_source(text)))
    }
}

/// The comments of Python and R, SQL, and Scala.
const COMMENTS: [&str; 3] = ["#", "--", "//"];

fn plain_or_source(text: &str) -> Document<'_> {
    let lines: Vec<Cow<'_, str>> = text.split_inclusive('\n').map(Cow::Borrowed).collect();
    let first = lines.first().map_or("", |line| line.trim_end());
    let comment = COMMENTS
        .iter()
        .find(|comment| after_comment(first, comment) == Some("Databricks notebook source"));
    let Some(comment) = comment else {
        return Document {
            form: Form::Plain,
            lines,
            cells: Vec::new(),
        };
    };
    let mut cell = 1;
    let mut cells = Vec::with_capacity(lines.len());
    for line in &lines {
        // The line that separates two cells counts as the beginning of the second.
        if after_comment(line.trim_end(), comment) == Some("COMMAND ----------") {
            cell += 1;
        }
        cells.push(cell);
    }
    Document {
        form: Form::Source,
        lines,
        cells,
    }
}

fn after_comment<'a>(line: &'a str, comment: &str) -> Option<&'a str> {
    line.strip_prefix(comment)?.strip_prefix(' ')
}

fn jupyter(text: &str) -> Option<Document<'static>> {
    if !text.trim_start().starts_with('{') || !text.contains("\"nbformat\"") {
        return None;
    }
    let notebook: Value = serde_json::from_str(text).ok()?;
    notebook.get("nbformat")?;
    let mut document = Document {
        form: Form::Jupyter,
        lines: Vec::new(),
        cells: Vec::new(),
    };
    for (number, cell) in (1..).zip(notebook.get("cells")?.as_array()?) {
        let mut source = match &cell["source"] {
            Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect::<String>(),
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        // The last line of a cell has no line break, and the next cell begins on a line of its own.
        source.push('\n');
        let kind = cell["cell_type"].as_str().unwrap_or("unknown");
        document.lines.push(Cow::Owned(format!("[{kind}]\n")));
        document.lines.extend(
            source
                .split_inclusive('\n')
                .map(|line| Cow::Owned(line.to_owned())),
        );
        document.cells.resize(document.lines.len(), number);
    }
    Some(document)
}

/// Whether two Jupyter notebooks with the same sources differ in what their cells put out.
pub(super) fn outputs_differ(before: &[u8], after: &[u8]) -> bool {
    let outputs = |bytes: &[u8]| -> Option<Vec<Value>> {
        let notebook: Value = serde_json::from_slice(bytes).ok()?;
        Some(
            notebook
                .get("cells")?
                .as_array()?
                .iter()
                .map(|cell| cell["outputs"].clone())
                .collect(),
        )
    };
    outputs(before) != outputs(after)
}

//! Notebook formats: recognising them, and turning one into the other.
//!
//! Invariant: a conversion is only for showing a notebook in a format that is not its own; its own format is always
//! given back byte for byte.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::state::Language;

/// What follows the comment sign in the first line of a source notebook.
const HEADER: &str = "Databricks notebook source";
/// What separates its cells.
const SEPARATOR: &str = "COMMAND ----------";
/// What starts each line of a cell in another language.
const MAGIC: &str = "MAGIC";
/// What the line begins with that gives a cell a title.
const TITLE: &str = "DBTITLE 1,";

/// The language of a source notebook by its first line; nothing when it is not one.
pub(crate) fn has_header(bytes: &[u8], language: Language) -> bool {
    let first = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let Ok(first) = std::str::from_utf8(first) else {
        return false;
    };
    let first = first.trim_start_matches('\u{feff}').trim_end();
    first
        .strip_prefix(language.comment())
        .is_some_and(|rest| rest.trim_start() == HEADER)
}

/// The language of an ipynb notebook; nothing when the bytes are not one.
pub(crate) fn jupyter_language(bytes: &[u8]) -> Option<Language> {
    let notebook: Value = serde_json::from_slice(bytes).ok()?;
    notebook.get("cells").and_then(Value::as_array)?;
    let metadata = &notebook["metadata"];
    let names = [
        &metadata["application/vnd.databricks.v1+notebook"]["language"],
        &metadata["language_info"]["name"],
        &metadata["kernelspec"]["language"],
    ];
    let language = names
        .into_iter()
        .filter_map(Value::as_str)
        .find_map(Language::parse);
    Some(language.unwrap_or(Language::Python))
}

/// A source notebook as ipynb.
pub(crate) fn to_jupyter(source: &str, language: Language, name: &str) -> String {
    let cells = cells(source, language.comment()).into_iter();
    let cells: Vec<Value> = cells
        .map(|cell| cell_of(cell, language.comment()))
        .collect();
    let notebook = json!({
        "cells": cells,
        "metadata": {
            "application/vnd.databricks.v1+notebook": {
                "dashboards": [],
                "language": language.name().to_lowercase(),
                "notebookMetadata": {"pythonIndentUnit": 4},
                "notebookName": name,
                "widgets": {},
            },
            "language_info": {"name": language.name().to_lowercase()},
        },
        "nbformat": 4,
        "nbformat_minor": 0,
    });
    notebook.to_string()
}

/// The cells of a source notebook.
fn cells<'a>(source: &'a str, comment: &str) -> Vec<&'a str> {
    let header = format!("{comment} {HEADER}");
    let separator = format!("{comment} {SEPARATOR}");
    let body = source.strip_prefix(&header).unwrap_or(source);
    let cells = body.trim_start_matches('\n').split(separator.as_str());
    cells.map(|cell| cell.trim_matches('\n')).collect()
}

/// A source notebook as the only member of a DBC archive, with nothing of what runs leave behind.
pub(crate) fn to_dbc(source: &str, language: Language, name: &str) -> String {
    let comment = language.comment();
    let title = format!("{comment} {TITLE}");
    let command = |(at, cell): (usize, &str)| {
        let titled = cell.strip_prefix(&title);
        let (title, text) = match titled.map(|rest| rest.split_once('\n').unwrap_or((rest, ""))) {
            Some((title, text)) => (title, text),
            None => ("", cell),
        };
        json!({
            "version": "CommandV1",
            "subtype": "command",
            "commandType": "auto",
            "position": at as f64 + 1.0,
            "command": bare(text, comment),
            "commandTitle": title,
            "showCommandTitle": !title.is_empty(),
            "results": null,
        })
    };
    let commands: Vec<Value> = cells(source, comment)
        .into_iter()
        .enumerate()
        .map(command)
        .collect();
    let notebook = json!({
        "version": "NotebookV1",
        "name": name,
        "language": language.name().to_lowercase(),
        "commands": commands,
    });
    notebook.to_string()
}

fn cell_of(text: &str, comment: &str) -> Value {
    let text = bare(text, comment);
    match text.strip_prefix("%md") {
        Some(markdown) => {
            let source = split_lines(markdown.trim_start());
            json!({"cell_type": "markdown", "metadata": {}, "source": source})
        }
        None => code_cell(&text),
    }
}

/// A cell without the comment signs before its lines, if it is one in another language.
fn bare<'a>(text: &'a str, comment: &str) -> Cow<'a, str> {
    let magic = format!("{comment} {MAGIC}");
    let is_magic = !text.is_empty() && text.lines().all(|line| line.starts_with(&magic));
    if !is_magic {
        return Cow::Borrowed(text);
    }
    let plain = |line: &str| {
        let rest = line.strip_prefix(&magic).unwrap_or(line);
        rest.strip_prefix(' ').unwrap_or(rest).to_string()
    };
    let lines: Vec<String> = text.lines().map(plain).collect();
    Cow::Owned(lines.join("\n"))
}

fn code_cell(text: &str) -> Value {
    let cell = json!({"inputWidgets": {}, "showTitle": false, "title": ""});
    json!({
        "cell_type": "code",
        "execution_count": 0,
        "metadata": {"application/vnd.databricks.v1+cell": cell},
        "outputs": [],
        "source": split_lines(text),
    })
}

/// The lines of a cell as ipynb has them: each but the last with its line break.
fn split_lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// An ipynb notebook as source; what is not one comes back as it is.
pub(crate) fn to_source(bytes: &[u8], language: Language) -> String {
    let notebook: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let comment = language.comment();
    let cells = notebook["cells"]
        .as_array()
        .map_or(&[] as &[Value], Vec::as_slice);
    let cells: Vec<String> = cells.iter().map(|cell| source_of(cell, comment)).collect();
    format!(
        "{comment} {HEADER}\n{}\n",
        cells.join(&format!("\n\n{comment} {SEPARATOR}\n\n"))
    )
}

fn source_of(cell: &Value, comment: &str) -> String {
    let text = match &cell["source"] {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    };
    let is_markdown = cell["cell_type"] == "markdown";
    if !is_markdown && !text.starts_with('%') {
        return text;
    }
    let text = if is_markdown {
        format!("%md\n{text}")
    } else {
        text
    };
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("{comment} {MAGIC} {line}"))
        .collect();
    lines.join("\n")
}

/// A notebook as a page, with nothing but its text.
pub(crate) fn to_html(source: &str, name: &str) -> String {
    let escape = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    format!(
        "<!DOCTYPE html>\n<html><head><title>{}</title></head><body><pre>{}</pre></body></html>\n",
        escape(name),
        escape(source)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_only_in_the_first_line_and_in_its_own_language() {
        assert!(has_header(
            b"# Databricks notebook source\r\nx",
            Language::Python
        ));
        assert!(has_header(b"-- Databricks notebook source", Language::Sql));
        assert!(!has_header(
            b"# Databricks notebook source\nx",
            Language::Sql
        ));
        assert!(!has_header(
            b"\n# Databricks notebook source\n",
            Language::Python
        ));
    }

    #[test]
    fn a_source_notebook_survives_the_way_through_ipynb() {
        let source = "# Databricks notebook source\nprint('hi')\n\n# COMMAND ----------\n\n# MAGIC %sql\n# MAGIC select 1\n";
        let jupyter = to_jupyter(source, Language::Python, "load");
        assert_eq!(jupyter_language(jupyter.as_bytes()), Some(Language::Python));
        assert_eq!(to_source(jupyter.as_bytes(), Language::Python), source);
    }

    #[test]
    fn markdown_becomes_a_markdown_cell_and_back() {
        let source = "# Databricks notebook source\n# MAGIC %md\n# MAGIC ## Title\n";
        let jupyter: Value =
            serde_json::from_str(&to_jupyter(source, Language::Python, "n")).unwrap();
        assert_eq!(jupyter["cells"][0]["cell_type"], "markdown");
        assert_eq!(
            to_source(jupyter.to_string().as_bytes(), Language::Python),
            source
        );
    }

    #[test]
    fn json_without_cells_is_no_notebook() {
        assert_eq!(jupyter_language(b"{\"a\": 1}"), None);
        assert_eq!(jupyter_language(b"not json"), None);
    }
}

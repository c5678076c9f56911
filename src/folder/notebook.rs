//! Notebooks as files: how they are recognised, and which extension they have.
//!
//! Invariant: what a file is follows from its name and its bytes alone, as `databricks workspace import-dir` has it.

use std::io::Read;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::resource::canonical_bytes;

/// What follows the comment sign in the first line of a source notebook.
const HEADER: &[u8] = b" Databricks notebook source";

/// The languages: as the API spells them, the extension of their files, what opens a comment.
const LANGUAGES: [(&str, &str, &str); 4] = [
    ("PYTHON", "py", "#"),
    ("SQL", "sql", "--"),
    ("SCALA", "scala", "//"),
    ("R", "r", "#"),
];

const JUPYTER: &str = "ipynb";

/// The language of a notebook, and the format of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Its place among the languages.
    language: u8,
    is_jupyter: bool,
}

impl Form {
    /// What a file is whose name ends in `extension`; `None` when it is no notebook.
    pub(super) fn recognise(extension: &str, bytes: &[u8]) -> Option<Self> {
        if is_jupyter(extension) {
            return serde_json::from_slice(bytes).ok().map(Self::of_jupyter);
        }
        let language = language_of(|(_, of, _)| of.eq_ignore_ascii_case(extension))?;
        let comment = LANGUAGES[usize::from(language)].2;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let rest = bytes
            .strip_prefix(comment.as_bytes())?
            .strip_prefix(HEADER)?;
        let end = rest.iter().position(|byte| *byte == b'\n');
        let is_notebook = rest[..end.unwrap_or(rest.len())].trim_ascii().is_empty();
        is_notebook.then_some(Self {
            language,
            is_jupyter: false,
        })
    }

    /// The source of a notebook in the language that has this extension.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        let language = language_of(|(_, of, _)| of.eq_ignore_ascii_case(extension))?;
        Some(Self {
            language,
            is_jupyter: false,
        })
    }

    /// What a file is that calls itself a Jupyter notebook.
    pub(super) fn jupyter(source: impl Read) -> Option<Self> {
        serde_json::from_reader(source).ok().map(Self::of_jupyter)
    }

    fn of_jupyter(notebook: Jupyter) -> Self {
        let metadata = &notebook.metadata;
        let names = [
            &metadata["application/vnd.databricks.v1+notebook"]["language"],
            &metadata["language_info"]["name"],
            &metadata["kernelspec"]["language"],
        ];
        let mut named = names.into_iter().filter_map(Value::as_str);
        let language = named.find_map(|name| language_of(|(of, ..)| of.eq_ignore_ascii_case(name)));
        Self {
            language: language.unwrap_or(0),
            is_jupyter: true,
        }
    }

    /// The body of the notebook's entry, as a backup would record it.
    pub(super) fn body(self) -> Vec<u8> {
        let language = LANGUAGES[usize::from(self.language)].0;
        let format = if self.is_jupyter { "JUPYTER" } else { "SOURCE" };
        canonical_bytes(&json!({"language": language, "format": format}))
    }

    /// The extension that the file of such a notebook gets.
    pub(super) fn extension(self) -> &'static str {
        if self.is_jupyter {
            JUPYTER
        } else {
            LANGUAGES[usize::from(self.language)].1
        }
    }
}

/// The name without its extension, and the extension, of a file that may be a notebook.
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    let (stem, extension) = name.rsplit_once('.')?;
    let is_known = |(_, of, _): &(&str, &str, &str)| of.eq_ignore_ascii_case(extension);
    let is_one = LANGUAGES.iter().any(is_known) || extension.eq_ignore_ascii_case(JUPYTER);
    // Nothing can be called like the folder itself or the one above.
    (is_one && !matches!(stem, "" | "." | "..")).then_some((stem, extension))
}

/// Whether a file of this extension has to be read as a whole to know what it is.
pub(super) fn is_jupyter(extension: &str) -> bool {
    extension.eq_ignore_ascii_case(JUPYTER)
}

/// The extension of a notebook with this body; a notebook of which the language is not known has none.
pub(super) fn extension_of(body: &Value) -> Option<&'static str> {
    if body["format"] == "JUPYTER" {
        return Some(JUPYTER);
    }
    let language = language_of(|(name, ..)| body["language"] == *name)?;
    Some(LANGUAGES[usize::from(language)].1)
}

fn language_of(fits: impl Fn(&(&str, &str, &str)) -> bool) -> Option<u8> {
    let at = LANGUAGES.iter().position(fits)?;
    u8::try_from(at).ok()
}

/// As much of an ipynb file as tells that it is one, and in which language.
#[derive(Deserialize)]
struct Jupyter {
    /// Only there, and a list.
    #[serde(rename = "cells")]
    _cells: Vec<IgnoredAny>,
    #[serde(default)]
    metadata: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(extension: &str, bytes: &[u8]) -> Option<String> {
        let form = Form::recognise(extension, bytes)?;
        Some(String::from_utf8(form.body()).unwrap())
    }

    #[test]
    fn a_header_makes_a_notebook_in_the_language_of_the_extension_only() {
        assert_eq!(
            body("py", b"# Databricks notebook source\r\nx").unwrap(),
            r#"{"format":"SOURCE","language":"PYTHON"}"#
        );
        assert_eq!(
            body("R", b"# Databricks notebook source").unwrap(),
            r#"{"format":"SOURCE","language":"R"}"#
        );
        for (extension, text) in [
            ("sql", "# Databricks notebook source\n"),
            ("py", "\n# Databricks notebook source\n"),
            ("py", "# Databricks notebook sources\n"),
            ("py", "print()"),
            ("txt", "# Databricks notebook source\n"),
            ("ipynb", "{}"),
            ("ipynb", "{\"cells\": 7}"),
        ] {
            assert_eq!(body(extension, text.as_bytes()), None, "{extension} {text}");
        }
    }

    #[test]
    fn a_jupyter_notebook_says_its_language_or_is_python() {
        let of = |text: &str| body("ipynb", text.as_bytes()).unwrap();
        assert_eq!(
            of(r#"{"cells": [], "metadata": {"language_info": {"name": "scala"}}}"#),
            r#"{"format":"JUPYTER","language":"SCALA"}"#
        );
        assert_eq!(
            of(r#"{"cells": [{"source": []}]}"#),
            r#"{"format":"JUPYTER","language":"PYTHON"}"#
        );
    }

    #[test]
    fn an_extension_leads_back_to_itself() {
        for (_, extension, comment) in LANGUAGES {
            let text = format!("{comment} Databricks notebook source\n");
            let form = Form::recognise(extension, text.as_bytes()).unwrap();
            let body = serde_json::from_slice(&form.body()).unwrap();
            assert_eq!(extension_of(&body), Some(extension));
            assert_eq!(form.extension(), extension);
        }
        assert_eq!(extension_of(&json!({"format": "JUPYTER"})), Some("ipynb"));
        assert_eq!(extension_of(&json!({})), None);
    }

    #[test]
    fn a_name_that_would_vanish_without_its_extension_keeps_it() {
        assert_eq!(split("a.b.py"), Some(("a.b", "py")));
        for name in [".py", "..py", "...py", "a.txt", "py"] {
            assert_eq!(split(name), None, "{name}");
        }
    }
}

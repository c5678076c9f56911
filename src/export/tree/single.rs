//! The content of one object.
//!
//! Invariant: what comes back is the object's native form, and its format is known for certain.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::found::Found;
use crate::api::encode;
use crate::api::{ApiError, ErrorKind};
use crate::export::run::{Run, reason};
use crate::resource::Node;

/// `export` answers with at most this many bytes of content.
pub(super) const LONGEST_EXPORT: u64 = 10 << 20;

/// The service takes no longer files; nobody needs to hold more in memory.
const LONGEST_FILE: u64 = 512 << 20;

/// A content, and for notebooks the format it is in.
#[derive(Debug, PartialEq)]
pub(super) struct Content {
    pub(super) bytes: Bytes,
    pub(super) format: Option<&'static str>,
}

/// Why there is no content.
pub(super) enum Failure {
    /// The service knows no such object, or does not tell.
    Missing(ApiError),
    /// It could not be read.
    Failed(String),
}

/// Exports one object: as JSON up to 10 MB; as raw bytes beyond that; a file by the endpoint for files at last.
pub(super) async fn export(run: &Run<'_>, found: &Found) -> Result<Content, Failure> {
    let is_long = found.node == Node::File && found.size.is_some_and(|size| size > LONGEST_EXPORT);
    let mut refusal = None;
    if !is_long {
        let query = [("path", found.path()), ("format", "AUTO")];
        match run.get("/api/2.0/workspace/export", &query).await {
            Ok(answer) => return decode(found, &answer).map_err(Failure::Failed),
            Err(error) if error.kind() == ErrorKind::TooLarge => refusal = Some(error),
            Err(error) => return Err(failure(error)),
        }
    }
    let query = [
        ("path", found.path()),
        ("format", "AUTO"),
        ("direct_download", "true"),
    ];
    let direct = run.download("/api/2.0/workspace/export", &query, LONGEST_FILE);
    let error = match direct.await {
        Ok(bytes) => return Ok(content(found, bytes, None)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Failure::Missing(error)),
        Err(error) => error,
    };
    if found.node == Node::File {
        let path = format!("/api/2.0/workspace-files{}", encode::path(found.path()));
        match run.download(&path, &[], LONGEST_FILE).await {
            Ok(bytes) => return Ok(content(found, bytes, None)),
            Err(last) => refusal = Some(last),
        }
    }
    Err(Failure::Failed(match refusal {
        Some(first) => format!("{}; {}", reason(&first), reason(&error)),
        None => reason(&error),
    }))
}

fn failure(error: ApiError) -> Failure {
    if crate::export::permissions::may_be_gone(&error) {
        Failure::Missing(error)
    } else {
        Failure::Failed(reason(&error))
    }
}

fn decode(found: &Found, answer: &Value) -> Result<Content, String> {
    let Some(text) = answer["content"].as_str() else {
        return Err("the export came without `content`".to_owned());
    };
    let bytes = STANDARD.decode(text);
    let bytes = bytes.map_err(|error| format!("the export came broken: {error}"))?;
    Ok(content(found, bytes.into(), answer["file_type"].as_str()))
}

/// Tells the format of an exported notebook by its first line, which every source export has; only then by the type that
/// the service may or may not have given.
pub(super) fn content(found: &Found, bytes: Bytes, file_type: Option<&str>) -> Content {
    let format = (found.node == Node::Notebook).then(|| {
        if is_source(&bytes) {
            "SOURCE"
        } else if file_type == Some("ipynb") || is_jupyter(&bytes) {
            "JUPYTER"
        } else {
            "SOURCE"
        }
    });
    Content { bytes, format }
}

/// Whether bytes begin as the source of a notebook in one of the four languages does.
pub(super) fn is_source(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    [&b"# "[..], b"-- ", b"// "].iter().any(|comment| {
        bytes
            .strip_prefix(*comment)
            .is_some_and(|rest| rest.starts_with(b"Databricks notebook source"))
    })
}

/// Whether bytes are a Jupyter notebook.
pub(super) fn is_jupyter(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{')
        && serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value["cells"].is_array())
}

#[cfg(test)]
mod tests {
    use super::super::found::tests::{file, notebook};
    use super::*;
    use serde_json::json;

    #[test]
    fn the_format_of_a_notebook_is_told_by_its_content_first() {
        let format = |bytes: &'static [u8], file_type| {
            content(&notebook("/x"), Bytes::from_static(bytes), file_type).format
        };
        assert_eq!(
            format(b"# Databricks notebook source\n", Some("py")),
            Some("SOURCE")
        );
        assert_eq!(
            format(b"-- Databricks notebook source\n", None),
            Some("SOURCE")
        );
        assert_eq!(format(b" {\"cells\": []}", None), Some("JUPYTER"));
        assert_eq!(format(b"{\"cells\": 7}", None), Some("SOURCE"));
        assert_eq!(format(b"", Some("ipynb")), Some("JUPYTER"));
    }

    #[test]
    fn a_file_has_no_format_even_if_it_looks_like_a_notebook() {
        let bytes = Bytes::from_static(b"# Databricks notebook source\n");
        assert_eq!(content(&file("/x.py", 29), bytes, None).format, None);
    }

    #[test]
    fn an_answer_that_is_no_export_is_refused_with_words() {
        let found = notebook("/x");
        assert_eq!(
            decode(&found, &json!({})).unwrap_err(),
            "the export came without `content`"
        );
        let error = decode(&found, &json!({"content": "%%%"})).unwrap_err();
        assert!(error.starts_with("the export came broken"), "{error}");
        let whole = decode(&found, &json!({"content": "eA==", "file_type": "py"})).unwrap();
        assert_eq!(whole.bytes, "x");
    }
}

//! Reading notebooks and files, one by one or a folder as an archive.
//!
//! Invariant: in its own format an object is given back byte for byte.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::archive;
use crate::sandbox::call::{Answer, Call, Refusal, Reply};
use crate::sandbox::limits::Family;
use crate::sandbox::notebook;
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Content, Form, Language, Node, NodeKind, State, clean_path};

pub(super) static ROUTES: &[Route] =
    &[route("GET", "workspace/export", export).family(Family::Export)];

/// The most bytes an answer of `export` or the content of an `import` may have.
pub(super) const LIMIT: usize = 10 * 1024 * 1024;

/// The format something is exported in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Source,
    Jupyter,
    Html,
    Dbc,
    Auto,
    Raw,
}

fn export(state: &mut State, call: &Call) -> Answer {
    let path = clean_path(call.required("path")?)?;
    let format = match call
        .query("format")
        .unwrap_or("SOURCE")
        .to_uppercase()
        .as_str()
    {
        "SOURCE" => Format::Source,
        "JUPYTER" => Format::Jupyter,
        "HTML" => Format::Html,
        "DBC" => Format::Dbc,
        "AUTO" => Format::Auto,
        "RAW" => Format::Raw,
        other => {
            return Err(Refusal::invalid(format!(
                "Export format {other} is not supported here"
            )));
        }
    };
    let node = state.tree.get(&path)?;
    let is_direct = call.flag("direct_download");
    if node.children().is_some() {
        let plan = archive::plan(state, node, format)?;
        return Ok(Reply::Later(Box::new(move || {
            deliver(plan.build(LIMIT)?, "zip", is_direct, LIMIT)
        })));
    }
    let (name, piece) = (node.name.clone(), Piece::of(node, &path)?);
    Ok(Reply::Later(Box::new(move || {
        let (bytes, file_type) = piece.render(format, &name)?;
        // A direct download has no limit.
        deliver(
            bytes,
            file_type,
            is_direct,
            if is_direct { usize::MAX } else { LIMIT },
        )
    })))
}

/// What is needed to export one object, taken out of the workspace so that it need not stay locked.
#[derive(Clone)]
pub(super) struct Piece {
    notebook: Option<(Language, Form)>,
    content: Content,
}

impl Piece {
    pub(super) fn of(node: &Node, path: &str) -> Result<Piece, Refusal> {
        match &node.kind {
            NodeKind::Notebook {
                language,
                form,
                content,
            } => Ok(Piece {
                notebook: Some((*language, *form)),
                content: content.clone(),
            }),
            NodeKind::File { content } | NodeKind::Dashboard { content, .. } => Ok(Piece {
                notebook: None,
                content: content.clone(),
            }),
            NodeKind::Library | NodeKind::Experiment | NodeKind::Folder { .. } => Err(
                Refusal::invalid(format!("({path}) is not an exportable asset.")),
            ),
        }
    }

    /// The bytes in a format, and the extension of a file that holds them.
    pub(super) fn render(
        &self,
        format: Format,
        name: &str,
    ) -> Result<(Bytes, &'static str), Refusal> {
        let Some((language, form)) = self.notebook else {
            return match format {
                // The content of a file does not depend on the format.
                Format::Source | Format::Auto | Format::Raw => {
                    Ok((self.content.bytes(Language::Python), "file"))
                }
                _ => Err(Refusal::invalid(format!(
                    "({name}) is a file and cannot be exported in this format"
                ))),
            };
        };
        let bytes = self.content.bytes(language);
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        let source = || match form {
            Form::Source => text(),
            Form::Jupyter => notebook::to_source(&bytes, language),
        };
        let extension = language.extension();
        Ok(match (format, form) {
            (Format::Source | Format::Auto, Form::Source) => (bytes.clone(), extension),
            (Format::Jupyter | Format::Auto, Form::Jupyter) => (bytes.clone(), "ipynb"),
            (Format::Source, Form::Jupyter) => (source().into(), extension),
            (Format::Jupyter, Form::Source) => (
                notebook::to_jupyter(&text(), language, name).into(),
                "ipynb",
            ),
            (Format::Html, _) => (notebook::to_html(&source(), name).into(), "html"),
            (Format::Dbc, _) => {
                let member = notebook::to_dbc(&source(), language, name);
                let member_name = format!("{name}.{}", language.name().to_lowercase());
                (archive::of_one(&member_name, member.as_bytes())?, "dbc")
            }
            (Format::Raw, _) => return Err(Refusal::invalid("RAW is only for files")),
        })
    }
}

fn deliver(bytes: Bytes, file_type: &'static str, is_direct: bool, limit: usize) -> Answer {
    if bytes.len() > limit {
        return Err(too_large(bytes.len()));
    }
    match is_direct {
        true => Ok(Reply::Raw("application/octet-stream", bytes)),
        false => Reply::json(json!({"content": STANDARD.encode(&bytes), "file_type": file_type})),
    }
}

/// The refusal of an export over the limit.
pub(super) fn too_large(size: usize) -> Refusal {
    let message =
        format!("Size of exported content ({size} bytes) exceeds the limit ({LIMIT} bytes)");
    Refusal::new(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", message)
}

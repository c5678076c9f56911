//! Writing notebooks and files: as JSON, as a form, as a raw body.
//!
//! Invariant: the bytes that come in are the bytes that are kept.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::export::LIMIT;
use crate::sandbox::call::{Answer, Call, Fields, Refusal, Reply, missing};
use crate::sandbox::limits::Family;
use crate::sandbox::notebook::{has_header, jupyter_language};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Content, Form, Language, NodeKind, State, clean_path};

pub(super) static ROUTES: &[Route] = &[
    route("POST", "workspace/import", import).family(Family::Import),
    route("POST", "workspace-files/import-file/{*path}", import_file).family(Family::Import),
];

/// What an import asks for.
struct Import {
    path: String,
    format: String,
    language: Option<String>,
    overwrite: bool,
    content: Bytes,
}

fn import(state: &mut State, call: &Call) -> Answer {
    let is_form = call.content_type.starts_with("multipart/form-data");
    let request = if is_form {
        from_form(call)?
    } else {
        from_json(call)?
    };
    let size = request.content.len();
    if size > LIMIT {
        let message =
            format!("File size imported is ({size} bytes), exceeded max size ({LIMIT} bytes)");
        return Err(Refusal::new(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", message));
    }
    let path = clean_path(&request.path)?;
    let (path, kind) = match request.format.as_str() {
        "AUTO" => recognise(path, request.content),
        "RAW" => (path, NodeKind::file(request.content)),
        "SOURCE" => {
            let language = source_language(&request)?;
            (path, notebook(language, Form::Source, request.content))
        }
        "JUPYTER" => {
            let language = jupyter_language(&request.content);
            let language = language
                .ok_or_else(|| Refusal::invalid("The content is not a valid Jupyter notebook"))?;
            (path, notebook(language, Form::Jupyter, request.content))
        }
        "DBC" if request.overwrite => {
            return Err(Refusal::invalid("DBC format cannot be used with overwrite"));
        }
        other => {
            return Err(Refusal::invalid(format!(
                "Import format {other} is not supported here"
            )));
        }
    };
    state.put(&path, kind, request.overwrite)?;
    Reply::done()
}

/// What the official command-line client uses for every file: not bound by the size limit of `import`.
fn import_file(state: &mut State, call: &Call) -> Answer {
    let path = clean_path(&format!("/{}", call.param("path")))?;
    let (path, kind) = recognise(path, call.body.clone());
    // Here, unlike with `import`, what is in the way is a 409.
    let conflict = |mut refusal: Refusal| {
        if refusal.code == "RESOURCE_ALREADY_EXISTS" {
            refusal.status = 409;
        }
        refusal
    };
    state
        .put(&path, kind, call.flag("overwrite"))
        .map_err(conflict)?;
    Reply::done()
}

/// Decides between notebook and file by the extension and the first line; a notebook loses its extension.
fn recognise(path: String, content: Bytes) -> (String, NodeKind) {
    let Some((stem, extension)) = path.rsplit_once('.') else {
        return (path, NodeKind::file(content));
    };
    if stem.ends_with('/') {
        return (path, NodeKind::file(content));
    }
    if extension.eq_ignore_ascii_case("ipynb")
        && let Some(language) = jupyter_language(&content)
    {
        return (stem.to_string(), notebook(language, Form::Jupyter, content));
    }
    match Language::of_extension(extension).filter(|language| has_header(&content, *language)) {
        Some(language) => (stem.to_string(), notebook(language, Form::Source, content)),
        None => (path, NodeKind::file(content)),
    }
}

fn notebook(language: Language, form: Form, content: Bytes) -> NodeKind {
    NodeKind::Notebook {
        language,
        form,
        content: Content::Kept(content),
    }
}

fn source_language(request: &Import) -> Result<Language, Refusal> {
    let name = request.language.as_deref().filter(|name| !name.is_empty());
    let name =
        name.ok_or_else(|| Refusal::invalid("The language is required when the format is SOURCE"))?;
    Language::parse(name)
        .ok_or_else(|| Refusal::invalid(format!("'{name}' is not a notebook language")))
}

fn from_json(call: &Call) -> Result<Import, Refusal> {
    let body = call.object()?;
    let content = STANDARD.decode(body.text("content").unwrap_or_default());
    let content = content.map_err(|_| Refusal::invalid("The content is not valid base64"))?;
    Ok(Import {
        path: body.required_text("path")?.to_string(),
        format: format_of(body.text("format")),
        language: body.text("language").map(String::from),
        overwrite: body.flag("overwrite"),
        content: content.into(),
    })
}

fn format_of(format: Option<&str>) -> String {
    format
        .filter(|format| !format.is_empty())
        .unwrap_or("SOURCE")
        .to_uppercase()
}

/// The named parts of a form.
pub(super) fn form(call: &Call) -> Result<Vec<(String, Bytes)>, Refusal> {
    let boundary = call.content_type.split("boundary=").nth(1);
    let boundary = boundary
        .ok_or_else(|| Refusal::new(400, "MALFORMED_REQUEST", "The form has no boundary"))?;
    let boundary = boundary
        .split(';')
        .next()
        .unwrap_or(boundary)
        .trim_matches('"');
    Ok(form_parts(&call.body, boundary))
}

fn from_form(call: &Call) -> Result<Import, Refusal> {
    let parts = form(call)?;
    let bytes = |name: &str| {
        parts
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let text = |name: &str| bytes(name).map(|value| String::from_utf8_lossy(&value).into_owned());
    Ok(Import {
        path: text("path")
            .filter(|path| !path.is_empty())
            .ok_or_else(|| missing("path"))?,
        format: format_of(text("format").as_deref()),
        language: text("language"),
        overwrite: text("overwrite").is_some_and(|value| value.eq_ignore_ascii_case("true")),
        content: bytes("content").unwrap_or_default(),
    })
}

/// The whole body is in memory already, so the parts are slices of it.
fn form_parts(body: &Bytes, boundary: &str) -> Vec<(String, Bytes)> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut start = match find(body, delimiter.as_bytes(), 0) {
        Some(position) => position + delimiter.len(),
        None => return parts,
    };
    let ending = format!("\r\n{delimiter}");
    while let Some(end) = find(body, ending.as_bytes(), start) {
        if let Some(head_end) = find(body, b"\r\n\r\n", start).filter(|position| *position < end) {
            let head = String::from_utf8_lossy(&body[start..head_end]).into_owned();
            let name = head
                .split("name=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            parts.push((
                name.unwrap_or_default().to_string(),
                body.slice(head_end + 4..end),
            ));
        }
        start = end + ending.len();
    }
    parts
}

fn find(bytes: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == first)?;
        if bytes[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_keeps_bytes_that_look_like_its_own_punctuation() {
        let body = "--xx\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\n/a\r\n--xx\r\n\
            Content-Disposition: form-data; name=\"content\"; filename=\"c\"\r\n\r\n--xy\r\n\r\n\r\n--xx--\r\n";
        let parts = form_parts(&Bytes::from(body), "xx");
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0], ("path".to_string(), Bytes::from("/a")));
        assert_eq!(
            parts[1],
            ("content".to_string(), Bytes::from("--xy\r\n\r\n"))
        );
    }

    #[test]
    fn only_a_notebook_loses_its_extension() {
        let kind = |path: &str, content: &'static str| {
            let (path, kind) = recognise(path.to_string(), Bytes::from(content));
            (path, matches!(kind, NodeKind::Notebook { .. }))
        };
        assert_eq!(
            kind("/a/x.py", "# Databricks notebook source\n1"),
            ("/a/x".into(), true)
        );
        assert_eq!(kind("/a/x.py", "print(1)"), ("/a/x.py".into(), false));
        assert_eq!(
            kind("/a/x.sql", "# Databricks notebook source\n"),
            ("/a/x.sql".into(), false)
        );
        assert_eq!(
            kind("/a/.py", "# Databricks notebook source\n"),
            ("/a/.py".into(), false)
        );
        assert_eq!(kind("/a/x.ipynb", "{\"cells\": []}"), ("/a/x".into(), true));
        assert_eq!(kind("/a/x.ipynb", "{}"), ("/a/x.ipynb".into(), false));
    }
}

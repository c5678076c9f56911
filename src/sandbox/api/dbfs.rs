//! The DBFS: one level of a folder at a time, reads and writes of at most a megabyte.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::mlflow::artifacts::TRACKING;
use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{DbfsNode, OpenFile, State};

pub(super) static ROUTES: &[Route] = &[
    route("GET", "dbfs/list", list),
    route("GET", "dbfs/get-status", get_status),
    route("GET", "dbfs/read", read),
    route("POST", "dbfs/put", put),
    route("POST", "dbfs/create", create),
    route("POST", "dbfs/add-block", add_block),
    route("POST", "dbfs/close", close),
    route("POST", "dbfs/mkdirs", mkdirs),
    route("POST", "dbfs/move", rename),
    route("POST", "dbfs/delete", delete),
];

const BLOCK: usize = 1 << 20;
const USUAL_READ: i64 = 500_000;

fn list(state: &mut State, call: &Call) -> Answer {
    let path = path(call.required("path")?)?;
    let node = found(state, &path)?;
    // The list of a file is the file.
    if node.bytes.is_some() {
        return Reply::list("files", vec![shown(&path, &node)]);
    }
    let children = state.dbfs.children(&path).into_iter();
    Reply::list(
        "files",
        children.map(|(path, node)| shown(path, node)).collect(),
    )
}

fn get_status(state: &mut State, call: &Call) -> Answer {
    let path = path(call.required("path")?)?;
    let node = found(state, &path)?;
    Reply::json(shown(&path, &node))
}

fn read(state: &mut State, call: &Call) -> Answer {
    let path = path(call.required("path")?)?;
    let bytes = found(state, &path)?.bytes;
    let bytes =
        bytes.ok_or_else(|| Refusal::invalid(format!("Cannot read a directory: {path}")))?;
    let offset = call.query_int("offset")?.unwrap_or(0);
    let length = call.query_int("length")?.unwrap_or(USUAL_READ);
    let (Ok(offset), Ok(length)) = (usize::try_from(offset), usize::try_from(length)) else {
        return Err(Refusal::invalid("offset and length must not be negative"));
    };
    if length > BLOCK {
        let message = "The maximum read size is 1 MB";
        return Err(Refusal::new(400, "MAX_READ_SIZE_EXCEEDED", message));
    }
    let begin = offset.min(bytes.len());
    let end = begin.saturating_add(length).min(bytes.len());
    let data = STANDARD.encode(&bytes[begin..end]);
    Reply::json(json!({"bytes_read": end - begin, "data": data}))
}

fn put(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let path = path(body.required_text("path")?)?;
    let bytes = decoded(&body, "contents")?;
    make_room(state, &path, body.flag("overwrite"))?;
    let now = state.clock.now();
    let made = state.dbfs.put(&path, bytes, now);
    made.map_err(in_the_way)?;
    Reply::done()
}

fn create(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let path = path(body.required_text("path")?)?;
    make_room(state, &path, body.flag("overwrite"))?;
    let now = state.clock.now();
    let made = state.dbfs.put(&path, Bytes::new(), now);
    made.map_err(in_the_way)?;
    let handle = state.ids.next();
    let bytes = Vec::new();
    state.dbfs.open.insert(handle, OpenFile { path, bytes });
    Reply::json(json!({"handle": handle}))
}

fn add_block(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let bytes = decoded(&body, "data")?;
    let handle = handle(&body)?;
    let file = state.dbfs.open.get_mut(&handle);
    let file = file.ok_or_else(|| no_handle(handle))?;
    file.bytes.extend_from_slice(&bytes);
    Reply::done()
}

fn close(state: &mut State, call: &Call) -> Answer {
    let handle = handle(&call.object()?)?;
    let file = state.dbfs.open.remove(&handle);
    let file = file.ok_or_else(|| no_handle(handle))?;
    let now = state.clock.now();
    let made = state.dbfs.put(&file.path, Bytes::from(file.bytes), now);
    made.map_err(in_the_way)?;
    Reply::done()
}

fn mkdirs(state: &mut State, call: &Call) -> Answer {
    let path = path(call.object()?.required_text("path")?)?;
    let now = state.clock.now();
    state.dbfs.make_folder(&path, now).map_err(in_the_way)?;
    Reply::done()
}

fn rename(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let from = path(body.required_text("source_path")?)?;
    let to = path(body.required_text("destination_path")?)?;
    found(state, &from)?;
    // Into a folder that is there it goes under its own name.
    let name = from.rsplit_once('/').map_or("", |(_, name)| name);
    let to = match state.dbfs.find(&to) {
        Some(node) if node.bytes.is_none() => format!("{}/{name}", to.trim_end_matches('/')),
        _ => to,
    };
    if state.dbfs.find(&to).is_some() {
        return Err(Refusal::exists(format!(
            "A file or directory already exists at {to}"
        )));
    }
    state.dbfs.rename(&from, &to);
    Reply::done()
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let path = path(body.required_text("path")?)?;
    found(state, &path)?;
    if !state.dbfs.children(&path).is_empty() && !body.flag("recursive") {
        let message = format!("Cannot delete the non-empty directory {path} without recursive");
        return Err(Refusal::new(400, "IO_ERROR", message));
    }
    state.dbfs.remove(&path);
    Reply::done()
}

/// Sees to it that a file can be written at a path.
fn make_room(state: &State, path: &str, overwrite: bool) -> Result<(), Refusal> {
    match state.dbfs.find(path) {
        Some(node) if node.bytes.is_none() || !overwrite => Err(Refusal::exists(format!(
            "A file or directory already exists at the input path {path}"
        ))),
        _ => Ok(()),
    }
}

fn shown(path: &str, node: &DbfsNode) -> Value {
    json!({
        "path": path,
        "is_dir": node.bytes.is_none(),
        "file_size": node.bytes.as_ref().map_or(0, Bytes::len),
        "modification_time": node.modified,
    })
}

fn found(state: &State, path: &str) -> Result<DbfsNode, Refusal> {
    let node = state.dbfs.find(path);
    node.ok_or_else(|| Refusal::not_found(format!("No file or directory exists on path {path}.")))
}

/// A path as it is kept: from the root, without a slash at its end.
fn path(text: &str) -> Result<String, Refusal> {
    let text = text.strip_prefix("dbfs:").unwrap_or(text);
    if !text.starts_with('/') {
        return Err(Refusal::invalid(format!("Path must be absolute: {text}")));
    }
    match text.trim_end_matches('/') {
        "" => Ok("/".to_owned()),
        path if is_kept_apart(path) => Err(Refusal::new(
            403,
            "PERMISSION_DENIED",
            format!(
                "Access to {path} is controlled by MLflow: only its clients can read and write it"
            ),
        )),
        path => Ok(path.to_owned()),
    }
}

fn is_kept_apart(path: &str) -> bool {
    let rest = path.strip_prefix(TRACKING);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn decoded(body: &Object, field: &str) -> Result<Bytes, Refusal> {
    let text = body.text(field).unwrap_or_default();
    let bytes = STANDARD.decode(text);
    let bytes = bytes.map_err(|_| Refusal::invalid(format!("{field} is not valid base64")))?;
    if bytes.len() > BLOCK {
        let message = "The maximum block size is 1 MB";
        return Err(Refusal::new(400, "MAX_BLOCK_SIZE_EXCEEDED", message));
    }
    Ok(Bytes::from(bytes))
}

fn handle(body: &Object) -> Result<i64, Refusal> {
    body.int("handle")
        .ok_or_else(|| crate::sandbox::call::missing("handle"))
}

fn no_handle(handle: i64) -> Refusal {
    Refusal::not_found(format!("No open stream with handle {handle}"))
}

fn in_the_way(path: String) -> Refusal {
    Refusal::exists(format!("A file is in the way at {path}"))
}

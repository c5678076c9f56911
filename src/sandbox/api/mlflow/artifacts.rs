//! The files of runs: lists of them, signed addresses for them, and the storage that answers there.
//!
//! The storage is that of a cloud: it knows no tokens, and refuses a request that brings one.

use axum::body::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{page, runs};
use crate::sandbox::call::{Answer, Call, Fields, Refusal, Reply, Stored};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{DbfsNode, State, mix};

pub(in crate::sandbox::api) static ROUTES: &[Route] = &[
    route("GET", "mlflow/artifacts/list", list),
    route("POST", "mlflow/artifacts/credentials-for-read", for_read),
    route("POST", "mlflow/artifacts/credentials-for-write", for_write),
    route("GET", "cloud-storage/{*path}", read).versions(&[]),
    route("PUT", "cloud-storage/{*path}", write).versions(&[]),
];

/// Where the tracking service keeps files, out of reach of the DBFS API.
pub(in crate::sandbox::api) const TRACKING: &str = "/databricks/mlflow-tracking";

/// Files in a page.
const PAGE: usize = 1000;
/// Paths for which addresses are signed at once.
const MOST_PATHS: usize = 2000;
/// What stands in an address as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

fn list(state: &mut State, call: &Call) -> Answer {
    let root = root(state, call.required("run_id")?)?;
    let below = call.query("path").unwrap_or_default();
    let folder = within(&root, below)?;
    let shown = |(path, node): (&String, &DbfsNode)| {
        let path = path
            .strip_prefix(&root)
            .unwrap_or(path)
            .trim_start_matches('/');
        match &node.bytes {
            None => json!({"path": path, "is_dir": true}),
            Some(bytes) => json!({"path": path, "is_dir": false, "file_size": bytes.len()}),
        }
    };
    // The list of a file is the file.
    let files: Vec<Value> = match state.dbfs.find(&folder) {
        Some(node) if node.bytes.is_some() => vec![shown((&folder, &node))],
        _ => state
            .dbfs
            .children(&folder)
            .into_iter()
            .map(shown)
            .collect(),
    };
    page("files", files, None, PAGE, call.query("page_token"))
}

fn for_read(state: &mut State, call: &Call) -> Answer {
    signed(state, call, "GET")
}

fn for_write(state: &mut State, call: &Call) -> Answer {
    signed(state, call, "PUT")
}

/// Signs addresses, also of files that are not there.
fn signed(state: &mut State, call: &Call, method: &str) -> Answer {
    let body = call.object()?;
    let run = body.required_text("run_id")?;
    let root = root(state, run)?;
    if !root.starts_with(TRACKING) {
        return Err(Refusal::invalid(format!(
            "The files of run '{run}' are not kept by the service"
        )));
    }
    let paths = body.items("path");
    if paths.is_empty() || paths.len() > MOST_PATHS {
        return Err(Refusal::invalid(format!(
            "path must have 1 to {MOST_PATHS} elements"
        )));
    }
    let info = |path: &Value| {
        let path = path.as_str().unwrap_or_default();
        let place = within(&root, path)?;
        let address = format!(
            "{}/cloud-storage{}?signature={}",
            call.base_url,
            utf8_percent_encode(&place, PLAIN),
            signature(state, method, &place)
        );
        Ok(json!({
            "run_id": run, "path": path, "signed_uri": address, "type": "AWS_PRESIGNED_URL",
            "headers": [{"name": "x-signed-for", "value": method}],
        }))
    };
    let infos = paths.iter().map(info).collect::<Result<_, Refusal>>()?;
    page(
        "credential_infos",
        infos,
        None,
        PAGE,
        body.text("page_token"),
    )
}

fn read(state: &mut State, call: &Call) -> Answer {
    let place = match admitted(state, call, "GET") {
        Ok(place) => place,
        Err(refused) => return Ok(refused),
    };
    let node = state.dbfs.find(&place);
    let Some(DbfsNode {
        bytes: Some(bytes),
        modified,
    }) = node
    else {
        return Ok(xml(404, "NoSuchKey"));
    };
    // No two writes are at one time.
    let etag = format!("\"{modified:x}-{:x}\"", bytes.len());
    if !call.if_match.is_empty() && call.if_match != etag {
        return Ok(xml(412, "PreconditionFailed"));
    }
    let modified = chrono::DateTime::from_timestamp_millis(modified).unwrap_or_default();
    let mut headers = vec![
        ("etag", etag),
        (
            "last-modified",
            modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        ),
    ];
    let Some((begin, end)) = range(&call.range) else {
        return Ok(stored(200, bytes, headers));
    };
    if begin >= bytes.len() {
        return Ok(xml(416, "InvalidRange"));
    }
    let end = end.min(bytes.len() - 1);
    headers.push((
        "content-range",
        format!("bytes {begin}-{end}/{}", bytes.len()),
    ));
    Ok(stored(206, bytes.slice(begin..=end), headers))
}

fn write(state: &mut State, call: &Call) -> Answer {
    let place = match admitted(state, call, "PUT") {
        Ok(place) => place,
        Err(refused) => return Ok(refused),
    };
    let now = state.clock.now();
    Ok(match state.dbfs.put(&place, call.body.clone(), now) {
        Ok(()) => stored(200, Bytes::new(), Vec::new()),
        Err(_) => xml(409, "OperationAborted"),
    })
}

/// The object that a request means, if its address was signed for it.
fn admitted(state: &State, call: &Call, method: &str) -> Result<String, Reply> {
    if !call.authorization.is_empty() {
        return Err(xml(400, "InvalidArgument"));
    }
    let place = format!("/{}", call.param("path"));
    match call.query("signature") == Some(&signature(state, method, &place)) {
        true => Ok(place),
        false => Err(xml(403, "SignatureDoesNotMatch")),
    }
}

fn signature(state: &State, method: &str, place: &str) -> String {
    let bytes = method.bytes().chain([0]).chain(place.bytes());
    let sum = bytes.fold(mix(state.workspace_id), |sum, byte| {
        mix(sum ^ u64::from(byte))
    });
    format!("{sum:016x}")
}

/// `bytes=3-7`.
fn range(text: &str) -> Option<(usize, usize)> {
    let (begin, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    Some((begin.parse().ok()?, end.parse().unwrap_or(usize::MAX)))
}

/// Where the files of a run are.
fn root(state: &State, run: &str) -> Result<String, Refusal> {
    let uri = &runs::find(state, run)?.artifact_uri;
    let root = uri.strip_prefix("dbfs:");
    root.map(str::to_owned).ok_or_else(|| {
        Refusal::invalid(format!(
            "The files of run '{run}' are in {uri}, which cannot be listed"
        ))
    })
}

fn within(root: &str, path: &str) -> Result<String, Refusal> {
    if path.split('/').any(|part| part == "..") || path.starts_with('/') {
        return Err(Refusal::invalid(format!("Invalid artifact path: {path}")));
    }
    Ok(format!("{root}/{path}").trim_end_matches('/').to_owned())
}

fn stored(status: u16, bytes: Bytes, headers: Vec<(&'static str, String)>) -> Reply {
    Reply::Stored(Stored {
        status,
        content_type: "binary/octet-stream",
        bytes,
        headers,
    })
}

/// A refusal as storage has it.
fn xml(status: u16, code: &str) -> Reply {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>.</Message></Error>");
    Reply::Stored(Stored {
        status,
        content_type: "application/xml",
        bytes: body.into(),
        headers: Vec::new(),
    })
}

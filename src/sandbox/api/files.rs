//! Raw reads of workspace files, as the official command-line client makes them.

use crate::sandbox::call::{Answer, Call, Refusal, Reply};
use crate::sandbox::limits::Family;
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Language, NodeKind, State, clean_path};

pub(super) static ROUTES: &[Route] =
    &[route("GET", "workspace-files/{*path}", read).family(Family::Export)];

fn read(state: &mut State, call: &Call) -> Answer {
    let path = clean_path(&format!("/{}", call.param("path")))?;
    match &state.tree.get(&path)?.kind {
        NodeKind::File { content } | NodeKind::Dashboard { content, .. } => Ok(Reply::Raw(
            "application/octet-stream",
            content.bytes(Language::Python),
        )),
        _ => Err(Refusal::invalid(format!("Path ({path}) is not a file."))),
    }
}

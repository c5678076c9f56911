//! A folder as one archive: what is in it, named by path relative to the folder.
//!
//! Invariant: no two members share a name. Where two objects would (notebook `x` in Python and file `x.py`), the first
//! is in and the second is not, so that whoever takes the archive has to compare it with the listing.

use std::collections::HashSet;
use std::io::{Cursor, Write};

use axum::body::Bytes;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::export::{Format, Piece, too_large};
use crate::sandbox::call::Refusal;
use crate::sandbox::state::{Node, NodeKind, State};

/// The members an archive will have, taken out of the workspace so that it need not stay locked.
pub(super) struct Plan {
    format: Format,
    members: Vec<(String, String, Piece)>,
}

/// Plans the archive of a folder: notebooks only as SOURCE, notebooks and files as AUTO.
pub(super) fn plan(state: &State, folder: &Node, format: Format) -> Result<Plan, Refusal> {
    if !matches!(format, Format::Source | Format::Auto) {
        return Err(Refusal::invalid(
            "A folder can be exported as SOURCE, AUTO or DBC only",
        ));
    }
    let mut plan = Plan {
        format,
        members: Vec::new(),
    };
    let mut left = vec![(String::new(), folder)];
    while let Some((prefix, node)) = left.pop() {
        for child in state.tree.children(node) {
            let is_in = match child.kind {
                NodeKind::Folder { .. } => {
                    left.push((format!("{prefix}{}/", child.name), child));
                    false
                }
                NodeKind::Notebook { .. } => true,
                NodeKind::File { .. } => format == Format::Auto,
                NodeKind::Dashboard { .. } | NodeKind::Library | NodeKind::Experiment => false,
            };
            if is_in {
                plan.members.push((
                    prefix.clone(),
                    child.name.clone(),
                    Piece::of(child, &child.name)?,
                ));
            }
        }
    }
    Ok(plan)
}

impl Plan {
    /// The archive, or a refusal as soon as it is larger than the limit.
    pub(super) fn build(&self, limit: usize) -> Result<Bytes, Refusal> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        let mut names = HashSet::new();
        let mut written = 0;
        let failed = |_| Refusal::new(500, "INTERNAL_ERROR", "The archive could not be written.");
        for (prefix, name, piece) in &self.members {
            let (bytes, extension) = piece.render(self.format, name)?;
            let member = match extension {
                "file" => format!("{prefix}{name}"),
                _ => format!("{prefix}{name}.{extension}"),
            };
            if !names.insert(member.clone()) {
                continue;
            }
            writer.start_file(member, options).map_err(failed)?;
            writer.write_all(&bytes).map_err(|_| too_large(written))?;
            written += bytes.len();
            // Text shrinks by no more than this, so a folder far over the limit is refused without packing all of it.
            if written > 12 * limit {
                return Err(too_large(written));
            }
        }
        let bytes = writer.finish().map_err(failed)?.into_inner();
        if bytes.len() > limit {
            return Err(too_large(bytes.len()));
        }
        Ok(bytes.into())
    }
}

/// An archive of one member.
pub(super) fn of_one(name: &str, bytes: &[u8]) -> Result<Bytes, Refusal> {
    let failed = |_| Refusal::new(500, "INTERNAL_ERROR", "The archive could not be written.");
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    writer.start_file(name, options).map_err(failed)?;
    let written = writer.write_all(bytes);
    written.map_err(|_| too_large(bytes.len()))?;
    Ok(writer.finish().map_err(failed)?.into_inner().into())
}

//! Libraries of the workspace tree: what version 1.2 of the API says of them, and the file that was uploaded for one.
//!
//! Workspaces of today may not answer any more; then all that is known is that there is a library.

use super::found::Found;
use super::single::{Content, Failure};
use crate::api::ErrorKind;
use crate::export::dbfs;
use crate::export::item::Memory;
use crate::export::known::{Known, Sighting};
use crate::export::run::{Run, reason};
use crate::resource::{LIBRARY, library_fields, library_file};

/// Reads what there is of a library; none for other nodes.
pub(super) async fn read(
    run: &Run<'_>,
    found: &mut Found,
) -> Option<(Result<Content, Failure>, Option<Memory>)> {
    if found.body["object_type"] != LIBRARY {
        return None;
    }
    let query = [("libraryId", found.object_id.as_str())];
    let status = match run.get("/api/1.2/libraries/status", &query).await {
        Ok(status) => status,
        // What the words for all such nodes say is all there is to say.
        Err(error) if is_retired(error.kind()) => return None,
        Err(error) => return Some((failed(reason(&error)), None)),
    };
    let Some(fields) = library_fields(&status) else {
        let reason = "the workspace answered something that is not a library".to_owned();
        return Some((failed(reason), None));
    };
    if let Some(body) = found.body.as_object_mut() {
        body.extend(fields);
    }
    let Some(path) = library_file(&found.body) else {
        let reason = "it is not made of one file that was uploaded".to_owned();
        return Some((failed(reason), None));
    };
    if is_known(run.known, found) {
        found.knowledge.is_unchanged = true;
        return None;
    }
    match dbfs::one(run, &path).await {
        Ok((bytes, memory)) => {
            let content = Content {
                bytes,
                format: None,
            };
            Some((Ok(content), Some(memory)))
        }
        Err(reason) => Some((failed(format!("its file dbfs:{path}: {reason}")), None)),
    }
}

/// Whether an earlier snapshot has it with its file, the name of which is another one after every upload.
fn is_known(known: &dyn Known, found: &Found) -> bool {
    let sighting = Sighting {
        key: &found.key,
        object_id: &found.object_id,
        modified_at: None,
        size: None,
        body: Some(&found.body),
    };
    known.look_up(&sighting).is_unchanged
}

const fn is_retired(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::FeatureDisabled | ErrorKind::BadRequest
    )
}

fn failed(reason: String) -> Result<Content, Failure> {
    Err(Failure::Failed(reason))
}

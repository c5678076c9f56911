//! Permissions of single objects.

use super::item::Part;
use super::run::{Run, reason};
use crate::api::encode::segment;
use crate::api::{ApiError, ErrorKind};
use crate::resource::{Acl, Kind};

/// What became of the question who may do what.
pub(super) enum Answer {
    /// An answer, or a kind about which there is nothing to ask.
    Known(Part<Acl>),
    /// The service knows no such object, or does not tell.
    Missing(ApiError),
    /// No answer; why not.
    Failed(String),
}

/// Reads the direct permissions of an object.
pub(super) async fn read(run: &Run<'_>, kind: &Kind, object_id: &str) -> Answer {
    let Some(object_type) = kind.permissions else {
        return Answer::Known(Part::Absent);
    };
    let path = format!("/api/2.0/permissions/{object_type}/{}", segment(object_id));
    match run.get(&path, &[]).await {
        Ok(answer) => Answer::Known(Part::Read(Acl::from_answer(&answer))),
        Err(error) if may_be_gone(&error) => Answer::Missing(error),
        Err(error) => Answer::Failed(reason(&error)),
    }
}

/// Whether a refusal may mean that the object is gone. Permissions are looked at before existence: for a deleted job the
/// answer may be 403.
pub(super) fn may_be_gone(error: &ApiError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::PermissionDenied
    )
}

//! Permissions of single objects.

use super::item::Part;
use super::listed::text_at;
use super::run::{Run, reason};
use crate::api::encode::segment;
use crate::api::{ApiError, Client, ErrorKind};
use crate::resource::{Acl, FieldPath, Kind};

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
    if run.is_without_acls(object_type) {
        return Answer::Known(Part::Absent);
    }
    let known_as = match kind.permission_id() {
        None => Ok(object_id.to_owned()),
        Some(call) => {
            run.checked(permission_id(run.client, call, object_id))
                .await
        }
    };
    let path = match known_as {
        Ok(id) => format!("/api/2.0/permissions/{object_type}/{}", segment(&id)),
        Err(error) if may_be_gone(&error) => return Answer::Missing(error),
        Err(error) => return Answer::Failed(reason(&error)),
    };
    match run.get(&path, &[]).await {
        Ok(answer) => Answer::Known(Part::Read(Acl::from_answer(&answer))),
        // Workspaces of the standard tier: none of their objects has any.
        Err(error) if error.kind() == ErrorKind::FeatureDisabled => {
            run.note_without_acls(object_type, &error);
            Answer::Known(Part::Absent)
        }
        Err(error) if may_be_gone(&error) => Answer::Missing(error),
        Err(error) => Answer::Failed(reason(&error)),
    }
}

/// The id by which permissions know an object.
pub async fn permission_id(
    client: &Client,
    (call, field): (&'static str, FieldPath),
    object_id: &str,
) -> Result<String, ApiError> {
    let (path, query) = call.split_once('?').unwrap_or((call, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query: Vec<(&str, String)> = pairs
        .map(|(name, value)| (name, value.replace("{id}", object_id)))
        .collect();
    let query: Vec<(&str, &str)> = query
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let answer = client.get(path, &query).await?;
    // An answer without it is met by a refusal of the permissions, which names the object.
    Ok(text_at(&answer, field).unwrap_or_default())
}

/// Whether a refusal may mean that the object is gone. Permissions are looked at before existence: for a deleted job the
/// answer may be 403.
pub(super) fn may_be_gone(error: &ApiError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::PermissionDenied
    )
}

//! From status and code to what the caller must know.
//!
//! Invariant: the error code outranks the status, and "this object is gone" is never said of a missing feature.

use reqwest::{Method, StatusCode};

use super::RequestLine;

/// What a failure means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The object does not exist, or the caller may not know that it does.
    NotFound,
    /// The identity is known and may not do this.
    PermissionDenied,
    /// The identity is not known, or its token has expired.
    Unauthenticated,
    /// Too many requests.
    Throttled,
    /// Something of that name is there already.
    AlreadyExists,
    /// The object changed meanwhile, is being changed, or carries a newer etag.
    Conflict,
    /// The service does not accept the request as it is.
    BadRequest,
    /// The content is longer than the service, or the caller, allows.
    TooLarge,
    /// This workspace does not have the feature or the endpoint.
    FeatureDisabled,
    /// The service failed; doing it again may help.
    Internal,
    /// The service, or a part of it, is down or too slow.
    Unavailable,
    /// The service does not do this.
    NotImplemented,
    /// The request was cancelled.
    Cancelled,
    /// No whole answer arrived.
    Transport,
    /// An answer arrived that the API does not promise.
    InvalidAnswer,
    /// The client could not be set up.
    Setup,
}

impl ErrorKind {
    /// Whether the service failed rather than refused.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, ErrorKind::Internal | ErrorKind::Unavailable)
    }
}

pub(super) fn classify(
    request: &RequestLine,
    status: StatusCode,
    code: &str,
    message: &str,
) -> ErrorKind {
    if is_throttling(code, message) {
        return ErrorKind::Throttled;
    }
    if is_gone_in_disguise(request, code, message) {
        return ErrorKind::NotFound;
    }
    // Rejected tokens come as 403 with a bare number for a code, too.
    if status == StatusCode::FORBIDDEN
        && message
            .to_ascii_lowercase()
            .starts_with("invalid access token")
    {
        return ErrorKind::Unauthenticated;
    }
    by_code(code).unwrap_or_else(|| {
        let number = code.strip_prefix("SCIM_").unwrap_or(code);
        let said = number
            .parse()
            .ok()
            .and_then(|number| StatusCode::from_u16(number).ok());
        by_status(
            said.filter(|said| said.as_u16() >= 400).unwrap_or(status),
            message,
        )
    })
}

/// SCIM says "too many requests" with a 500; the words are the same everywhere.
fn is_throttling(code: &str, message: &str) -> bool {
    matches!(code, "RESOURCE_EXHAUSTED" | "REQUEST_LIMIT_EXCEEDED")
        || message.contains("REQUEST_LIMIT_EXCEEDED")
        || message.contains("RPC token bucket limit has been exceeded")
}

/// Clusters and jobs that are gone are answered with 400. Only reads mean the object itself by it: a job that is being
/// created on a missing cluster is refused in the same words.
fn is_gone_in_disguise(request: &RequestLine, code: &str, message: &str) -> bool {
    if request.method != Method::GET {
        return false;
    }
    let about = |object: &str| {
        message.starts_with(object)
            && (message.contains(" does not exist") || message.contains(" doesn't exist"))
    };
    match code {
        "INVALID_PARAMETER_VALUE" => {
            let path = request.path.as_str();
            (about("Cluster ") && names_clusters(path))
                || (path.contains("/jobs/") && (about("Job ") || about("Run ") || about("Run: ")))
        }
        // The permissions of a cluster that expired (30 days after its end, not pinned).
        "INVALID_STATE" => message.starts_with("Cannot access cluster"),
        _ => false,
    }
}

fn names_clusters(path: &str) -> bool {
    path.contains("/clusters/") || path.contains("/libraries/")
}

fn by_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "METASTORE_DOES_NOT_EXIST" | "ENDPOINT_NOT_FOUND" | "FEATURE_DISABLED" => {
            ErrorKind::FeatureDisabled
        }
        "RESOURCE_DOES_NOT_EXIST" | "NOT_FOUND" => ErrorKind::NotFound,
        "UNAUTHENTICATED" => ErrorKind::Unauthenticated,
        "PERMISSION_DENIED" | super::body::PRIVATE_LINK => ErrorKind::PermissionDenied,
        "ALREADY_EXISTS" | "RESOURCE_ALREADY_EXISTS" => ErrorKind::AlreadyExists,
        "RESOURCE_CONFLICT" | "ABORTED" => ErrorKind::Conflict,
        "MAX_NOTEBOOK_SIZE_EXCEEDED" | "MAX_BLOCK_SIZE_EXCEEDED" | "MAX_READ_SIZE_EXCEEDED" => {
            ErrorKind::TooLarge
        }
        "INVALID_PARAMETER_VALUE"
        | "INVALID_STATE"
        | "MALFORMED_REQUEST"
        | "BAD_REQUEST"
        | "INVALID_REQUEST" => ErrorKind::BadRequest,
        "CANCELLED" => ErrorKind::Cancelled,
        "INTERNAL_ERROR" | "DATA_LOSS" => ErrorKind::Internal,
        "NOT_IMPLEMENTED" => ErrorKind::NotImplemented,
        "TEMPORARILY_UNAVAILABLE"
        | "WORKSPACE_TEMPORARILY_UNAVAILABLE"
        | "SERVICE_UNDER_MAINTENANCE"
        | "DEADLINE_EXCEEDED" => ErrorKind::Unavailable,
        _ if code.ends_with("_DOES_NOT_EXIST") => ErrorKind::NotFound,
        _ if code.ends_with("_ALREADY_EXISTS") => ErrorKind::AlreadyExists,
        _ => return None,
    })
}

fn by_status(status: StatusCode, message: &str) -> ErrorKind {
    // A principal that is there already: 409 today, 400 or 500 with these words on older builds.
    let exists = message.contains("already exists") || message.contains("uniqueness");
    match status.as_u16() {
        409 if exists => ErrorKind::AlreadyExists,
        400 | 500 if exists => ErrorKind::AlreadyExists,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::PermissionDenied,
        404 | 410 => ErrorKind::NotFound,
        408 | 502 | 503 | 504 => ErrorKind::Unavailable,
        409 | 412 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::Throttled,
        499 => ErrorKind::Cancelled,
        501 => ErrorKind::NotImplemented,
        500..=599 => ErrorKind::Internal,
        _ => ErrorKind::BadRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(method: Method, path: &str, status: u16, code: &str, message: &str) -> ErrorKind {
        classify(
            &RequestLine::new(&method, path, &[]),
            StatusCode::from_u16(status).unwrap(),
            code,
            message,
        )
    }

    #[test]
    fn the_code_outranks_the_status() {
        for (status, code, expected) in [
            (400, "RESOURCE_ALREADY_EXISTS", ErrorKind::AlreadyExists),
            (400, "RESOURCE_DOES_NOT_EXIST", ErrorKind::NotFound),
            (404, "CATALOG_DOES_NOT_EXIST", ErrorKind::NotFound),
            (404, "METASTORE_DOES_NOT_EXIST", ErrorKind::FeatureDisabled),
            (404, "ENDPOINT_NOT_FOUND", ErrorKind::FeatureDisabled),
            (404, "FEATURE_DISABLED", ErrorKind::FeatureDisabled),
            (400, "MAX_NOTEBOOK_SIZE_EXCEEDED", ErrorKind::TooLarge),
            (500, "REQUEST_LIMIT_EXCEEDED", ErrorKind::Throttled),
            (400, "429", ErrorKind::Throttled),
            (403, "403", ErrorKind::PermissionDenied),
            (200, "INVALID_PARAMETER_VALUE", ErrorKind::BadRequest),
            (409, "SOMETHING_NEW", ErrorKind::Conflict),
            (409, "SCIM_409", ErrorKind::Conflict),
            (500, "UNKNOWN", ErrorKind::Internal),
            (502, "UNKNOWN", ErrorKind::Unavailable),
            (504, "", ErrorKind::Unavailable),
            (418, "", ErrorKind::BadRequest),
        ] {
            assert_eq!(
                kind(Method::GET, "/api/2.0/x", status, code, ""),
                expected,
                "{status} {code}"
            );
        }
    }

    #[test]
    fn clusters_and_jobs_that_are_gone_are_not_found_when_read() {
        let code = "INVALID_PARAMETER_VALUE";
        let gone = "Cluster 0101-000000-gone0000 does not exist";
        let read = |path, message| kind(Method::GET, path, 400, code, message);
        assert_eq!(read("/api/2.1/clusters/get", gone), ErrorKind::NotFound);
        assert_eq!(
            read("/api/2.0/libraries/cluster-status", gone),
            ErrorKind::NotFound
        );
        assert_eq!(
            read("/api/2.2/jobs/get", "Job 999 does not exist."),
            ErrorKind::NotFound
        );
        assert_eq!(
            read("/api/2.2/jobs/runs/get", "Run 9 does not exist"),
            ErrorKind::NotFound
        );
        assert_eq!(
            read("/api/2.2/jobs/runs/get", "Run: 9 in job: 1 doesn't exist"),
            ErrorKind::NotFound
        );
        assert_eq!(
            read("/api/2.2/jobs/get", "Job id is missing"),
            ErrorKind::BadRequest
        );
        assert_eq!(
            kind(Method::POST, "/api/2.2/jobs/create", 400, code, gone),
            ErrorKind::BadRequest
        );
        let expired = "Cannot access cluster 0101-000000-gone0000 that was terminated or unpinned";
        assert_eq!(
            kind(
                Method::GET,
                "/api/2.0/permissions/clusters/0101",
                400,
                "INVALID_STATE",
                expired
            ),
            ErrorKind::NotFound
        );
    }

    #[test]
    fn scim_throttles_with_a_500_and_refuses_doubles_with_many_statuses() {
        let path = "/api/2.0/preview/scim/v2/Users";
        let limit = "REQUEST_LIMIT_EXCEEDED: too many";
        assert_eq!(
            kind(Method::GET, path, 500, "SCIM_500", limit),
            ErrorKind::Throttled
        );
        for status in [400, 409, 500] {
            let code = format!("SCIM_{status}");
            assert_eq!(
                kind(Method::POST, path, status, &code, "User already exists"),
                ErrorKind::AlreadyExists
            );
        }
        assert_eq!(
            kind(Method::POST, path, 409, "SCIM_409", "uniqueness taken"),
            ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn a_rejected_token_is_unauthenticated_whatever_the_status() {
        assert_eq!(
            kind(
                Method::GET,
                "/x",
                403,
                "403",
                "Invalid access token. [ReqId: 1]"
            ),
            ErrorKind::Unauthenticated
        );
        assert_eq!(
            kind(Method::GET, "/x", 401, "", "<html>"),
            ErrorKind::Unauthenticated
        );
    }
}

//! The families of endpoints that share a documented rate.
//!
//! Invariant: every request belongs to exactly one family, the first whose rule fits.

use std::fmt;

use reqwest::Method;

use super::rate::Rate;

/// Endpoints that the service counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Reading notebooks and files of the workspace tree.
    Export,
    /// Writing them.
    Import,
    /// All of DBFS.
    Dbfs,
    /// Reading permissions.
    PermissionsGet,
    /// Writing permissions.
    PermissionsSet,
    /// Creating jobs and starting runs.
    JobsCreate,
    /// Reading runs.
    RunsGet,
    /// Submitting one-time runs.
    RunsSubmit,
    /// Reading users, groups and service principals.
    ScimGet,
    /// Creating, changing and deleting them, but for the two below.
    ScimSet,
    /// Changing groups.
    GroupPatch,
    /// Deleting groups.
    GroupDelete,
    /// Secrets, scopes and their lists.
    Secrets,
    /// Token management.
    Tokens,
    /// Searches in MLflow.
    MlflowSearch,
    /// The rest of MLflow.
    Mlflow,
    /// Reading legacy queries, dashboards and alerts.
    LegacySqlGet,
    /// Writing them.
    LegacySqlSet,
    /// Running SQL statements and commands: no rate is known of it, but answers take far longer than elsewhere.
    Statements,
    /// Everything without a rate of its own.
    Other,
}

impl Family {
    /// All of them, in the order of their indexes.
    pub const ALL: [Family; 20] = [
        Family::Export,
        Family::Import,
        Family::Dbfs,
        Family::PermissionsGet,
        Family::PermissionsSet,
        Family::JobsCreate,
        Family::RunsGet,
        Family::RunsSubmit,
        Family::ScimGet,
        Family::ScimSet,
        Family::GroupPatch,
        Family::GroupDelete,
        Family::Secrets,
        Family::Tokens,
        Family::MlflowSearch,
        Family::Mlflow,
        Family::LegacySqlGet,
        Family::LegacySqlSet,
        Family::Statements,
        Family::Other,
    ];

    /// The name used in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Family::Export => "export",
            Family::Import => "import",
            Family::Dbfs => "dbfs",
            Family::PermissionsGet => "permissions-get",
            Family::PermissionsSet => "permissions-set",
            Family::JobsCreate => "jobs-create",
            Family::RunsGet => "runs-get",
            Family::RunsSubmit => "runs-submit",
            Family::ScimGet => "scim-get",
            Family::ScimSet => "scim-set",
            Family::GroupPatch => "group-patch",
            Family::GroupDelete => "group-delete",
            Family::Secrets => "secrets",
            Family::Tokens => "tokens",
            Family::MlflowSearch => "mlflow-search",
            Family::Mlflow => "mlflow",
            Family::LegacySqlGet => "legacy-sql-get",
            Family::LegacySqlSet => "legacy-sql-set",
            Family::Statements => "statements",
            Family::Other => "other",
        }
    }

    /// The documented or observed rate; none where none is known.
    pub fn documented_rate(self) -> Option<Rate> {
        Some(match self {
            Family::Export => Rate::per_second(60),
            Family::Import | Family::Dbfs | Family::PermissionsSet | Family::LegacySqlSet => {
                Rate::per_second(30)
            }
            Family::PermissionsGet | Family::RunsGet | Family::LegacySqlGet => {
                Rate::per_second(100)
            }
            Family::JobsCreate => Rate::per_second(20),
            Family::RunsSubmit => Rate::per_second(35),
            // Counted by the minute, so a short run may take a quarter of it at once.
            Family::ScimGet => Rate::per_minute(255).with_burst(60),
            // Known of accounts only; a workspace is not likely to be quicker.
            Family::ScimSet => Rate::per_second(5),
            Family::GroupPatch => Rate::per_minute(10).with_burst(10),
            Family::GroupDelete => Rate::per_minute(35).with_burst(10),
            Family::Secrets => Rate::per_minute(1100).with_burst(100),
            Family::Tokens => Rate::per_second(40),
            Family::MlflowSearch => Rate::per_second(7),
            Family::Mlflow => Rate::per_second(120),
            Family::Statements | Family::Other => return None,
        })
    }

    /// The family of a request.
    pub(super) fn of(method: &Method, path: &str) -> Family {
        let reads = *method == Method::GET || *method == Method::HEAD;
        let Some((_version, rest)) = path
            .strip_prefix("/api/")
            .and_then(|rest| rest.split_once('/'))
        else {
            return Family::Other;
        };
        let under = |prefix: &str| {
            rest.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if under("workspace/export") {
            Family::Export
        } else if under("workspace/import") || under("workspace-files/import-file") {
            Family::Import
        } else if under("dbfs") {
            Family::Dbfs
        } else if under("permissions") {
            if reads {
                Family::PermissionsGet
            } else {
                Family::PermissionsSet
            }
        } else if under("jobs/create") || under("jobs/run-now") {
            Family::JobsCreate
        } else if under("jobs/runs/submit") {
            Family::RunsSubmit
        } else if under("jobs/runs") && reads {
            Family::RunsGet
        } else if under("preview/scim") {
            match *method {
                _ if reads => Family::ScimGet,
                Method::PATCH if rest.contains("/Groups") => Family::GroupPatch,
                Method::DELETE if rest.contains("/Groups") => Family::GroupDelete,
                _ => Family::ScimSet,
            }
        } else if under("secrets") {
            Family::Secrets
        } else if under("token") || under("token-management") {
            Family::Tokens
        } else if under("mlflow") {
            if rest.contains("/search") {
                Family::MlflowSearch
            } else {
                Family::Mlflow
            }
        } else if under("preview/sql") {
            if reads {
                Family::LegacySqlGet
            } else {
                Family::LegacySqlSet
            }
        } else if under("sql/statements") || under("commands") || under("contexts") {
            Family::Statements
        } else {
            Family::Other
        }
    }

    pub(in crate::api) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_follow_the_order_and_names_are_unique() {
        for (index, family) in Family::ALL.iter().enumerate() {
            assert_eq!(family.index(), index);
            assert_eq!(
                Family::ALL
                    .iter()
                    .filter(|other| other.name() == family.name())
                    .count(),
                1
            );
        }
    }

    #[test]
    fn requests_fall_into_their_families() {
        for (method, path, family) in [
            (Method::GET, "/api/2.0/workspace/export", Family::Export),
            (Method::GET, "/api/2.0/workspace/list", Family::Other),
            (Method::POST, "/api/2.0/workspace/import", Family::Import),
            (
                Method::POST,
                "/api/2.0/workspace-files/import-file/Shared/a",
                Family::Import,
            ),
            (
                Method::GET,
                "/api/2.0/permissions/jobs/1",
                Family::PermissionsGet,
            ),
            (
                Method::PUT,
                "/api/2.0/permissions/jobs/1",
                Family::PermissionsSet,
            ),
            (
                Method::GET,
                "/api/2.1/unity-catalog/permissions/table/x",
                Family::Other,
            ),
            (
                Method::GET,
                "/api/2.0/preview/permissionassignments",
                Family::Other,
            ),
            (Method::GET, "/api/2.0/preview/scim/v2/Me", Family::ScimGet),
            (
                Method::POST,
                "/api/2.0/preview/scim/v2/Users",
                Family::ScimSet,
            ),
            (
                Method::PATCH,
                "/api/2.0/preview/scim/v2/Groups/1",
                Family::GroupPatch,
            ),
            (
                Method::DELETE,
                "/api/2.0/preview/scim/v2/Groups/1",
                Family::GroupDelete,
            ),
            (
                Method::PATCH,
                "/api/2.0/preview/scim/v2/Users/1",
                Family::ScimSet,
            ),
            (Method::POST, "/api/2.2/jobs/create", Family::JobsCreate),
            (Method::GET, "/api/2.2/jobs/list", Family::Other),
            (Method::GET, "/api/2.2/jobs/runs/get", Family::RunsGet),
            (Method::POST, "/api/2.0/secrets/put", Family::Secrets),
            (Method::GET, "/api/2.0/token/list", Family::Tokens),
            (
                Method::POST,
                "/api/2.0/mlflow/runs/search",
                Family::MlflowSearch,
            ),
            (
                Method::GET,
                "/api/2.0/mlflow/experiments/get",
                Family::Mlflow,
            ),
            (
                Method::GET,
                "/api/2.0/preview/sql/queries",
                Family::LegacySqlGet,
            ),
            (Method::POST, "/api/2.0/sql/statements", Family::Statements),
            (Method::GET, "/api/1.2/commands/status", Family::Statements),
            (Method::GET, "/api/2.0/sql/warehouses", Family::Other),
            (Method::GET, "/.well-known/databricks-config", Family::Other),
        ] {
            assert_eq!(Family::of(&method, path), family, "{method} {path}");
        }
    }
}

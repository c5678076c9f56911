//! Why there is no connection to be made.
//!
//! Invariant: values are named by their keys and origins; none is shown but the host and the names of profiles.

use std::path::PathBuf;

use super::{Attribute, Origin};
use crate::api::auth::Strategy;
use crate::api::host::HostError;

/// Why the settings do not make a connection.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nobody says which workspace.
    #[error("no workspace is named")]
    NoHost,
    /// The host is no address.
    #[error("the host {origin} is not usable")]
    BadHost {
        /// Where it came from.
        origin: Origin,
        /// What is wrong with it.
        #[source]
        source: HostError,
    },
    /// A profile was asked for and there is no file.
    #[error("profile {profile} was asked for, but {} does not exist", shown(.path))]
    MissingFile {
        /// Where it was looked for, if there is a place.
        path: Option<PathBuf>,
        /// Who was looked for.
        profile: String,
    },
    /// The file has no such profile, or it is empty.
    #[error("{path} has no {name} profile configured; it has {}", listed(.known))]
    UnknownProfile {
        /// The file.
        path: PathBuf,
        /// Who was looked for.
        name: String,
        /// Who is there.
        known: Vec<String>,
    },
    /// The file cannot be read as what it should be.
    #[error("line {line} of {path} is {what}")]
    BrokenFile {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Credentials of several kinds.
    #[error("more than one authorization method configured: {methods}")]
    SeveralMethods {
        /// The methods with the attributes that stand for them.
        methods: String,
    },
    /// The forced method is none that dbsnap knows.
    #[error("auth_type {name} ({origin}) is not supported")]
    UnknownAuthType {
        /// What was given.
        name: String,
        /// Where it came from.
        origin: Origin,
    },
    /// Credentials of a kind that dbsnap cannot use.
    #[error("{method} credentials are not supported")]
    Unsupported {
        /// The kind.
        method: String,
    },
    /// Some of the credentials are missing.
    #[error("{strategy} authentication needs {} as well", keys(.missing))]
    Incomplete {
        /// The method.
        strategy: Strategy,
        /// What is missing.
        missing: Vec<Attribute>,
    },
    /// A number was expected.
    #[error("{attribute} ({origin}) is not a whole number")]
    NotANumber {
        /// The setting.
        attribute: Attribute,
        /// Where it came from.
        origin: Origin,
    },
}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ConfigError::NoHost => {
                "name a profile of .databrickscfg with --profile, or set DATABRICKS_HOST and DATABRICKS_TOKEN".to_owned()
            }
            ConfigError::SeveralMethods { .. } => {
                "remove one of them, or choose with auth_type (DATABRICKS_AUTH_TYPE)".to_owned()
            }
            ConfigError::UnknownAuthType { .. } | ConfigError::Unsupported { .. } => {
                let known: Vec<&str> = Strategy::ALL.iter().map(|strategy| strategy.name()).collect();
                format!("dbsnap knows {}", known.join(", "))
            }
            ConfigError::Incomplete { missing, .. } => {
                let named: Vec<String> = missing
                    .iter()
                    .map(|attribute| match attribute.variables().first() {
                        Some(variable) => format!("{attribute} in the profile or {variable}"),
                        None => format!("{attribute} in the profile"),
                    })
                    .collect();
                format!("set {}", named.join("; "))
            }
            _ => return None,
        })
    }
}

fn shown(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or_else(
        || "a profile file".to_owned(),
        |path| path.display().to_string(),
    )
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn keys(attributes: &[Attribute]) -> String {
    attributes
        .iter()
        .map(|attribute| attribute.key())
        .collect::<Vec<_>>()
        .join(" and ")
}

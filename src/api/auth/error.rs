//! Why there are no credentials.
//!
//! Invariant: nothing that a token endpoint or a program printed is shown whole; it may hold a token.

use super::Strategy;

/// Why there are no credentials for a request.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// None are configured, and none could be found.
    #[error("there are no credentials: {}", attempts(.tried))]
    NoCredentials {
        /// What was tried and why it did not work.
        tried: Vec<(Strategy, AuthError)>,
    },
    /// The token endpoint refused.
    #[error("{strategy}: {endpoint} answered {status} {message}")]
    Refused {
        /// The strategy that was used.
        strategy: Strategy,
        /// Where the token was asked for.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// The endpoint's words.
        message: String,
    },
    /// The token endpoint did not answer.
    #[error("{strategy}: {endpoint} did not answer")]
    Unreachable {
        /// The strategy that was used.
        strategy: Strategy,
        /// Where the token was asked for.
        endpoint: String,
        /// What broke.
        #[source]
        source: reqwest::Error,
    },
    /// What came is no token.
    #[error("{strategy}: {origin} gave no token: {why}")]
    NoToken {
        /// The strategy that was used.
        strategy: Strategy,
        /// Who was asked.
        origin: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// A program could not be run.
    #[error("{strategy}: failed to run `{program}`")]
    Program {
        /// The strategy that was used.
        strategy: Strategy,
        /// The program.
        program: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A program ran and failed.
    #[error("{strategy}: `{program}` failed: {message}")]
    ProgramFailed {
        /// The strategy that was used.
        strategy: Strategy,
        /// The program with its arguments.
        program: String,
        /// The last of what it wrote to its error output.
        message: String,
    },
    /// A setting that the strategy cannot use.
    #[error("{strategy}: {why}")]
    Unusable {
        /// The strategy that was used.
        strategy: Strategy,
        /// What is wrong.
        why: String,
    },
}

impl AuthError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            AuthError::NoCredentials { .. } => {
                "set DATABRICKS_TOKEN, add a token to the profile, or log in with `databricks auth login`".to_owned()
            }
            AuthError::Refused { status: 400..=403, .. } => {
                "check the client id, the secret and the tenant; secrets expire".to_owned()
            }
            AuthError::ProgramFailed { strategy: Strategy::DatabricksCli, .. } => {
                "log in again with `databricks auth login`".to_owned()
            }
            AuthError::ProgramFailed { strategy: Strategy::AzureCli, .. } => "log in again with `az login`".to_owned(),
            AuthError::Program { strategy: Strategy::DatabricksCli, .. } => {
                "install the Databricks CLI, or say where it is with databricks_cli_path (DATABRICKS_CLI_PATH)".to_owned()
            }
            _ => return None,
        })
    }
}

/// The only place where causes are shown inside a message: there are several of them, and a chain has one.
fn attempts(tried: &[(Strategy, AuthError)]) -> String {
    let shown = tried
        .iter()
        .map(|(_, error)| match std::error::Error::source(error) {
            Some(source) => format!("{error} ({source})"),
            None => error.to_string(),
        });
    shown.collect::<Vec<_>>().join("; ")
}

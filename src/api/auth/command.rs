//! Logins kept by other programs: `databricks auth token` and `az account get-access-token`.
//!
//! Invariant: a program's standard output is never shown, for it is a token.

use std::process::Stdio;
use std::time::Duration;

use chrono::Utc;
use serde_json::Value;
use tokio::process::Command;

use super::azure::DATABRICKS_RESOURCE;
use super::token::Token;
use super::{AuthError, Authenticator, Credential, Strategy};
use crate::api::config::Attribute;

/// A program that waits for a person, or for a browser, is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

impl Authenticator {
    pub(super) async fn databricks_command(&self) -> Result<Credential, AuthError> {
        let strategy = Strategy::DatabricksCli;
        let program = self
            .config
            .get(Attribute::DatabricksCliPath)
            .unwrap_or("databricks");
        let mut arguments = vec!["auth", "token"];
        match self.config.profile() {
            Some(profile) => arguments.extend(["--profile", profile]),
            None => arguments.extend(["--host", self.config.host().url()]),
        }
        let mut command = Command::new(program);
        command.args(&arguments);
        if let Some(file) = self.config.get(Attribute::ConfigFile) {
            command.env("DATABRICKS_CONFIG_FILE", file);
        }
        let token = token_of(
            strategy,
            command,
            format!("{program} {}", arguments.join(" ")),
        )
        .await?;
        Ok(Credential::bearer(strategy, token, Utc::now()))
    }

    pub(super) async fn azure_command(&self) -> Result<Credential, AuthError> {
        let strategy = Strategy::AzureCli;
        let mut arguments = vec![
            "account",
            "get-access-token",
            "--resource",
            DATABRICKS_RESOURCE,
            "--output",
            "json",
        ];
        if let Some(tenant) = self.config.get(Attribute::AzureTenantId) {
            arguments.extend(["--tenant", tenant]);
        }
        // On Windows the program is a script, and scripts are found by their whole name only.
        let program = if cfg!(windows) { "az.cmd" } else { "az" };
        let mut command = Command::new(program);
        command.args(&arguments);
        let token = token_of(
            strategy,
            command,
            format!("{program} {}", arguments.join(" ")),
        )
        .await?;
        Ok(Credential::bearer(strategy, token, Utc::now()))
    }
}

async fn token_of(
    strategy: Strategy,
    mut command: Command,
    shown: String,
) -> Result<Token, AuthError> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let failed = |message: String| AuthError::ProgramFailed {
        strategy,
        program: shown.clone(),
        message,
    };
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(source)) => {
            return Err(AuthError::Program {
                strategy,
                program: shown,
                source,
            });
        }
        Err(_) => {
            return Err(failed(format!(
                "it did not end within {} s",
                PATIENCE.as_secs()
            )));
        }
    };
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())
            .unwrap_or("it said nothing");
        return Err(failed(last.to_owned()));
    }
    let no_token = |why: &str| AuthError::NoToken {
        strategy,
        origin: format!("`{shown}`"),
        why: why.to_owned(),
    };
    // The parser's own complaint could quote what it read.
    let answer: Value =
        serde_json::from_slice(&output.stdout).map_err(|_| no_token("it did not print JSON"))?;
    Token::read(&answer, Utc::now()).map_err(no_token)
}

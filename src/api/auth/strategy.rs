//! The ways to authenticate, as data.
//!
//! Invariant: the names are those of the official tools' `auth_type`.

use std::fmt;

use crate::api::config::Attribute;
use crate::api::host::{Cloud, Host};

/// A way to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// A personal access token.
    Pat,
    /// User name and password: legacy.
    Basic,
    /// OAuth with the client id and secret of a service principal.
    OauthM2m,
    /// The login of the `databricks` program.
    DatabricksCli,
    /// An Entra service principal with a secret.
    AzureClientSecret,
    /// The managed identity of an Azure machine.
    AzureMsi,
    /// The login of the `az` program.
    AzureCli,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 7] = [
        Strategy::Pat,
        Strategy::Basic,
        Strategy::OauthM2m,
        Strategy::DatabricksCli,
        Strategy::AzureMsi,
        Strategy::AzureClientSecret,
        Strategy::AzureCli,
    ];

    /// The name in `auth_type`.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Pat => "pat",
            Strategy::Basic => "basic",
            Strategy::OauthM2m => "oauth-m2m",
            Strategy::DatabricksCli => "databricks-cli",
            Strategy::AzureClientSecret => "azure-client-secret",
            Strategy::AzureMsi => "azure-msi",
            Strategy::AzureCli => "azure-cli",
        }
    }

    /// The strategy of a name.
    pub fn from_name(name: &str) -> Option<Strategy> {
        Strategy::ALL
            .into_iter()
            .find(|strategy| strategy.name() == name)
    }

    /// The settings without which it cannot work.
    pub fn needs(self) -> &'static [Attribute] {
        match self {
            Strategy::Pat => &[Attribute::Token],
            Strategy::Basic => &[Attribute::Username, Attribute::Password],
            Strategy::OauthM2m => &[Attribute::ClientId, Attribute::ClientSecret],
            Strategy::AzureClientSecret => {
                &[Attribute::AzureClientId, Attribute::AzureClientSecret]
            }
            Strategy::DatabricksCli | Strategy::AzureMsi | Strategy::AzureCli => &[],
        }
    }

    /// What is tried when no credentials are given: the logins of programs that a person may have installed.
    pub(in crate::api) fn without_credentials(host: &Host) -> Vec<Strategy> {
        match host.cloud() {
            Cloud::Azure => vec![Strategy::DatabricksCli, Strategy::AzureCli],
            Cloud::Aws | Cloud::Gcp => vec![Strategy::DatabricksCli],
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

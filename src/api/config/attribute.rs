//! The settings that the official tools know, as a table.
//!
//! Invariant: one row per attribute, in the order of the enum; nothing else in the program spells a key or a variable.

use std::fmt;

/// A setting of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// Address of the workspace.
    Host,
    /// Account the workspace belongs to.
    AccountId,
    /// Workspace, where a host serves several.
    WorkspaceId,
    /// Personal access token.
    Token,
    /// User name of the legacy login.
    Username,
    /// Password of the legacy login.
    Password,
    /// Client id of a service principal.
    ClientId,
    /// Client secret of a service principal.
    ClientSecret,
    /// OAuth scopes, separated by spaces or commas.
    Scopes,
    /// The one way to authenticate.
    AuthType,
    /// Section of the profile file.
    Profile,
    /// The profile file.
    ConfigFile,
    /// ARM id of an Azure workspace.
    AzureWorkspaceResourceId,
    /// Entra tenant.
    AzureTenantId,
    /// Entra client id.
    AzureClientId,
    /// Entra client secret.
    AzureClientSecret,
    /// Whether to use the machine's managed identity.
    AzureUseMsi,
    /// Azure cloud: PUBLIC, USGOVERNMENT or CHINA.
    AzureEnvironment,
    /// Google service account.
    GoogleServiceAccount,
    /// Google credentials.
    GoogleCredentials,
    /// Path of the `databricks` program.
    DatabricksCliPath,
    /// OpenID discovery document.
    DiscoveryUrl,
    /// Variable that holds an identity token.
    OidcTokenEnv,
    /// File that holds an identity token.
    OidcTokenFilepath,
    /// Audience of identity tokens.
    TokenAudience,
    /// Cloud, where the host name does not tell.
    Cloud,
    /// Cluster to run things on.
    ClusterId,
    /// Warehouse to run things on.
    WarehouseId,
    /// Whether certificates are not verified.
    SkipVerify,
    /// Inactivity timeout in seconds.
    HttpTimeoutSeconds,
    /// Patience with failing calls in seconds.
    RetryTimeoutSeconds,
    /// Requests a second.
    RateLimit,
}

/// The families of credentials, of which only one may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Pat,
    Basic,
    Oauth,
    Azure,
    Google,
}

struct Row {
    attribute: Attribute,
    key: &'static str,
    variables: &'static [&'static str],
    family: Option<Family>,
    secret: bool,
}

impl Attribute {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Attribute> {
        TABLE.iter().map(|row| row.attribute)
    }

    /// The key in the profile file.
    pub fn key(self) -> &'static str {
        self.row().key
    }

    /// The environment variables, the first that is set counts.
    pub fn variables(self) -> &'static [&'static str] {
        self.row().variables
    }

    /// Whether the value must not be shown.
    pub fn is_secret(self) -> bool {
        self.row().secret
    }

    pub(super) fn family(self) -> Option<Family> {
        self.row().family
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Pat => "pat",
            Family::Basic => "basic",
            Family::Oauth => "oauth",
            Family::Azure => "azure",
            Family::Google => "google",
        })
    }
}

const fn row(attribute: Attribute, key: &'static str, variables: &'static [&'static str]) -> Row {
    Row {
        attribute,
        key,
        variables,
        family: None,
        secret: false,
    }
}

impl Row {
    const fn of(self, family: Family) -> Row {
        Row {
            family: Some(family),
            ..self
        }
    }

    const fn secret(self) -> Row {
        Row {
            secret: true,
            ..self
        }
    }
}

static TABLE: [Row; 32] = [
    row(Attribute::Host, "host", &["DATABRICKS_HOST"]),
    row(
        Attribute::AccountId,
        "account_id",
        &["DATABRICKS_ACCOUNT_ID"],
    ),
    row(
        Attribute::WorkspaceId,
        "workspace_id",
        &["DATABRICKS_WORKSPACE_ID"],
    ),
    row(Attribute::Token, "token", &["DATABRICKS_TOKEN"])
        .of(Family::Pat)
        .secret(),
    row(Attribute::Username, "username", &["DATABRICKS_USERNAME"]).of(Family::Basic),
    row(Attribute::Password, "password", &["DATABRICKS_PASSWORD"])
        .of(Family::Basic)
        .secret(),
    row(Attribute::ClientId, "client_id", &["DATABRICKS_CLIENT_ID"]).of(Family::Oauth),
    row(
        Attribute::ClientSecret,
        "client_secret",
        &["DATABRICKS_CLIENT_SECRET"],
    )
    .of(Family::Oauth)
    .secret(),
    row(Attribute::Scopes, "scopes", &[]),
    row(Attribute::AuthType, "auth_type", &["DATABRICKS_AUTH_TYPE"]),
    row(
        Attribute::Profile,
        "profile",
        &["DATABRICKS_CONFIG_PROFILE"],
    ),
    row(
        Attribute::ConfigFile,
        "config_file",
        &["DATABRICKS_CONFIG_FILE"],
    ),
    row(
        Attribute::AzureWorkspaceResourceId,
        "azure_workspace_resource_id",
        &["DATABRICKS_AZURE_RESOURCE_ID"],
    )
    .of(Family::Azure),
    row(
        Attribute::AzureTenantId,
        "azure_tenant_id",
        &["ARM_TENANT_ID"],
    )
    .of(Family::Azure),
    row(
        Attribute::AzureClientId,
        "azure_client_id",
        &["ARM_CLIENT_ID"],
    )
    .of(Family::Azure),
    row(
        Attribute::AzureClientSecret,
        "azure_client_secret",
        &["ARM_CLIENT_SECRET"],
    )
    .of(Family::Azure)
    .secret(),
    row(Attribute::AzureUseMsi, "azure_use_msi", &["ARM_USE_MSI"]).of(Family::Azure),
    row(
        Attribute::AzureEnvironment,
        "azure_environment",
        &["ARM_ENVIRONMENT"],
    ),
    row(
        Attribute::GoogleServiceAccount,
        "google_service_account",
        &["DATABRICKS_GOOGLE_SERVICE_ACCOUNT"],
    )
    .of(Family::Google),
    row(
        Attribute::GoogleCredentials,
        "google_credentials",
        &["GOOGLE_CREDENTIALS"],
    )
    .of(Family::Google)
    .secret(),
    row(
        Attribute::DatabricksCliPath,
        "databricks_cli_path",
        &["DATABRICKS_CLI_PATH"],
    ),
    row(
        Attribute::DiscoveryUrl,
        "discovery_url",
        &["DATABRICKS_DISCOVERY_URL"],
    ),
    row(
        Attribute::OidcTokenEnv,
        "oidc_token_env",
        &["DATABRICKS_OIDC_TOKEN_ENV"],
    ),
    row(
        Attribute::OidcTokenFilepath,
        "databricks_id_token_filepath",
        &[
            "DATABRICKS_OIDC_TOKEN_FILEPATH",
            "DATABRICKS_OIDC_TOKEN_FILE",
        ],
    ),
    row(
        Attribute::TokenAudience,
        "audience",
        &["DATABRICKS_TOKEN_AUDIENCE"],
    ),
    row(Attribute::Cloud, "cloud", &["DATABRICKS_CLOUD"]),
    row(
        Attribute::ClusterId,
        "cluster_id",
        &["DATABRICKS_CLUSTER_ID"],
    ),
    row(
        Attribute::WarehouseId,
        "warehouse_id",
        &["DATABRICKS_WAREHOUSE_ID"],
    ),
    row(Attribute::SkipVerify, "skip_verify", &[]),
    row(Attribute::HttpTimeoutSeconds, "http_timeout_seconds", &[]),
    row(Attribute::RetryTimeoutSeconds, "retry_timeout_seconds", &[]),
    row(
        Attribute::RateLimit,
        "rate_limit",
        &["DATABRICKS_RATE_LIMIT"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_the_index_of_their_attribute_and_no_key_or_variable_twice() {
        let mut names = Vec::new();
        for (index, attribute) in Attribute::all().enumerate() {
            assert_eq!(attribute as usize, index);
            names.push(attribute.key());
            names.extend(attribute.variables());
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

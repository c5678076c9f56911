//! Azure: tokens of Entra instead of tokens of the workspace.
//!
//! Invariant: where the ARM id of the workspace is known, a management token goes with every request, so that an
//! identity gets in that the workspace has not met yet.

use chrono::Utc;

use super::token::Token;
use super::{AuthError, Authenticator, Credential, Strategy};
use crate::api::config::Attribute;
use crate::api::encode::segment;
use crate::api::secret::Secret;

/// The application that stands for Databricks in every Entra tenant.
pub(super) const DATABRICKS_RESOURCE: &str = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";
/// Where Azure machines find their identity service.
const IDENTITY_SERVICE: &str = "http://169.254.169.254";

const MANAGEMENT_TOKEN: &str = "x-databricks-azure-sp-management-token";
const RESOURCE_ID: &str = "x-databricks-azure-workspace-resource-id";

/// The addresses of one of the Azure clouds.
struct Endpoints {
    login: &'static str,
    management: &'static str,
}

impl Authenticator {
    pub(super) async fn azure_client_secret(&self) -> Result<Credential, AuthError> {
        let strategy = Strategy::AzureClientSecret;
        let endpoints = self.azure_endpoints(strategy)?;
        let login = self.login.azure_login.as_deref().unwrap_or(endpoints.login);
        let tenant = match self.config.get(Attribute::AzureTenantId) {
            Some(tenant) => tenant.to_owned(),
            None => self.discover_tenant(strategy).await?,
        };
        let endpoint = format!("{login}/{}/oauth2/token", segment(&tenant));
        let token = self
            .entra_token(strategy, &endpoint, DATABRICKS_RESOURCE)
            .await?;
        let credential = Credential::bearer(strategy, token, Utc::now());
        let Some(resource_id) = self.config.secret(Attribute::AzureWorkspaceResourceId) else {
            return Ok(credential);
        };
        let management = self
            .entra_token(strategy, &endpoint, endpoints.management)
            .await?;
        Ok(with_management(credential, management, resource_id.clone()))
    }

    pub(super) async fn azure_identity(&self) -> Result<Credential, AuthError> {
        let strategy = Strategy::AzureMsi;
        let token = self.identity_token(strategy, DATABRICKS_RESOURCE).await?;
        let credential = Credential::bearer(strategy, token, Utc::now());
        let Some(resource_id) = self.config.secret(Attribute::AzureWorkspaceResourceId) else {
            return Ok(credential);
        };
        let management = self
            .identity_token(strategy, self.azure_endpoints(strategy)?.management)
            .await?;
        Ok(with_management(credential, management, resource_id.clone()))
    }

    async fn entra_token(
        &self,
        strategy: Strategy,
        endpoint: &str,
        resource: &str,
    ) -> Result<Token, AuthError> {
        let request = self.http.post(endpoint).form(&[
            ("grant_type", "client_credentials"),
            ("client_id", self.value(Attribute::AzureClientId)),
            ("client_secret", self.value(Attribute::AzureClientSecret)),
            ("resource", resource),
        ]);
        self.ask_for_token(strategy, request, endpoint).await
    }

    async fn identity_token(&self, strategy: Strategy, resource: &str) -> Result<Token, AuthError> {
        let service = self
            .login
            .azure_identity
            .as_deref()
            .unwrap_or(IDENTITY_SERVICE);
        let endpoint = format!("{service}/metadata/identity/oauth2/token");
        let mut query = vec![("api-version", "2018-02-01"), ("resource", resource)];
        if let Some(client) = self.config.get(Attribute::AzureClientId) {
            query.push(("client_id", client));
        }
        let request = self
            .http
            .get(&endpoint)
            .query(&query)
            .header("Metadata", "true");
        self.ask_for_token(strategy, request, &endpoint).await
    }

    /// The workspace sends logins to its tenant: `Location: https://login.../<tenant>/oauth2/authorize?...`.
    async fn discover_tenant(&self, strategy: Strategy) -> Result<String, AuthError> {
        let endpoint = format!("{}/aad/auth", self.config.host());
        let unreachable = |source: reqwest::Error| AuthError::Unreachable {
            strategy,
            endpoint: endpoint.clone(),
            source: source.without_url(),
        };
        let response = self.http.get(&endpoint).send().await.map_err(unreachable)?;
        let location = response
            .headers()
            .get(reqwest::header::LOCATION)
            .and_then(|value| value.to_str().ok());
        let tenant = location
            .and_then(|location| url::Url::parse(location).ok())
            .and_then(|url| url.path_segments()?.next().map(str::to_owned))
            .filter(|tenant| !tenant.is_empty());
        tenant.ok_or_else(|| AuthError::Unusable {
            strategy,
            why: format!(
                "{endpoint} does not tell the tenant; set azure_tenant_id (ARM_TENANT_ID)"
            ),
        })
    }

    fn azure_endpoints(&self, strategy: Strategy) -> Result<Endpoints, AuthError> {
        let name = self
            .config
            .get(Attribute::AzureEnvironment)
            .unwrap_or("PUBLIC");
        Ok(match name.to_ascii_uppercase().as_str() {
            "PUBLIC" | "AZUREPUBLICCLOUD" => Endpoints {
                login: "https://login.microsoftonline.com",
                management: "https://management.core.windows.net/",
            },
            "USGOVERNMENT" | "AZUREUSGOVERNMENT" => Endpoints {
                login: "https://login.microsoftonline.us",
                management: "https://management.core.usgovcloudapi.net/",
            },
            "CHINA" | "AZURECHINACLOUD" => Endpoints {
                login: "https://login.chinacloudapi.cn",
                management: "https://management.core.chinacloudapi.cn/",
            },
            _ => {
                let why =
                    format!("azure_environment {name} is none of PUBLIC, USGOVERNMENT and CHINA");
                return Err(AuthError::Unusable { strategy, why });
            }
        })
    }
}

fn with_management(credential: Credential, management: Token, resource_id: Secret) -> Credential {
    let mut credential = credential.with_token(MANAGEMENT_TOKEN, management);
    credential.headers.push((RESOURCE_ID, resource_id));
    credential
}

//! Which workspace this is, and who we are in it.
//!
//! Invariant: asked of the service, for only it knows; the address and the settings fill in what it does not say.

use reqwest::Method;
use serde_json::Value;

use super::client::Client;
use super::error::ApiError;
use super::exchange::{Body, Call};
use super::host::Cloud;
use super::retry::Repeat;

/// The workspace at the other end and the identity in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceInfo {
    /// Its address.
    pub host: String,
    /// Its id; none where neither service, address nor settings tell.
    pub workspace_id: Option<u64>,
    /// The cloud it runs on.
    pub cloud: Cloud,
    /// The name of the identity: an e-mail address, or the application id of a service principal.
    pub user_name: String,
    /// The id of the identity.
    pub user_id: String,
    /// Whether the identity is a member of `admins`.
    pub is_admin: bool,
    /// The groups the identity is in.
    pub groups: Vec<String>,
}

impl Client {
    /// Asks which workspace this is and who we are.
    pub async fn workspace(&self) -> Result<WorkspaceInfo, ApiError> {
        let path = "/api/2.0/preview/scim/v2/Me";
        let call = Call {
            method: Method::GET,
            path,
            query: &[],
            body: Body::None,
            repeat: Repeat::Safe,
        };
        let (headers, me) = self.exchange(call).await?;
        let said = headers
            .get("x-databricks-org-id")
            .and_then(|id| id.to_str().ok()?.trim().parse().ok());
        let text = |key: &str| {
            me.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let groups: Vec<String> = me
            .get("groups")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|group| Some(group.get("display")?.as_str()?.to_owned()))
            .collect();
        Ok(WorkspaceInfo {
            host: self.host().url().to_owned(),
            // 0 is what single-tenant front ends say when they do not know.
            workspace_id: said
                .filter(|id| *id != 0)
                .or_else(|| self.config().workspace_id()),
            cloud: self.config().cloud(),
            user_name: text("userName"),
            user_id: text("id"),
            is_admin: groups.iter().any(|group| group == "admins"),
            groups,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testserver::{Reply, Server};
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn the_workspace_says_who_it_is_and_who_we_are() {
        let me = json!({"userName": "ana@example.com", "id": "42",
            "groups": [{"display": "users", "value": "1"}, {"display": "admins", "value": "2"}]});
        let server = Server::script(vec![
            Reply::json(200, me.clone()).with("x-databricks-org-id", "1234567890123456"),
            Reply::json(200, json!({"userName": "bob", "id": "43"}))
                .with("x-databricks-org-id", "0"),
        ])
        .await;
        let info = server.client().workspace().await.unwrap();
        assert_eq!(info.workspace_id, Some(1234567890123456));
        assert_eq!(
            (
                info.user_name.as_str(),
                info.user_id.as_str(),
                info.is_admin
            ),
            ("ana@example.com", "42", true)
        );
        assert_eq!(
            (info.groups, info.cloud, info.host),
            (
                vec!["users".into(), "admins".into()],
                Cloud::Aws,
                server.url.clone()
            )
        );
        let info = server.client().workspace().await.unwrap();
        assert_eq!((info.workspace_id, info.is_admin), (None, false));
    }
}

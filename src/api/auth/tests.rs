//! Logins against a server on this machine that plays workspace and token endpoint at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::future::join_all;
use serde_json::json;

use crate::api::client::Client;
use crate::api::config::{Attribute, Config, Overrides};
use crate::api::error::{ApiError, ErrorKind};
use crate::api::testserver::{Reply, Seen, Server, quick};

fn client(server: &Server, settings: &[(Attribute, &str)]) -> Client {
    let mut overrides = Overrides::new().with(Attribute::Host, &server.url);
    for (attribute, value) in settings {
        overrides = overrides.with(*attribute, *value);
    }
    let mut options = quick(Config::resolve(&overrides, &Default::default(), None).unwrap());
    options.login.azure_login = Some(server.url.clone());
    options.login.azure_identity = Some(server.url.clone());
    Client::new(options).unwrap()
}

const SERVICE_PRINCIPAL: [(Attribute, &str); 2] = [
    (Attribute::ClientId, "id"),
    (Attribute::ClientSecret, "s3cret"),
];

/// Hands out `token-1`, `token-2`, ... and accepts what `accepts` says.
async fn workspace(
    expires_in: u64,
    accepts: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Server {
    let made = AtomicUsize::new(0);
    Server::start(move |_, seen| match seen.target.as_str() {
        "/oidc/v1/token" => {
            let token = format!("token-{}", made.fetch_add(1, SeqCst) + 1);
            Reply::json(
                200,
                json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in}),
            )
        }
        target if target.starts_with("/oidc") => Reply::text(404, "text/html", ""),
        _ if accepts(bearer(seen)) => Reply::json(200, json!({"ok": true})),
        _ => Reply::text(401, "text/html", "<html>expired</html>"),
    })
    .await
}

fn bearer(seen: &Seen) -> &str {
    seen.header("authorization")
        .unwrap_or_default()
        .trim_start_matches("Bearer ")
}

fn tokens_made(server: &Server) -> usize {
    server
        .targets()
        .iter()
        .filter(|target| target.ends_with("/token"))
        .count()
}

#[tokio::test]
async fn a_service_principal_gets_one_token_for_many_requests() {
    let server = workspace(3600, |token| token == "token-1").await;
    let client = client(&server, &SERVICE_PRINCIPAL);
    for result in join_all((0..20).map(|_| client.get("/x", &[]))).await {
        result.unwrap();
    }
    assert_eq!(tokens_made(&server), 1);
    let login = server
        .seen()
        .into_iter()
        .find(|seen| seen.target == "/oidc/v1/token")
        .unwrap();
    assert_eq!(login.header("authorization"), Some("Basic aWQ6czNjcmV0"));
    assert_eq!(login.text(), "grant_type=client_credentials&scope=all-apis");
    let agent = server
        .seen()
        .pop()
        .unwrap()
        .header("user-agent")
        .unwrap()
        .to_owned();
    assert!(agent.ends_with("auth/oauth-m2m"), "{agent}");
}

#[tokio::test]
async fn the_token_endpoint_is_the_one_the_workspace_names() {
    let server = Server::start(|_, seen| match seen.target.as_str() {
        "/oidc/.well-known/oauth-authorization-server" => {
            let host = seen.header("host").unwrap();
            Reply::json(
                200,
                json!({"token_endpoint": format!("http://{host}/elsewhere/token")}),
            )
        }
        "/elsewhere/token" => Reply::json(200, json!({"access_token": "a", "expires_in": 3600})),
        _ => Reply::json(200, json!({})),
    })
    .await;
    client(&server, &SERVICE_PRINCIPAL)
        .get("/x", &[])
        .await
        .unwrap();
    assert_eq!(server.targets()[1..], ["/elsewhere/token", "/x"]);
}

#[tokio::test]
async fn a_token_that_ends_before_its_time_is_renewed_once() {
    let server = workspace(3600, |token| token == "token-2").await;
    let principal = client(&server, &SERVICE_PRINCIPAL);
    principal
        .post("/x", &json!({}), crate::api::Repeat::Unsafe)
        .await
        .unwrap();
    assert_eq!(tokens_made(&server), 2);

    let server = workspace(3600, |_| false).await;
    let principal = client(&server, &SERVICE_PRINCIPAL);
    let error = principal.get("/x", &[]).await.unwrap_err();
    assert_eq!(
        (error.kind(), tokens_made(&server)),
        (ErrorKind::Unauthenticated, 2)
    );
}

#[tokio::test]
async fn requests_that_are_refused_together_renew_together() {
    let server = workspace(3600, |token| token == "token-2").await;
    let client = client(&server, &SERVICE_PRINCIPAL);
    for result in join_all((0..4).map(|_| client.get("/x", &[]))).await {
        result.unwrap();
    }
    assert_eq!(tokens_made(&server), 2);
}

#[tokio::test]
async fn a_token_without_a_lifetime_left_is_not_used_again() {
    let server = workspace(0, |_| true).await;
    let client = client(&server, &SERVICE_PRINCIPAL);
    client.get("/x", &[]).await.unwrap();
    client.get("/x", &[]).await.unwrap();
    assert_eq!(tokens_made(&server), 2);
}

#[tokio::test]
async fn a_personal_token_that_is_refused_is_refused() {
    let server = workspace(3600, |_| false).await;
    let error = client(&server, &[(Attribute::Token, "dapi")])
        .get("/x", &[])
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), server.seen().len()),
        (ErrorKind::Unauthenticated, 1)
    );
    assert!(error.hint().unwrap().contains("expired"));
}

#[tokio::test]
async fn a_login_that_fails_for_a_moment_is_tried_again_and_one_that_is_refused_is_not() {
    let server = Server::start(|number, seen| match (number, seen.target.as_str()) {
        (0, _) => Reply::HangUp,
        (1, _) => Reply::text(404, "text/html", ""),
        (2, _) => Reply::text(503, "text/html", "").with("retry-after", "1"),
        (3, _) => Reply::json(200, json!({"access_token": "a", "expires_in": 3600})),
        _ => Reply::json(200, json!({})),
    })
    .await;
    client(&server, &SERVICE_PRINCIPAL)
        .get("/x", &[])
        .await
        .unwrap();

    let refusal =
        json!({"error": "invalid_client", "error_description": "Client authentication failed"});
    let server = Server::script(vec![
        Reply::text(404, "text/html", ""),
        Reply::json(401, refusal),
    ])
    .await;
    let error = client(&server, &SERVICE_PRINCIPAL)
        .get("/x", &[])
        .await
        .unwrap_err();
    assert_eq!(server.seen().len(), 2);
    let ApiError::Auth { source, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        source
            .to_string()
            .ends_with("answered 401 invalid_client Client authentication failed"),
        "{source}"
    );
    assert!(!format!("{error:?} {source}").contains("s3cret"));
}

#[tokio::test]
async fn a_password_is_sent_as_basic_authorization() {
    let server = Server::script(vec![Reply::json(200, json!({}))]).await;
    let settings = [(Attribute::Username, "me"), (Attribute::Password, "pw")];
    client(&server, &settings).get("/x", &[]).await.unwrap();
    assert_eq!(
        server.seen()[0].header("authorization"),
        Some("Basic bWU6cHc=")
    );
}

/// An Entra endpoint whose tokens are named after the resource they are for; numbers are strings there.
async fn entra() -> Server {
    Server::start(|_, seen| {
        let token = |resource: &str| {
            let name = if resource.contains("2ff814a6") {
                "workspace"
            } else {
                "management"
            };
            Reply::json(
                200,
                json!({"access_token": name, "expires_in": "3599", "expires_on": "1"}),
            )
        };
        match seen.target.as_str() {
            "/aad/auth" => Reply::text(302, "text/html", "").with(
                "location",
                "https://login.microsoftonline.com/ten/oauth2/x?y",
            ),
            "/ten/oauth2/token" => token(seen.text()),
            target if target.starts_with("/metadata/identity") => token(target),
            _ => Reply::json(200, json!({})),
        }
    })
    .await
}

#[tokio::test]
async fn an_entra_principal_finds_its_tenant_and_brings_a_management_token() {
    let server = entra().await;
    let resource = (Attribute::AzureWorkspaceResourceId, "/subscriptions/s/x");
    let settings = [
        (Attribute::AzureClientId, "id"),
        (Attribute::AzureClientSecret, "s+ret"),
        resource,
    ];
    client(&server, &settings).get("/x", &[]).await.unwrap();

    let seen = server.seen();
    assert_eq!(seen[0].target, "/aad/auth");
    assert!(
        seen[1]
            .text()
            .contains("client_secret=s%2Bret&resource=2ff814a6"),
        "{}",
        seen[1].text()
    );
    let request = seen.last().unwrap();
    assert_eq!(request.header("authorization"), Some("Bearer workspace"));
    assert_eq!(
        request.header("x-databricks-azure-sp-management-token"),
        Some("management")
    );
    assert_eq!(
        request.header("x-databricks-azure-workspace-resource-id"),
        Some("/subscriptions/s/x")
    );
}

#[tokio::test]
async fn a_known_tenant_is_not_looked_for_and_a_strange_cloud_is_refused() {
    let server = entra().await;
    let settings = [
        (Attribute::AzureClientId, "id"),
        (Attribute::AzureClientSecret, "s"),
        (Attribute::AzureTenantId, "ten"),
        (Attribute::AzureEnvironment, "usgovernment"),
    ];
    client(&server, &settings).get("/x", &[]).await.unwrap();
    assert_eq!(server.targets(), ["/ten/oauth2/token", "/x"]);

    let mut settings = settings;
    settings[3].1 = "MOON";
    assert!(client(&server, &settings).get("/x", &[]).await.is_err());
}

#[tokio::test]
async fn an_azure_machine_uses_its_own_identity() {
    let server = entra().await;
    let settings = [
        (Attribute::AzureUseMsi, "true"),
        (Attribute::AzureClientId, "id"),
    ];
    client(&server, &settings).get("/x", &[]).await.unwrap();
    let login = &server.seen()[0];
    assert!(
        login.target.contains("resource=2ff814a6") && login.target.ends_with("&client_id=id"),
        "{}",
        login.target
    );
    assert_eq!(login.header("metadata"), Some("true"));
    assert_eq!(
        server.seen()[1].header("authorization"),
        Some("Bearer workspace")
    );
}

#[cfg(unix)]
mod programs {
    use super::*;

    /// Written by another process: a file that this one has open for writing, be it in a child of another test that is
    /// just being started, cannot be run.
    fn program(directory: &tempfile::TempDir, script: &str) -> String {
        let path = directory
            .path()
            .join("databricks")
            .to_str()
            .unwrap()
            .to_owned();
        let status = std::process::Command::new("/bin/sh")
            .args([
                "-c",
                r#"printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod 755 "$1""#,
                "sh",
                &path,
                script,
            ])
            .status();
        assert!(status.unwrap().success());
        path
    }

    #[tokio::test]
    async fn the_login_of_the_official_program_is_used_until_it_ends() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let end = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339();
        let script = format!(
            "echo \"$@\" >> {}\necho '{{\"access_token\":\"cli\",\"token_type\":\"Bearer\",\"expiry\":\"{end}\"}}'",
            log.display()
        );
        let path = program(&directory, &script);
        let server = workspace(0, |token| token == "cli").await;
        let client = client(&server, &[(Attribute::DatabricksCliPath, &path)]);
        client.get("/x", &[]).await.unwrap();
        client.get("/x", &[]).await.unwrap();
        let calls = std::fs::read_to_string(log).unwrap();
        assert_eq!(calls, format!("auth token --host {}\n", server.url));
    }

    #[tokio::test]
    async fn a_program_that_fails_is_quoted_by_its_errors_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = program(
            &directory,
            "echo dapi-out; echo 'Error: not logged in' >&2; exit 1",
        );
        let server = workspace(0, |_| true).await;
        let settings = [
            (Attribute::DatabricksCliPath, path.as_str()),
            (Attribute::AuthType, "databricks-cli"),
        ];
        let error = client(&server, &settings).get("/x", &[]).await.unwrap_err();
        let shown = format!(
            "{error:?} {:?}",
            std::error::Error::source(&error).unwrap().to_string()
        );
        assert!(
            shown.contains("failed: Error: not logged in") && !shown.contains("dapi-out"),
            "{shown}"
        );
        assert!(error.hint().unwrap().contains("databricks auth login"));

        let path = program(&directory, "echo dapi-out");
        let error = client(&server, &[(Attribute::DatabricksCliPath, &path)])
            .get("/x", &[])
            .await
            .unwrap_err();
        assert!(!format!("{error:?}").contains("dapi-out"));
    }

    #[tokio::test]
    async fn without_any_credentials_all_that_was_tried_is_told() {
        let server = Arc::new(workspace(0, |_| true).await);
        let settings = [(Attribute::DatabricksCliPath, "/nowhere/databricks")];
        let error = client(&server, &settings).get("/x", &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            cause.starts_with("there are no credentials: databricks-cli: failed to run"),
            "{cause}"
        );
        assert!(error.hint().unwrap().contains("DATABRICKS_TOKEN"));
    }
}

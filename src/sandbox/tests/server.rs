//! Authentication, headers, limits, counting.

use std::time::Duration;

use serde_json::json;

use super::{Client, receive};
use crate::sandbox::*;

const LIST: &str = "/api/2.0/workspace/list?path=/";

#[tokio::test]
async fn a_call_needs_the_right_token() {
    let client = Client::empty().await;
    let url = format!("{}{LIST}", client.running.url);
    let (status, body) = receive(client.http.get(&url)).await;
    assert_eq!(
        (status, &body["error_code"]),
        (401, &json!("UNAUTHENTICATED"))
    );
    let (status, body) = receive(client.http.get(&url).bearer_auth("wrong")).await;
    assert_eq!(
        (status, &body["error_code"]),
        (403, &json!("PERMISSION_DENIED"))
    );
    assert_eq!(client.get(LIST).await.0, 200);
}

#[tokio::test]
async fn every_answer_says_which_workspace_it_is_from() {
    let client = Client::start(Options {
        workspace_id: 77,
        ..Options::default()
    })
    .await;
    for path in [LIST, "/api/2.0/nothing", "/.well-known/databricks-config"] {
        let answer = client.request("GET", path).send().await.unwrap();
        assert_eq!(answer.headers()["x-databricks-org-id"], "77");
        assert!(answer.headers().contains_key("x-request-id"));
    }
    let (status, body) = client.get("/api/2.0/nothing").await;
    assert_eq!(
        (status, &body["error_code"]),
        (404, &json!("ENDPOINT_NOT_FOUND"))
    );
}

#[tokio::test]
async fn a_machine_client_gets_tokens_that_expire() {
    let oauth = OAuthClient {
        id: "client".into(),
        secret: Token::new("s&cret"),
        expires_in: 3600,
    };
    let client = Client::start(Options {
        oauth: Some(oauth),
        ..Options::default()
    })
    .await;
    let url = &client.running.url;
    let (_, discovery) = receive(
        client
            .http
            .get(format!("{url}/oidc/.well-known/oauth-authorization-server")),
    )
    .await;
    let endpoint = discovery["token_endpoint"].as_str().unwrap();
    let form = [("grant_type", "client_credentials"), ("scope", "all-apis")];
    let ask = |secret: &str| {
        client
            .http
            .post(endpoint)
            .basic_auth("client", Some(secret))
            .form(&form)
    };
    assert_eq!(receive(ask("wrong")).await.1["error"], "invalid_client");

    let (_, token) = receive(ask("s&cret")).await;
    let token = token["access_token"].as_str().unwrap();
    let me = || {
        receive(
            client
                .http
                .get(format!("{url}/api/2.0/preview/scim/v2/Me"))
                .bearer_auth(token),
        )
    };
    assert_eq!(me().await.1["applicationId"], "client");
    client.running.workspace.expire_tokens();
    assert_eq!(me().await.0, 401);
}

#[tokio::test]
async fn a_family_out_of_tokens_is_throttled_and_others_are_not() {
    let rates = vec![Rate {
        family: Family::IdentityRead,
        per_second: 0.001,
        burst: 1.0,
    }];
    let rate_limits = RateLimits::Custom {
        rates,
        in_flight: None,
    };
    let client = Client::start(Options {
        rate_limits,
        ..Options::default()
    })
    .await;
    assert_eq!(client.get("/api/2.0/preview/scim/v2/Me").await.0, 200);
    let answer = client
        .request("GET", "/api/2.0/preview/scim/v2/Me")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "60");
    assert_eq!(client.get(LIST).await.0, 200);
}

#[tokio::test]
async fn too_many_at_once_are_throttled() {
    let rate_limits = RateLimits::Custom {
        rates: Vec::new(),
        in_flight: Some(1),
    };
    let latency = Duration::from_millis(20);
    let client = Client::start(Options {
        rate_limits,
        latency,
        ..Options::default()
    })
    .await;
    let (one, two) = tokio::join!(client.get(LIST), client.get(LIST));
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
    assert_eq!(client.running.workspace.requests().most_in_flight, 2);
}

#[tokio::test]
async fn requests_are_counted_by_endpoint_and_status() {
    let client = Client::empty().await;
    client.get(LIST).await;
    client.get("/api/2.0/workspace/list?path=/missing").await;
    client.get("/api/2.0/no/such/thing").await;
    let own = client
        .request("GET", LIST)
        .header("user-agent", "dbsnap/1.0.0 os/linux");
    receive(own).await;
    let requests = client.running.workspace.requests();
    assert_eq!(
        requests.endpoints["GET /api/2.0/workspace/list"],
        Tally {
            asked: 3,
            succeeded: 2,
            succeeded_for_others: 1
        }
    );
    assert_eq!(
        requests.endpoints["GET /api/2.0/jobs/list"],
        Tally::default()
    );
    assert_eq!(requests.unknown["GET /api/2.0/no/such/thing"], 1);
    assert_eq!((requests.total, requests.to("GET /api/2.0/")), (4, 4));
    assert_eq!((requests.answered(200), requests.answered(404)), (2, 2));
    client.running.workspace.forget_requests();
    let requests = client.running.workspace.requests();
    assert_eq!((requests.total, requests.to("/")), (0, 0));
}

#[tokio::test]
async fn nothing_answers_after_a_shutdown() {
    let client = Client::empty().await;
    let url = format!("{}{LIST}", client.running.url);
    client.running.shutdown().await;
    let fresh = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(fresh.get(url).send().await.is_err());
}

#[test]
fn options_never_show_a_token() {
    let oauth = OAuthClient {
        id: "id".into(),
        secret: Token::new("hidden-a"),
        expires_in: 1,
    };
    let options = Options {
        token: Some(Token::new("hidden-b")),
        oauth: Some(oauth),
        ..Options::default()
    };
    assert!(!format!("{options:?}").contains("hidden"));
}

#[tokio::test]
async fn edits_behind_the_api_show_and_leave_no_trace() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    workspace.put_file("/Shared/f", b"one");
    let before = client
        .get("/api/2.0/workspace/get-status?path=/Shared/f")
        .await
        .1;
    assert!(workspace.set_content("/Shared/f", b"two"));
    assert_eq!(
        client
            .get("/api/2.0/workspace/get-status?path=/Shared/f")
            .await
            .1,
        before
    );
    assert_eq!(client.export("/Shared/f", "AUTO").await, b"two");
    workspace.add_user("ana@example.com");
    assert!(workspace.edit("user", "ana@example.com", |user| {
        user.insert("displayName".into(), json!("Ana"));
    }));
    let found = client
        .get("/api/2.0/preview/scim/v2/Users?filter=displayName eq Ana")
        .await
        .1;
    assert_eq!(found["totalResults"], 1);
    assert!(!workspace.edit("job", "12", |_| {}));
}

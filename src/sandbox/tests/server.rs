//! Authentication, headers, faults, limits.

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
async fn retry_after_comes_in_every_variant() {
    let client = Client::empty().await;
    let variants = [
        RetryAfter::Absent,
        RetryAfter::Seconds(0),
        RetryAfter::Seconds(1),
        RetryAfter::Date,
        RetryAfter::Garbage,
    ];
    let mut seen = Vec::new();
    for variant in variants {
        client
            .running
            .workspace
            .inject(Rule::new("/api/", Effect::Throttle(variant)).times(1));
        let answer = client.request("GET", LIST).send().await.unwrap();
        assert_eq!(answer.status(), 429);
        seen.push(
            answer
                .headers()
                .get("retry-after")
                .map(|value| value.to_str().unwrap().to_string()),
        );
    }
    assert_eq!(seen[..3], [None, Some("0".into()), Some("1".into())]);
    assert!(seen[3].as_ref().unwrap().ends_with("GMT"));
    assert!(seen[4].as_ref().unwrap().parse::<u32>().is_err());
}

#[tokio::test]
async fn a_lost_answer_leaves_the_write_applied() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    workspace.inject(Rule::new("/api/2.0/workspace/mkdirs", Effect::LoseAnswer).times(1));
    let body = json!({"path": "/Shared/made"});
    let request = client.request("POST", "/api/2.0/workspace/mkdirs");
    let lost = super::with_json(request, &body).send().await;
    assert!(lost.is_err());
    assert_eq!(
        client
            .get("/api/2.0/workspace/get-status?path=/Shared/made")
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_broken_answer_stops_in_the_middle() {
    let client = Client::empty().await;
    client
        .import("/Shared/n", "SOURCE", &vec![b'x'; 50_000])
        .await;
    let workspace = &client.running.workspace;
    workspace.inject(Rule::new("/api/2.0/workspace/export", Effect::Break).times(1));
    let path = "/api/2.0/workspace/export?path=/Shared/n&direct_download=true";
    let answer = client.request("GET", path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
    assert_eq!(client.export("/Shared/n", "SOURCE").await.len(), 50_000);
}

#[tokio::test]
async fn pages_that_are_no_json_come_on_request() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    for (effect, status) in [
        (Effect::LoginPage, 200),
        (Effect::InvalidJson, 200),
        (Effect::Unavailable, 503),
    ] {
        workspace.inject(Rule::new("/api/", effect).times(1));
        let (answered, body) = client.get(LIST).await;
        assert!(answered == status && body.is_string());
    }
    workspace.inject(Rule::new("/api/", Effect::Unauthenticated).times(1));
    assert_eq!(client.get(LIST).await.0, 401);
    assert_eq!(client.get(LIST).await.0, 200);
}

#[tokio::test]
async fn one_folder_can_be_out_of_reach() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    workspace.make_directory("/Users/eve/secret");
    workspace.inject(Rule::new("/api/2.0/workspace/", Effect::forbidden()).target("/Users/eve"));
    assert_eq!(
        client
            .get("/api/2.0/workspace/list?path=/Users/eve/secret")
            .await
            .0,
        403
    );
    assert_eq!(
        client.get("/api/2.0/workspace/list?path=/Users").await.0,
        200
    );
}

#[tokio::test]
async fn the_dice_hit_identity_calls_with_their_own_overload() {
    let faults = Faults {
        identity_overload: 1.0,
        in_a_row: 1,
        ..Faults::default()
    };
    let client = Client::start(Options {
        faults,
        ..Options::default()
    })
    .await;
    let (status, body) = client.get("/api/2.0/preview/scim/v2/Me").await;
    assert_eq!(status, 500);
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .contains("REQUEST_LIMIT_EXCEEDED")
    );
    assert_eq!(client.get("/api/2.0/preview/scim/v2/Me").await.0, 200);
    assert_eq!(client.get(LIST).await.0, 200);
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

#[tokio::test]
async fn a_client_that_tries_again_gets_through_all_the_dice() {
    let faults = Faults {
        throttled: 0.2,
        internal: 0.1,
        unavailable: 0.1,
        broken: 0.1,
        lost_answers: 0.1,
        ..Faults::default()
    };
    let client = Client::start(Options {
        faults,
        ..Options::default()
    })
    .await;
    for number in 0..30 {
        let body = json!({"path": format!("/Shared/{number}")});
        let mut tries = 0;
        loop {
            let request =
                super::with_json(client.request("POST", "/api/2.0/workspace/mkdirs"), &body);
            let answer = request.send().await;
            if let Ok(answer) = answer
                && answer.status() == 200
                && answer.bytes().await.is_ok()
            {
                break;
            }
            tries += 1;
            assert!(tries < 10);
        }
    }
    let requests = client.running.workspace.requests();
    assert!(requests.total > 30 && requests.answered(429) > 0 && requests.answered(503) > 0);
    client.running.workspace.set_faults(Faults::default());
    let listed = client.get("/api/2.0/workspace/list?path=/Shared").await.1;
    assert_eq!(listed["objects"].as_array().unwrap().len(), 30);
}

//! The client against a server on this machine.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::config::{Attribute, Config, Overrides};
use super::error::{ApiError, ErrorKind, Phase};
use super::limiter::Rates;
use super::retry::{Repeat, RetryPolicy};
use super::testserver::{Reply, Server, quick};

fn ok() -> Reply {
    Reply::json(200, json!({"ok": true}))
}

async fn get(server: &Server) -> Result<Value, ApiError> {
    server.client().get("/api/2.0/thing", &[]).await
}

async fn write(server: &Server, repeat: Repeat) -> Result<Value, ApiError> {
    server
        .client()
        .post("/api/2.0/thing", &json!({"name": "x"}), repeat)
        .await
}

#[tokio::test]
async fn a_request_carries_token_agent_and_an_encoded_query() {
    let server = Server::script(vec![ok()]).await;
    let mut options = quick(Config::with_token(&server.url, "dapi0123").unwrap());
    options.user_agent_extra = vec![("cicd".into(), "some runner/1".into())];
    let client = Client::new(options).unwrap();
    client
        .get("/api/2.0/workspace/list", &[("path", "/Users/é a+b&c=d%")])
        .await
        .unwrap();

    let seen = &server.seen()[0];
    assert_eq!(
        seen.target,
        "/api/2.0/workspace/list?path=%2FUsers%2F%C3%A9%20a%2Bb%26c%3Dd%25"
    );
    assert_eq!(seen.header("authorization"), Some("Bearer dapi0123"));
    let agent = seen.header("user-agent").unwrap();
    assert!(
        agent.starts_with("dbsnap/") && agent.ends_with(" cicd/some-runner-1 auth/pat"),
        "{agent}"
    );
    assert!(seen.header("accept-encoding").unwrap().contains("gzip"));
    assert_eq!(seen.header("x-databricks-workspace-id"), None);
}

#[tokio::test]
async fn a_workspace_id_that_was_given_is_sent_along() {
    let server = Server::script(vec![ok()]).await;
    let by_query = Config::with_token(&format!("{}/?o=77", server.url), "t").unwrap();
    let by_setting = Overrides::new()
        .with(Attribute::Host, &server.url)
        .with(Attribute::Token, "t")
        .with(Attribute::WorkspaceId, "77");
    let by_setting = Config::resolve(&by_setting, &Default::default(), None).unwrap();
    for config in [by_query, by_setting] {
        Client::new(quick(config))
            .unwrap()
            .get("/x", &[])
            .await
            .unwrap();
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.header("x-databricks-workspace-id"), Some("77"));
        assert_eq!(seen.header("x-databricks-org-id"), Some("77"));
    }
}

#[tokio::test]
async fn large_integers_arrive_unharmed_and_an_empty_answer_is_null() {
    let server = Server::script(vec![
        Reply::text(
            200,
            "application/json",
            r#"{"job_id": 9223372036854775807}"#,
        ),
        Reply::text(200, "application/json", ""),
    ])
    .await;
    assert_eq!(
        get(&server).await.unwrap()["job_id"].as_i64(),
        Some(i64::MAX)
    );
    let server = Server::script(vec![Reply::text(200, "application/json", "")]).await;
    assert_eq!(write(&server, Repeat::Unsafe).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn too_many_requests_are_repeated_whatever_retry_after_says() {
    let date = (chrono::Utc::now() + chrono::TimeDelta::seconds(2))
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    let busy = || {
        Reply::json(
            429,
            json!({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slow down"}),
        )
    };
    let replies = vec![
        busy().with("retry-after", "0"),
        busy().with("retry-after", "1"),
        busy().with("retry-after", date),
        busy().with("retry-after", "garbage"),
        busy(),
        ok(),
    ];
    let server = Server::script(replies).await;
    let client = server.client();
    client
        .post("/api/2.0/permissions/jobs/1", &json!({}), Repeat::Unsafe)
        .await
        .unwrap();
    let counts = client.requests_made();
    assert_eq!(
        (counts.requests, counts.repeats, counts.throttled),
        (6, 5, 5)
    );
    assert_eq!(counts.by_family["permissions-set"], 6);
    assert_eq!(counts.bytes_sent, 6 * 2);
    assert_eq!(
        client.concurrency(),
        2,
        "halved down to one, and after one answer there are two again"
    );
}

#[tokio::test]
async fn reads_survive_every_passing_failure() {
    let replies = vec![
        Reply::HangUp,
        Reply::BreakOff {
            body: b"{\"ok\"".to_vec(),
        },
        Reply::text(503, "text/html", "<html>busy</html>"),
        Reply::text(
            500,
            "application/json",
            r#"{"error_code":"INTERNAL_ERROR","message":"oops"}"#,
        ),
        Reply::text(502, "text/html", ""),
        Reply::text(504, "text/html", ""),
        Reply::text(200, "application/json", r#"{"ok": tru"#),
        ok(),
    ];
    let server = Server::script(replies).await;
    assert_eq!(get(&server).await.unwrap(), json!({"ok": true}));
    assert_eq!(server.seen().len(), 8);
}

#[tokio::test]
async fn a_write_with_a_lost_answer_is_sent_once_and_says_so() {
    for reply in [
        Reply::HangUp,
        Reply::BreakOff {
            body: b"{".to_vec(),
        },
        Reply::json(500, json!({"error_code": "INTERNAL_ERROR", "message": ""})),
        Reply::text(504, "text/html", ""),
        Reply::text(200, "application/json", "{"),
        Reply::text(200, "text/html", "<html>"),
    ] {
        let server = Server::script(vec![reply, ok()]).await;
        let error = write(&server, Repeat::Unsafe).await.unwrap_err();
        assert_eq!(server.seen().len(), 1, "{error}");
        assert!(error.answer_may_be_lost(), "{error}");
    }
}

#[tokio::test]
async fn a_write_that_may_be_repeated_is() {
    let server = Server::script(vec![Reply::HangUp, Reply::text(504, "text/html", ""), ok()]).await;
    write(&server, Repeat::Safe).await.unwrap();
    assert_eq!(server.seen().len(), 3);
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.text() == r#"{"name":"x"}"#)
    );
}

#[tokio::test]
async fn an_answer_after_a_lost_one_remembers_it() {
    let exists = Reply::json(
        400,
        json!({"error_code": "RESOURCE_ALREADY_EXISTS", "message": "there"}),
    );
    let server = Server::script(vec![Reply::HangUp, exists]).await;
    let error = write(&server, Repeat::Safe).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(
        error.answer_may_be_lost(),
        "the first attempt may have made it"
    );
    assert!(
        error
            .to_string()
            .starts_with("POST /api/2.0/thing (2 attempts) was answered with 400"),
        "{error}"
    );
}

#[tokio::test]
async fn a_host_that_refuses_connections_is_given_up_early() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(quick(Config::with_token(&url, "t").unwrap())).unwrap();
    let error = client
        .post("/x", &json!({}), Repeat::Unsafe)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ApiError::Transport {
                phase: Phase::Connecting,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(!error.answer_may_be_lost() && error.hint().is_some());
    assert_eq!(client.requests_made().requests, 3);
}

#[tokio::test]
async fn a_silent_service_is_not_waited_for_for_ever() {
    let server = Server::script(vec![Reply::Silence]).await;
    let mut options = quick(Config::with_token(&server.url, "t").unwrap());
    options.inactivity_timeout = Duration::from_millis(1);
    options.retry = RetryPolicy::none();
    let error = Client::new(options)
        .unwrap()
        .get("/x", &[])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn a_login_page_is_no_answer_and_is_explained() {
    for (kind, body) in [
        ("text/html; charset=utf-8", "hello"),
        ("application/json", " \n<!doctype html>"),
    ] {
        let server = Server::script(vec![Reply::text(200, kind, body)]).await;
        let error = get(&server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidAnswer);
        assert!(error.hint().unwrap().contains("DATABRICKS_WORKSPACE_ID"));
        assert_eq!(
            server.seen().len(),
            1,
            "asking again would bring the same page"
        );
    }
}

#[tokio::test]
async fn redirections_are_not_followed() {
    let private = Reply::text(302, "text/html", "").with(
        "location",
        "/login.html?error=private-link-validation-error:1",
    );
    let server = Server::script(vec![private]).await;
    let error = get(&server).await.unwrap_err();
    assert_eq!(
        (error.kind(), server.seen().len()),
        (ErrorKind::PermissionDenied, 1)
    );
    assert!(error.hint().unwrap().contains("private link"));

    let server = Server::script(vec![
        Reply::text(302, "text/html", "").with("location", "/login.html"),
    ])
    .await;
    assert_eq!(
        write(&server, Repeat::Safe).await.unwrap_err().error_code(),
        "REDIRECTED"
    );
}

#[tokio::test]
async fn downloads_are_exact_bounded_and_may_be_web_pages() {
    let page = "<html><title>My notebook</title>";
    let server = Server::script(vec![
        Reply::text(200, "application/octet-stream", "\u{0}\u{1}<"),
        Reply::text(200, "text/html", page),
        Reply::text(200, "text/html", "<html><a href='/login.html'>"),
        Reply::text(200, "text/html", "<html><a href='/login.html'>")
            .with("content-disposition", "attachment"),
    ])
    .await;
    let client = server.client();
    let download = async |longest| {
        client
            .download("/api/2.0/workspace/export", &[], longest)
            .await
    };
    assert_eq!(download(3).await.unwrap(), Bytes::from_static(b"\x00\x01<"));
    let error = download(page.len() as u64 - 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        download(100).await.unwrap_err().kind(),
        ErrorKind::InvalidAnswer
    );
    assert_eq!(download(100).await.unwrap().len(), 28);
    assert_eq!(client.requests_made().by_family["export"], 4);
}

#[tokio::test]
async fn uploads_send_bytes_as_they_are() {
    let server = Server::script(vec![Reply::text(204, "text/plain", "")]).await;
    let bytes = Bytes::from_static(b"\x00a b");
    let query = [("overwrite", "true")];
    let answer = server
        .client()
        .upload(
            Method::PUT,
            "/api/2.0/fs/files/x",
            &query,
            bytes,
            Repeat::Safe,
        )
        .await
        .unwrap();
    let seen = &server.seen()[0];
    assert_eq!(
        (answer, seen.method.as_str(), seen.body.as_slice()),
        (Value::Null, "PUT", &b"\x00a b"[..])
    );
    assert_eq!(seen.target, "/api/2.0/fs/files/x?overwrite=true");
}

#[tokio::test]
async fn a_token_that_no_header_can_hold_is_not_shown() {
    let server = Server::script(vec![Reply::json(
        403,
        json!({"message": "Invalid access token."}),
    )])
    .await;
    let client = Client::new(quick(
        Config::with_token(&server.url, "dapi\n0123").unwrap(),
    ))
    .unwrap();
    let error = client.get("/x", &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!format!("{error:?} {client:?}").contains("dapi"));
}

#[tokio::test]
async fn settings_of_the_profile_reach_the_client() {
    let settings = Overrides::new()
        .with(Attribute::Host, "https://x.cloud.databricks.com")
        .with(Attribute::Token, "t")
        .with(Attribute::SkipVerify, "true")
        .with(Attribute::HttpTimeoutSeconds, "7")
        .with(Attribute::RetryTimeoutSeconds, "-1")
        .with(Attribute::RateLimit, "15");
    let options =
        super::ClientOptions::new(Config::resolve(&settings, &Default::default(), None).unwrap());
    assert!(options.skip_tls_verification);
    assert_eq!(options.inactivity_timeout, Duration::from_secs(7));
    assert_eq!(options.retry.budget, None);
    assert_eq!(options.rates, "total=15".parse::<Rates>().unwrap());
}

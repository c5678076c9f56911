//! Faults on request.

use std::time::Duration;

use serde_json::json;

use super::Client;
use crate::sandbox::*;

const LIST: &str = "/api/2.0/workspace/list?path=/";

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
async fn an_answer_can_pause_in_the_middle() {
    let client = Client::empty().await;
    client
        .running
        .workspace
        .put_file("/Shared/f", b"0123456789");
    let pause = Effect::Pause(Duration::from_millis(30));
    client
        .running
        .workspace
        .inject(Rule::new("/api/2.0/workspace-files/", pause));
    let request = client.request("GET", "/api/2.0/workspace-files/Shared/f");
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "01234");
    assert_eq!(answer.bytes().await.unwrap(), "56789");
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

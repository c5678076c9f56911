//! Every style of pages, from a server on this machine.

use super::*;
use crate::api::error::ErrorKind;
use crate::api::testserver::{Reply, Server};
use crate::testing::fuzz;
use serde_json::json;

const PAGE_TOKEN: Paging<'static> = Paging::PageToken {
    size: Some(("limit", 2)),
};

async fn list(paging: Paging<'_>, pages: Vec<Value>) -> (Result<Vec<i64>, ApiError>, Vec<String>) {
    let server = Server::script(
        pages
            .into_iter()
            .map(|page| Reply::json(200, page))
            .collect(),
    )
    .await;
    let listing = Listing {
        path: "/l",
        query: vec![("a", "b")],
        items_key: "items",
        id_key: Some("id"),
        paging,
    };
    let items = server.client().list(listing).await;
    let ids = items.map(|items| {
        items
            .iter()
            .map(|item| item["id"].as_i64().unwrap())
            .collect()
    });
    (ids, server.targets())
}

fn items(ids: &[i64]) -> Value {
    ids.iter().map(|id| json!({"id": id})).collect()
}

#[tokio::test]
async fn lists_without_pages_may_lack_their_key() {
    let (ids, targets) = list(Paging::None, vec![json!({"items": items(&[1, 2])})]).await;
    assert_eq!(
        (ids.unwrap(), targets),
        (vec![1, 2], vec!["/l?a=b".to_owned()])
    );
    assert!(
        list(Paging::None, vec![json!({})])
            .await
            .0
            .unwrap()
            .is_empty()
    );
    assert_eq!(list(Paging::None, vec![items(&[3])]).await.0.unwrap(), [3]);
    for wrong in [json!({"items": {}}), json!("items"), json!({"items": 3})] {
        assert_eq!(
            list(Paging::None, vec![wrong]).await.0.unwrap_err().kind(),
            ErrorKind::InvalidAnswer
        );
    }
}

#[tokio::test]
async fn tokens_are_followed_over_empty_pages_until_an_empty_token() {
    let pages = vec![
        json!({"items": items(&[1, 2]), "next_page_token": "t/1"}),
        json!({"next_page_token": "t2"}),
        json!({"items": items(&[2, 3]), "next_page_token": ""}),
    ];
    let (ids, targets) = list(PAGE_TOKEN, pages.clone()).await;
    assert_eq!(
        ids.unwrap(),
        [1, 2, 3],
        "an item that moved between the pages comes once"
    );
    assert_eq!(
        targets,
        [
            "/l?a=b&limit=2",
            "/l?a=b&limit=2&page_token=t%2F1",
            "/l?a=b&limit=2&page_token=t2"
        ]
    );
    let (_, targets) = list(Paging::NextPageToken, pages).await;
    assert_eq!(targets[1], "/l?a=b&next_page_token=t%2F1");
}

#[tokio::test]
async fn a_list_that_goes_in_circles_is_an_error_and_not_half_a_list() {
    let pages = vec![json!({"items": items(&[1]), "next_page_token": "again"})];
    let (ids, targets) = list(PAGE_TOKEN, pages).await;
    assert_eq!(ids.unwrap_err().kind(), ErrorKind::InvalidAnswer);
    assert_eq!(targets.len(), 2);
}

#[tokio::test]
async fn users_are_counted_from_one_until_a_page_without_any() {
    let scim = Paging::Scim { count: 2 };
    let page = |ids: &[i64], total| json!({"items": items(ids), "totalResults": total});
    let (ids, targets) = list(scim, vec![page(&[1, 2], 3), page(&[3], 3)]).await;
    assert_eq!(ids.unwrap(), [1, 2, 3]);
    assert_eq!(
        targets,
        ["/l?a=b&startIndex=1&count=2", "/l?a=b&startIndex=3&count=2"]
    );

    let (ids, targets) = list(scim, vec![page(&[1, 2], 2), json!({"totalResults": 2})]).await;
    assert_eq!(
        (ids.unwrap(), targets.len()),
        (vec![1, 2], 2),
        "a full page is never taken for the last"
    );

    let (ids, _) = list(scim, vec![page(&[1], 2), page(&[2], 2)]).await;
    assert_eq!(
        ids.unwrap(),
        [1, 2],
        "the service may give less than was asked for"
    );
}

#[tokio::test]
async fn numbered_pages_and_offsets_are_followed() {
    let page = |ids: &[i64]| json!({"items": items(ids), "count": 3});
    let (ids, targets) = list(Paging::Page { size: 2 }, vec![page(&[1, 2]), page(&[3])]).await;
    assert_eq!(ids.unwrap(), [1, 2, 3]);
    assert_eq!(
        targets,
        ["/l?a=b&page=1&page_size=2", "/l?a=b&page=2&page_size=2"]
    );

    let page = |ids: &[i64], more: bool| json!({"items": items(ids), "has_more": more});
    let (ids, targets) = list(
        Paging::Offset { limit: 2 },
        vec![page(&[1, 2], true), page(&[3], false)],
    )
    .await;
    assert_eq!(ids.unwrap(), [1, 2, 3]);
    assert_eq!(targets[1], "/l?a=b&offset=2&limit=2");
}

#[tokio::test]
async fn a_page_that_fails_fails_the_list() {
    let server = Server::script(vec![
        Reply::json(200, json!({"items": [{"id": 1}], "next_page_token": "t"})),
        Reply::json(403, json!({"error_code": "PERMISSION_DENIED"})),
    ])
    .await;
    let listing = Listing {
        path: "/l",
        query: vec![],
        items_key: "items",
        id_key: None,
        paging: PAGE_TOKEN,
    };
    assert_eq!(
        server.client().list(listing).await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
}

#[tokio::test]
async fn an_object_in_pages_is_put_together() {
    let page = |tasks: Value| json!({"job_id": 1, "has_more": true, "settings": {"name": "wide", "tasks": tasks}});
    let mut first = page(json!(["a", "b"]));
    first["next_page_token"] = json!("t");
    let mut second = json!({"settings": {"tasks": ["c"], "parameters": ["p"]}});
    second["next_page_token"] = json!("");
    let server = Server::script(vec![Reply::json(200, first), Reply::json(200, second)]).await;
    let whole = server
        .client()
        .get_whole("/api/2.2/jobs/get", &[("job_id", "1")])
        .await
        .unwrap();
    let settings = json!({"name": "wide", "tasks": ["a", "b", "c"], "parameters": ["p"]});
    assert_eq!(whole, json!({"job_id": 1, "settings": settings}));
    assert_eq!(
        server.targets()[1],
        "/api/2.2/jobs/get?job_id=1&page_token=t"
    );

    let circling = Reply::json(200, json!({"next_page_token": "t"}));
    let server = Server::script(vec![circling]).await;
    assert_eq!(
        server
            .client()
            .get_whole("/x", &[])
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidAnswer
    );
}

#[test]
fn fuzzed_lists_are_refused_or_give_items() {
    let good = [
        r#"{"items":[{"id":1},{"id":"x"}],"next_page_token":"t","has_more":true,"count":7}"#,
        r#"[{"id":1},[],null]"#,
        r#"{"next_page_token":"","items":null}"#,
        "null",
    ];
    let good = good.map(|text| text.as_bytes().to_vec());
    let fuzzed = fuzz("lists", &good, |body| {
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return false;
        };
        for key in ["items", ""] {
            let mut answer = answer.clone();
            if let Ok(items) = items_of(&mut answer, key) {
                assert!(items.len() <= body.len());
            }
        }
        // An object whose arrays come in pages never gets shorter by another page, and forgets its token.
        let mut whole = answer.clone();
        let token = take_token(&mut whole);
        assert_eq!(token, token_of(&answer));
        assert_eq!(token_of(&whole), None);
        let len = whole.to_string().len();
        append(&mut whole, answer);
        assert!(whole.to_string().len() >= len);
        true
    });
    assert!(fuzzed.accepted > 0);
}

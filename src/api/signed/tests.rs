//! Requests to signed addresses, as a storage sees them.

use super::*;
use crate::api::config::Config;
use crate::api::testserver::{Reply, Server, quick};

fn signed(server: &Server, kind: &str) -> Signed {
    let info = json!({
        "type": kind, "signed_uri": format!("{}/bucket/a%20b?sig=s3cret", server.url),
        "headers": [{"name": "x-given", "value": "1"}],
    });
    Signed::from_json(&info).unwrap()
}

async fn written(kind: &str) -> Vec<String> {
    let server = Server::start(|_, _| Reply::text(200, "text/plain", "")).await;
    let content = futures_util::stream::iter([Ok(Bytes::from("ab")), Ok(Bytes::from("c"))]);
    let client = server.client();
    let signed = signed(&server, kind);
    client.write_signed(&signed, 3, content).await.unwrap();
    let told = server.seen().into_iter().map(|seen| {
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.header("x-given"), Some("1"));
        let header = |name| seen.header(name).unwrap_or("-").to_owned();
        let (length, kind) = (header("content-length"), header("x-ms-blob-type"));
        format!(
            "{} {} {length} {kind} {}",
            seen.method,
            seen.target,
            seen.text()
        )
    });
    told.collect()
}

#[tokio::test]
async fn each_storage_is_told_in_its_own_way_and_none_the_token() {
    let plain = ["PUT /bucket/a%20b?sig=s3cret 3 - abc"];
    assert_eq!(written("AWS_PRESIGNED_URL").await, plain);
    assert_eq!(written("GCP_SIGNED_URL").await, plain);
    assert_eq!(
        written("AZURE_SAS_URI").await,
        ["PUT /bucket/a%20b?sig=s3cret 3 BlockBlob abc"]
    );
    assert_eq!(
        written("AZURE_ADLS_GEN2_SAS_URI").await,
        [
            "PUT /bucket/a%20b?sig=s3cret&resource=file 0 - ",
            "PATCH /bucket/a%20b?sig=s3cret&action=append&position=0 3 - abc",
            "PATCH /bucket/a%20b?sig=s3cret&action=flush&position=3 0 - ",
        ]
    );
    assert!(Signed::from_json(&json!({"type": "NEW", "signed_uri": "https://x"})).is_none());
}

#[tokio::test]
async fn a_piece_tells_of_the_whole_and_is_asked_for_without_the_token() {
    let part = || {
        Reply::text(206, "text/plain", "bc")
            .with("content-range", "bytes 1-2/7")
            .with("etag", "\"e\"")
            .with("last-modified", "Thu, 01 Jan 2026 00:00:07 GMT")
    };
    let server = Server::script(vec![Reply::text(503, "text/plain", ""), part()]).await;
    let signed = signed(&server, "AWS_PRESIGNED_URL");
    let client = server.client();
    let piece = client.read_signed(&signed, Some(1..3), Some("\"e\"")).await;
    let piece = piece.unwrap();
    assert_eq!((&piece.bytes[..], piece.total), (&b"bc"[..], 7));
    assert_eq!(piece.etag.as_deref(), Some("\"e\""));
    assert_eq!(piece.modified_at, Some(1_767_225_607_000));
    for seen in server.seen() {
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.header("range"), Some("bytes=1-2"));
        assert_eq!(seen.header("if-match"), Some("\"e\""));
        // What is stored is what is wanted, and not what it unpacks to.
        assert_eq!(seen.header("accept-encoding"), None);
    }
}

#[tokio::test]
async fn a_refusal_shows_where_the_address_leads_and_the_code_and_nothing_of_the_address() {
    let body = "<Error><Code>AccessDenied</Code><StringToSign>s3cret</StringToSign></Error>";
    let server = Server::start(move |_, _| Reply::text(403, "application/xml", body)).await;
    let signed = signed(&server, "AWS_PRESIGNED_URL");
    let error = server.client().read_signed(&signed, None, None).await;
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GET (signed address at 127.0.0.1) was answered with 403 AccessDenied"
    );
    assert!(!format!("{error:?} {signed:?}").contains("s3cret"));
}

#[tokio::test]
async fn the_whole_in_place_of_a_part_is_no_part() {
    let server = Server::start(|_, _| Reply::text(200, "text/plain", "abcdefg")).await;
    let signed = signed(&server, "AWS_PRESIGNED_URL");
    let client = server.client();
    let error = client
        .read_signed(&signed, Some(1..3), None)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the whole instead of a part"),
        "{error}"
    );
    let whole = client.read_signed(&signed, Some(0..3), None).await.unwrap();
    assert_eq!(whole.total, 7);
}

#[tokio::test]
async fn an_address_that_could_be_read_on_the_way_is_asked_only_on_this_machine() {
    let server = Server::start(|_, _| Reply::text(200, "text/plain", "abc")).await;
    let signed = signed(&server, "AWS_PRESIGNED_URL");
    let config = Config::with_token("https://example.cloud.databricks.com", "dapi0123").unwrap();
    let client = Client::new(quick(config)).unwrap();
    let error = client.read_signed(&signed, None, None).await.unwrap_err();
    assert!(
        error.to_string().contains("an address that is not https"),
        "{error}"
    );
    assert!(server.seen().is_empty());
    assert!(
        server
            .client()
            .read_signed(&signed, None, None)
            .await
            .is_ok()
    );
}

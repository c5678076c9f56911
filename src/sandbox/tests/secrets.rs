//! Secret scopes.

use serde_json::json;

use super::{Client, base64};
use crate::sandbox::{Options, Sample};

const SCOPES: &str = "/api/2.0/secrets/scopes";

#[tokio::test]
async fn a_value_comes_back_as_base64_however_it_was_put_and_lists_never_show_it() {
    let client = Client::empty().await;
    let create = format!("{SCOPES}/create");
    client.ok("POST", &create, json!({"scope": "s"})).await;
    for (key, value) in [
        ("text", json!({"string_value": "pässword"})),
        ("bytes", json!({"bytes_value": base64(b"\xff\x00")})),
    ] {
        let mut body = value;
        body["scope"] = json!("s");
        body["key"] = json!(key);
        client.ok("POST", "/api/2.0/secrets/put", body).await;
    }
    let get = async |key: &str| {
        let path = format!("/api/2.0/secrets/get?scope=s&key={key}");
        client.get(&path).await
    };
    let text = base64("pässword".as_bytes());
    assert_eq!(get("text").await.1, json!({"key": "text", "value": text}));
    assert_eq!(get("bytes").await.1["value"], json!(base64(b"\xff\x00")));
    assert_eq!(get("other").await.0, 404);
    let list = client.get("/api/2.0/secrets/list?scope=s").await.1;
    let keys = list["secrets"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert!(key["last_updated_timestamp"].is_i64() && key.get("value").is_none());
    }
}

#[tokio::test]
async fn a_new_scope_is_managed_by_its_maker_and_acls_are_for_people_who_exist() {
    let client = Client::empty().await;
    let create = format!("{SCOPES}/create");
    client.ok("POST", &create, json!({"scope": "s"})).await;
    let again = client.send("POST", &create, json!({"scope": "s"})).await;
    assert_eq!(again.1["error_code"], "RESOURCE_ALREADY_EXISTS");
    let acls = "/api/2.0/secrets/acls/list?scope=s";
    let made = json!({"items": [{"principal": "admin@example.com", "permission": "MANAGE"}]});
    assert_eq!(client.get(acls).await.1, made);
    let put = "/api/2.0/secrets/acls/put";
    let nobody = json!({"scope": "s", "principal": "nobody@example.com", "permission": "READ"});
    assert_eq!(client.send("POST", put, nobody).await.0, 404);
    let wrong = json!({"scope": "s", "principal": "users", "permission": "CAN_READ"});
    assert_eq!(client.send("POST", put, wrong).await.0, 400);
    let users = json!({"scope": "s", "principal": "users", "permission": "READ"});
    client.ok("POST", put, users.clone()).await;
    let delete = "/api/2.0/secrets/acls/delete";
    client.ok("POST", delete, users).await;
    assert_eq!(client.get(acls).await.1, made);
    let shared = json!({"scope": "all", "initial_manage_principal": "users"});
    client.ok("POST", &create, shared).await;
    let get = "/api/2.0/secrets/acls/get?scope=all&principal=users";
    assert_eq!(client.get(get).await.1["permission"], "MANAGE");
}

#[tokio::test]
async fn a_scope_of_a_vault_lists_its_keys_and_neither_gives_nor_takes_values() {
    let client = Client::start(Options {
        sample: Sample::Small,
        ..Options::default()
    })
    .await;
    let list = client.get("/api/2.0/secrets/list?scope=vault").await.1;
    assert_eq!(list["secrets"][0]["key"], "signing-key");
    let get = "/api/2.0/secrets/get?scope=vault&key=signing-key";
    assert_eq!(client.get(get).await.1["error_code"], "BAD_REQUEST");
    let put = json!({"scope": "vault", "key": "k", "string_value": "v"});
    let put = client.send("POST", "/api/2.0/secrets/put", put).await;
    assert_eq!(put.1["error_code"], "BAD_REQUEST");
}

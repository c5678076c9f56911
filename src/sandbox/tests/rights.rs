//! Callers who are no administrators.

use serde_json::{Value, json};

use super::{Client, receive};
use crate::sandbox::*;

const OTHERS: &str = "dapi-others";

impl Client {
    /// Status and body of a GET by somebody else.
    async fn get_as_other(&self, path: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.running.url);
        receive(self.http.get(url).bearer_auth(OTHERS)).await
    }
}

/// The texts of a field of all elements of a list.
fn all(answer: &Value, list: &str, at: &str) -> Vec<String> {
    let items = answer[list].as_array().into_iter().flatten();
    let mut texts: Vec<String> = items
        .map(|item| item.pointer(at).unwrap().as_str().unwrap().to_owned())
        .collect();
    texts.sort_unstable();
    texts
}

#[tokio::test]
async fn who_is_no_administrator_sees_only_what_was_given_to_them_or_their_groups() {
    let client = Client::empty().await;
    let workspace = &client.running.workspace;
    workspace.add_user("ana@example.com");
    let bob = workspace.add_user("bob@example.com");
    workspace.add_group("data", &[&bob]);
    workspace.add_token("bob@example.com", &Token::new(OTHERS));
    workspace.put_notebook("/Users/ana@example.com/own", "PYTHON", "1");
    workspace.put_notebook("/Users/bob@example.com/own", "PYTHON", "1");
    let node = workspace.put_notebook("/Closed/n", "PYTHON", "1").unwrap();
    let make = async |name: &str, acl: Value| {
        let job = json!({"name": name, "access_control_list": acl});
        let made = client.ok("POST", "/api/2.1/jobs/create", job).await;
        made["job_id"].to_string()
    };
    let hidden = make("hidden", json!([])).await;
    let of_group = json!([{"group_name": "data", "permission_level": "CAN_VIEW"}]);
    let seen = make("seen", of_group).await;
    let managed = json!([{"user_name": "bob@example.com", "permission_level": "CAN_MANAGE"}]);
    let managed = make("managed", managed).await;

    let (_, jobs) = client.get_as_other("/api/2.1/jobs/list").await;
    assert_eq!(all(&jobs, "jobs", "/settings/name"), ["managed", "seen"]);
    let (_, jobs) = client.get("/api/2.1/jobs/list").await;
    assert_eq!(all(&jobs, "jobs", "/settings/name").len(), 3);
    for (id, status) in [(&hidden, 403), (&seen, 403), (&managed, 200)] {
        let path = format!("/api/2.0/permissions/jobs/{id}");
        let (answered, words) = client.get_as_other(&path).await;
        assert_eq!(answered, status, "{words}");
        assert!(status == 200 || words["error_code"] == "PERMISSION_DENIED");
    }
    let paths = async |folder: &str| {
        let path = format!("/api/2.0/workspace/list?path={folder}");
        all(&client.get_as_other(&path).await.1, "objects", "/path")
    };
    assert_eq!(paths("/").await, ["/Repos", "/Shared", "/Users"]);
    assert_eq!(paths("/Users").await, ["/Users/bob@example.com"]);
    let (_, own) = client
        .get_as_other(&format!("/api/2.0/permissions/notebooks/{node}"))
        .await;
    assert_eq!(own["error_code"], "PERMISSION_DENIED");
    let scripts = "/api/2.0/global-init-scripts";
    assert_eq!(client.get_as_other(scripts).await.0, 403);
    assert_eq!(client.get(scripts).await.0, 200);
}

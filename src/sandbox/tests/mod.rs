//! The sandbox, driven from outside over loopback.

mod acl;
mod archive;
mod compute;
mod dbfs;
mod faults;
mod identity;
mod jobs;
mod mlflow;
mod rights;
mod samples;
mod secrets;
mod server;
mod tree;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Options, Running, Sandbox, Token};

/// A running sandbox and a client for it.
struct Client {
    running: Running,
    http: reqwest::Client,
}

impl Client {
    async fn start(options: Options) -> Client {
        let options = Options {
            token: Some(Token::new("dapi-test")),
            ..options
        };
        let running = Sandbox::start(options).await.unwrap();
        Client {
            running,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn empty() -> Client {
        Client::start(Options::default()).await
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http
            .request(method, format!("{}{path}", self.running.url))
            .bearer_auth("dapi-test")
    }

    /// Status and body of a GET.
    async fn get(&self, path: &str) -> (u16, Value) {
        receive(self.request("GET", path)).await
    }

    /// Status and body of a call with a JSON body.
    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        receive(with_json(self.request(method, path), &body)).await
    }

    /// The body of a call that must succeed.
    async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = match method {
            "GET" => self.get(path).await,
            _ => self.send(method, path, body).await,
        };
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    async fn import(&self, path: &str, format: &str, content: &[u8]) -> (u16, Value) {
        let body = json!({
            "path": path, "format": format, "language": "PYTHON", "content": base64(content),
        });
        self.send("POST", "/api/2.0/workspace/import", body).await
    }

    async fn export(&self, path: &str, format: &str) -> Vec<u8> {
        let query = [
            ("path", path),
            ("format", format),
            ("direct_download", "true"),
        ];
        let answer = self
            .request("GET", "/api/2.0/workspace/export")
            .query(&query)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap().to_vec()
    }
}

/// A request with a JSON body.
fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request
        .header("content-type", "application/json")
        .body(body.to_string())
}

async fn receive(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

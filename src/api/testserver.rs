//! A server on this machine that answers, and fails, as a test tells it to.
//!
//! Invariant: real sockets; what the client sees of a broken connection is what it would see in a network.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::client::{Client, ClientOptions};
use super::config::Config;
use super::limiter::Rates;
use super::retry::RetryPolicy;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Path and query, encoded.
    pub(super) target: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// What the server does about it.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Closes the connection without a word.
    HangUp,
    /// Promises more than it sends.
    BreakOff { body: Vec<u8> },
    /// Keeps the connection open and says nothing.
    Silence,
}

pub(super) struct Server {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Reply {
    pub(super) fn json(status: u16, body: serde_json::Value) -> Reply {
        Reply::Answer {
            status,
            headers: vec![("content-type", "application/json".into())],
            body: body.to_string().into(),
        }
    }

    pub(super) fn text(status: u16, kind: &str, body: &str) -> Reply {
        Reply::Answer {
            status,
            headers: vec![("content-type", kind.into())],
            body: body.into(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        if let Reply::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

impl Server {
    /// Answers every request with what the function says of it; the number counts requests from 0.
    pub(super) async fn start(
        reply: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, reply) = (Arc::clone(&seen), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, reply) = (Arc::clone(&log), Arc::clone(&reply));
                tokio::spawn(async move {
                    let (mut stream, request) = read(stream).await;
                    let Some(request) = request else { return };
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.push(request.clone());
                        log.len() - 1
                    };
                    write(&mut stream, reply(number, &request)).await;
                });
            }
        });
        Server { url, seen }
    }

    /// Answers with these, one after the other, and with the last for ever.
    pub(super) async fn script(replies: Vec<Reply>) -> Server {
        Server::start(move |number, _| replies[number.min(replies.len() - 1)].clone()).await
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn targets(&self) -> Vec<String> {
        self.seen()
            .into_iter()
            .map(|request| request.target)
            .collect()
    }

    pub(super) fn client(&self) -> Client {
        Client::new(quick(Config::with_token(&self.url, "dapi0123").unwrap())).unwrap()
    }
}

/// Options for a server on this machine: waits of milliseconds, no rates.
pub(super) fn quick(config: Config) -> ClientOptions {
    let mut options = ClientOptions::new(config);
    options.retry = RetryPolicy::quick();
    options.rates = Rates::off();
    options
}

async fn read(mut stream: TcpStream) -> (TcpStream, Option<Seen>) {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return (stream, None);
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(key, _)| key == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    while bytes.len() < head_end + 4 + length {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    let seen = Seen {
        method: first.next().unwrap().to_owned(),
        target: first.next().unwrap().to_owned(),
        headers,
        body: bytes[head_end + 4..].to_vec(),
    };
    (stream, Some(seen))
}

async fn write(stream: &mut TcpStream, reply: Reply) {
    let (status, headers, body, missing) = match reply {
        Reply::Answer {
            status,
            headers,
            body,
        } => (status, headers, body, 0),
        Reply::BreakOff { body } => (200, Vec::new(), body, 100),
        Reply::HangUp => return,
        Reply::Silence => std::future::pending().await,
    };
    let mut head = format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len() + missing
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    // A client that has heard enough may be gone.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
    let _ = stream.shutdown().await;
}

//! A place to run the binary in: an empty home, a cleared environment, a time that is always the same.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dbsnap::sandbox::{Options, Running, Sample, Sandbox, Token};

/// The token of sandboxes here. It must never be seen in any output.
pub(crate) const TOKEN: &str = "dapi0123456789abcdef0123456789abcdef";

/// A home of its own.
pub(crate) struct TestEnv {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
    /// Every run is a minute later than the one before.
    runs: Cell<u32>,
}

/// A sandbox and the runtime that it runs in.
pub(crate) struct Served {
    pub(crate) running: Running,
    _runtime: tokio::runtime::Runtime,
}

impl TestEnv {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            runs: Cell::new(0),
        }
    }

    /// A home with a profile DEMO for a workspace at this address.
    pub(crate) fn with_host(host: &str) -> Self {
        let env = Self::new();
        env.write(
            ".databrickscfg",
            &format!("[DEMO]\nhost = {host}\ntoken = {TOKEN}\nretry_timeout_seconds = 1\n"),
        );
        env
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The binary, to be run in the home directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let minute = self.runs.replace(self.runs.get() + 1);
        let now = format!("2026-01-02T03:{minute:02}:05Z");
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("dbsnap"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.directory.path())
            .env("DBSNAP_TEST_NOW", now)
            .env("HOSTNAME", "test")
            .env("NO_PROXY", "*")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary in the home directory.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(
                !text.contains(TOKEN),
                "the token is shown by {arguments:?}:\n{text}"
            );
        }
        output
    }

    /// What a user sees, in one piece: the command, both outputs, the exit code. What differs from run to run is
    /// replaced by its name.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let code = output.status.code().map_or(-1, |code| code);
        let mut text = format!("$ dbsnap {}\n", arguments.join(" "));
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !bytes.is_empty() {
                text += &format!("--- {name}\n{}", String::from_utf8_lossy(bytes));
                if !text.ends_with('\n') {
                    text += "\n(no newline at the end)\n";
                }
            }
        }
        text += &format!("--- exit code {code}\n");
        self.redact(&text)
    }

    /// The one JSON document that a command must write.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.output(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(&output.stdout);
            panic!("{arguments:?} wrote no JSON document: {error}\n{text}")
        })
    }

    /// The text with names in place of what differs from run to run.
    pub(crate) fn redact(&self, text: &str) -> String {
        let home = self.directory.path().to_str().unwrap();
        let text = redact_words(&text.replace(home, "[HOME]"));
        let text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
        let text = redact_between(&text, "to the store; ", " request", "[N]");
        let text = redact_between(&text, "[VERSION], ", " request", "[N]");
        let text = redact_between(&text, "[VERSION] in ", "\n", "[DURATION]");
        let text = redact_between(&text, "; ", " added to the store", "[SIZE]");
        let text = redact_between(&text, " request in ", "\n", "[DURATION]");
        let text = redact_between(&text, " requests in ", "\n", "[DURATION]");
        let text = redact_between(&text, "/store/restores/", ".jsonl", "[JOURNAL]");
        let text = redact_between(&text, " added to the store in ", "\n", "[DURATION]");
        let text = redact_between(&text, " (", " attempts)", "[N]");
        redact_request_ids(&text)
    }
}

/// Which request got which id is a matter of luck where several are under way.
fn redact_request_ids(text: &str) -> String {
    let mut parts = text.split("(request id ");
    let mut redacted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.find(')').map_or(part, |end| &part[end..]);
        redacted += &format!("(request id [ID]{rest}");
    }
    redacted
}

/// Replaces what stands between two texts on one line.
fn redact_between(text: &str, before: &str, after: &str, name: &str) -> String {
    let redact = |line: &str| {
        let whole = format!("{line}\n");
        let end = whole.find(after);
        let start = end.and_then(|end| Some(whole[..end].rfind(before)? + before.len()));
        match (start, end) {
            (Some(start), Some(end)) => {
                let redacted = format!("{}{name}{}", &whole[..start], &whole[end..]);
                redacted.trim_end_matches('\n').to_owned()
            }
            _ => line.to_owned(),
        }
    };
    text.lines().map(|line| redact(line) + "\n").collect()
}

/// Replaces ports, ids and durations.
fn redact_words(text: &str) -> String {
    let mut redacted = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-') {
            word.push(c);
        } else {
            redacted += &redact_word(&word);
            redacted.push(c);
            word.clear();
        }
    }
    redacted.pop();
    redacted
}

fn redact_word(word: &str) -> String {
    if let Some(at) = word.find("127.0.0.1:") {
        let rest = word[at + 10..].trim_start_matches(|c: char| c.is_ascii_digit());
        return format!("{}127.0.0.1:[PORT]{rest}", &word[..at]);
    }
    let bare = word.trim_end_matches([':', '.']);
    let ending = &word[bare.len()..];
    // The name of a head is its time and its id.
    if let Some((time, id)) = bare.rsplit_once('-').filter(|(_, id)| id.len() == 64) {
        return format!("{time}-{}{ending}", redact_word(id));
    }
    let is_hex = bare
        .bytes()
        .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    // Words such as `decade` are hexadecimal as well; ids have digits.
    let is_id = is_hex && bare.bytes().any(|c| c.is_ascii_digit());
    match bare.len() {
        64 if is_id => format!("[ID]{ending}"),
        8 | 12 | 32 if is_id => format!("[SHORT ID]{ending}"),
        _ => word.to_owned(),
    }
}

impl Served {
    pub(crate) fn start(sample: Sample) -> Self {
        Self::start_with(Options {
            sample,
            ..Options::default()
        })
    }

    /// A sandbox with the token of these tests.
    pub(crate) fn start_with(options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let options = Options {
            token: Some(Token::new(TOKEN)),
            ..options
        };
        let running = runtime.block_on(Sandbox::start(options)).unwrap();
        Self {
            running,
            _runtime: runtime,
        }
    }

    pub(crate) fn env(&self) -> TestEnv {
        TestEnv::with_host(&self.running.url)
    }
}

/// A server that answers every request with the same words; serves until the test ends.
pub(crate) fn serve_always(content_type: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(body.as_bytes());
        }
    });
    format!("http://{address}")
}

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Where the repository is.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn what_differs_from_run_to_run_is_replaced() {
    assert_eq!(
        redact_words("at http://127.0.0.1:4711/x: 0a1b2c3d, decade, facade12."),
        "at http://127.0.0.1:[PORT]/x: [SHORT ID], decade, [SHORT ID]."
    );
}

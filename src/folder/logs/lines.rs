//! Lines of JSON, one by one.
//!
//! Invariant: no more than one line is held, and no line is longer than a limit; whatever is in a line, the next one is
//! read.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde_json::Value;
use serde_json::error::Category;

/// The longest line that is read. A job of a thousand tasks has a few megabytes.
pub(super) const LONGEST_LINE: usize = 32 << 20;

/// The lines of a file.
pub(super) struct Lines<R> {
    source: BufReader<R>,
    file: String,
    number: u64,
    /// Where in the source the next line begins.
    ahead: u64,
    is_over: bool,
}

/// A line, with where it stands.
pub(super) struct Line {
    pub(super) spot: Spot,
    /// Where in the source it begins.
    pub(super) begin: u64,
    /// What is in it; why nothing is, if it cannot be read.
    pub(super) text: Result<String, String>,
}

/// A line of a file, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) file: String,
    pub(super) line: u64,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file, self.line)
    }
}

impl<R: Read> Lines<R> {
    /// The lines of what `file` is the name of.
    pub(super) fn new(file: impl Into<String>, source: R) -> Self {
        Self {
            source: BufReader::with_capacity(64 << 10, source),
            file: file.into(),
            number: 0,
            ahead: 0,
            is_over: false,
        }
    }

    /// Reads a line of at most `limit` bytes, and skips the rest of a longer one.
    fn read(&mut self, limit: usize) -> io::Result<Option<Result<Vec<u8>, String>>> {
        let mut bytes = Vec::new();
        let mut start = self.source.by_ref().take(limit as u64 + 1);
        self.ahead += start.read_until(b'\n', &mut bytes)? as u64;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() > limit {
            drop(bytes);
            self.ahead += self.source.skip_until(b'\n')? as u64;
            return Ok(Some(Err(format!("it is longer than {limit} bytes"))));
        }
        Ok(Some(Ok(bytes)))
    }
}

/// Lines with something in them.
impl<R: Read> Iterator for Lines<R> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        while !self.is_over {
            self.number += 1;
            let begin = self.ahead;
            let text = match self.read(LONGEST_LINE) {
                Ok(None) => break,
                Ok(Some(bytes)) => bytes.and_then(|bytes| {
                    String::from_utf8(bytes).map_err(|error| {
                        let at = error.utf8_error().valid_up_to() + 1;
                        format!("it is not UTF-8 from byte {at} on")
                    })
                }),
                Err(error) => {
                    self.is_over = true;
                    Err(format!("it and what follows cannot be read: {error}"))
                }
            };
            if matches!(&text, Ok(text) if text.trim().is_empty()) {
                continue;
            }
            let (file, line) = (self.file.clone(), self.number);
            return Some(Line {
                spot: Spot { file, line },
                begin,
                text,
            });
        }
        self.is_over = true;
        None
    }
}

impl Line {
    /// The JSON object that the line is.
    pub(super) fn object(&self) -> Result<Value, String> {
        object(self.text.as_ref().map_err(Clone::clone)?)
    }
}

/// The JSON object that a text is, without what the older tool's client adds to every answer.
pub(super) fn object(text: &str) -> Result<Value, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Eof => "it ends in the middle".to_owned(),
        _ => format!("it is no JSON at column {}", error.column()),
    })?;
    match value.as_object_mut() {
        Some(object) => {
            object.remove("http_status_code");
            Ok(value)
        }
        None => Err("it is JSON, but no object".to_owned()),
    }
}

/// The failure that an object records in place of data.
pub(super) fn failure(value: &Value) -> Option<String> {
    let text = |field: &str| match &value[field] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let is_command_error = value["resultType"] == "error";
    let code = text("error_code").or_else(|| is_command_error.then(|| "error".to_owned()));
    let message = ["message", "error", "summary", "cause"];
    let message = message.iter().find_map(|field| text(field));
    match (code, message) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (Some(code), None) => Some(code),
        (None, _) => text("error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(bytes: &[u8]) -> Vec<String> {
        let lines = Lines::new("users.log", bytes);
        let told = lines.map(|line| match line.object() {
            Ok(value) => value.to_string(),
            Err(reason) => format!("{}: {reason}", line.spot),
        });
        told.collect()
    }

    #[test]
    fn a_bad_line_is_named_and_the_next_one_is_read() {
        let bytes = b"{\"a\": 1, \"http_status_code\": 200}\n\n  \n{\"a\": \n\xff\n[1]\n{\"b\" 2}\r\n{\"c\": 3}\r\n{\"d\": \"cut";
        assert_eq!(
            told(bytes),
            [
                "{\"a\":1}",
                "users.log line 4: it ends in the middle",
                "users.log line 5: it is not UTF-8 from byte 1 on",
                "users.log line 6: it is JSON, but no object",
                "users.log line 7: it is no JSON at column 6",
                "{\"c\":3}",
                "users.log line 9: it ends in the middle",
            ]
        );
    }

    #[test]
    fn a_line_over_the_limit_is_skipped_without_being_held() {
        let mut lines = Lines::new("x", &b"12345\n123456\n123456789\n12\n123456"[..]);
        let mut read = || lines.read(5).unwrap();
        let over = || Some(Err("it is longer than 5 bytes".to_owned()));
        assert_eq!(read(), Some(Ok(b"12345".to_vec())));
        assert_eq!(read(), over());
        assert_eq!(read(), over());
        assert_eq!(read(), Some(Ok(b"12".to_vec())));
        assert_eq!(read(), over());
        assert_eq!(read(), None);
    }

    #[test]
    fn a_source_that_fails_ends_with_words() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let mut lines = Lines::new("x", b"{}\n".chain(Broken));
        assert!(lines.next().unwrap().object().is_ok());
        let reason = lines.next().unwrap().object().unwrap_err();
        assert!(reason.ends_with("the disk is gone"), "{reason}");
        assert!(lines.next().is_none());
    }

    #[test]
    fn what_records_a_failure_is_told_from_data() {
        for (value, told) in [
            (json!({"error_code": "X", "message": "m"}), Some("X: m")),
            (json!({"error_code": 403}), Some("403")),
            (json!({"error": "no"}), Some("no")),
            (
                json!({"resultType": "error", "summary": "s"}),
                Some("error: s"),
            ),
            (json!({"userName": "ana@example.com", "message": "m"}), None),
        ] {
            assert_eq!(failure(&value).as_deref(), told, "{value}");
        }
    }
}

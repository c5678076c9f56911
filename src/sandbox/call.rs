//! A request as the handlers see it, and what they answer.
//!
//! Invariant: a handler sees decoded values only, and never a header or a connection.

use axum::body::Bytes;
use serde_json::{Map, Value, json};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// What a handler gives back.
pub(crate) type Answer = Result<Reply, Refusal>;

/// One request.
pub(crate) struct Call {
    /// The API version of the path: `2.0`, `2.1`, ...
    pub(crate) version: &'static str,
    /// The variable parts of the path, decoded.
    pub(crate) params: Vec<(&'static str, String)>,
    /// The query, decoded.
    pub(crate) query: Vec<(String, String)>,
    /// Where the caller thinks this server is.
    pub(crate) base_url: String,
    pub(crate) authorization: String,
    pub(crate) content_type: String,
    /// The part of an object that is asked for, as the header has it.
    pub(crate) range: String,
    /// What an object has to be still.
    pub(crate) if_match: String,
    pub(crate) body: Bytes,
    /// The principal who calls.
    pub(crate) caller: i64,
}

impl Call {
    /// A variable part of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params
            .iter()
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    }

    /// A variable part of the path that is a number.
    pub(crate) fn param_id(&self, name: &str) -> Result<i64, Refusal> {
        let text = self.param(name);
        text.parse()
            .map_err(|_| Refusal::invalid(format!("{name} must be a number, got '{text}'")))
    }

    /// A query parameter; an empty one counts as absent.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self
            .query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// A query parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.query(name).ok_or_else(|| missing(name))
    }

    /// A query parameter that is a number.
    pub(crate) fn query_int(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| Refusal::invalid(format!("{name} must be a number")))
        };
        self.query(name).map(parse).transpose()
    }

    /// A query parameter that is `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.query(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The JSON body, which must be an object; no body is an empty one.
    pub(crate) fn object(&self) -> Result<Object, Refusal> {
        if self.body.is_empty() {
            return Ok(Object::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Refusal::new(
                400,
                "MALFORMED_REQUEST",
                "Request body must be a JSON object",
            )),
            Err(error) => Err(Refusal::new(
                400,
                "MALFORMED_REQUEST",
                format!("Invalid JSON given in the body: {error}"),
            )),
        }
    }
}

/// A successful answer.
pub(crate) enum Reply {
    /// A JSON body.
    Json(u16, Value),
    /// A body of bytes with its content type.
    Raw(&'static str, Bytes),
    /// No body.
    Empty(u16),
    /// What the storage of a cloud answers.
    Stored(Stored),
    /// Work that is too long to do while the workspace is locked.
    Later(Box<dyn FnOnce() -> Answer + Send>),
}

/// An answer of the storage of a cloud.
pub(crate) struct Stored {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// `{}`, what most writes answer.
    pub(crate) fn done() -> Answer {
        Ok(Reply::Json(200, json!({})))
    }

    /// 200 with a body.
    pub(crate) fn json(body: Value) -> Answer {
        Ok(Reply::Json(200, body))
    }

    /// A list under its key; like the real service, an empty list is `{}`.
    pub(crate) fn list(key: &str, items: Vec<Value>) -> Answer {
        let mut body = Object::new();
        if !items.is_empty() {
            body.insert(key.to_string(), Value::Array(items));
        }
        Reply::json(Value::Object(body))
    }
}

/// A refusal, in one of the service's error shapes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Standard,
    Identity,
    OAuth,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            code: code.to_string(),
            message: message.into(),
            shape: Shape::Standard,
        }
    }

    /// 400 `INVALID_PARAMETER_VALUE`.
    pub(crate) fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "INVALID_PARAMETER_VALUE", message)
    }

    /// 404 `RESOURCE_DOES_NOT_EXIST`.
    pub(crate) fn not_found(message: impl Into<String>) -> Refusal {
        Refusal::new(404, "RESOURCE_DOES_NOT_EXIST", message)
    }

    /// 400 `RESOURCE_ALREADY_EXISTS`.
    pub(crate) fn exists(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "RESOURCE_ALREADY_EXISTS", message)
    }

    /// The identity API's shape; `kind` is its `scimType`, empty for none.
    pub(crate) fn identity(status: u16, kind: &str, detail: impl Into<String>) -> Refusal {
        Refusal {
            status,
            code: kind.to_string(),
            message: detail.into(),
            shape: Shape::Identity,
        }
    }

    /// The shape of the token endpoint.
    pub(crate) fn oauth(status: u16, error: &str, description: impl Into<String>) -> Refusal {
        Refusal {
            status,
            code: error.to_string(),
            message: description.into(),
            shape: Shape::OAuth,
        }
    }

    /// The body to send.
    pub(crate) fn body(&self) -> Value {
        match self.shape {
            Shape::Standard => json!({"error_code": self.code, "message": self.message}),
            Shape::OAuth => json!({"error": self.code, "error_description": self.message}),
            Shape::Identity => {
                let mut body = json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                    "detail": self.message,
                    "status": self.status.to_string(),
                });
                if !self.code.is_empty() {
                    body["scimType"] = json!(self.code);
                }
                body
            }
        }
    }
}

/// The refusal for a parameter that is not there.
pub(crate) fn missing(name: &str) -> Refusal {
    Refusal::invalid(format!("Missing required field: {name}"))
}

/// Reading the fields of a request body.
pub(crate) trait Fields {
    /// A text field.
    fn text(&self, name: &str) -> Option<&str>;
    /// A text field that must be there and not empty.
    fn required_text(&self, name: &str) -> Result<&str, Refusal>;
    /// A number, also when it comes as text.
    fn int(&self, name: &str) -> Option<i64>;
    /// A boolean, also when it comes as text.
    fn flag(&self, name: &str) -> bool;
    /// The items of a list; an absent one is empty.
    fn items(&self, name: &str) -> &[Value];
}

impl Fields for Object {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    fn required_text(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| missing(name))
    }

    fn int(&self, name: &str) -> Option<i64> {
        let value = self.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            Some(Value::Bool(value)) => *value,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    fn items(&self, name: &str) -> &[Value] {
        self.get(name)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }
}

/// Takes the object out of a value made by `json!({..})`.
pub(crate) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

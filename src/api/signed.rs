//! Addresses that the service has signed: whoever has one may read or write one object in the storage of a cloud.
//!
//! Invariant: a request to such an address carries no credential of the workspace, and no error shows the address, for it is
//! a credential itself. It is not the service that answers, so that neither its rates hold nor its counts go up.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use futures_util::Stream;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_MATCH, LAST_MODIFIED, RANGE,
    USER_AGENT,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};

use super::client::{Client, Shared};
use super::error::{ApiError, Phase, RequestLine, problem_of};
use super::exchange::{broken, invalid, jitter, silent};
use super::retry::{Patience, Repeat};
use super::secret::Secret;

/// The longest object that a cloud takes in one piece.
pub const LONGEST_SIGNED: u64 = 5 << 30;

/// An address that the service has signed.
#[derive(Clone, Debug)]
pub struct Signed {
    address: Secret,
    headers: Vec<(String, Secret)>,
    storage: Storage,
}

/// How the storage behind an address takes a new object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    /// By one request with all of it.
    Plain,
    /// By one request that says what kind of object it is.
    AzureBlob,
    /// By three: it is made, filled, and finished.
    AzureFiles,
}

/// A part of an object, with what the storage says of the whole.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The part.
    pub bytes: Bytes,
    /// How long the whole is.
    pub total: u64,
    /// When it was written, in milliseconds since 1970. Storage tells whole seconds.
    pub modified_at: Option<i64>,
    /// What tells it from what may stand in its place later.
    pub etag: Option<String>,
}

impl Signed {
    /// The address in an element of `credential_infos`, if the storage is of a kind that is known.
    pub fn from_json(info: &Value) -> Option<Self> {
        let storage = match info["type"].as_str()? {
            "AWS_PRESIGNED_URL" | "GCP_SIGNED_URL" => Storage::Plain,
            "AZURE_SAS_URI" => Storage::AzureBlob,
            "AZURE_ADLS_GEN2_SAS_URI" => Storage::AzureFiles,
            _ => return None,
        };
        let headers = info["headers"].as_array().into_iter().flatten();
        let headers = headers.filter_map(|header| {
            let value = Secret::new(header["value"].as_str()?);
            Some((header["name"].as_str()?.to_owned(), value))
        });
        Some(Self {
            address: Secret::new(info["signed_uri"].as_str()?),
            headers: headers.collect(),
            storage,
        })
    }
}

impl Client {
    /// Reads a range of an object, or all of it; with an `etag` only if it is still that one, or the answer is 412.
    pub async fn read_signed(
        &self,
        signed: &Signed,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Piece, ApiError> {
        let shared = &*self.shared;
        let mut patience = Patience::new(shared.retry);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match shared.read_piece(signed, range.clone(), etag).await {
                Ok(piece) => return Ok(piece),
                Err(error) => error.with_history(attempts, false),
            };
            let reached = self.has_reached_storage();
            match patience.next(&error, Repeat::Safe, reached, Duration::ZERO, jitter()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    /// Writes an object of this length, once: what is to be sent again has to be read again.
    pub async fn write_signed(
        &self,
        signed: &Signed,
        len: u64,
        content: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), ApiError> {
        let shared = &*self.shared;
        let body = reqwest::Body::wrap_stream(content);
        let (put, patch) = (Method::PUT, Method::PATCH);
        let (with_body, last) = match signed.storage {
            Storage::Plain => (shared.to_signed(put, signed, "")?, None),
            Storage::AzureBlob => {
                let request = shared.to_signed(put, signed, "")?;
                (request.header("x-ms-blob-type", "BlockBlob"), None)
            }
            Storage::AzureFiles => {
                let make = shared.to_signed(put, signed, "resource=file")?;
                shared
                    .sent(&Method::PUT, signed, make.header(CONTENT_LENGTH, 0), 0)
                    .await?;
                let flush = format!("action=flush&position={len}");
                let flush = shared.to_signed(patch.clone(), signed, &flush)?;
                let append = shared.to_signed(patch, signed, "action=append&position=0")?;
                (append, Some(flush.header(CONTENT_LENGTH, 0)))
            }
        };
        let request = with_body.header(CONTENT_LENGTH, len).body(body);
        shared.sent(&Method::PUT, signed, request, len).await?;
        if let Some(last) = last {
            shared.sent(&Method::PATCH, signed, last, 0).await?;
        }
        Ok(())
    }

    /// Whether any storage ever answered: a network may lead to a workspace and not to its storage.
    pub fn has_reached_storage(&self) -> bool {
        self.shared.reached_storage.load(Relaxed)
    }
}

impl Shared {
    async fn read_piece(
        &self,
        signed: &Signed,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Piece, ApiError> {
        let mut request = self.to_signed(Method::GET, signed, "")?;
        if let Some(Range { start, end }) = &range {
            request = request.header(RANGE, format!("bytes={start}-{}", end.saturating_sub(1)));
        }
        if let Some(etag) = etag {
            request = request.header(IF_MATCH, etag);
        }
        let (line, mut response) = self.sent(&Method::GET, signed, request, 0).await?;
        let headers = response.headers().clone();
        let longest = match (&range, response.status()) {
            (Some(range), StatusCode::PARTIAL_CONTENT) => range.end - range.start,
            // Asked for a part, some give the whole.
            (Some(range), _) if range.start > 0 => {
                return Err(invalid(&line, "the whole instead of a part"));
            }
            _ => self.longest_answer,
        };
        let bytes = self.read(&line, &mut response, longest).await?;
        let text = |name: HeaderName| headers.get(name)?.to_str().ok();
        let total = text(CONTENT_RANGE).and_then(|range| range.rsplit('/').next()?.parse().ok());
        let modified = text(LAST_MODIFIED).and_then(|at| DateTime::parse_from_rfc2822(at).ok());
        Ok(Piece {
            total: total.unwrap_or(bytes.len() as u64),
            modified_at: modified.map(|at| at.timestamp_millis()),
            etag: text(ETAG).map(str::to_owned),
            bytes,
        })
    }

    /// A request to a signed address with more at the end of its query.
    fn to_signed(
        &self,
        method: Method,
        signed: &Signed,
        more: &str,
    ) -> Result<RequestBuilder, ApiError> {
        let line = line(&method, signed);
        let mut address = Url::parse(signed.address.expose())
            .map_err(|_| invalid(&line, "no address that can be asked"))?;
        // Only a workspace on this machine has storage that is not encrypted on the way.
        if address.scheme() != "https" && !self.config.host().is_loopback() {
            return Err(invalid(&line, "an address that is not https"));
        }
        if !more.is_empty() {
            let query = match address.query() {
                Some(query) => format!("{query}&{more}"),
                None => more.to_owned(),
            };
            address.set_query(Some(&query));
        }
        let request = self.storage.request(method, address);
        let mut request = request.header(USER_AGENT, &self.user_agent);
        for (name, value) in &signed.headers {
            request = request.header(name, value.expose());
        }
        Ok(request)
    }

    /// Sends a request; an answer that is no success is an error.
    async fn sent(
        &self,
        method: &Method,
        signed: &Signed,
        request: RequestBuilder,
        len: u64,
    ) -> Result<(RequestLine, Response), ApiError> {
        let line = line(method, signed);
        let _permit = self.storage_permits.acquire().await;
        // Allow for a slow line (16 KiB/s).
        let patience = self.inactivity_timeout + Duration::from_secs(len >> 14);
        let mut response = match tokio::time::timeout(patience, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let phase = match error.is_connect() {
                    true => Phase::Connecting,
                    false => Phase::Waiting,
                };
                return Err(broken(&line, phase, error));
            }
            Err(_) => return Err(silent(&line, Phase::Waiting, patience)),
        };
        self.reached_storage.store(true, Relaxed);
        let status = response.status();
        if status.is_success() {
            return Ok((line, response));
        }
        let headers = std::mem::take(response.headers_mut());
        let body = self.read(&line, &mut response, self.longest_answer).await?;
        Err(refused(line, status, &headers, &body))
    }
}

/// What an error may say of an address: only where it leads.
fn line(method: &Method, signed: &Signed) -> RequestLine {
    let address = Url::parse(signed.address.expose()).ok();
    let host = address
        .as_ref()
        .and_then(Url::host_str)
        .unwrap_or("nowhere");
    RequestLine::new(method, &format!("(signed address at {host})"), &[])
}

/// Clouds answer in XML, and in it they repeat what was signed: only the code is of use.
fn refused(line: RequestLine, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ApiError {
    let text = String::from_utf8_lossy(body);
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map_or("", |(code, _)| code);
    let body = json!({"error_code": code, "message": ""}).to_string();
    ApiError::Refused(Box::new(problem_of(line, status, headers, body.as_bytes())))
}

#[cfg(test)]
mod tests;

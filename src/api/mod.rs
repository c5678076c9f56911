//! The Databricks REST API: method, path and JSON, with authentication, retries, rates, paging and errors taken care of.
//!
//! [`Config`] says which workspace and as whom, [`ClientOptions`] how, and a [`Client`] does it: [`Client::get`],
//! [`Client::send`], [`Client::download`], [`Client::upload`], [`Client::list`]; and [`Client::read_signed`] where the service
//! only says where to ask. Whatever fails is an [`ApiError`] whose
//! [`kind`](ApiError::kind) says what it means.
//!
//! Invariant: knows no kind of object. Reads neither environment nor home directory nor configuration files (but for
//! the proxy variables `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, which the HTTP library reads itself).

mod client;
mod exchange;
mod paging;
mod workspace;

mod auth;
mod config;
mod counts;
pub mod encode;
mod error;
mod host;
mod limiter;
mod retry;
mod secret;
mod signed;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod testserver;

pub use auth::{AuthError, LoginEndpoints, Strategy};
pub use client::{Client, ClientOptions};
pub use config::{Attribute, Config, ConfigError, Origin, Overrides, ProfileFile};
pub use counts::RequestCounts;
pub use error::{ApiError, ErrorKind, Phase, Refused, RequestLine};
pub use host::{Cloud, Host, HostError};
pub use limiter::{Family, Rate, Rates, RatesError};
pub use paging::{Listing, Pages, Paging};
pub use retry::{Repeat, RetryPolicy};
pub use secret::Secret;
pub use signed::{LONGEST_SIGNED, Piece, Signed};
pub use workspace::WorkspaceInfo;

pub use reqwest::Method;

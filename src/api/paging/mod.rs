//! Lists that come in pages, in every style the service has.
//!
//! Invariant: an item comes once, an empty page is not the end unless the style says so, and no list goes in circles.

use std::collections::HashSet;

use serde_json::Value;

use super::client::Client;
use super::error::{ApiError, RequestLine};
use super::exchange::invalid;

/// What to list.
#[derive(Clone, Debug)]
pub struct Listing<'a> {
    /// The path, encoded.
    pub path: &'a str,
    /// The query, but for what pages need.
    pub query: Vec<(&'a str, &'a str)>,
    /// Where the items are in the answer; empty if the answer is the list itself.
    pub items_key: &'a str,
    /// The field that tells items apart, so that one that moves between pages meanwhile comes once. None where items
    /// have no id: then nothing is taken out.
    pub id_key: Option<&'a str>,
    /// The style of the pages.
    pub paging: Paging<'a>,
}

/// The styles of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging<'a> {
    /// Everything comes at once.
    None,
    /// `page_token`, answered with `next_page_token`.
    PageToken {
        /// The parameter for the size of a page (`page_size`, `max_results`, `limit`) and its value, if it is to be sent.
        /// Unity Catalog pages only if `max_results` is sent; 0 leaves the size to the service.
        size: Option<(&'a str, u32)>,
    },
    /// `next_page_token` in both directions, as repos have it.
    NextPageToken,
    /// `startIndex` and `count`.
    Scim {
        /// Items to ask for in one page.
        count: u32,
    },
    /// `page` and `page_size`, as legacy queries and dashboards have it.
    Page {
        /// Items to ask for in one page.
        size: u32,
    },
    /// `offset` and `limit`, answered with `has_more`, as older jobs APIs have it.
    Offset {
        /// Items to ask for in one page.
        limit: u32,
    },
}

/// A list that is being read.
#[derive(Debug)]
pub struct Pages<'a> {
    client: Client,
    listing: Listing<'a>,
    next: Next,
    seen: HashSet<u128>,
    tokens: HashSet<String>,
}

#[derive(Clone, Debug)]
enum Next {
    First,
    Token(String),
    /// How many items, or pages, have come.
    After(u64),
    End,
}

impl Client {
    /// Reads a list page by page.
    pub fn pages<'a>(&self, listing: Listing<'a>) -> Pages<'a> {
        Pages {
            client: self.clone(),
            listing,
            next: Next::First,
            seen: HashSet::new(),
            tokens: HashSet::new(),
        }
    }

    /// Reads a whole list. A page that fails fails the list: half a list looks like a whole one.
    pub async fn list(&self, listing: Listing<'_>) -> Result<Vec<Value>, ApiError> {
        let mut pages = self.pages(listing);
        let mut items = Vec::new();
        while let Some(page) = pages.next().await? {
            items.extend(page);
        }
        Ok(items)
    }

    /// Reads one object whose long arrays come in pages (`jobs/get` has at most 100 tasks in an answer): what later
    /// pages carry is put behind what is there.
    pub async fn get_whole(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ApiError> {
        let mut whole = self.get(path, query).await?;
        let mut tokens = HashSet::new();
        while let Some(token) = take_token(&mut whole) {
            let mut query = query.to_vec();
            query.push(("page_token", &token));
            let more = self.get(path, &query).await?;
            if !tokens.insert(token.clone()) {
                return Err(circles(path, &query));
            }
            append(&mut whole, more);
        }
        if let Some(fields) = whole.as_object_mut() {
            // It spoke of the first page only.
            fields.remove("has_more");
        }
        Ok(whole)
    }
}

impl Pages<'_> {
    /// The next page, `None` after the last. A page may be empty.
    pub async fn next(&mut self) -> Result<Option<Vec<Value>>, ApiError> {
        let Some(extra) = self.query_of_page() else {
            return Ok(None);
        };
        let mut query = self.listing.query.clone();
        query.extend(
            extra
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        let mut answer = self.client.get(self.listing.path, &query).await?;
        let items = match items_of(&mut answer, self.listing.items_key) {
            Ok(items) => items,
            Err(what) => {
                return Err(invalid(
                    &RequestLine::new(&reqwest::Method::GET, self.listing.path, &query),
                    what,
                ));
            }
        };
        self.next = self.after(&answer, items.len() as u64);
        if let Next::Token(token) = &self.next
            && !self.tokens.insert(token.clone())
        {
            return Err(circles(self.listing.path, &query));
        }
        Ok(Some(self.unseen(items)))
    }

    fn query_of_page(&self) -> Option<Vec<(String, String)>> {
        let mut query = Vec::new();
        let mut add = |key: &str, value: String| query.push((key.to_owned(), value));
        let done = match &self.next {
            Next::End => return None,
            Next::After(count) => *count,
            Next::First | Next::Token(_) => 0,
        };
        match self.listing.paging {
            Paging::None | Paging::NextPageToken => {}
            Paging::PageToken {
                size: Some((key, size)),
            } => add(key, size.to_string()),
            Paging::PageToken { size: None } => {}
            Paging::Scim { count } => {
                add("startIndex", (done + 1).to_string());
                add("count", count.to_string());
            }
            Paging::Page { size } => {
                add("page", (done + 1).to_string());
                add("page_size", size.to_string());
            }
            Paging::Offset { limit } => {
                add("offset", done.to_string());
                add("limit", limit.to_string());
            }
        }
        if let Next::Token(token) = &self.next {
            let key = if self.listing.paging == Paging::NextPageToken {
                "next_page_token"
            } else {
                "page_token"
            };
            add(key, token.clone());
        }
        Some(query)
    }

    fn after(&self, answer: &Value, items: u64) -> Next {
        let done = match self.next {
            Next::After(count) => count,
            _ => 0,
        };
        let number = |key: &str| answer.get(key).and_then(Value::as_u64);
        match self.listing.paging {
            Paging::None => Next::End,
            Paging::PageToken { .. } | Paging::NextPageToken => match token_of(answer) {
                Some(token) => Next::Token(token),
                None => Next::End,
            },
            Paging::Scim { count } => {
                // `totalResults` is believed only by a page that is not full: it has been seen to count too few.
                let all = number("totalResults").is_some_and(|total| done + items >= total);
                if items == 0 || (all && items < u64::from(count)) {
                    Next::End
                } else {
                    Next::After(done + items)
                }
            }
            Paging::Page { size } => {
                let all =
                    number("count").is_some_and(|total| (done + 1) * u64::from(size) >= total);
                if items == 0 || (all && items < u64::from(size)) {
                    Next::End
                } else {
                    Next::After(done + 1)
                }
            }
            Paging::Offset { .. } => {
                let more = answer
                    .get("has_more")
                    .and_then(Value::as_bool)
                    .unwrap_or(false);
                if more && items > 0 {
                    Next::After(done + items)
                } else {
                    Next::End
                }
            }
        }
    }

    fn unseen(&mut self, mut items: Vec<Value>) -> Vec<Value> {
        let Some(key) = self.listing.id_key else {
            return items;
        };
        items.retain(|item| match item.get(key) {
            // 128 bits: no two ids of a workspace ever meet.
            Some(id) => self
                .seen
                .insert(xxhash_rust::xxh3::xxh3_128(id.to_string().as_bytes())),
            None => true,
        });
        items
    }
}

/// An empty list usually comes as an object without the key.
fn items_of(answer: &mut Value, key: &str) -> Result<Vec<Value>, String> {
    let list = if key.is_empty() || answer.is_array() {
        answer.take()
    } else {
        answer.get_mut(key).map_or(Value::Null, Value::take)
    };
    match list {
        Value::Array(items) => Ok(items),
        Value::Null if key.is_empty() || answer.is_object() || answer.is_null() => Ok(Vec::new()),
        _ if key.is_empty() => Err("something that is not a list".to_owned()),
        _ => Err(format!("something in which `{key}` is not a list")),
    }
}

fn token_of(answer: &Value) -> Option<String> {
    answer
        .get("next_page_token")?
        .as_str()
        .filter(|token| !token.is_empty())
        .map(str::to_owned)
}

fn take_token(whole: &mut Value) -> Option<String> {
    let token = token_of(whole);
    if let Some(fields) = whole.as_object_mut() {
        fields.remove("next_page_token");
    }
    token
}

/// Arrays grow, objects are gone into, and all else stays as the first page had it.
fn append(whole: &mut Value, more: Value) {
    match (whole, more) {
        (Value::Array(items), Value::Array(more)) => items.extend(more),
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                match fields.get_mut(&key) {
                    Some(field) => append(field, value),
                    None => {
                        fields.insert(key, value);
                    }
                }
            }
        }
        _ => {}
    }
}

fn circles(path: &str, query: &[(&str, &str)]) -> ApiError {
    invalid(
        &RequestLine::new(&reqwest::Method::GET, path, query),
        "pages that go in circles",
    )
}

#[cfg(test)]
mod tests;

//! Experiments, and registered models with their versions.

pub(super) mod artifacts;
pub(super) mod experiments;
pub(super) mod models;
pub(super) mod runs;
pub(super) mod versions;

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::state::Tags;

/// The tags of a request.
fn tags_of(body: &Object) -> Result<Tags, Refusal> {
    let tags = body.items("tags").iter();
    tags.map(|tag| {
        let tag = tag.as_object().cloned().unwrap_or_default();
        tag_of(&tag)
    })
    .collect()
}

/// The tag that a request sets.
fn tag_of(body: &Object) -> Result<(String, String), Refusal> {
    let key = body.required_text("key")?;
    Ok((
        key.to_owned(),
        body.text("value").unwrap_or_default().to_owned(),
    ))
}

fn show_tags(tags: &Tags) -> Value {
    let show = |(key, value): (&String, &String)| json!({"key": key, "value": value});
    tags.iter().map(show).collect()
}

/// One page of a list, with the token of the next. An empty list comes without its key.
fn page(
    key: &str,
    mut items: Vec<Value>,
    size: Option<i64>,
    most: usize,
    token: Option<&str>,
) -> Answer {
    let size = size.and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size > 0).unwrap_or(most).min(most);
    let begin = match token.filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => {
            let at = token.strip_prefix("at-").and_then(|at| at.parse().ok());
            at.ok_or_else(|| Refusal::invalid("Invalid page token"))?
        }
    };
    let is_last = items.len() <= begin + size;
    items = items.into_iter().skip(begin).take(size).collect();
    let mut shown = Object::new();
    if !items.is_empty() {
        shown.insert(key.to_owned(), Value::Array(items));
    }
    if !is_last {
        let next = format!("at-{}", begin + size);
        shown.insert("next_page_token".to_owned(), json!(next));
    }
    Reply::json(Value::Object(shown))
}

/// A page of a list that is asked for in the query.
fn page_of_query(key: &str, items: Vec<Value>, most: usize, call: &Call) -> Answer {
    let size = call.query_int("max_results")?;
    page(key, items, size, most, call.query("page_token"))
}

/// The name in a filter of the only form that is understood here: `name='x'`, or with the other quotes.
fn name_in_filter(filter: &str) -> Result<&str, Refusal> {
    let name = filter.trim().strip_prefix("name");
    let name = name.and_then(|rest| rest.trim_start().strip_prefix('='));
    let name = name.map(str::trim).and_then(|quoted| {
        let quote = quoted.chars().next().filter(|c| ['\'', '"'].contains(c))?;
        let name = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
        (!name.contains(quote)).then_some(name)
    });
    name.ok_or_else(|| Refusal::invalid(format!("Invalid filter: {filter}")))
}

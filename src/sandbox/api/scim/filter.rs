//! The filter language of the identity API: comparisons joined by `and`, `or`, `not` and parentheses.
//!
//! Invariant: `and` binds tighter than `or`, and text compares without regard to case.

use serde_json::Value;

use crate::sandbox::state::Principal;

/// A parsed filter.
#[derive(Debug)]
pub(super) enum Filter {
    Compare {
        attribute: String,
        op: String,
        value: String,
    },
    Not(Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

/// Parses a filter; the error is what the service says.
pub(super) fn parse(text: &str) -> Result<Filter, String> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        position: 0,
    };
    let filter = parser.or()?;
    match parser.peek() {
        None => Ok(filter),
        Some(token) => Err(format!("Unexpected '{token}' in filter '{text}'")),
    }
}

impl Filter {
    pub(super) fn matches(&self, principal: &Principal) -> bool {
        match self {
            Filter::Not(inner) => !inner.matches(principal),
            Filter::And(left, right) => left.matches(principal) && right.matches(principal),
            Filter::Or(left, right) => left.matches(principal) || right.matches(principal),
            Filter::Compare {
                attribute,
                op,
                value,
            } => {
                let found = texts(principal, attribute);
                let any = |test: &dyn Fn(&str) -> bool| {
                    found.iter().any(|text| test(&text.to_lowercase()))
                };
                match op.as_str() {
                    "pr" => !found.is_empty(),
                    "eq" => any(&|text| text == value),
                    "ne" => !any(&|text| text == value),
                    "co" => any(&|text| text.contains(value.as_str())),
                    "sw" => any(&|text| text.starts_with(value.as_str())),
                    _ => any(&|text| text.ends_with(value.as_str())),
                }
            }
        }
    }
}

/// The texts an attribute path leads to.
fn texts(principal: &Principal, attribute: &str) -> Vec<String> {
    if attribute.eq_ignore_ascii_case("id") {
        return vec![principal.id.to_string()];
    }
    let mut found: Vec<&Value> = Vec::new();
    let mut names = attribute.split('.');
    let first = names.next().unwrap_or_default();
    found.extend(
        principal
            .body
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(first))
            .map(|(_, value)| value),
    );
    for name in names {
        found = found
            .into_iter()
            .flat_map(|value| {
                value
                    .as_array()
                    .map_or_else(|| vec![value], |items| items.iter().collect())
            })
            .filter_map(|value| value.get(name))
            .collect();
    }
    found.into_iter().flat_map(leaves).collect()
}

fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(item) => item.get("value").map(leaves).unwrap_or_default(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

struct Parser {
    tokens: Vec<String>,
    position: usize,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.position).map(String::as_str)
    }

    fn next(&mut self) -> Result<String, String> {
        let token = self
            .tokens
            .get(self.position)
            .cloned()
            .ok_or("The filter ends too early")?;
        self.position += 1;
        Ok(token)
    }

    fn accept(&mut self, word: &str) -> bool {
        let is_next = self
            .peek()
            .is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.position += usize::from(is_next);
        is_next
    }

    fn or(&mut self) -> Result<Filter, String> {
        let mut left = self.and()?;
        while self.accept("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, String> {
        let mut left = self.one()?;
        while self.accept("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Filter, String> {
        if self.accept("not") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        if self.accept("(") {
            let inner = self.or()?;
            return if self.accept(")") {
                Ok(inner)
            } else {
                Err("A parenthesis is not closed".into())
            };
        }
        let (attribute, op) = (self.next()?, self.next()?.to_ascii_lowercase());
        if op == "pr" {
            return Ok(Filter::Compare {
                attribute,
                op,
                value: String::new(),
            });
        }
        if !["eq", "ne", "co", "sw", "ew"].contains(&op.as_str()) {
            return Err(format!("Unknown operator '{op}'"));
        }
        let value = self.next()?;
        let value = value.strip_prefix('"').unwrap_or(&value).to_lowercase();
        Ok(Filter::Compare {
            attribute,
            op,
            value,
        })
    }
}

/// Words, parentheses and quoted texts; a quoted text keeps its opening quote, so that `"and"` is no word.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' => 1,
            '"' => {
                let (token, length) = quoted(rest)?;
                tokens.push(token);
                rest = rest[length..].trim_start();
                continue;
            }
            _ => rest
                .find(|c: char| c.is_whitespace() || "()".contains(c))
                .unwrap_or(rest.len()),
        };
        tokens.push(rest[..length].to_string());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn quoted(text: &str) -> Result<(String, usize), String> {
    let mut token = String::from('"');
    let mut characters = text.char_indices().skip(1);
    while let Some((position, character)) = characters.next() {
        match character {
            '"' => return Ok((token, position + 1)),
            '\\' => token.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => token.push(character),
        }
    }
    Err("A quoted text is not closed".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sandbox::call::object;
    use crate::sandbox::state::{Directory, Kind};

    fn matches(filter: &str) -> bool {
        let mut directory = Directory::default();
        let body = json!({
            "userName": "Ana@Example.com", "active": true, "displayName": "say \"hi\"",
            "emails": [{"value": "ana@home.org"}],
        });
        directory.add(7, Kind::User, object(body));
        parse(filter).unwrap().matches(directory.get(7).unwrap())
    }

    #[test]
    fn comparisons_ignore_case_and_reach_into_lists() {
        assert!(matches(r#"userName eq "ana@example.COM""#));
        assert!(matches(r#"emails.value ew ".org" and active eq true"#));
        assert!(matches(r#"displayName eq "say \"hi\"""#));
        assert!(!matches(r#"userName sw "bob""#));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(matches(r#"id eq "7" or id eq "8" and id eq "9""#));
        assert!(!matches(r#"(id eq "7" or id eq "8") and id eq "9""#));
        assert!(matches(r#"not id eq "8""#));
    }

    #[test]
    fn a_broken_filter_is_refused_with_words() {
        for broken in [
            "userName",
            "userName like \"x\"",
            "(id eq \"1\"",
            "id eq \"1",
            "id eq \"1\" id",
        ] {
            assert!(!parse(broken).unwrap_err().is_empty(), "{broken}");
        }
    }
}

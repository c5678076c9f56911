//! Tables and views of which nothing is known but the statement that the server showed.
//!
//! Invariant: what a statement does not say (where names in the query of a view are meant, how many partitions there are)
//! is not made up.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::body::{table_body, view_body};
use super::ddl::{Parsed, Placed, Token, after_name, pairs, tokens};
use super::describe::{Described, Row};
use super::names::parts;

/// The body of a table called `name`, from what `SHOW CREATE TABLE` answered. Where the database keeps its tables tells
/// those that only are where their name puts them.
pub fn shown_table_body(
    statement: &str,
    name: &str,
    database_location: Option<&str>,
) -> Result<Value, String> {
    let parsed = Parsed::new(statement, &HashSet::new());
    let parsed = parsed.ok_or("it is no CREATE TABLE statement that could be read")?;
    let usual = database_location.map(|at| format!("{}/{name}", at.trim_end_matches('/')));
    let location = parsed
        .location
        .as_deref()
        .map(|at| at.trim_end_matches('/'));
    let is_usual = location.is_none() || location == usual.as_deref();
    let kind = if is_usual { "MANAGED" } else { "EXTERNAL" };
    let mut details = vec![no_columns(), detail("Type", kind)];
    details.extend(provider(&parsed.definition).map(|name| detail("Provider", &name)));
    table_body(&Described::new(&details), &[], statement, None)
}

/// The body of a view, from what `SHOW CREATE TABLE` answered.
pub fn shown_view_body(statement: &str) -> Result<Value, String> {
    let (head, query) =
        head_and_query(statement).ok_or("it is no CREATE VIEW statement that could be read")?;
    let shown = View::new(head).ok_or("it is no CREATE VIEW statement that could be read")?;
    let text = detail("View Text", query.trim());
    let mut details = vec![no_columns(), detail("Type", "VIEW"), text];
    details.extend(shown.comment.map(|text| detail("Comment", &text)));
    let mut described = Described::new(&details);
    described.columns = shown.columns;
    let property = |(key, value): (String, String)| vec![Some(key), Some(value)];
    let properties: Vec<Row> = shown.properties.into_iter().map(property).collect();
    view_body(&described, &properties)
}

/// Whether a statement makes a view.
pub fn makes_view(statement: &str) -> bool {
    let words = statement.split_whitespace().take(6);
    let words: Vec<String> = words.map(str::to_ascii_uppercase).collect();
    let name_of_kind = words
        .iter()
        .find(|word| matches!(word.as_str(), "VIEW" | "TABLE"));
    words.first().is_some_and(|word| word == "CREATE")
        && name_of_kind.is_some_and(|word| word == "VIEW")
}

/// What ends the columns in an answer to `DESCRIBE`.
fn no_columns() -> Row {
    vec![Some(String::new()); 3]
}

fn detail(name: &str, value: &str) -> Row {
    vec![Some(name.to_owned()), Some(value.to_owned()), None]
}

/// The format of a table: what follows `USING`; Hive's own forms say it in other words.
fn provider(definition: &str) -> Option<String> {
    let tokens = tokens(definition, &HashSet::new(), false)?;
    let word = |(_, start, end, depth): &Placed| (*depth == 0).then(|| &definition[*start..*end]);
    let is = |placed: &Placed, text: &str| {
        word(placed).is_some_and(|word| word.eq_ignore_ascii_case(text))
    };
    let using = tokens.iter().position(|placed| is(placed, "USING"));
    if let Some(using) = using {
        return tokens.get(using + 1).and_then(word).map(str::to_lowercase);
    }
    let of_hive =
        |pair: &[Placed]| (is(&pair[0], "ROW") && is(&pair[1], "FORMAT")) || is(&pair[0], "STORED");
    tokens.windows(2).any(of_hive).then(|| "hive".to_owned())
}

/// A statement before and after the first `AS` that is not within a text or a parenthesis.
fn head_and_query(statement: &str) -> Option<(&str, &str)> {
    let is_apart = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')'));
    let upper = statement.to_ascii_uppercase();
    let places = upper
        .match_indices("AS")
        .map(|(at, _)| at)
        .take(MOST_PLACES);
    let mut heads = places.filter_map(|at| {
        let (head, rest) = statement.split_at(at);
        let query = &rest[2..];
        let is_word = is_apart(head.chars().next_back()) && is_apart(query.chars().next());
        (is_word && is_whole(head)).then_some((head, query))
    });
    heads.next()
}

/// Whether a piece of a statement stops neither within a text nor a parenthesis, which have no tokens then, nor a name.
fn is_whole(piece: &str) -> bool {
    let tokens = tokens(piece, &HashSet::new(), false);
    let is_open = |(token, start, end, _): &Placed| {
        *token == Token::Name && !piece[*start..*end].ends_with('`')
    };
    tokens.is_some_and(|tokens| !tokens.last().is_some_and(is_open))
}

/// So many places are tried as the end of the head of a view.
const MOST_PLACES: usize = 1000;

/// What a `CREATE VIEW` says before its query.
#[derive(Default)]
struct View {
    columns: Vec<(String, Option<String>)>,
    comment: Option<String>,
    properties: BTreeMap<String, String>,
}

impl View {
    fn new(head: &str) -> Option<Self> {
        let tokens = tokens(head, &HashSet::new(), false)?;
        let mut at = after_name(head, &tokens, "VIEW")?;
        let mut view = Self::default();
        if let Some((Token::Open, ..)) = tokens.get(at) {
            at += view.take_columns(head, &tokens[at..]);
        }
        while let Some((token, start, end, _)) = tokens.get(at) {
            let word = match token {
                Token::Word => head[*start..*end].to_ascii_uppercase(),
                _ => String::new(),
            };
            at += match (word.as_str(), tokens.get(at + 1)) {
                ("COMMENT", Some((Token::Text(text), ..))) => {
                    view.comment = Some(text.clone());
                    2
                }
                ("TBLPROPERTIES", Some((Token::Open, ..))) => {
                    let (properties, length) = pairs(head, &tokens[at + 1..]);
                    view.properties = properties;
                    1 + length
                }
                _ => 1,
            };
        }
        Some(view)
    }

    /// Takes the columns between parentheses; gives back how many tokens they are.
    fn take_columns(&mut self, head: &str, tokens: &[Placed]) -> usize {
        let depth = tokens[0].3 + 1;
        let mut is_name = true;
        for (at, (token, start, end, of)) in tokens.iter().enumerate().skip(1) {
            let text = &head[*start..*end];
            match token {
                Token::Close if *of == depth => return at + 1,
                Token::Other if *of == depth && text == "," => is_name = true,
                Token::Word | Token::Name if is_name => {
                    let name = match token {
                        Token::Name => parts(text).concat(),
                        _ => text.to_owned(),
                    };
                    self.columns.push((name, None));
                    is_name = false;
                }
                Token::Text(text) => {
                    if let Some((_, comment)) = self.columns.last_mut() {
                        *comment = Some(text.clone());
                    }
                }
                _ => {}
            }
        }
        tokens.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_where_its_database_keeps_tables_is_managed() {
        let body = |location: &str| {
            let statement = format!(
                "CREATE TABLE `d`.`t` (\n  `a` INT COMMENT 'x')\nUSING delta\nLOCATION '{location}'"
            );
            shown_table_body(&statement, "t", Some("dbfs:/w/d.db")).unwrap()
        };
        let definition = "(\n  `a` INT COMMENT 'x')\nUSING delta";
        assert_eq!(
            body("dbfs:/w/d.db/t"),
            json!({"type": "MANAGED", "provider": "delta", "definition": definition})
        );
        assert_eq!(
            body("s3://b/t"),
            json!({"type": "EXTERNAL", "provider": "delta", "definition": definition, "location": "s3://b/t"})
        );
    }

    #[test]
    fn a_table_of_hive_is_told_by_how_it_is_stored() {
        let statement =
            "CREATE TABLE `d`.`t`(`using` int)\nROW FORMAT SERDE 'x'\nSTORED AS INPUTFORMAT 'y'";
        let body = shown_table_body(statement, "t", None).unwrap();
        assert_eq!(
            (&body["type"], &body["provider"]),
            (&json!("MANAGED"), &json!("hive"))
        );
    }

    #[test]
    fn a_view_is_taken_apart_up_to_its_query() {
        let statement = "CREATE VIEW `d`.`v as w` (\n  a COMMENT 'it\\'s as (new)',\n  `b ``c`)\nCOMMENT 'seen as one'\n\
            TBLPROPERTIES (\n  'team' = 'etl',\n  'transient_lastDdlTime' = '1')\nAS SELECT x AS a, \")'\" AS b FROM t\n";
        assert_eq!(
            shown_view_body(statement).unwrap(),
            json!({"query": "SELECT x AS a, \")'\" AS b FROM t", "comment": "seen as one", "properties": {"team": "etl"},
                "columns": [{"name": "a", "comment": "it's as (new)"}, {"name": "b `c"}]})
        );
        let bare = shown_view_body("create or replace view v as(select 1)").unwrap();
        assert_eq!(bare, json!({"query": "(select 1)", "columns": []}));
    }

    #[test]
    fn statements_are_told_apart_by_what_they_make() {
        assert!(makes_view("CREATE VIEW v AS SELECT 1"));
        assert!(makes_view("create or replace view v as select 1"));
        assert!(!makes_view("CREATE TABLE view (a INT)"));
        assert!(!makes_view("SELECT VIEW"));
        assert!(!makes_view(""));
    }

    #[test]
    fn a_cut_statement_is_refused_and_does_no_harm() {
        let whole =
            "CREATE VIEW `d`.`v` (a COMMENT 'é') COMMENT 'x' TBLPROPERTIES ('a'='b') AS SELECT 1";
        for (end, _) in whole.char_indices() {
            let _ = shown_view_body(&whole[..end]);
            let _ = shown_table_body(&whole[..end], "v", None);
        }
        assert!(shown_view_body("CREATE VIEW v").is_err());
        assert!(shown_table_body("CREATE VIEW v AS SELECT 1", "v", None).is_err());
    }
}

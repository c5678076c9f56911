//! A `CREATE TABLE` statement as the server shows it, taken apart.
//!
//! Servers escape the quotes in a text and nothing else: a backslash at the end of a value looks like an escaped quote. So
//! a text ends where it becomes one that is known from elsewhere (the rows of `SHOW TBLPROPERTIES` and `DESCRIBE`), and
//! only where none is known at the first quote that is not escaped. If the statement does not come to an end that way, a
//! quote counts as escaped no more where a text could end.
//!
//! Invariant: what comes out can be executed, and means what the server meant.

use std::collections::{BTreeMap, HashSet};

use super::names::literal;

/// So many quotes are tried as the end of a text that is known from elsewhere.
const MOST_ENDS: usize = 200;

/// What is in a `CREATE TABLE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Everything after the name but for what follows here.
    pub definition: String,
    /// `COMMENT`.
    pub comment: Option<String>,
    /// `LOCATION`.
    pub location: Option<String>,
    /// `TBLPROPERTIES`.
    pub properties: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word,
    Name,
    Text(String),
    Open,
    Close,
    Other,
}

/// A token with its place in the text and how many parentheses are open before it.
pub(super) type Placed = (Token, usize, usize, usize);

impl Parsed {
    /// Takes a statement apart. `known` are texts that may occur in it.
    pub fn new(statement: &str, known: &HashSet<String>) -> Option<Self> {
        let tokens = tokens(statement, known, false).or_else(|| tokens(statement, known, true))?;
        let mut at = after_name(statement, &tokens, "TABLE")?;
        let mut parsed = Self::default();
        let mut copied = tokens.get(at.checked_sub(1)?)?.2;
        while at < tokens.len() {
            let (token, start, end, depth) = &tokens[at];
            let word = match (token, depth) {
                (Token::Word, 0) => statement[*start..*end].to_ascii_uppercase(),
                _ => String::new(),
            };
            let taken = match (word.as_str(), tokens.get(at + 1)) {
                ("COMMENT", Some((Token::Text(text), ..))) => {
                    parsed.comment = Some(text.clone());
                    2
                }
                ("LOCATION", Some((Token::Text(text), ..))) => {
                    parsed.location = Some(text.clone());
                    2
                }
                ("TBLPROPERTIES", Some((Token::Open, ..))) => {
                    let (properties, length) = pairs(statement, &tokens[at + 1..]);
                    parsed.properties = properties;
                    1 + length
                }
                _ => 0,
            };
            let gap = &statement[copied..*start];
            if taken > 0 {
                parsed.definition.push_str(gap.trim_end());
                at += taken;
                copied = tokens[at - 1].2;
                continue;
            }
            parsed.definition.push_str(gap);
            match token {
                Token::Text(text) => parsed.definition.push_str(&literal(text)),
                _ => parsed.definition.push_str(&statement[*start..*end]),
            }
            copied = *end;
            at += 1;
        }
        parsed.definition = parsed.definition.trim().to_owned();
        Some(parsed)
    }
}

/// The place after `CREATE ... TABLE name`, or another word in place of `TABLE`.
pub(super) fn after_name(statement: &str, tokens: &[Placed], what: &str) -> Option<usize> {
    let is = |at: usize, word: &str| {
        let (token, start, end, _) = tokens.get(at)?;
        let is_word = *token == Token::Word && statement[*start..*end].eq_ignore_ascii_case(word);
        is_word.then_some(())
    };
    is(0, "CREATE")?;
    let mut at = (1..tokens.len().min(5)).find(|at| is(*at, what).is_some())? + 1;
    if is(at, "IF").is_some() {
        at += 3;
    }
    // A name is made of touching tokens: words, names in backticks, and dots.
    let mut end = tokens.get(at)?.1;
    while let Some((Token::Word | Token::Name | Token::Other, start, stop, _)) = tokens.get(at) {
        if *start != end {
            break;
        }
        end = *stop;
        at += 1;
    }
    Some(at)
}

/// The pairs of `('a' = 'b', ...)`, and how many tokens that takes.
pub(super) fn pairs(statement: &str, tokens: &[Placed]) -> (BTreeMap<String, String>, usize) {
    let depth = tokens[0].3;
    let is_end = |(token, _, _, at): &Placed| *token == Token::Close && *at == depth + 1;
    let length = tokens
        .iter()
        .position(is_end)
        .map_or(tokens.len(), |at| at + 1);
    let mut pairs = BTreeMap::new();
    let mut key: Option<String> = None;
    for (token, start, end, _) in &tokens[1..length] {
        let text = match token {
            Token::Text(text) => text.clone(),
            Token::Word => statement[*start..*end].to_owned(),
            _ => continue,
        };
        match key.take() {
            Some(key) => drop(pairs.insert(key, text)),
            None => key = Some(text),
        }
    }
    (pairs, length)
}

/// The tokens of a statement; none if it ends within a text or a parenthesis.
pub(super) fn tokens(
    statement: &str,
    known: &HashSet<String>,
    ends_early: bool,
) -> Option<Vec<Placed>> {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(character) = statement[at..].chars().next() {
        let rest = &statement[at..];
        let (token, length) = match character {
            '\'' => text(rest, known, ends_early)?,
            '`' => (Token::Name, name_length(rest)),
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (Token::Word, end)
            }
            c => (Token::Other, c.len_utf8()),
        };
        if !character.is_whitespace() {
            tokens.push((token.clone(), at, at + length, depth));
        }
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += length;
    }
    (depth == 0).then_some(tokens)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// How long a name in backticks is.
fn name_length(rest: &str) -> usize {
    let mut at = 1;
    while let Some(end) = rest[at..].find('`') {
        at += end + 1;
        if !rest[at..].starts_with('`') {
            return at;
        }
        at += 1;
    }
    rest.len()
}

/// A text at the beginning of `rest`, and how long it is there; none if it does not end.
fn text(rest: &str, known: &HashSet<String>, ends_early: bool) -> Option<(Token, usize)> {
    let ends = rest.char_indices().skip(1).filter(|(_, c)| *c == '\'');
    for (end, _) in ends.take(MOST_ENDS) {
        if !may_end(&rest[end + 1..]) {
            continue;
        }
        let raw = &rest[1..end];
        let meant = [raw.replace("\\'", "'"), unescaped(raw)];
        if let Some(meant) = meant.into_iter().find(|meant| known.contains(meant)) {
            return Some((Token::Text(meant), end + 1));
        }
    }
    let mut is_escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            '\'' if !is_escaped || (ends_early && may_end(&rest[at + 1..])) => {
                return Some((Token::Text(rest[1..at].replace("\\'", "'")), at + 1));
            }
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    None
}

/// Whether a text can end before this: it is followed by something else than another one.
fn may_end(rest: &str) -> bool {
    let is_end = |c: char| c.is_whitespace() || ",)>;".contains(c);
    !rest.starts_with(|c| !is_end(c))
}

/// A text of a server that escapes backslashes as well.
fn unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(character) = characters.next() {
        match (character, characters.clone().next()) {
            ('\\', Some(next @ ('\\' | '\''))) => {
                text.push(next);
                characters.next();
            }
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(statement: &str, known: &[&str]) -> Parsed {
        let known = known.iter().map(|text| (*text).to_owned()).collect();
        Parsed::new(statement, &known).unwrap()
    }

    #[test]
    fn a_statement_is_taken_apart_and_what_remains_stays_as_it_was() {
        let parsed = parse(
            "CREATE TABLE spark_catalog.d1.`a b` (\n  `location` INT COMMENT 'it\\'s',\n  p DECIMAL(9,2))\nUSING parquet\n\
             PARTITIONED BY (p)\nCOMMENT 'c'\nLOCATION 'file:/x y'\nTBLPROPERTIES (\n  'k' = 'v',\n  'k2' = '(')\n",
            &[],
        );
        assert_eq!(
            parsed.definition,
            "(\n  `location` INT COMMENT 'it\\'s',\n  p DECIMAL(9,2))\nUSING parquet\nPARTITIONED BY (p)"
        );
        assert_eq!(parsed.comment.as_deref(), Some("c"));
        assert_eq!(parsed.location.as_deref(), Some("file:/x y"));
        assert_eq!(parsed.properties["k2"], "(");
    }

    #[test]
    fn a_backslash_at_the_end_of_a_text_does_not_swallow_what_follows() {
        let parsed = parse(
            "CREATE TABLE d.t (\n  a INT COMMENT 'x\\y\\'z')\nUSING csv\nOPTIONS (\n  'escape' = '\\',\n  'sep' = '\t')\nCOMMENT 'end\\'\n",
            &["\\", "x\\y'z", "escape", "sep", "\t", "end\\"],
        );
        assert_eq!(
            parsed.definition,
            "(\n  a INT COMMENT 'x\\\\y\\'z')\nUSING csv\nOPTIONS (\n  'escape' = '\\\\',\n  'sep' = '\t')"
        );
        assert_eq!(parsed.comment.as_deref(), Some("end\\"));
    }

    #[test]
    fn a_backslash_at_the_end_of_a_text_that_nothing_else_shows_is_told_by_the_end_of_the_statement()
     {
        let parsed = parse(
            "CREATE TABLE d.t (a STRUCT<b: INT COMMENT 'C:\\x\\', c: INT>)\nUSING csv\n",
            &[],
        );
        assert_eq!(
            parsed.definition,
            "(a STRUCT<b: INT COMMENT 'C:\\\\x\\\\', c: INT>)\nUSING csv"
        );
    }

    #[test]
    fn a_quote_and_a_backslash_side_by_side_are_told_apart() {
        let parsed = parse(
            "CREATE TABLE d.t (a INT)\nWITH SERDEPROPERTIES (\n  'escapeChar' = '\\',\n  'quoteChar' = '\\'')\n",
            &["escapeChar", "\\", "quoteChar", "'"],
        );
        assert_eq!(
            parsed.definition,
            "(a INT)\nWITH SERDEPROPERTIES (\n  'escapeChar' = '\\\\',\n  'quoteChar' = '\\'')"
        );
    }

    #[test]
    fn a_server_that_escapes_backslashes_is_understood_as_well() {
        let parsed = parse(
            "CREATE TABLE d.t (a INT) USING csv COMMENT 'a\\\\'",
            &["a\\"],
        );
        assert_eq!(parsed.comment.as_deref(), Some("a\\"));
    }

    #[test]
    fn nonsense_is_no_table_and_cut_statements_do_no_harm() {
        let whole = "CREATE EXTERNAL TABLE `d`.`t``x` (a INT) LOCATION 'x' TBLPROPERTIES ('a'='b')";
        for end in 0..whole.len() {
            let _ = Parsed::new(&whole[..end], &HashSet::new());
        }
        assert_eq!(
            Parsed::new("CREATE VIEW v AS SELECT 1", &HashSet::new()),
            None
        );
        assert_eq!(Parsed::new("", &HashSet::new()), None);
    }
}

//! Which relations a query may speak of.
//!
//! Invariant: a guess, made without knowing what a word is to the server: names may be too many, or too few. Whoever orders
//! by it must get along with both.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use super::names::Relation;

/// Everything in a query that could be the name of a relation, in lower case. `namespace` is the database in which a name
/// without one is meant.
pub fn mentioned(query: &str, namespace: Option<&str>) -> BTreeSet<Relation> {
    let mut found = BTreeSet::new();
    for path in paths(query) {
        let relation = |database: &str, name: &str| {
            Relation::new(database.to_lowercase(), name.to_lowercase())
        };
        if let (Some(namespace), [first, ..]) = (namespace, path.as_slice()) {
            found.insert(relation(namespace, first));
        }
        // After the second place there is only a name behind a catalog, and then columns.
        let pairs = path.windows(2).take(2);
        found.extend(pairs.map(|pair| relation(&pair[0], &pair[1])));
    }
    found
}

/// The dotted names of a query, without what is in texts and remarks.
fn paths(query: &str) -> Vec<Vec<String>> {
    let mut paths: Vec<Vec<String>> = Vec::new();
    let mut goes_on = false;
    let mut rest = query.chars().peekable();
    while let Some(character) = rest.next() {
        let name = match (character, rest.peek()) {
            ('\'' | '"', _) => {
                skip_text(&mut rest, character);
                None
            }
            ('-', Some('-')) => {
                rest.find(|c| *c == '\n');
                None
            }
            ('/', Some('*')) => {
                skip_remark(&mut rest);
                None
            }
            ('`', _) => Some(in_backticks(&mut rest)),
            (first, _) if is_word(first) => Some(word(&mut rest, first)),
            ('.', Some(_)) if !paths.is_empty() => {
                goes_on = true;
                continue;
            }
            _ => None,
        };
        match (name, paths.last_mut()) {
            (Some(name), Some(path)) if goes_on => path.push(name),
            (Some(name), _) => paths.push(vec![name]),
            (None, _) => {}
        }
        goes_on = false;
    }
    paths
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn word(rest: &mut Peekable<Chars>, first: char) -> String {
    let mut word = first.to_string();
    while let Some(next) = rest.next_if(|c| is_word(*c)) {
        word.push(next);
    }
    word
}

fn in_backticks(rest: &mut Peekable<Chars>) -> String {
    let mut name = String::new();
    while let Some(next) = rest.next() {
        if next == '`' && rest.next_if_eq(&'`').is_none() {
            break;
        }
        name.push(next);
    }
    name
}

fn skip_text(rest: &mut Peekable<Chars>, quote: char) {
    while let Some(next) = rest.next() {
        match next {
            '\\' => drop(rest.next()),
            next if next == quote => break,
            _ => {}
        }
    }
}

fn skip_remark(rest: &mut Peekable<Chars>) {
    let mut last = ' ';
    rest.next();
    for next in rest.by_ref() {
        if (last, next) == ('*', '/') {
            break;
        }
        last = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(query: &str) -> Vec<String> {
        let found = mentioned(query, Some("here"));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_is_meant_where_it_says_or_else_in_the_database_of_the_query() {
        let found = names("SELECT * FROM Orders JOIN `Sales 1`.`a``b` USING (x)");
        for wanted in ["here.orders", "sales 1.`a``b`"] {
            assert!(
                found.iter().any(|name| name == wanted),
                "{wanted}: {found:?}"
            );
        }
        assert!(names("SELECT 1 FROM spark_catalog.d.t").contains(&"d.t".to_owned()));
        assert!(names("SELECT d.t.a.b FROM x").contains(&"d.t".to_owned()));
    }

    #[test]
    fn texts_and_remarks_name_nothing() {
        let found = names(
            "SELECT 'it\\'s d.one', \"d.two\" -- d.three\n/* d.four * / */ FROM d.five -- d.six",
        );
        let in_d: Vec<_> = found.iter().filter(|name| name.starts_with("d.")).collect();
        assert_eq!(in_d, ["d.five"]);
    }

    proptest::proptest! {
        #[test]
        fn no_query_is_too_odd(query in "[a.`'\"/*\\\\ \n-]{0,40}|\\PC{0,40}") {
            mentioned(&query, Some("d"));
        }
    }
}

//! SQL as tokens.
//!
//! Invariant: a token knows where it stands, so that what is kept as text is kept as it was written.

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A bare word or number.
    Word(String),
    /// A name in backticks.
    Name(String),
    /// A text in quotes, with what its escapes mean.
    Text(String),
    /// Anything else.
    Sign(char),
}

/// The tokens of a statement, one after another.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    pub(super) statement: &'a str,
    tokens: Vec<(Token, usize, usize)>,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(statement: &'a str) -> Result<Tokens<'a>, String> {
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(character) = statement[at..].chars().next() {
            let rest = &statement[at..];
            if character.is_whitespace() {
                at += character.len_utf8();
                continue;
            }
            if rest.starts_with("--") {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            let (token, length) = match character {
                '\'' | '"' => text(rest, character)?,
                '`' => name(rest)?,
                c if c.is_alphanumeric() || c == '_' => {
                    let is_end = |c: char| !c.is_alphanumeric() && c != '_';
                    let end = rest.find(is_end).unwrap_or(rest.len());
                    (Token::Word(rest[..end].to_string()), end)
                }
                c => (Token::Sign(c), c.len_utf8()),
            };
            tokens.push((token, at, at + length));
            at += length;
        }
        Ok(Tokens {
            statement,
            tokens,
            at: 0,
        })
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _, _)| token)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    /// Where the next token begins.
    pub(super) fn place(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.statement.len(), |(_, begin, _)| *begin)
    }

    /// Where the last token ended.
    pub(super) fn end(&self) -> usize {
        let last = self.at.min(self.tokens.len()).checked_sub(1);
        last.map_or(0, |last| self.tokens[last].2)
    }

    /// Takes these words if they come next.
    pub(super) fn takes(&mut self, words: &str) -> bool {
        let begin = self.at;
        for word in words.split(' ') {
            let is_next =
                matches!(self.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
            if !is_next {
                self.at = begin;
                return false;
            }
            self.at += 1;
        }
        true
    }

    /// Takes a sign if it comes next.
    pub(super) fn takes_sign(&mut self, sign: char) -> bool {
        let is_next = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn must(&mut self, words: &str) -> Result<(), String> {
        match self.takes(words) {
            true => Ok(()),
            false => Err(self.wrong(words)),
        }
    }

    pub(super) fn must_sign(&mut self, sign: char) -> Result<(), String> {
        match self.takes_sign(sign) {
            true => Ok(()),
            false => Err(self.wrong(&sign.to_string())),
        }
    }

    /// A name, which may be quoted.
    pub(super) fn name(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(name) | Token::Name(name)) => Ok(name),
            _ => Err(self.wrong("a name")),
        }
    }

    /// A name with its qualifiers.
    pub(super) fn names(&mut self) -> Result<Vec<String>, String> {
        let mut names = vec![self.name()?];
        while self.takes_sign('.') {
            names.push(self.name()?);
        }
        Ok(names)
    }

    pub(super) fn text(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text),
            _ => Err(self.wrong("a text")),
        }
    }

    /// `('a' = 'b', ...)`.
    pub(super) fn pairs(&mut self) -> Result<Vec<(String, String)>, String> {
        let mut pairs = Vec::new();
        self.must_sign('(')?;
        loop {
            let key = match self.next() {
                Some(Token::Text(key) | Token::Word(key) | Token::Name(key)) => key,
                _ => return Err(self.wrong("a property")),
            };
            let value = match self.takes_sign('=') {
                true => match self.next() {
                    Some(Token::Text(value) | Token::Word(value)) => value,
                    _ => return Err(self.wrong("a value")),
                },
                false => String::new(),
            };
            pairs.push((key, value));
            if !self.takes_sign(',') {
                break;
            }
        }
        self.must_sign(')')?;
        Ok(pairs)
    }

    /// What stands between the parentheses that come next, as it is written.
    pub(super) fn inside(&mut self) -> Result<&'a str, String> {
        self.must_sign('(')?;
        let begin = self.end();
        let mut depth = 1;
        while let Some(token) = self.next() {
            match token {
                Token::Sign('(') => depth += 1,
                Token::Sign(')') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(&self.statement[begin..self.end() - 1]);
            }
        }
        Err(self.wrong(")"))
    }

    /// Nothing may follow.
    pub(super) fn finish(&self) -> Result<(), String> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("the end")),
        }
    }

    pub(super) fn wrong(&self, wanted: &str) -> String {
        let near: String = self.statement[self.place()..].chars().take(20).collect();
        format!(
            "[PARSE_SYNTAX_ERROR] Syntax error at or near '{near}': expected {wanted}. SQLSTATE: 42601"
        )
    }
}

fn name(rest: &str) -> Result<(Token, usize), String> {
    let mut name = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '`' if matches!(characters.peek(), Some((_, '`'))) => {
                characters.next();
                name.push('`');
            }
            '`' => return Ok((Token::Name(name), at + 1)),
            other => name.push(other),
        }
    }
    Err("[PARSE_SYNTAX_ERROR] A name in backticks does not end. SQLSTATE: 42601".into())
}

/// A text with the escapes that Spark knows.
fn text(rest: &str, quote: char) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            c if c == quote => return Ok((Token::Text(text), at + 1)),
            '\\' => match characters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, c @ ('%' | '_'))) => text.extend(['\\', c]),
                Some((_, c)) => text.push(c),
                None => break,
            },
            other => text.push(other),
        }
    }
    Err("[PARSE_SYNTAX_ERROR] A text does not end. SQLSTATE: 42601".into())
}

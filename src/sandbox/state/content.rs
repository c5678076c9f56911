//! The bytes of notebooks and files.
//!
//! Invariant: imported bytes are kept and given back exactly; generated ones are a function of their seed.

use axum::body::Bytes;

use crate::sandbox::sample::text;

/// The bytes of one object.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Kept.
    Kept(Bytes),
    /// Made when asked for, so that a large sample costs no memory.
    Generated(u64),
}

impl Content {
    /// The bytes; `language` is that of the notebook they are for.
    pub(crate) fn bytes(&self, language: Language) -> Bytes {
        match self {
            Content::Kept(bytes) => bytes.clone(),
            Content::Generated(seed) => Bytes::from(text::notebook(language, *seed)),
        }
    }
}

/// The language of a notebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Language {
    Python,
    Sql,
    Scala,
    R,
}

impl Language {
    pub(crate) const ALL: [Language; 4] = [
        Language::Python,
        Language::Sql,
        Language::Scala,
        Language::R,
    ];

    /// As the API spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::Python => "PYTHON",
            Language::Sql => "SQL",
            Language::Scala => "SCALA",
            Language::R => "R",
        }
    }

    /// The extension of its source files, without the dot.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Language::Python => "py",
            Language::Sql => "sql",
            Language::Scala => "scala",
            Language::R => "r",
        }
    }

    /// What opens a comment.
    pub(crate) fn comment(self) -> &'static str {
        match self {
            Language::Python | Language::R => "#",
            Language::Sql => "--",
            Language::Scala => "//",
        }
    }

    /// The language of that API name, in any case.
    pub(crate) fn parse(name: &str) -> Option<Language> {
        Language::ALL
            .into_iter()
            .find(|language| language.name().eq_ignore_ascii_case(name))
    }

    /// The language of that extension, in any case.
    pub(crate) fn of_extension(extension: &str) -> Option<Language> {
        Language::ALL
            .into_iter()
            .find(|language| language.extension().eq_ignore_ascii_case(extension))
    }
}

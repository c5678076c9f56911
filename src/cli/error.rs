//! Failures as a user sees them: what was being done, why it did not work, what to do.
//!
//! Invariant: this level says *what* (`failed to open the store`), the errors of the rooms say *why*, one line each;
//! hints are apart from both. The exit code follows from the [`Kind`], and from nothing else.

use std::error::Error;
use std::fmt::Write as _;

use dbsnap::api::{ApiError, AuthError, ConfigError};
use dbsnap::pause::MemoryError;
use dbsnap::restore::JournalError;
use dbsnap::store::StoreError;
use serde_json::{Value, json};

use super::exit::Kind;

/// Why a command did not run to its end.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    hints: Vec<String>,
}

impl Failure {
    /// Something that was understood did not work. `doing` follows "failed to".
    pub(crate) fn doing(
        doing: impl AsRef<str>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        let (kind, hints) = known(source.as_ref());
        Self {
            kind,
            message: format!("failed to {}", doing.as_ref()),
            source: Some(source),
            hints: hints.into_iter().collect(),
        }
    }

    /// What was asked for cannot be done.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::with_kind(Kind::Failed, message)
    }

    /// What was asked for makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::with_kind(Kind::Usage, message)
    }

    /// The user changed their mind.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::with_kind(Kind::Interrupted, message)
    }

    /// The same failure with a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same failure as one of usage: what was typed is the reason.
    pub(crate) fn into_usage(mut self) -> Self {
        self.kind = Kind::Usage;
        self
    }

    /// The same failure as one of keys: there is none to open the store with.
    pub(crate) fn into_wrong_key(mut self) -> Self {
        self.kind = Kind::WrongKey;
        self
    }

    /// What kind of failure it is, for the exit code.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The failure as text, with all its causes.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("error: {}", self.message);
        for cause in self.causes() {
            // Causes of several lines (a parser that points at the place) keep their lines together.
            let cause = cause.trim_end().replace('\n', "\n    ");
            let _ = write!(text, "\n  caused by: {cause}");
        }
        for hint in &self.hints {
            let _ = write!(text, "\nhint: {hint}");
        }
        text
    }

    /// The failure as JSON.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "error": {
                "message": self.message,
                "causes": self.causes(),
                "hints": self.hints,
                "exit_code": super::exit::code(Err(self.kind)),
            }
        })
    }

    fn causes(&self) -> Vec<String> {
        let source = self.source.as_deref();
        source.map_or_else(Vec::new, |source| chain(source))
    }

    fn with_kind(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
            hints: Vec::new(),
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn in_a_line(error: &(dyn Error + 'static)) -> String {
    chain(error).join(": ")
}

fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let cause = error.to_string();
        // A wrapper that only passes its source on would say everything twice.
        if causes.last() != Some(&cause) {
            causes.push(cause);
        }
        next = error.source();
    }
    causes
}

/// What the errors of the rooms mean to a user: the kind of failure, and what to do about it.
fn known(error: &(dyn Error + 'static)) -> (Kind, Option<String>) {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<StoreError>() {
            let kind = match error {
                StoreError::NoStore(_) => Kind::NoStore,
                StoreError::UnknownEncryption { .. }
                | StoreError::KeyNeeded(_)
                | StoreError::WrongKey { .. }
                | StoreError::NoSlot(_)
                | StoreError::NotEncrypted(_) => Kind::WrongKey,
                _ => Kind::Failed,
            };
            return (kind, error.hint().map(ToOwned::to_owned));
        }
        if let Some(error) = error.downcast_ref::<JournalError>() {
            let kind = match error {
                JournalError::Locked(_) | JournalError::Overtaken(_) => Kind::Locked,
                _ => Kind::Failed,
            };
            return (kind, error.hint().map(ToOwned::to_owned));
        }
        if let Some(error) = error.downcast_ref::<MemoryError>() {
            let (kind, hint) = match error {
                MemoryError::Locked(_) => (Kind::Locked, "wait until it has ended, or end it"),
                MemoryError::Bad { .. } => (
                    Kind::Failed,
                    "let the jobs run again by hand that ran before, and move the file away",
                ),
                MemoryError::Io { .. } => (Kind::Failed, "see to permissions and the disk"),
            };
            return (kind, Some(hint.to_owned()));
        }
        let hint = if let Some(error) = error.downcast_ref::<ApiError>() {
            error.hint()
        } else if let Some(error) = error.downcast_ref::<AuthError>() {
            error.hint()
        } else if let Some(error) = error.downcast_ref::<ConfigError>() {
            error.hint()
        } else {
            None
        };
        if hint.is_some() {
            return (Kind::Failed, hint);
        }
        next = error.source();
    }
    (Kind::Failed, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("a level above")]
    struct Above(#[source] StoreError);

    #[test]
    fn causes_hints_and_the_exit_code_come_from_the_chain() {
        let failure = Failure::doing("list", Above(StoreError::NoStore("/s".into()))).hint("more");
        let text = failure.render();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("error: failed to list"));
        assert_eq!(lines.next(), Some("  caused by: a level above"));
        assert_eq!(lines.next(), Some("  caused by: there is no store at /s"));
        assert!(lines.next().unwrap().starts_with("hint: create it"));
        assert_eq!(lines.next(), Some("hint: more"));
        assert_eq!(failure.to_json()["error"]["exit_code"], 10);
    }
}

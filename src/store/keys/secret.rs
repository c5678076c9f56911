//! Secrets that open a store, and the recipients they belong to.
//!
//! Invariant: a secret is wiped from memory when dropped, and neither printed nor put into an error.

use std::fmt;
use std::str::FromStr;

use age::secrecy::{ExposeSecret, SecretString};
use age::x25519;
use zeroize::Zeroizing;

/// Something that opens a slot.
#[derive(Clone, Debug)]
pub enum Secret {
    /// What a person typed, or a program knows.
    Passphrase(Passphrase),
    /// An age identity.
    Identity(Identity),
}

/// A passphrase, which is not empty.
#[derive(Clone)]
pub struct Passphrase(SecretString);

/// An age identity of the usual kind (X25519): the secret half of a [`Recipient`].
#[derive(Clone)]
pub struct Identity(x25519::Identity);

/// An age recipient of the usual kind (X25519). It is no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(x25519::Recipient);

/// What was given is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// A line is something else, or an identity of a kind that dbsnap does not know.
    #[error("line {line} is not an age identity (AGE-SECRET-KEY-1...)")]
    NotAnIdentity {
        /// Its number, from 1.
        line: usize,
    },
    /// There are only comments.
    #[error("there is no age identity (AGE-SECRET-KEY-1...)")]
    NoIdentity,
    /// The text is something else, or a recipient of a kind that dbsnap does not know.
    #[error("this is not an age recipient (age1...)")]
    NotARecipient,
    /// Somebody gave away the wrong half.
    #[error("this is a secret age identity, where its public recipient (age1...) is wanted")]
    SecretAsRecipient,
    /// A label has other characters, or too many.
    #[error("a label has 1 to 32 lower-case letters, digits, dots, hyphens and underscores")]
    NotALabel,
}

impl Passphrase {
    /// Takes a passphrase as it is, blanks included.
    pub fn new(text: Zeroizing<String>) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::EmptyPassphrase);
        }
        Ok(Self(SecretString::from(text.as_str())))
    }

    /// Whether two passphrases are the same, as when a person types a new one twice.
    pub fn is(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }

    pub(super) fn text(&self) -> SecretString {
        self.0.clone()
    }
}

impl Identity {
    /// A new random identity.
    pub fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// Reads an identity file as `age-keygen` writes it: one identity per line, with comments.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, KeyError> {
        let mut identities = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let identity = line
                .parse()
                .map_err(|_| KeyError::NotAnIdentity { line: n + 1 })?;
            identities.push(Self(identity));
        }
        if identities.is_empty() {
            return Err(KeyError::NoIdentity);
        }
        Ok(identities)
    }

    /// Whom to lock something for, so that this identity opens it.
    pub fn recipient(&self) -> Recipient {
        Recipient(self.0.to_public())
    }

    /// The identity as text, to be kept by a person.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string().expose_secret().to_owned())
    }

    pub(super) fn age(&self) -> &x25519::Identity {
        &self.0
    }
}

impl Recipient {
    pub(super) fn age(&self) -> &x25519::Recipient {
        &self.0
    }
}

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let secret = text
            .get(..15)
            .is_some_and(|start| start.eq_ignore_ascii_case("AGE-SECRET-KEY-"));
        if secret {
            return Err(KeyError::SecretAsRecipient);
        }
        text.parse().map(Self).map_err(|_| KeyError::NotARecipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(***)")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_file_has_comments_and_several_identities() {
        let (a, b) = (Identity::generate(), Identity::generate());
        let file = format!(
            "# public key: {}\r\n{}\r\n\n  {}\n",
            a.recipient(),
            &*a.reveal(),
            &*b.reveal()
        );
        let read = Identity::parse_file(&file).unwrap();
        let recipients: Vec<_> = read.iter().map(Identity::recipient).collect();
        assert_eq!(recipients, [a.recipient(), b.recipient()]);
    }

    #[test]
    fn a_bad_identity_is_named_by_its_line_and_not_shown() {
        let secret = Identity::generate().reveal();
        let mistyped = format!("# mine\n{}x", &*secret);
        let error = Identity::parse_file(&mistyped).unwrap_err();
        assert_eq!(error, KeyError::NotAnIdentity { line: 2 });
        assert!(!error.to_string().contains(&secret[20..]));
        assert_eq!(
            Identity::parse_file("# nothing\n").unwrap_err(),
            KeyError::NoIdentity
        );
    }

    #[test]
    fn the_secret_half_is_not_taken_for_a_recipient() {
        let identity = Identity::generate();
        let recipient = identity.recipient();
        assert_eq!(recipient.to_string().parse(), Ok(recipient));
        for secret in [
            identity.reveal().to_string(),
            identity.reveal().to_lowercase(),
        ] {
            assert_eq!(
                secret.parse::<Recipient>(),
                Err(KeyError::SecretAsRecipient)
            );
        }
        for bad in ["", "age1", "ssh-ed25519 AAAA", "é".repeat(20).as_str()] {
            assert_eq!(bad.parse::<Recipient>(), Err(KeyError::NotARecipient));
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let passphrase = Passphrase::new(Zeroizing::new("hunter2".into())).unwrap();
        let secrets = [
            Secret::Passphrase(passphrase),
            Secret::Identity(Identity::generate()),
        ];
        assert_eq!(
            format!("{secrets:?}"),
            "[Passphrase(Passphrase(***)), Identity(Identity(***))]"
        );
        assert_eq!(
            Passphrase::new(Zeroizing::default()).unwrap_err(),
            KeyError::EmptyPassphrase
        );
    }
}

//! The identifiers of stored things, each a type of its own.
//!
//! Invariant: an id is a BLAKE3 hash of uncompressed content; how something is stored never changes its id.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

macro_rules! id_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps a hash that was computed or stored elsewhere.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes of the hash.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The plain BLAKE3 hash of `bytes`: what `b3sum` prints for the same content.
            pub fn of(bytes: &[u8]) -> Self {
                Self(*blake3::hash(bytes).as_bytes())
            }
        }

        /// Prints 64 hexadecimal digits; a precision (`{:.8}`) prints only the first ones.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(blake3::Hash::from_bytes(self.0).to_hex().as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:.8})", stringify!($name), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

id_type! {
    /// The id of a blob: the BLAKE3 hash of its uncompressed bytes.
    BlobId
}

id_type! {
    /// The id of a snapshot: the BLAKE3 hash of its head's bytes.
    SnapshotId
}

id_type! {
    /// The id of a pack or of an index segment: the BLAKE3 hash of the whole file.
    FileId
}

/// What a blob is for; it decides how the blob's id is computed and with whom it shares a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobKind {
    /// Content or bodies of objects. The id is the plain hash.
    Data,
    /// Nodes of manifests. The id is a hash with a key of its own, so that content can never pass for a node.
    Node,
}

impl BlobKind {
    /// The id that `bytes` have as a blob of this kind.
    pub fn id_of(self, bytes: &[u8]) -> BlobId {
        static NODE: OnceLock<blake3::Hasher> = OnceLock::new();
        match self {
            Self::Data => BlobId::of(bytes),
            Self::Node => {
                let mut hasher = NODE
                    .get_or_init(|| blake3::Hasher::new_derive_key("dbsnap 1 node"))
                    .clone();
                hasher.update(bytes);
                BlobId(*hasher.finalize().as_bytes())
            }
        }
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Node => 2,
        }
    }

    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Data),
            2 => Some(Self::Node),
            _ => None,
        }
    }
}

/// The text is not an id: an id has exactly 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 64 hexadecimal digits in lower case")]
pub struct ParseIdError;

fn parse_hex(text: &str) -> Result<[u8; 32], ParseIdError> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return Err(ParseIdError);
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Ok(bytes)
}

// Capitals are refused: one id has one file name.
fn hex_digit(digit: u8) -> Result<u8, ParseIdError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseIdError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_printing_and_parsing() {
        let id = BlobId::of(b"print(1)");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("{id:.8}"), id.to_string()[..8]);
    }

    #[test]
    fn only_64_lower_case_digits_are_an_id() {
        let good = BlobId::of(b"").to_string();
        for bad in [
            "",
            &good[1..],
            &good.to_uppercase(),
            &good.replace('a', "é"),
        ] {
            assert_eq!(bad.parse::<BlobId>(), Err(ParseIdError), "{bad}");
        }
        assert_eq!(
            good,
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    #[test]
    fn a_node_never_has_the_id_of_the_same_content() {
        assert_ne!(BlobKind::Node.id_of(b"x"), BlobKind::Data.id_of(b"x"));
        assert_eq!(BlobKind::Data.id_of(b"x"), BlobId::of(b"x"));
    }
}

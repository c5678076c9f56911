//! What an object is called: its kind and its natural name.

use std::borrow::Cow;
use std::fmt;

/// The name of a kind (`notebook`, `job`, ...), as the registry spells it.
///
/// Owned when it was read from a store written by a newer dbsnap that knows more kinds than this one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindName(Cow<'static, str>);

impl KindName {
    /// The name of a registered kind.
    pub const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// A name read from a store, sharing the registry's copy where there is one.
    pub fn read(name: &str) -> Self {
        match super::kind(name) {
            Some(kind) => Self::known(kind.name),
            None => Self(Cow::Owned(name.to_owned())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// No part of a key gets longer than this. Nothing in a workspace comes near it.
const LONGEST_PART: usize = 16 << 10;
/// What a part ends with that was longer.
const CUT: char = '…';

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST_PART {
        return text.to_owned();
    }
    let ends = (0..=LONGEST_PART).rev();
    let end = ends.into_iter().find(|&end| text.is_char_boundary(end));
    format!("{}{CUT}", &text[..end.unwrap_or(0)])
}

/// The identity of an object across snapshots and workspaces.
///
/// Ordered by kind, then name, then id: the order of entries in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The kind of the object.
    pub kind: KindName,
    /// The natural name: a path, a user name, a job's name. Empty for the kind as a whole.
    pub name: String,
    /// The workspace's id, only for kinds whose names need not be unique.
    pub id: Option<String>,
}

impl ObjectKey {
    /// The key of an object whose name is unique within its kind.
    pub fn new(kind: KindName, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            id: None,
        }
    }

    /// The key of an object whose name may be shared, told apart by its workspace id.
    pub fn with_id(kind: KindName, name: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            id: Some(id.into()),
        }
    }

    /// The key that stands for all objects of a kind, for example when their listing failed.
    pub fn whole_kind(kind: KindName) -> Self {
        Self::new(kind, "")
    }

    /// The key as a manifest can hold it: without the character that parts kind, name and id, and of a length that is
    /// written down. What is shortened is told apart by its id, if it has one.
    #[must_use]
    pub fn fit(mut self, object_id: Option<&str>) -> Self {
        let fit = |text: &str| shortened(&text.replace('\0', "\u{2400}"));
        if let Some(id) = &mut self.id {
            *id = fit(id);
        }
        let name = fit(&self.name);
        self.name = match object_id {
            Some(id) if name.ends_with(CUT) && !self.name.ends_with(CUT) => {
                format!("{name} {}", fit(id))
            }
            _ => name,
        };
        self
    }

    /// The bytes that order and name this key in a manifest: `kind \0 name [\0 id]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.kind.as_str().len() + self.name.len() + 2);
        bytes.extend_from_slice(self.kind.as_str().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(self.name.as_bytes());
        if let Some(id) = &self.id {
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        bytes
    }

    /// Reads what [`ObjectKey::to_bytes`] wrote; `None` when the bytes are no key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (kind, rest) = text.split_once('\0')?;
        let (name, id) = match rest.split_once('\0') {
            Some((name, id)) => (name, Some(id.to_owned())),
            None => (rest, None),
        };
        if kind.is_empty() || id.as_deref().is_some_and(|id| id.contains('\0')) {
            return None;
        }
        Some(Self {
            kind: KindName::read(kind),
            name: name.to_owned(),
            id,
        })
    }

    /// Whether it stands for a kind as a whole: what could not be listed, and no object.
    pub fn is_whole_kind(&self) -> bool {
        self.name.is_empty() && self.id.is_none()
    }
}

/// `job nightly-etl (id 42)`, `notebook /Shared/report`.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        if let Some(id) = &self.id {
            write!(f, " (id {id})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_bytes() {
        for key in [
            ObjectKey::new(KindName::known("notebook"), "/Users/ána/Ünï 100%"),
            ObjectKey::with_id(KindName::known("job"), "nightly", "9007199254740993"),
            ObjectKey::whole_kind(KindName::known("user")),
            ObjectKey::new(KindName::read("kind-of-the-future"), "x"),
        ] {
            assert_eq!(ObjectKey::from_bytes(&key.to_bytes()), Some(key));
        }
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        for bytes in [&b""[..], b"job", b"\0x", b"job\0a\0b\0c", b"job\0\xff"] {
            assert_eq!(ObjectKey::from_bytes(bytes), None);
        }
    }

    #[test]
    fn bytes_and_keys_are_ordered_alike() {
        let mut keys = [
            ObjectKey::new(KindName::known("job"), "b"),
            ObjectKey::with_id(KindName::known("job"), "a", "2"),
            ObjectKey::with_id(KindName::known("job"), "a", "10"),
            ObjectKey::new(KindName::known("cluster"), "z"),
        ];
        let mut bytes: Vec<_> = keys.iter().map(ObjectKey::to_bytes).collect();
        keys.sort();
        bytes.sort();
        assert_eq!(
            keys.iter().map(ObjectKey::to_bytes).collect::<Vec<_>>(),
            bytes
        );
    }

    #[test]
    fn whatever_a_workspace_calls_things_becomes_a_key_that_can_be_written_down() {
        let kind = || KindName::known("job");
        let plain = ObjectKey::with_id(kind(), "nightly", "7");
        assert_eq!(plain.clone().fit(Some("7")), plain);
        let long = |end: &str| "é".repeat(40_000) + end;
        let keys = ["1", "2"].map(|id| ObjectKey::new(kind(), long(id)).fit(Some(id)));
        assert_ne!(keys[0], keys[1]);
        let strange = ObjectKey::with_id(kind(), "a\0b", long("\0")).fit(Some(&long("\0")));
        assert_eq!(strange.name, "a\u{2400}b");
        for key in [&keys[0], &strange] {
            let bytes = key.to_bytes();
            assert!(bytes.len() < 64 << 10);
            assert_eq!(ObjectKey::from_bytes(&bytes).as_ref(), Some(key));
        }
    }
}

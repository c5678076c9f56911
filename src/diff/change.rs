//! A change as a value.
//!
//! Invariant: a change serialises whole; only its text form leaves things out.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{AclChange, ContentChange, FieldChange};
use crate::manifest::{Entry, Gap, Payload};
use crate::resource::ObjectKey;

/// What became of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What happened.
    pub what: What,
    /// The object's name after, or before when it is gone. Names of the left side count as the mapping gives them.
    pub key: ObjectKey,
    /// What the left side has of it.
    pub before: Option<Entry>,
    /// What the right side has of it.
    pub after: Option<Entry>,
    /// What differs in detail.
    pub details: Details,
}

/// What can happen to an object between two manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is there now, and was not before.
    Added,
    /// It was there before, and is not now.
    Removed,
    /// It has another name; it may have changed as well.
    Moved {
        /// The name it had.
        from: ObjectKey,
    },
    /// It differs.
    Changed,
    /// It may have changed, been added or removed: it could not be read.
    Unknown {
        /// What could not be read, and why.
        gap: Gap,
        /// On which side.
        at: Where,
    },
}

impl What {
    /// One word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Moved { .. } => "moved",
            Self::Changed => "changed",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// A side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Where {
    /// The left one.
    Before,
    /// The right one.
    After,
}

/// What differs in an object that both sides have.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Details {
    /// Fields of the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// Principals.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<AclChange>,
    /// The bytes of a notebook or file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentChange>,
    /// What is not known, whether anything else changed or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownPart>,
    /// What the store could not give back, so that it is only known to differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// Something of an object that a side does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownPart {
    /// Which side.
    pub at: Where,
    /// What, and why.
    #[serde(flatten)]
    pub gap: Gap,
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Change", 8)?;
        json.serialize_field("change", self.what.word())?;
        json.serialize_field("object", &Name(&self.key))?;
        match &self.what {
            What::Moved { from } => json.serialize_field("from", &Name(from))?,
            What::Unknown { gap, at } => {
                json.serialize_field("gap", gap)?;
                json.serialize_field("gap_at", at)?;
            }
            What::Added | What::Removed | What::Changed => {}
        }
        if let Some(before) = &self.before {
            json.serialize_field("before", &State(before))?;
        }
        if let Some(after) = &self.after {
            json.serialize_field("after", &State(after))?;
        }
        if self.details != Details::default() {
            json.serialize_field("details", &self.details)?;
        }
        json.end()
    }
}

struct Name<'a>(&'a ObjectKey);

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Name", 3)?;
        json.serialize_field("kind", self.0.kind.as_str())?;
        json.serialize_field("name", &self.0.name)?;
        if let Some(id) = &self.0.id {
            json.serialize_field("id", id)?;
        }
        json.end()
    }
}

/// What a side has of an object, without the bytes.
struct State<'a>(&'a Entry);

impl Serialize for State<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = self.0;
        let mut json = serializer.serialize_struct("State", 8)?;
        if let Some(id) = &entry.object_id {
            json.serialize_field("object_id", id)?;
        }
        if let Some(time) = entry.modified_at {
            json.serialize_field("modified_at", &time)?;
        }
        if let Some(size) = entry.size {
            json.serialize_field("size", &size)?;
        }
        let payloads = [
            ("body", &entry.body),
            ("content", &entry.content),
            ("permissions", &entry.permissions),
        ];
        for (name, payload) in payloads {
            if let Some(digest) = payload.as_ref().map(Payload::digest) {
                json.serialize_field(name, &digest.to_string())?;
            }
        }
        if let Some(gap) = &entry.gap {
            json.serialize_field("gap", gap)?;
        }
        if entry.carried_over {
            json.serialize_field("carried_over", &true)?;
        }
        json.end()
    }
}

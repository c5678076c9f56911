//! One object of a snapshot, and what could not be read of it.
//!
//! Invariant: what could not be read is said in the entry itself; an entry never looks more complete than it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Payload;
use super::column::Value;
use crate::resource::ObjectKey;
use crate::store::Store;

/// What a snapshot knows about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the object is called.
    pub key: ObjectKey,
    /// The workspace's id of it: follows the object when it is moved or renamed.
    pub object_id: Option<String>,
    /// When it was last modified, in milliseconds since 1970.
    pub modified_at: Option<i64>,
    /// The size that the workspace reports for it.
    pub size: Option<u64>,
    /// A number that is another one once the file was touched that the content came from. Only equality means something.
    pub stamp: Option<u64>,
    /// Its canonical JSON.
    pub body: Option<Payload>,
    /// The bytes of a notebook or file.
    pub content: Option<Payload>,
    /// Who may do what with it: JSON, an object of principals and levels.
    pub permissions: Option<Payload>,
    /// What could not be read, and why.
    pub gap: Option<Gap>,
    /// What the gap covers was taken over from the parent snapshot. Below a subtree or kind gap, and without a gap
    /// of its own, all of it was taken over, and that it still exists is not known.
    pub carried_over: bool,
    /// What a newer dbsnap recorded and this one only keeps.
    pub other: Attributes,
}

impl Entry {
    /// An entry of which nothing but the key is known yet.
    pub fn new(key: ObjectKey) -> Self {
        Self {
            key,
            object_id: None,
            modified_at: None,
            size: None,
            stamp: None,
            body: None,
            content: None,
            permissions: None,
            gap: None,
            carried_over: false,
            other: Attributes::default(),
        }
    }

    /// The length of everything stored for the object, before compression.
    pub fn bytes(&self) -> u64 {
        self.payloads().map(Payload::len).sum()
    }

    /// Body, content and permissions, as far as there are any.
    pub fn payloads(&self) -> impl Iterator<Item = &Payload> {
        self.parts().map(|(_, payload)| payload)
    }

    /// The same with what they are.
    pub fn parts(&self) -> impl Iterator<Item = (Stored, &Payload)> {
        let parts = [
            (Stored::Body, &self.body),
            (Stored::Content, &self.content),
            (Stored::Permissions, &self.permissions),
        ];
        parts
            .into_iter()
            .filter_map(|(part, payload)| Some((part, payload.as_ref()?)))
    }

    /// The entry without these parts, which the store has lost: a gap says so. What is left stays, even where the gap
    /// says that nothing is known; whether the object was carried over as a whole cannot be told, so that it was carried
    /// over stays said as well.
    #[must_use]
    pub fn without(mut self, lost: &[Stored]) -> Self {
        let Some(extent) = lost.iter().map(|part| part.extent()).reduce(Extent::or) else {
            return self;
        };
        for part in lost {
            *self.part_mut(*part) = None;
        }
        let words: Vec<String> = lost.iter().map(ToString::to_string).collect();
        let gap = Gap::new(extent, format!("{LOST}: {}", words.join(" and ")));
        self.gap = Some(match self.gap.take() {
            Some(before) => gap.and(before),
            None => gap,
        });
        // What has a gap is read again, however untouched it looks.
        self.stamp = None;
        self
    }

    /// The entry without the parts that `store` has lost.
    #[must_use]
    pub fn without_lost(self, store: &Store) -> Self {
        let lost = self.parts();
        let lost = lost.filter(|(_, payload)| !payload.is_stored(store));
        let lost: Vec<Stored> = lost.map(|(part, _)| part).collect();
        self.without(&lost)
    }

    const fn part_mut(&mut self, part: Stored) -> &mut Option<Payload> {
        match part {
            Stored::Body => &mut self.body,
            Stored::Content => &mut self.content,
            Stored::Permissions => &mut self.permissions,
        }
    }
}

/// How the reason of a gap begins that is there because the store has lost something.
pub const LOST: &str = "lost in the store";

/// What is stored of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stored {
    /// Its canonical JSON.
    Body,
    /// The bytes of a notebook or file.
    Content,
    /// Who may do what with it.
    Permissions,
}

impl Stored {
    /// What is unknown without it.
    const fn extent(self) -> Extent {
        match self {
            Self::Body => Extent::Object,
            Self::Content => Extent::Content,
            Self::Permissions => Extent::Permissions,
        }
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Body => "body",
            Self::Content => "content",
            Self::Permissions => "permissions",
        })
    }
}

/// Something that exists, or may exist, but could not be read. It is never a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How much is missing.
    pub extent: Extent,
    /// Why it is missing, for people.
    pub reason: String,
}

impl Gap {
    /// A gap, with its reason cut to a length that is fit for a manifest.
    pub fn new(extent: Extent, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if reason.len() > LONGEST_REASON {
            let end = (0..=LONGEST_REASON)
                .rev()
                .find(|&end| reason.is_char_boundary(end))
                .unwrap_or(0);
            reason.truncate(end);
            reason.push('…');
        }
        Self { extent, reason }
    }

    /// What two gaps of one object amount to: the wider extent, with both reasons.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let reason = format!("{}; {}", self.reason, other.reason);
        Self::new(self.extent.or(other.extent), reason)
    }
}

/// Whole error pages have been seen where a message was expected.
const LONGEST_REASON: usize = 500;

/// How much a gap leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// The object exists; its body and everything else of it is unknown.
    Object,
    /// Only its content is unknown.
    Content,
    /// Only its permissions are unknown.
    Permissions,
    /// The object is known; what lies below its path is not.
    Subtree,
    /// The listing of the whole kind failed; the entry stands for the kind.
    Kind,
}

impl Extent {
    /// The wider of two. Neither content nor permissions known is as good as nothing known.
    const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Kind, _) | (_, Self::Kind) => Self::Kind,
            (Self::Subtree, _) | (_, Self::Subtree) => Self::Subtree,
            (Self::Content, Self::Content) => Self::Content,
            (Self::Permissions, Self::Permissions) => Self::Permissions,
            _ => Self::Object,
        }
    }

    /// The number that stands for it in a node.
    pub(super) const fn code(self) -> u64 {
        match self {
            Self::Object => 1,
            Self::Content => 2,
            Self::Permissions => 3,
            Self::Subtree => 4,
            Self::Kind => 5,
        }
    }

    pub(super) const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            1 => Self::Object,
            2 => Self::Content,
            3 => Self::Permissions,
            4 => Self::Subtree,
            5 => Self::Kind,
            _ => return None,
        })
    }
}

/// Attributes of an entry that a newer dbsnap wrote: kept as they are when the entry is written again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub(super) Vec<(u64, Value)>);

impl Attributes {
    /// Whether there are none, which is the case unless a newer dbsnap wrote the entry.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::KindName;

    #[test]
    fn every_extent_has_a_number_of_its_own() {
        for extent in [
            Extent::Object,
            Extent::Content,
            Extent::Permissions,
            Extent::Subtree,
            Extent::Kind,
        ] {
            assert_eq!(Extent::from_code(extent.code()), Some(extent));
        }
        assert_eq!(Extent::from_code(0), None);
    }

    #[test]
    fn two_gaps_of_an_object_become_one_that_covers_both() {
        let gap = Gap::new(Extent::Content, "too large");
        let gap = gap.and(Gap::new(Extent::Content, "lost"));
        assert_eq!(gap.extent, Extent::Content);
        let gap = gap.and(Gap::new(Extent::Permissions, "refused"));
        assert_eq!(gap.extent, Extent::Object);
        assert_eq!(gap.reason, "too large; lost; refused");
        let gap = gap.and(Gap::new(Extent::Subtree, "unlisted"));
        assert_eq!(gap.extent, Extent::Subtree);
    }

    #[test]
    fn what_is_lost_of_an_entry_is_a_gap_and_the_rest_stays() {
        let inline = |text: &str| Some(Payload::Inline(text.into()));
        let mut entry = Entry::new(ObjectKey::new(KindName::known("notebook"), "/a"));
        entry.body = inline("{}");
        entry.content = inline("x");
        entry.permissions = inline("{\"user:a\":\"CAN_READ\"}");
        entry.gap = Some(Gap::new(Extent::Content, "403"));
        entry.carried_over = true;
        let lost = entry.clone().without(&[Stored::Content]);
        assert_eq!(lost.content, None);
        assert_eq!(lost.permissions, entry.permissions);
        let gap = lost.gap.unwrap();
        assert_eq!(gap.extent, Extent::Content);
        assert_eq!(gap.reason, "lost in the store: content; 403");
        assert!(lost.carried_over, "all of it may be");

        let lost = entry.clone().without(&[Stored::Body, Stored::Permissions]);
        let gap = lost.gap.unwrap();
        assert_eq!(gap.extent, Extent::Object);
        assert_eq!(gap.reason, "lost in the store: body and permissions; 403");
        assert!(lost.carried_over && lost.content.is_some());
        assert_eq!(entry.clone().without(&[]), entry);
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let gap = Gap::new(Extent::Object, "é".repeat(400));
        assert_eq!(gap.reason.chars().count(), 251);
        assert_eq!(Gap::new(Extent::Kind, "403").reason, "403");
    }
}

//! What is known already and need not be read again.

use serde_json::Value;

use crate::resource::{Kind, ObjectKey};

/// An object as a listing shows it.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// What it is called.
    pub key: &'a ObjectKey,
    /// The workspace's id of it.
    pub object_id: &'a str,
    /// When it was last modified; without that nothing tells whether it changed.
    pub modified_at: Option<i64>,
    /// Its size, where the listing has one.
    pub size: Option<u64>,
    /// Its canonical body, where only the content is in question: if that is what it was, the content is as well.
    pub body: Option<&'a Value>,
}

/// What is known about a sighted object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// Body and content are known as they are now. True as well for an object that only moved.
    pub is_unchanged: bool,
    /// How long the content was when it was last read: a guess at what it is now.
    pub content_len: Option<u64>,
}

/// What earlier exports brought home.
pub trait Known: Send + Sync {
    /// What is known about an object that a listing shows.
    fn look_up(&self, sighting: &Sighting<'_>) -> Knowledge;

    /// Whether there ever was an object of the kind.
    fn has_any(&self, kind: &Kind) -> bool;

    /// Where there were mounts when a cluster last told of them; none if none ever did.
    fn mounts(&self) -> Option<Vec<String>>;
}

/// The knowledge of a first export.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingKnown;

impl Known for NothingKnown {
    fn look_up(&self, _: &Sighting<'_>) -> Knowledge {
        Knowledge::default()
    }

    fn has_any(&self, _: &Kind) -> bool {
        false
    }

    fn mounts(&self) -> Option<Vec<String>> {
        None
    }
}

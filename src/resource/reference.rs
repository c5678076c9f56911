//! The vocabulary for fields that name other objects or people, and for what becomes of them where there is nothing to name.

use super::field::FieldPath;

/// The same references, found under several prefixes (a task, a task within a loop, ...).
#[derive(Debug)]
pub struct References {
    /// Where they are found; empty: at the body's root.
    pub under: &'static [FieldPath],
    /// The references.
    pub fields: &'static [Reference],
}

/// A field that names another object or a person.
#[derive(Debug)]
pub struct Reference {
    /// The field, counted from the prefix.
    pub at: FieldPath,
    /// What it names.
    pub to: Target,
}

/// What a reference names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The workspace id of an object of one of these kinds. Ids change when objects are made again.
    Id(&'static [&'static str]),
    /// Someone who may be called otherwise in another workspace.
    Principal(Principal),
    /// A path in the workspace tree; relative ones (files of a git source) are left alone.
    Path,
}

/// How a principal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A user name, which is an e-mail address.
    User,
    /// The application id of a service principal.
    ServicePrincipal,
    /// The display name of a group.
    Group,
    /// Any of these three; only its spelling tells.
    Any,
    /// An e-mail address that need not be a user's.
    Email,
}

/// What becomes of a reference whose object is neither in the target nor restored.
#[derive(Debug)]
pub struct Missing {
    /// The reference, as its [`Reference::at`] spells it.
    pub at: FieldPath,
    /// What becomes of it.
    pub then: WhenMissing,
}

/// What a reference to nothing turns into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenMissing {
    /// The field is left out, and what is empty without it.
    LeaveOut,
    /// It stays: leaving it out would allow more than before.
    Keep,
    /// The element of the list that it stands in is left out.
    LeaveOutElement,
    /// This field beside it gets a default cluster instead.
    NewCluster(&'static str),
    /// Whoever restores takes the place.
    Caller,
}

/// A list whose elements refer to each other by a key: one that is left out takes the references to it along.
#[derive(Debug)]
pub struct Linked {
    /// The list.
    pub list: FieldPath,
    /// The key of an element.
    pub key: &'static str,
    /// A list within each element, of objects that name another element by the same key.
    pub links: &'static str,
}

//! What changed between two manifests, as values: nothing here prints, and nothing here reaches a network.
//!
//! [`compare`] walks two trees side by side and tells every change in the order of keys: `walk` pairs the entries,
//! `regroup` and `moves` find partners under other names, `sides` knows what a side cannot know, `pair` looks into
//! one object. `value`, `acl`, `text` and `secrets` compare bodies, permissions and contents.
//!
//! Invariant: what was not read, or was not asked for, is never told as added, removed or changed.

mod acl;
mod cells;
mod change;
mod moves;
mod pair;
mod parts;
mod regroup;
mod run;
mod secrets;
mod sides;
#[cfg(test)]
mod tests;
mod text;
mod value;
mod walk;

pub use acl::{AclChange, acl_changes};
pub use change::{Change, Details, UnknownPart, What, Where};
pub use run::{DiffError, Options, Summary, compare};
pub use secrets::SecretChange;
pub use sides::{Aspect, Normalise, Side};
pub use text::{ContentChange, Hunk, content_change};
pub use value::{Edit, FieldChange, field_changes};

//! What dbsnap knows about the kinds of workspace objects, as data.
//!
//! One [`Kind`] per file under `kinds/`: where its objects are listed, what they are called, which fields are noise, which
//! refer to other objects or to people, and how an object is made again. Export, diff and restore are engines over this
//! table; none of them asks for a particular kind.
//!
//! Invariant: nothing here waits, reads a disk or opens a connection. Bodies stay JSON, so a field this table has never
//! heard of survives the way into a snapshot and back.

mod acl;
mod artifact;
mod canonical;
mod dbfs;
mod field;
pub mod hive;
mod key;
mod kind;
mod kinds;
mod library;
mod making;
mod mount;
mod nested;
mod quiet;
mod reference;
mod support;

pub use acl::{Acl, Grantee};
pub use artifact::{ArtifactPlace, artifact_kind, artifact_name, run_of};
pub use canonical::{CanonicalError, Identified, canonical_bytes, identify};
pub use dbfs::{
    DBFS_SCHEME, dbfs_key, dbfs_path, empty_folder, is_empty_folder, leave_out, left_out,
};
pub use field::{FieldPath, visit, visit_mut};
pub use key::{KindName, ObjectKey};
pub use kind::{
    Call, Detail, Envelope, ExtraCall, Fields, IdField, Joined, Kind, Linked, Listing, Manner,
    Method, Missing, Naming, Node, Paging, Principal, Quiet, QuietValue, Reference, References,
    Rest, Restore, Rule, Source, Target, WhenMissing,
};
pub use kinds::{ALL, LAUNCHED_TAG, by_object_type, kind};
pub use library::{LIBRARY, library_fields, library_file};
pub use mount::{Mount, WITHHELD, is_made_by_identity};
pub use nested::{Inner, Logged, SecretValues, Secrets, Versioned};
pub use support::{Degree, Support};

//! The vocabulary for making objects again: which calls, and how they carry a body.

use super::field::FieldPath;
use super::kind::Node;
use super::nested::{Logged, Secrets, Versioned};

/// How an object is made again: one arm in `restore` per variant.
#[derive(Debug)]
pub enum Restore {
    /// By calls that take the body.
    Rest(Rest),
    /// By writing a node of the workspace tree.
    Tree(Node),
    /// By calls for the object, for each of its secret values and for each entry of its access list.
    Secrets(&'static Secrets),
    /// By calls for the object, and for each of its versions.
    Versioned(&'static Versioned),
    /// By calls for the object, and for all that is logged in it.
    Logged(&'static Logged),
    /// By SQL statements.
    Sql,
    /// By a cluster, if that needs no credential.
    Mount,
    /// By writing a file of the DBFS, block by block.
    Dbfs,
    /// By writing a file to where its run has its files.
    Artifact,
    /// Not at all.
    RecordOnly {
        /// Why, for the plan.
        why: &'static str,
    },
}

/// The calls that make, change and finish an object.
#[derive(Debug)]
pub struct Rest {
    /// Makes it.
    pub create: Call,
    /// Where the answer of `create` has the new id; `None` when the id is the name.
    pub created_id: Option<FieldPath>,
    /// Changes it to the whole body; `None` when the API cannot.
    pub update: Option<Call>,
    /// Fields with calls of their own; they are left out of `create` and `update`.
    pub extras: &'static [ExtraCall],
    /// Calls made right after `create`, for what creating does beside (a new cluster starts to run).
    pub after_create: &'static [Call],
}

/// One call of the API.
#[derive(Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Path with `{id}`.
    pub path: &'static str,
    /// How the body is wrapped.
    pub envelope: Envelope,
}

/// The methods that write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`, with what it carries in the query.
    Delete,
}

/// How a call carries its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// The body itself.
    Plain,
    /// The body with the id in this field.
    WithId(&'static str),
    /// The id in one field, the body in another.
    Wrapped {
        /// Field of the id.
        id: &'static str,
        /// Field of the body.
        body: &'static str,
    },
    /// Only the id, in this field.
    IdOnly(&'static str),
}

/// A field with a call of its own.
#[derive(Debug)]
pub struct ExtraCall {
    /// The field. Absent, `false` and empty mean that the call is not made.
    pub field: &'static str,
    /// The call; its body is the field alone, under its own name, unless the envelope says otherwise.
    pub call: Call,
    /// The call that takes away what is there and is not to be: of a list the elements that are too much.
    pub away: Option<Call>,
    /// How the calls take it.
    pub manner: Manner,
}

/// How a field goes into calls of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As a whole, after the object was made.
    Whole,
    /// Within the call that makes the object; later by one call for each element of the list, which is the call's body.
    Elements {
        /// The field of an element that names it: all that the call is told which takes it away.
        key: &'static str,
    },
    /// By calls that only the kind's own way of restore knows.
    Apart,
}

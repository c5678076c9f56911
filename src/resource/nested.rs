//! The vocabulary for objects that have lists of their own, and values in them that must not be seen.
//!
//! Invariant: a secret value is content, never part of a body: what prints, compares or sends a body cannot show one.

use serde_json::Value;

use super::field::{FieldPath, remove};
use super::kind::{Call, Kind, Listing, Rest, Restore, Source};

/// A list that every object has of its own, joined into its body.
#[derive(Debug)]
pub struct Inner {
    /// The list call, with `{id}` in its query, or `{quoted id}` within a filter.
    pub list: Listing,
    /// The field of our item that the list becomes.
    pub field: &'static str,
    /// What holds in workspaces that do not have the feature; `None`: what is not listed is unknown.
    pub without_feature: Option<fn() -> Value>,
    /// What the elements hold that must not be seen. It is the object's content, and read only when asked for.
    pub secrets: Option<SecretValues>,
}

/// Values that must not be seen, one for each element of a list.
#[derive(Debug)]
pub struct SecretValues {
    /// The call that gives one.
    pub path: &'static str,
    /// Its query, with `{id}` and `{element}`.
    pub query: &'static [(&'static str, &'static str)],
    /// The field of an element that names it.
    pub element: FieldPath,
    /// The field of the answer that has the value, as base64.
    pub value: FieldPath,
    /// Whether an object keeps its values in the workspace.
    pub are_here: fn(&Value) -> bool,
}

/// The calls that make an object with secret values and an access list of its own.
#[derive(Debug)]
pub struct Secrets {
    /// Those that make the object itself. Fields of the two lists below count as fields with calls of their own.
    pub rest: Rest,
    /// What `create` is told of a body.
    pub create_body: fn(&Value) -> Value,
    /// The list of the elements with values.
    pub elements: &'static str,
    /// The call that writes a value, and its fields for the element's name and for the value as base64.
    pub put: (Call, &'static str, &'static str),
    /// The access list.
    pub access: &'static str,
    /// The field of an entry that names who it is for.
    pub principal: &'static str,
    /// The field of an entry with the level, and the level that may change the list.
    pub manager: (&'static str, &'static str),
    /// The call that makes an entry.
    pub grant: Call,
    /// The call that takes one away; it is told only who.
    pub revoke: Call,
}

/// The calls that make an object with numbered versions. The service gives the numbers, one after the other.
#[derive(Debug)]
pub struct Versioned {
    /// Those that make the object itself. The list of versions counts as a field with a call of its own.
    pub rest: Rest,
    /// The list of the versions.
    pub list: &'static str,
    /// The field of a version with its number, as text.
    pub number: &'static str,
    /// What a version is made of, and what nothing changes afterwards.
    pub fixed: &'static [&'static str],
    /// The field that says where its files are.
    pub files: &'static str,
    /// Places of files that only the workspace itself reads.
    pub own_places: &'static [&'static str],
    /// Makes a version, and where the answer has it.
    pub create: (Call, FieldPath),
    /// Changes its words.
    pub update: (Call, &'static str),
    /// Sets a tag of it, and takes one away.
    pub tags: (Call, Call),
    /// Moves it to a stage: the field of a version, and that of the call.
    pub stage: (Call, &'static str, &'static str),
}

/// The calls that make an object of which much is logged, piece by piece, once it is there.
#[derive(Debug)]
pub struct Logged {
    /// Those that make the object itself. What is logged counts as fields with calls of their own.
    pub rest: Rest,
    /// The tag that says which object it was made from; it is part of the call that makes it, so that it is recognised.
    pub origin: &'static str,
    /// The fields that the call which makes it is told.
    pub with_create: &'static [&'static str],
    /// The lists that are logged, and how many elements the service takes at once.
    pub lists: &'static [(&'static str, usize)],
    /// Which of them the object's content has whole, as lines of JSON, where it has a content.
    pub history: &'static str,
    /// Logs elements of a list.
    pub log: Call,
    /// Logs what went in.
    pub inputs: Call,
    /// Says how it ended.
    pub end: Call,
    /// The fields that this call is told.
    pub with_end: &'static [&'static str],
}

impl Logged {
    /// The object that a restored one was made from, as it says in a tag.
    pub fn origin_of(&self, item: &Value) -> Option<String> {
        let mut tags = item["data"]["tags"].as_array()?.iter();
        let tag = tags.find(|one| one["key"] == *self.origin)?;
        let origin = tag["value"].as_str()?;
        (!origin.is_empty() && !origin.contains(['/', '\0'])).then(|| origin.to_owned())
    }
}

impl Restore {
    /// The calls of an object that is logged, if it is.
    pub const fn logged(&self) -> Option<&'static Logged> {
        match self {
            Restore::Logged(logged) => Some(logged),
            _ => None,
        }
    }

    /// The calls that make the object itself, if it is made by calls.
    pub const fn rest(&self) -> Option<&Rest> {
        match self {
            Restore::Rest(rest) => Some(rest),
            Restore::Secrets(secrets) => Some(&secrets.rest),
            Restore::Versioned(versioned) => Some(&versioned.rest),
            Restore::Logged(logged) => Some(&logged.rest),
            _ => None,
        }
    }
}

impl Kind {
    /// The lists that every object has of its own.
    pub const fn inner(&self) -> &'static [Inner] {
        match &self.source {
            Source::Listed { inner, .. } => inner,
            _ => &[],
        }
    }

    /// The secret values that are the content of the kind's objects, if they are.
    pub fn secrets(&self) -> Option<&'static SecretValues> {
        self.inner().iter().find_map(|inner| inner.secrets.as_ref())
    }

    /// The call that tells by which id permissions know an object, where that is not the object's own id; with the field of
    /// the answer that has it.
    pub fn permission_id(&self) -> Option<(&'static str, FieldPath)> {
        match self.permissions {
            Some("registered-models") => Some((
                "/api/2.0/mlflow/databricks/registered-models/get?name={id}",
                "registered_model_databricks.id",
            )),
            _ => None,
        }
    }

    /// Takes out what means nothing in another workspace.
    pub fn without_markers(&self, body: &mut Value) {
        for rule in self.fields.markers {
            remove(body, rule.at);
        }
    }
}

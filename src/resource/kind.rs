//! The vocabulary in which kinds are described.
//!
//! Required facts have no defaults: a new one must stop the build in every kind. Only "none of these" is a default.

use serde_json::Value;

use super::field::FieldPath;
use super::hive::Securable;
use super::nested::Inner;

pub use super::making::{Call, Envelope, ExtraCall, Manner, Method, Rest, Restore};
pub use super::quiet::{Quiet, QuietValue};
pub use super::reference::{
    Linked, Missing, Principal, Reference, References, Target, WhenMissing,
};

/// Everything dbsnap knows about one kind of workspace object.
#[derive(Debug)]
pub struct Kind {
    /// The name users and manifests know it by, kebab-case.
    pub name: &'static str,
    /// Where its objects are found.
    pub source: Source,
    /// The workspace's id of an object.
    pub id: IdField,
    /// What an object is called.
    pub naming: Naming,
    /// Where the part begins that makes the object again; field rules count from there. Empty: the whole answer.
    pub body: FieldPath,
    /// What the fields of the body are.
    pub fields: Fields,
    /// The type under `/api/2.0/permissions/`, if the kind has permissions there.
    pub permissions: Option<&'static str>,
    /// How an object is made again.
    pub restore: Restore,
    /// From the API's answer to the body that is kept: the last word after the rules of `fields`.
    pub prepare: Option<fn(Value) -> Value>,
    /// From a kept body to what the API wants to be sent.
    pub request: Option<fn(Value) -> Value>,
}

/// Where a kind's objects are found: one engine in `export` per variant.
#[derive(Debug)]
pub enum Source {
    /// One list call, paged.
    Listed {
        /// The list call.
        list: Listing,
        /// The call that completes an item the list gives only in part.
        detail: Option<Detail>,
        /// Facts about all objects that other lists hold.
        extras: &'static [Joined],
        /// Which items are objects in their own right; the others belong to something else (a job's cluster).
        keep: Option<fn(&Value) -> bool>,
        /// The lists that every object has of its own.
        inner: &'static [Inner],
    },
    /// A node of the workspace tree, known by its `object_type` there.
    Tree(Node),
    /// Nodes of the workspace tree that one paged list tells, by their paths; the walk passes them by.
    Placed {
        /// What they are in the tree.
        node: Node,
        /// The list call.
        list: Listing,
    },
    /// Runs of experiments that began in a window of time, read by searches.
    Runs,
    /// The files that these runs have written: listed run by run, read in blocks.
    Artifacts,
    /// The Hive metastore, read by SQL statements.
    Metastore(Securable),
    /// The mounts, of which a cluster tells.
    Mounts,
    /// The files of the DBFS root: walked from the paths that are selected, read in blocks.
    Dbfs,
}

/// A list call.
#[derive(Debug)]
pub struct Listing {
    /// Path, from `/api` on.
    pub path: &'static str,
    /// Fixed query parameters.
    pub query: &'static [(&'static str, &'static str)],
    /// The key of the items in the answer; a missing key is an empty list.
    pub items: &'static str,
    /// How the next page is asked for.
    pub paging: Paging,
}

/// How a list is paged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// The whole list in one answer.
    Whole,
    /// `page_token` and `next_page_token`, with the parameter that sets the page's size.
    Token {
        /// Name of the size parameter.
        size_parameter: &'static str,
        /// Objects a page.
        size: u32,
    },
    /// SCIM: `startIndex` from 1, `count`.
    Scim {
        /// Objects a page.
        size: u32,
    },
}

/// The call that completes one listed item.
#[derive(Debug)]
pub struct Detail {
    /// Path with `{id}`, query included.
    pub path: &'static str,
    /// Only items with this field `true` need it; `None`: all do.
    pub only_when: Option<FieldPath>,
    /// The answer itself is paged by `page_token`: later pages carry more elements of the lists.
    pub paged_inside: bool,
}

/// A fact that another list holds about objects of this kind, joined by id into a field of the item.
#[derive(Debug)]
pub struct Joined {
    /// The other list.
    pub list: Listing,
    /// Where the object's id stands in its items.
    pub id: FieldPath,
    /// The field of our item that the fact becomes.
    pub field: &'static str,
    /// The fact; `None` when there is none.
    pub value: fn(&Value) -> Option<Value>,
}

/// A node of the workspace tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// `DIRECTORY`: walked.
    Directory,
    /// `NOTEBOOK`: exported in its native format.
    Notebook,
    /// `FILE`: exported as it is.
    File,
    /// `REPO`, or a directory marked as a Git folder: described by `/api/2.0/repos/{id}`, its content lives in git.
    GitFolder,
    /// `DASHBOARD`: exported as the file it shows itself as.
    Dashboard,
    /// `MLFLOW_EXPERIMENT`: described by `/api/2.0/mlflow/experiments`. One that a notebook has is no node of its own.
    Experiment,
    /// `LIBRARY` and any type of the future: listed, but the API gives no content.
    Opaque,
}

/// Where the id the workspace gave an object stands in what was listed.
#[derive(Debug)]
pub struct IdField {
    /// The field.
    pub at: FieldPath,
    /// Whether it is a JSON number. (Policy ids may be all digits and still are text, with leading zeros.)
    pub numeric: bool,
}

impl IdField {
    /// An id as the API wants it in a body.
    pub fn to_json(&self, id: &str) -> Value {
        match id.parse::<i64>() {
            Ok(number) if self.numeric => Value::from(number),
            _ => Value::from(id),
        }
    }
}

/// What an object is called.
#[derive(Debug)]
pub struct Naming {
    /// Where the name stands in what was listed.
    pub at: FieldPath,
    /// Whether two objects of the kind can never share a name.
    pub unique: bool,
    /// Names every workspace has from the start: never created, and of their lists nothing is taken away.
    pub built_in: &'static [&'static str],
}

/// What the fields of a body are.
#[derive(Debug)]
pub struct Fields {
    /// Fields that say nothing about what the object *is*: states, times, server-made ids. They enter no body.
    pub dropped: &'static [Rule],
    /// Lists whose order means nothing; they are sorted.
    pub unordered: &'static [FieldPath],
    /// Fields that name other objects or people.
    pub references: &'static [References],
    /// What keeps a restored object from starting to act on its own.
    pub quiet: &'static [Quiet],
    /// The field with the name by which permissions know the object, if it is someone.
    pub principal: Option<(Principal, FieldPath)>,
    /// What becomes of references whose object is nowhere. Those that are not listed are left out.
    pub missing: &'static [Missing],
    /// Lists whose elements refer to each other.
    pub linked: &'static [Linked],
    /// Objects with this field `true` are made elsewhere.
    pub elsewhere: Option<Rule>,
    /// New objects are made in ascending order of this field.
    pub made_by: Option<FieldPath>,
    /// Fields that tell that something changed which is not seen. They count within one workspace, and mean nothing in
    /// another.
    pub markers: &'static [Rule],
}

impl Fields {
    /// No special fields.
    pub const PLAIN: Fields = Fields {
        dropped: &[],
        unordered: &[],
        references: &[],
        quiet: &[],
        principal: None,
        missing: &[],
        linked: &[],
        elsewhere: None,
        made_by: None,
        markers: &[],
    };
}

/// A field rule with its reason.
#[derive(Debug)]
pub struct Rule {
    /// The field.
    pub at: FieldPath,
    /// Why it is not kept.
    pub why: &'static str,
}

impl Kind {
    /// Calls `found` with every reference in `body` and the value that holds it.
    pub fn visit_references(
        &self,
        body: &mut Value,
        found: &mut dyn FnMut(&Reference, &mut Value),
    ) {
        for group in self.fields.references {
            for prefix in group.under {
                super::field::visit_mut(body, prefix, &mut |root| {
                    for reference in group.fields {
                        super::field::visit_mut(root, reference.at, &mut |value| {
                            found(reference, value)
                        });
                    }
                });
            }
        }
    }

    /// Gives every field that could set the object in motion its harmless value.
    pub fn quieten(&self, body: &mut Value) {
        for quiet in self.fields.quiet {
            quiet.apply(body);
        }
    }

    /// What becomes of a reference of this kind whose object is nowhere.
    pub fn when_missing(&self, reference: &Reference) -> WhenMissing {
        let rule = self
            .fields
            .missing
            .iter()
            .find(|missing| missing.at == reference.at);
        rule.map_or(WhenMissing::LeaveOut, |missing| missing.then)
    }

    /// Whether the permissions of an object must name exactly one owner.
    pub fn has_owner(&self) -> bool {
        matches!(
            self.permissions,
            Some("jobs" | "pipelines" | "sql/warehouses")
        )
    }

    /// The type of node that objects of the kind are in the workspace tree.
    pub fn node(&self) -> Option<Node> {
        match self.source {
            Source::Tree(node) | Source::Placed { node, .. } => Some(node),
            Source::Listed { .. }
            | Source::Metastore(_)
            | Source::Runs
            | Source::Artifacts
            | Source::Mounts
            | Source::Dbfs => None,
        }
    }

    /// Whether objects of the kind are selected by when they began, which their names tell.
    pub const fn is_by_time(&self) -> bool {
        matches!(self.source, Source::Runs | Source::Artifacts)
    }

    /// Whether ids of the kind's objects are what others refer to them by.
    pub const fn has_ids(&self) -> bool {
        self.listing().is_some() || matches!(self.source, Source::Runs)
    }

    /// The list that tells all objects of the kind, if one does.
    pub const fn listing(&self) -> Option<&Listing> {
        match &self.source {
            Source::Listed { list, .. } | Source::Placed { list, .. } => Some(list),
            Source::Tree(_)
            | Source::Metastore(_)
            | Source::Runs
            | Source::Artifacts
            | Source::Mounts
            | Source::Dbfs => None,
        }
    }

    /// What objects of the kind are to SQL, if they belong to the metastore.
    pub fn securable(&self) -> Option<Securable> {
        match self.source {
            Source::Metastore(securable) => Some(securable),
            Source::Listed { .. }
            | Source::Tree(_)
            | Source::Placed { .. }
            | Source::Runs
            | Source::Artifacts
            | Source::Mounts
            | Source::Dbfs => None,
        }
    }

    /// Whether objects of the kind have permissions of their own.
    pub fn has_permissions(&self) -> bool {
        self.permissions.is_some() || self.securable().is_some()
    }

    /// Whether every workspace has an object of this name from the start.
    pub fn is_built_in(&self, name: &str) -> bool {
        self.naming.built_in.contains(&name)
    }
}

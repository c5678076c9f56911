//! The nodes of the workspace tree: folders, notebooks, files, Git folders, and what can only be recorded.

use serde_json::Value;

use crate::resource::kind::{
    Call, Envelope, ExtraCall, Fields, IdField, Kind, Manner, Method, Naming, Node, Reference,
    References, Rest, Restore, Rule, Source, Target,
};

const ID: IdField = IdField {
    at: "object_id",
    numeric: true,
};
const PATH: Naming = Naming {
    at: "path",
    unique: true,
    built_in: &[],
};

/// What the listing says of every node, kept beside the body or not at all.
const LISTED: &[Rule] = &[
    Rule {
        at: "object_id",
        why: "made by the server; kept beside the body",
    },
    Rule {
        at: "resource_id",
        why: "made by the server",
    },
    Rule {
        at: "object_type",
        why: "is the kind",
    },
    Rule {
        at: "path",
        why: "is the name",
    },
    Rule {
        at: "size",
        why: "kept beside the body",
    },
    Rule {
        at: "created_at",
        why: "made by the server",
    },
    Rule {
        at: "modified_at",
        why: "kept beside the body",
    },
    Rule {
        at: "modified_at_interactive",
        why: "changes by itself",
    },
    Rule {
        at: "created_by",
        why: "made by the server",
    },
    Rule {
        at: "directory_info",
        why: "is the kind",
    },
];

const LISTED_FIELDS: Fields = Fields {
    dropped: LISTED,
    ..Fields::PLAIN
};

pub(super) static DIRECTORY: Kind = Kind {
    name: "directory",
    source: Source::Tree(Node::Directory),
    id: ID,
    naming: PATH,
    body: "",
    fields: LISTED_FIELDS,
    permissions: Some("directories"),
    restore: Restore::Tree(Node::Directory),
    prepare: None,
    request: None,
};

/// The body is the language and the format in which the content is native.
pub(super) static NOTEBOOK: Kind = Kind {
    name: "notebook",
    source: Source::Tree(Node::Notebook),
    id: ID,
    naming: PATH,
    body: "",
    fields: LISTED_FIELDS,
    permissions: Some("notebooks"),
    restore: Restore::Tree(Node::Notebook),
    prepare: None,
    request: None,
};

pub(super) static FILE: Kind = Kind {
    name: "file",
    source: Source::Tree(Node::File),
    id: ID,
    naming: PATH,
    body: "",
    fields: LISTED_FIELDS,
    permissions: Some("files"),
    restore: Restore::Tree(Node::File),
    prepare: None,
    request: None,
};

pub(super) static GIT_FOLDER: Kind = Kind {
    name: "git-folder",
    source: Source::Tree(Node::GitFolder),
    id: IdField {
        at: "id",
        numeric: true,
    },
    naming: PATH,
    body: "",
    fields: Fields {
        // The path is sent on creation, so it stays in the body; which commit is checked out is kept: it is the content.
        dropped: &[
            Rule {
                at: "id",
                why: "made by the server",
            },
            Rule {
                at: "workspace_id",
                why: "made by the server",
            },
        ],
        references: &[References {
            under: &[""],
            fields: &[Reference {
                at: "path",
                to: Target::Path,
            }],
        }],
        ..Fields::PLAIN
    },
    permissions: Some("repos"),
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.0/repos",
            envelope: Envelope::Plain,
        },
        created_id: Some("id"),
        update: None,
        // A new Git folder is on the default branch; the branch is chosen by a second call.
        extras: &[ExtraCall {
            field: "branch",
            call: Call {
                method: Method::Patch,
                path: "/api/2.0/repos/{id}",
                envelope: Envelope::Plain,
            },
            away: None,
            manner: Manner::Whole,
        }],
        after_create: &[],
    }),
    prepare: None,
    request: Some(request),
};

/// A commit cannot be asked for: the branch's head is what one gets.
fn request(mut body: Value) -> Value {
    if let Some(object) = body.as_object_mut() {
        object.remove("head_commit_id");
    }
    body
}

pub(super) static DASHBOARD: Kind = Kind {
    name: "dashboard",
    source: Source::Tree(Node::Dashboard),
    id: ID,
    naming: PATH,
    body: "",
    fields: LISTED_FIELDS,
    permissions: None,
    restore: Restore::RecordOnly {
        why: "dbsnap keeps a dashboard's definition but does not make dashboards yet",
    },
    prepare: None,
    request: None,
};

pub(super) static OPAQUE: Kind = Kind {
    name: "workspace-object",
    source: Source::Tree(Node::Opaque),
    id: ID,
    naming: PATH,
    body: "",
    // The type stays in the body: it is all there is to tell what the object was.
    fields: Fields {
        dropped: &[
            Rule {
                at: "object_id",
                why: "made by the server; kept beside the body",
            },
            Rule {
                at: "path",
                why: "is the name",
            },
            Rule {
                at: "created_at",
                why: "made by the server",
            },
            Rule {
                at: "modified_at",
                why: "kept beside the body",
            },
        ],
        ..Fields::PLAIN
    },
    permissions: None,
    restore: Restore::RecordOnly {
        why: "the API gives no content for objects of this type",
    },
    prepare: None,
    request: None,
};

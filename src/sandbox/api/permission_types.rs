//! The types of objects that have permissions, and the levels of each.

use crate::sandbox::state::{Level, Scope};

/// One type of object as the permissions API knows it.
pub(super) struct Type {
    /// The type in a request.
    pub(super) request: &'static str,
    /// The type in an answer.
    pub(super) answer: &'static str,
    pub(super) scope: Scope,
    /// The levels, lowest first.
    pub(super) ladder: &'static [Level],
}

const TREE_LADDER: &[Level] = &["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"];

static TYPES: &[Type] = &[
    Type {
        request: "notebooks",
        answer: "notebook",
        scope: Scope::Node,
        ladder: TREE_LADDER,
    },
    Type {
        request: "directories",
        answer: "directory",
        scope: Scope::Node,
        ladder: TREE_LADDER,
    },
    Type {
        request: "files",
        answer: "file",
        scope: Scope::Node,
        ladder: TREE_LADDER,
    },
    Type {
        request: "repos",
        answer: "repo",
        scope: Scope::Node,
        ladder: TREE_LADDER,
    },
    Type {
        request: "clusters",
        answer: "cluster",
        scope: Scope::Cluster,
        ladder: &["CAN_ATTACH_TO", "CAN_RESTART", "CAN_MANAGE"],
    },
    Type {
        request: "cluster-policies",
        answer: "cluster-policy",
        scope: Scope::Policy,
        ladder: &["CAN_USE"],
    },
    Type {
        request: "instance-pools",
        answer: "instance-pool",
        scope: Scope::Pool,
        ladder: &["CAN_ATTACH_TO", "CAN_MANAGE"],
    },
    Type {
        request: "jobs",
        answer: "job",
        scope: Scope::Job,
        ladder: &["CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"],
    },
    Type {
        request: "experiments",
        answer: "mlflowExperiment",
        scope: Scope::Node,
        ladder: &["CAN_READ", "CAN_EDIT", "CAN_MANAGE"],
    },
    Type {
        request: "registered-models",
        answer: "registered-model",
        scope: Scope::Model,
        ladder: &[
            "CAN_READ",
            "CAN_EDIT",
            "CAN_MANAGE_STAGING_VERSIONS",
            "CAN_MANAGE_PRODUCTION_VERSIONS",
            "CAN_MANAGE",
        ],
    },
    Type {
        request: "authorization",
        answer: "tokens",
        scope: Scope::Tokens,
        ladder: &["CAN_USE", "CAN_MANAGE"],
    },
];

/// The type a request names.
pub(super) fn find(request: &str) -> Option<&'static Type> {
    TYPES.iter().find(|kind| kind.request == request)
}

/// The levels of a scope, lowest first.
pub(super) fn ladder_of(scope: Scope) -> &'static [Level] {
    TYPES
        .iter()
        .find(|kind| kind.scope == scope)
        .map_or(&[], |kind| kind.ladder)
}

//! Instance pools.

use crate::resource::kind::{
    Call, Envelope, Fields, IdField, Kind, Listing, Method, Naming, Paging, Rest, Restore, Rule,
    Source,
};

pub(super) static KIND: Kind = Kind {
    name: "instance-pool",
    source: Source::Listed {
        list: Listing {
            path: "/api/2.0/instance-pools/list",
            query: &[],
            items: "instance_pools",
            paging: Paging::Whole,
        },
        detail: None,
        extras: &[],
        keep: None,
        inner: &[],
    },
    id: IdField {
        at: "instance_pool_id",
        numeric: false,
    },
    naming: Naming {
        at: "instance_pool_name",
        unique: true,
        built_in: &[],
    },
    body: "",
    fields: Fields {
        dropped: &[
            Rule {
                at: "instance_pool_id",
                why: "made by the server",
            },
            Rule {
                at: "default_tags",
                why: "made by the server from name and creator",
            },
            Rule {
                at: "state",
                why: "changes by itself",
            },
            Rule {
                at: "stats",
                why: "changes by itself",
            },
            Rule {
                at: "status",
                why: "changes by itself",
            },
        ],
        unordered: &["preloaded_spark_versions"],
        ..Fields::PLAIN
    },
    permissions: Some("instance-pools"),
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.0/instance-pools/create",
            envelope: Envelope::Plain,
        },
        created_id: Some("instance_pool_id"),
        update: Some(Call {
            method: Method::Post,
            path: "/api/2.0/instance-pools/edit",
            envelope: Envelope::WithId("instance_pool_id"),
        }),
        extras: &[],
        after_create: &[],
    }),
    prepare: None,
    request: None,
};

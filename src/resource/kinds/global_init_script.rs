//! Global init scripts. An enabled one runs at every cluster start, so a restored one stays disabled unless asked.

use crate::resource::kind::{
    Call, Detail, Envelope, Fields, IdField, Kind, Listing, Method, Naming, Paging, Quiet,
    QuietValue, Rest, Restore, Rule, Source,
};

pub(super) static KIND: Kind = Kind {
    name: "global-init-script",
    source: Source::Listed {
        list: Listing {
            path: "/api/2.0/global-init-scripts",
            query: &[],
            items: "scripts",
            paging: Paging::Whole,
        },
        // The list has no script text.
        detail: Some(Detail {
            path: "/api/2.0/global-init-scripts/{id}",
            only_when: None,
            paged_inside: false,
        }),
        extras: &[],
        keep: None,
        inner: &[],
    },
    id: IdField {
        at: "script_id",
        numeric: false,
    },
    naming: Naming {
        at: "name",
        unique: false,
        built_in: &[],
    },
    body: "",
    fields: Fields {
        dropped: &[
            Rule {
                at: "script_id",
                why: "made by the server",
            },
            Rule {
                at: "created_at",
                why: "made by the server",
            },
            Rule {
                at: "created_by",
                why: "made by the server",
            },
            Rule {
                at: "updated_at",
                why: "made by the server",
            },
            Rule {
                at: "updated_by",
                why: "made by the server",
            },
        ],
        quiet: &[Quiet {
            at: "enabled",
            value: QuietValue::Bool(false),
        }],
        // A new script moves those behind it.
        made_by: Some("position"),
        ..Fields::PLAIN
    },
    permissions: None,
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.0/global-init-scripts",
            envelope: Envelope::Plain,
        },
        created_id: Some("script_id"),
        update: Some(Call {
            method: Method::Patch,
            path: "/api/2.0/global-init-scripts/{id}",
            envelope: Envelope::Plain,
        }),
        extras: &[],
        after_create: &[],
    }),
    prepare: None,
    request: None,
};

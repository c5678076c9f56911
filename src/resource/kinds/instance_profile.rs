//! Instance profiles (AWS only): named and identified by their ARN.

use serde_json::{Value, json};

use crate::resource::kind::{
    Call, Envelope, Fields, IdField, Kind, Listing, Method, Naming, Paging, Rest, Restore, Source,
};

pub(super) static KIND: Kind = Kind {
    name: "instance-profile",
    source: Source::Listed {
        list: Listing {
            path: "/api/2.0/instance-profiles/list",
            query: &[],
            items: "instance_profiles",
            paging: Paging::Whole,
        },
        detail: None,
        extras: &[],
        keep: None,
        inner: &[],
    },
    id: IdField {
        at: "instance_profile_arn",
        numeric: false,
    },
    naming: Naming {
        at: "instance_profile_arn",
        unique: true,
        built_in: &[],
    },
    body: "",
    fields: Fields::PLAIN,
    permissions: None,
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.0/instance-profiles/add",
            envelope: Envelope::Plain,
        },
        created_id: None,
        update: Some(Call {
            method: Method::Post,
            path: "/api/2.0/instance-profiles/edit",
            envelope: Envelope::Plain,
        }),
        extras: &[],
        after_create: &[],
    }),
    prepare: None,
    request: Some(request),
};

/// Validation starts an instance with the profile, which a restore into another account cannot expect to work yet.
fn request(mut body: Value) -> Value {
    body["skip_validation"] = json!(true);
    body
}

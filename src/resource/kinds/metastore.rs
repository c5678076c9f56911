//! The Hive metastore: databases, tables, functions and views, and what only has grants. All of it is read and made by
//! SQL statements, which a warehouse or a cluster runs.

use serde_json::Value;

use crate::resource::hive::Securable;
use crate::resource::kind::{
    Fields, IdField, Kind, Naming, Principal, Reference, References, Restore, Source, Target,
};

pub(super) static SECURABLE: Kind = Kind {
    name: "metastore-securable",
    ..of(
        Securable::Top,
        &["catalog", "any file", "anonymous function"],
    )
};

pub(super) static DATABASE: Kind = Kind {
    name: "database",
    ..of(Securable::Database, &["default"])
};

pub(super) static TABLE: Kind = Kind {
    name: "table",
    ..of(Securable::Table, &[])
};

pub(super) static FUNCTION: Kind = Kind {
    name: "function",
    ..of(Securable::Function, &[])
};

pub(super) static VIEW: Kind = Kind {
    name: "view",
    ..of(Securable::View, &[])
};

const fn of(securable: Securable, built_in: &'static [&'static str]) -> Kind {
    Kind {
        name: "",
        source: Source::Metastore(securable),
        id: IdField {
            at: "name",
            numeric: false,
        },
        naming: Naming {
            at: "name",
            unique: true,
            built_in,
        },
        body: "",
        fields: Fields {
            references: &[References {
                under: &[""],
                fields: &[Reference {
                    at: "owner",
                    to: Target::Principal(Principal::Any),
                }],
            }],
            ..Fields::PLAIN
        },
        permissions: None,
        restore: Restore::Sql,
        prepare: None,
        request: Some(what_can_be_made),
    }
}

/// A body without what no statement makes: how many partitions the data has, and the process that made a table.
fn what_can_be_made(mut body: Value) -> Value {
    if let Some(object) = body.as_object_mut() {
        object.remove("partitions");
        object.remove("created_by");
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn new_partitions_are_no_reason_to_change_a_table() {
        let body = json!({"definition": "(a INT)", "partitions": 3, "created_by": "root", "owner": "ana@example.com"});
        assert_eq!(
            what_can_be_made(body),
            json!({"definition": "(a INT)", "owner": "ana@example.com"})
        );
    }
}

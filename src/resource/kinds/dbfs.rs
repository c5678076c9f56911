//! Files of the DBFS root, such as what `/FileStore` holds: jars, init scripts, uploads.
//!
//! They have no permissions: who may use a workspace may read and write all of them. Of folders only those are kept in which
//! there is nothing; the others come with what is in them.

use crate::resource::kind::{Fields, IdField, Kind, Naming, Restore, Rule, Source};

pub(super) static FILE: Kind = Kind {
    name: "dbfs-file",
    source: Source::Dbfs,
    id: IdField {
        at: "path",
        numeric: false,
    },
    naming: Naming {
        at: "path",
        unique: true,
        built_in: &[],
    },
    body: "",
    fields: Fields {
        dropped: &[
            Rule {
                at: "path",
                why: "is the name",
            },
            Rule {
                at: "is_dir",
                why: "is the kind",
            },
            Rule {
                at: "file_size",
                why: "kept beside the body",
            },
            Rule {
                at: "modification_time",
                why: "kept beside the body",
            },
        ],
        ..Fields::PLAIN
    },
    permissions: None,
    restore: Restore::Dbfs,
    prepare: None,
    request: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn when_a_file_was_written_is_no_part_of_what_it_is() {
        let listed = json!({"path": "/a", "is_dir": false, "file_size": 1, "modification_time": 2});
        assert_eq!(FILE.canonical_body(listed), json!({}));
    }
}

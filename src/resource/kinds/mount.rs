//! Mounts: names in the DBFS for storage elsewhere. Only a cluster tells of them, and only a cluster makes them.
//!
//! What they lead to is data of others and never read. What opens it is not told by any cluster, and would not be kept.

use serde_json::Value;

use crate::resource::kind::{Fields, IdField, Kind, Naming, Restore, Source};

pub(super) static KIND: Kind = Kind {
    name: "mount",
    source: Source::Mounts,
    id: IdField {
        at: "mountPoint",
        numeric: false,
    },
    naming: Naming {
        at: "mountPoint",
        unique: true,
        built_in: &[],
    },
    body: "",
    fields: Fields::PLAIN,
    permissions: None,
    restore: Restore::Mount,
    prepare: None,
    request: Some(request),
};

/// A mount is what it leads to: that something was withheld is no difference.
fn request(mut body: Value) -> Value {
    if let Some(object) = body.as_object_mut() {
        object.remove("withheld");
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn that_something_was_withheld_is_no_reason_to_mount_anew() {
        let body = json!({"source": "s3a://b", "withheld": ["x"]});
        assert_eq!(request(body), json!({"source": "s3a://b"}));
    }
}

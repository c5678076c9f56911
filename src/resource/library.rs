//! What is kept of a library of the workspace tree.
//!
//! Version 1.2 of the API says of one which files were uploaded for it; clusters and jobs load them from the DBFS.
//!
//! Invariant: on which clusters it is installed is no part of it: that changes by itself, and is part of the clusters.

use serde_json::{Map, Value};

/// The type of such nodes in listings.
pub const LIBRARY: &str = "LIBRARY";

/// Where the service keeps what is uploaded for libraries, as the DBFS has it.
const UPLOADS: &str = "/FileStore/jars/";

/// Fields of a status, and what they are called in a body.
const KEPT: [(&str, &str); 3] = [
    ("libType", "library_type"),
    ("files", "files"),
    ("attachAllClusters", "attach_all_clusters"),
];

/// What a status adds to the body of a library; none if it is not understood.
pub fn library_fields(status: &Value) -> Option<Map<String, Value>> {
    status["libType"].as_str()?;
    let field = |(from, to): &(&str, &str)| Some(((*to).to_owned(), status.get(*from)?.clone()));
    Some(KEPT.iter().filter_map(field).collect())
}

/// Where the only file of a library lies in the DBFS, by its body.
pub fn library_file(body: &Value) -> Option<String> {
    let [file] = body["files"].as_array()?.as_slice() else {
        return None;
    };
    let file = file.as_str()?;
    let is_name = !file.is_empty() && !file.contains(['/', '\\', '\0']) && file != "..";
    is_name.then(|| format!("{UPLOADS}{file}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_library_is_its_type_and_its_file_and_not_where_it_is_installed() {
        let status = json!({"id": "7", "name": "x-1.0", "folder": "/Shared", "libType": "python-egg",
            "files": ["47fb-x_1_0.egg"], "attachAllClusters": false, "statuses": [{"clusterId": "c", "status": "Installed"}]});
        let body = Value::Object(library_fields(&status).unwrap());
        assert_eq!(
            body,
            json!({"library_type": "python-egg", "files": ["47fb-x_1_0.egg"], "attach_all_clusters": false})
        );
        assert_eq!(
            library_file(&body).as_deref(),
            Some("/FileStore/jars/47fb-x_1_0.egg")
        );
        assert_eq!(library_fields(&json!({"error": "x"})), None);
        for files in [
            json!([]),
            json!(["a", "b"]),
            json!(["../x"]),
            json!([7]),
            json!("a"),
        ] {
            assert_eq!(library_file(&json!({"files": files})), None);
        }
    }
}

//! What files of the DBFS are called, and what is kept of one whose content is left out.
//!
//! Invariant: a name begins with `dbfs:/`, as clusters and jobs write it, so that it is never taken for a path of the
//! workspace tree.

use serde_json::{Value, json};

use super::key::{KindName, ObjectKey};
use super::kind::{Kind, Source};
use super::kinds::ALL;

/// What names of the DBFS begin with.
pub const DBFS_SCHEME: &str = "dbfs:";

/// The key of the file at a path, which begins with a slash.
pub fn dbfs_key(path: &str) -> ObjectKey {
    let kind = ALL.iter().find(|kind| kind.is_dbfs_file());
    let kind = kind.expect("files of the DBFS are registered");
    ObjectKey::new(KindName::known(kind.name), format!("{DBFS_SCHEME}{path}"))
}

/// The path of a file of this name, as the DBFS has it.
pub fn dbfs_path(name: &str) -> &str {
    name.strip_prefix(DBFS_SCHEME).unwrap_or(name)
}

/// The body of a file whose content is not kept: with all that tells of a change in it.
pub fn leave_out(mut body: Value, size: u64, modified_at: Option<i64>) -> Value {
    body["left_out"] = json!({"file_size": size, "modification_time": modified_at});
    body
}

/// How long the content was that a body says was left out.
pub fn left_out(body: &Value) -> Option<u64> {
    body["left_out"]["file_size"].as_u64()
}

/// The body of a folder in which there is nothing: of others the files in them tell.
pub fn empty_folder() -> Value {
    json!({"empty_folder": true})
}

/// Whether a body is that of a folder in which there was nothing.
pub fn is_empty_folder(body: &Value) -> bool {
    body["empty_folder"] == true
}

impl Kind {
    /// Whether objects of the kind are files of the DBFS.
    pub const fn is_dbfs_file(&self) -> bool {
        matches!(self.source, Source::Dbfs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_clusters_call_it() {
        let key = dbfs_key("/FileStore/a.jar");
        assert_eq!(key.to_string(), "dbfs-file dbfs:/FileStore/a.jar");
        assert_eq!(dbfs_path(&key.name), "/FileStore/a.jar");
    }

    #[test]
    fn what_was_left_out_is_told_with_its_length() {
        assert_eq!(left_out(&leave_out(json!({}), 7, Some(1))), Some(7));
        assert_eq!(left_out(&json!({})), None);
    }
}

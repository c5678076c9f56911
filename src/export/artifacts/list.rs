//! Which files a run has: its folders, one after the other.

use serde_json::Value;

use super::{Artifacts, Author};
use crate::api::{ApiError, ErrorKind, Listing, Paging};
use crate::export::run::{number, reason};
use crate::resource::ArtifactPlace;

/// A file of a run as it was listed.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// From where the run has its files.
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) modified_at: Option<i64>,
}

impl Artifacts<'_> {
    /// All files of a run, and what could not be listed.
    pub(super) async fn list(
        &self,
        author: &Author,
        place: &ArtifactPlace,
    ) -> (Vec<Listed>, Vec<String>) {
        let mut waiting = vec![String::new()];
        let (mut files, mut failures) = (Vec::new(), Vec::new());
        while let Some(folder) = waiting.pop() {
            let items = match self.folder(author, place, &folder).await {
                Ok(items) => items,
                // A run without files has no folder either; others are gone since they were listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    failures.push(format!("/{folder}: {}", reason(&error)));
                    continue;
                }
            };
            for item in items {
                match understood(&item, place) {
                    // Asked for a file, the service lists that file.
                    Some(Item::Folder(path)) if path != folder => waiting.push(path),
                    Some(Item::File(file)) => files.push(file),
                    Some(Item::Folder(_)) => {}
                    None => failures.push(format!(
                        "/{folder}: the service listed a file without path or length"
                    )),
                }
            }
        }
        (files, failures)
    }

    async fn folder(
        &self,
        author: &Author,
        place: &ArtifactPlace,
        folder: &str,
    ) -> Result<Vec<Value>, ApiError> {
        let path = match place {
            ArtifactPlace::Dbfs(root) => format!("{root}/{folder}"),
            _ => folder.to_owned(),
        };
        let path = path.trim_end_matches('/');
        let mut listing = Listing {
            path: "/api/2.0/dbfs/list",
            query: vec![("path", path)],
            items_key: "files",
            id_key: Some("path"),
            paging: Paging::None,
        };
        if *place == ArtifactPlace::Tracking {
            listing.path = "/api/2.0/mlflow/artifacts/list";
            listing.query.push(("run_id", &author.id));
            listing.paging = Paging::PageToken { size: None };
        }
        self.run.checked(self.run.client.list(listing)).await
    }
}

enum Item {
    Folder(String),
    File(Listed),
}

fn understood(item: &Value, place: &ArtifactPlace) -> Option<Item> {
    let path = item["path"].as_str()?;
    let path = match place {
        ArtifactPlace::Dbfs(root) => path.strip_prefix(root.as_str())?.strip_prefix('/')?,
        _ => path,
    };
    let path = path.trim_matches('/').to_owned();
    if path.is_empty() {
        return None;
    }
    if item["is_dir"].as_bool().unwrap_or_default() {
        return Some(Item::Folder(path));
    }
    let size = number(&item["file_size"]).and_then(|size| u64::try_from(size).ok());
    Some(Item::File(Listed {
        path,
        // An empty file may have none.
        size: size.or(item["file_size"].is_null().then_some(0))?,
        modified_at: item["modification_time"].as_i64(),
    }))
}

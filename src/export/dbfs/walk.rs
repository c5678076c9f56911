//! Which files there are: folders listed side by side, from the selected ones on down.
//!
//! Invariant: a folder that could not be listed is a gap of the whole kind, for what was in it is unknown.

use std::pin::pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::mpsc;

use super::Engine;
use crate::api::{ApiError, ErrorKind};
use crate::export::files::File;
use crate::export::item::{Captured, Item, Part};
use crate::export::run::reason;
use crate::manifest::{Extent, Gap};
use crate::report::Event;
use crate::resource::{dbfs_key, empty_folder};

/// Folders that are listed at the same time.
const AT_ONCE: usize = 16;

/// Where a walk turns back: mounts and volumes are data of others, the examples and results are the service's own, and what
/// MLflow keeps there is not given out.
const NOT_ENTERED: [&str; 6] = [
    "/mnt",
    "/Volumes",
    "/databricks-datasets",
    "/databricks-results",
    "/databricks/mlflow-tracking",
    "/databricks/mlflow-registry",
];

/// So many folders that could not be listed are named.
const NAMED: usize = 3;

impl Engine<'_> {
    /// Hands on all selected files.
    pub(super) async fn walk(&self, found: mpsc::Sender<File<String>>) {
        let mut waiting = self.roots();
        waiting.reverse();
        let mut under_way = pin!(FuturesUnordered::new());
        let mut failures = Vec::new();
        loop {
            while under_way.len() < AT_ONCE
                && let Some(folder) = waiting.pop()
            {
                under_way.push(self.list(folder));
            }
            let Some((folder, answer)) = under_way.next().await else {
                break;
            };
            match answer {
                Ok(answer) => {
                    if is_empty(&answer) {
                        self.empty(&folder).await;
                    }
                    for item in answer["files"].as_array().into_iter().flatten() {
                        match seen(item) {
                            Some((path, true)) if self.enters(path) => {
                                waiting.push(path.to_owned())
                            }
                            Some((path, false)) if self.files.covers(path) => {
                                let Some(file) = self.understood(path, item) else {
                                    failures
                                        .push(format!("{path}: the listing has no length of it"));
                                    continue;
                                };
                                self.run.expect(1);
                                // The other end is polled beside this one and takes everything.
                                if found.send(file).await.is_err() {
                                    return;
                                }
                            }
                            Some(_) => {}
                            None => failures
                                .push(format!("{folder}: an item of the listing has no path")),
                        }
                    }
                }
                // Selected, and not there; or gone since its folder was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let text = format!("there is nothing at dbfs:{folder}");
                    self.run.reporter.report(Event::Detail(&text));
                }
                Err(error) if is_disabled(&error) => {
                    let text = format!(
                        "the DBFS root of this workspace is disabled, and none of its files could be seen: {}",
                        reason(&error)
                    );
                    return self.unlisted(text).await;
                }
                Err(error) => failures.push(format!("dbfs:{folder}: {}", hinted(&error))),
            }
        }
        if !failures.is_empty() {
            self.unlisted(of_folders(&failures)).await;
        }
    }

    /// Where the walk begins: at what is selected, and at no mount.
    fn roots(&self) -> Vec<String> {
        let (mounted, roots): (Vec<_>, Vec<_>) =
            (self.files.roots().into_iter()).partition(|root| self.run.is_in_mount(root));
        for root in mounted {
            let text = format!(
                "dbfs:{root} is a mount: what it leads to is no part of the DBFS root, and is not read"
            );
            self.run.reporter.report(Event::Warning(&text));
        }
        roots
    }

    /// Sends on a folder in which there is nothing: no file would tell of it.
    async fn empty(&self, folder: &str) {
        if folder == "/" || !self.files.covers(folder) {
            return;
        }
        self.run.expect(1);
        let mut object = Captured::new(dbfs_key(folder), Some(folder.to_owned()));
        object.body = Part::Read(empty_folder());
        self.run.send(object).await;
    }

    async fn list(&self, folder: String) -> (String, Result<Value, ApiError>) {
        let query = [("path", folder.as_str())];
        let answer = self.run.get("/api/2.0/dbfs/list", &query).await;
        (folder, answer)
    }

    fn enters(&self, path: &str) -> bool {
        self.files.enters(path) && !NOT_ENTERED.contains(&path) && !self.run.is_mounted(path)
    }

    /// A listed file; none if its length is not said.
    fn understood(&self, path: &str, item: &Value) -> Option<File<String>> {
        Some(File {
            key: dbfs_key(path),
            object_id: path.to_owned(),
            place: path.to_owned(),
            size: item["file_size"].as_u64()?,
            modified_at: item["modification_time"].as_i64(),
            body: self.kind.canonical_body(item.clone()),
        })
    }

    async fn unlisted(&self, reason: String) {
        let item = Item::Unlisted {
            kind: self.kind,
            gap: Gap::new(Extent::Kind, reason),
        };
        self.run.send_item(item).await;
    }
}

/// Whether a listing shows a folder with nothing in it.
fn is_empty(answer: &Value) -> bool {
    match &answer["files"] {
        Value::Null => answer.is_object(),
        files => files.as_array().is_some_and(Vec::is_empty),
    }
}

/// The path of a listed item, and whether it is a folder.
fn seen(item: &Value) -> Option<(&str, bool)> {
    let path = item["path"].as_str().filter(|path| path.starts_with('/'))?;
    Some((path, item["is_dir"].as_bool().unwrap_or_default()))
}

/// Whether a workspace has no DBFS root that can be used. It says so with various codes, and always in words.
fn is_disabled(error: &ApiError) -> bool {
    let words = error.message().to_ascii_lowercase();
    let refused = matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::BadRequest | ErrorKind::NotFound
    );
    error.kind() == ErrorKind::FeatureDisabled
        || (refused && words.contains("dbfs") && words.contains("disabled"))
}

/// Why a folder could not be listed. The service has a minute for it, and no pages.
fn hinted(error: &ApiError) -> String {
    let reason = reason(error);
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::TooLarge | ErrorKind::Transport => format!(
            "{reason} (a folder of more than some 10,000 entries cannot be listed: name folders in it with --dbfs)"
        ),
        _ => reason,
    }
}

fn of_folders(failures: &[String]) -> String {
    let named = failures[..failures.len().min(NAMED)].join("; ");
    match failures.len() - failures.len().min(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_folders_are_named_and_the_rest_is_counted() {
        let failures: Vec<String> = (1..=5).map(|number| format!("f{number}")).collect();
        assert_eq!(of_folders(&failures[..1]), "f1");
        assert_eq!(of_folders(&failures), "f1; f2; f3; and 2 more");
    }
}

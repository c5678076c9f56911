//! The engine for mounts: one question to the cluster that was named.
//!
//! Invariant: what the cluster says is stripped of credentials before anything else is done with it.

use serde_json::Value;

use super::item::{Captured, Item, Part};
use super::run::{Run, reason};
use crate::manifest::{Extent, Gap};
use crate::report::Event;
use crate::resource::{ALL, Kind, Mount};
use crate::sql::SqlError;

/// Exports all mounts but those that every workspace has; says whether the cluster told where they are.
pub(super) async fn export(run: &Run<'_>) -> bool {
    let Some(kind) = ALL.iter().copied().find(|kind| kind.is_mount()) else {
        return false;
    };
    let told = match run.metastore {
        Some(place) => place.mounts().await,
        None => Err(SqlError::NoPlace(
            "no cluster was named that could tell of mounts".to_owned(),
        )),
    };
    let told = match told {
        Ok(told) => told,
        Err(error) => {
            unlisted(run, kind, words(run, error).await).await;
            return false;
        }
    };
    let mut is_understood = true;
    let mut points = Vec::new();
    for item in &told {
        let Some(mount) = item.as_object().and_then(Mount::read) else {
            is_understood = false;
            continue;
        };
        points.push(mount.point.clone());
        let key = mount.key();
        if mount.is_of_the_service() || !run.selection.covers(&key) {
            continue;
        }
        run.expect(1);
        let mut object = Captured::new(key, Some(mount.point));
        object.body = Part::Read(mount.body);
        run.send(object).await;
    }
    // The walk over the DBFS turns back at them, wherever they are.
    run.know_mounts(points);
    if !is_understood {
        // What it says may be a credential, and is not repeated.
        let reason = "the cluster told of a mount without a place or a source";
        unlisted(run, kind, reason.to_owned()).await;
    }
    is_understood
}

/// Turns back at the mounts that an earlier snapshot has, where no cluster told of those that there are now; and says what
/// that leaves open: to the API of the DBFS a mount is a folder like any other.
pub(super) fn recall(run: &Run<'_>) {
    let earlier = run.known.mounts();
    let what = match &earlier {
        Some(points) => format!("taken from an earlier snapshot, which has {}", points.len()),
        None => "unknown".to_owned(),
    };
    let text = format!(
        "which folders of the DBFS are mounts is {what}, since no cluster told of them (--cluster-name): what other mounts \
         outside /mnt lead to is read as if it were a part of the DBFS root"
    );
    let usual = |root: &String| root == FILE_STORE || root.starts_with("/FileStore/");
    let files = run.selection.dbfs.as_ref();
    // Nobody mounts anything below the folder of the service's own uploads.
    let event = match files.is_some_and(|files| files.roots().iter().all(usual)) {
        true => Event::Detail(&text),
        false => Event::Warning(&text),
    };
    run.reporter.report(event);
    run.know_mounts(earlier.unwrap_or_default());
}

/// Where the service keeps uploads.
const FILE_STORE: &str = "/FileStore";

/// The words for an error that does not end the export.
async fn words(run: &Run<'_>, error: SqlError) -> String {
    match error {
        SqlError::Api(error) => match run.checked(async { Err::<Value, _>(error) }).await {
            Err(error) => reason(&error),
            Ok(_) => String::new(),
        },
        error => reason(&error),
    }
}

async fn unlisted(run: &Run<'_>, kind: &'static Kind, reason: String) {
    let gap = Gap::new(Extent::Kind, reason);
    run.send_item(Item::Unlisted { kind, gap }).await;
}

//! The engine for mounts: one question to the cluster that was named.
//!
//! Invariant: what the cluster says is stripped of credentials before anything else is done with it.

use serde_json::Value;

use super::item::{Captured, Item, Part};
use super::run::{Run, reason};
use crate::manifest::{Extent, Gap};
use crate::resource::{ALL, Kind, Mount};
use crate::sql::SqlError;

/// Exports all mounts but those that every workspace has.
pub(super) async fn export(run: &Run<'_>) {
    let Some(kind) = ALL.iter().copied().find(|kind| kind.is_mount()) else {
        return;
    };
    let told = match run.metastore {
        Some(place) => place.mounts().await,
        None => Err(SqlError::NoPlace(
            "no cluster was named that could tell of mounts".to_owned(),
        )),
    };
    let told = match told {
        Ok(told) => told,
        Err(error) => return unlisted(run, kind, words(run, error).await).await,
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
}

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

//! The histories of metrics: every value a run has logged, as lines of JSON in an order that only the values decide.
//!
//! One call for each metric of each run: they are asked for only on request. Of a run that has ended they are not asked for
//! again as long as the run says of itself what it said, the last values with their steps and times among it.
//!
//! Invariant: a history is kept whole, or it is a gap of the run's content.

use bytes::Bytes;
use futures_util::stream::iter;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::item::{Captured, Part};
use super::known::Sighting;
use super::run::{Run, number, reason};
use crate::api::{ApiError, Listing, Paging};
use crate::manifest::{Extent, Gap};
use crate::resource::canonical_bytes;

/// The service gives no more values at once.
const PAGE: u32 = 25_000;
/// Metrics of one run that are asked for at the same time.
const AT_ONCE: usize = 4;

/// Adds the history of its metrics to a run whose body has been read.
pub(super) async fn add(run: &Run<'_>, object: &mut Captured) {
    let (Part::Read(body), Some(id)) = (&object.body, object.object_id.as_deref()) else {
        object.content = Part::Unread;
        return;
    };
    let sighting = Sighting {
        key: &object.key,
        object_id: id,
        modified_at: None,
        size: None,
        body: Some(body),
    };
    if body["end_time"].is_i64() && run.known.look_up(&sighting).is_unchanged {
        object.content = Part::Known;
        return;
    }
    let metrics = body["metrics"].as_array().into_iter().flatten();
    let keys = metrics.filter_map(|metric| metric["key"].as_str());
    let histories = iter(keys)
        .map(|key| history(run, id, key))
        .buffered(AT_ONCE);
    match histories.try_concat().await {
        Ok(lines) => object.content = Part::Read(Bytes::from(lines)),
        Err((key, error)) => {
            let text = format!(
                "the history of the metric {key} is unknown: {}",
                reason(&error)
            );
            object.content = Part::Unread;
            object.add_gap(Gap::new(Extent::Content, text));
        }
    }
}

/// All values of one metric.
async fn history(run: &Run<'_>, id: &str, key: &str) -> Result<Vec<u8>, (String, ApiError)> {
    let listing = Listing {
        path: "/api/2.0/mlflow/metrics/get-history",
        query: vec![("run_id", id), ("metric_key", key)],
        items_key: "metrics",
        id_key: None,
        paging: Paging::PageToken {
            size: Some(("max_results", PAGE)),
        },
    };
    let points = run.checked(run.client.list(listing)).await;
    let mut points = points.map_err(|error| (key.to_owned(), error))?;
    for point in &mut points {
        if let Some(point) = point.as_object_mut() {
            point.remove("run_id");
        }
    }
    // Sorted once more by all there is, for the service promises no order.
    points.sort_by_cached_key(|point| {
        let (step, time) = (number(&point["step"]), number(&point["timestamp"]));
        (step, time, point.to_string())
    });
    Ok(points.iter().flat_map(line).collect())
}

fn line(point: &Value) -> Vec<u8> {
    let mut line = canonical_bytes(point);
    line.push(b'\n');
    line
}

//! Listing clusters: filters and pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::compute::VERSIONS;
use super::rights;
use crate::sandbox::call::{Answer, Call, Fields, Object, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Cluster, State};

pub(super) static ROUTES: &[Route] = &[route("GET", "clusters/list", list).versions(VERSIONS)];

/// How many a page holds at most, and when nothing is asked for.
const LARGEST_PAGE: i64 = 100;
const PAGE: i64 = 20;

fn list(state: &mut State, call: &Call) -> Answer {
    let filter = Filter::of(call);
    let after = call.query("page_token").unwrap_or_default().to_string();
    // Version 2.0 knows no pages.
    let has_pages = call.version != "2.0";
    let size = call
        .query_int("page_size")?
        .filter(|size| *size > 0)
        .unwrap_or(PAGE)
        .min(LARGEST_PAGE);
    let size = if has_pages { size as usize } else { usize::MAX };

    let mut shown: Vec<Value> = Vec::new();
    let mut last = String::new();
    let mut has_more = false;
    let sees = |id: &&String| rights::sees(state, call.caller, ("clusters", id));
    let hidden: BTreeSet<String> = (state.clusters.keys().filter(|id| !sees(id)))
        .cloned()
        .collect();
    let behind = state.clusters.iter_mut().filter(|(id, _)| **id > after);
    let behind = behind.filter(|(id, _)| !hidden.contains(*id));
    for (id, cluster) in behind.filter(|(_, cluster)| filter.matches(cluster)) {
        if shown.len() == size {
            has_more = true;
            break;
        }
        // The specification is shown by a single read only.
        shown.push(Value::Object(cluster.present(id)));
        cluster.move_on();
        last.clone_from(id);
    }
    let mut body = Object::new();
    if !shown.is_empty() {
        body.insert("clusters".into(), Value::Array(shown));
    }
    if has_pages {
        // The last page has an empty token.
        let next = if has_more { last } else { String::new() };
        body.insert("next_page_token".into(), json!(next));
        body.insert("prev_page_token".into(), json!(""));
    }
    Reply::json(Value::Object(body))
}

/// The filters of a request, given as repeated parameters or with commas.
struct Filter {
    pinned: Option<bool>,
    sources: Vec<String>,
    states: Vec<String>,
    policy: Option<String>,
}

impl Filter {
    fn of(call: &Call) -> Filter {
        let chosen = |name: &str| -> Vec<String> {
            let values = call.query.iter().filter(|(key, _)| key == name);
            values
                .flat_map(|(_, value)| value.split(','))
                .map(String::from)
                .collect()
        };
        let pinned = "filter_by.is_pinned";
        Filter {
            pinned: call.query(pinned).map(|_| call.flag(pinned)),
            sources: chosen("filter_by.cluster_sources"),
            states: chosen("filter_by.cluster_states"),
            policy: call.query("filter_by.policy_id").map(String::from),
        }
    }

    fn matches(&self, cluster: &Cluster) -> bool {
        let is_in =
            |list: &[String], value: &str| list.is_empty() || list.iter().any(|item| item == value);
        self.pinned.is_none_or(|pinned| cluster.is_pinned == pinned)
            && is_in(
                &self.sources,
                cluster.body.text("cluster_source").unwrap_or_default(),
            )
            && is_in(&self.states, cluster.state.name())
            && self
                .policy
                .as_deref()
                .is_none_or(|policy| cluster.body.text("policy_id") == Some(policy))
    }
}

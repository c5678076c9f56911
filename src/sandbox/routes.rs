//! The table of endpoints and how a request finds its own.
//!
//! Invariant: a path without variable parts is found by one look-up, however many endpoints there are.

use std::collections::HashMap;
use std::sync::OnceLock;

use percent_encoding::percent_decode_str;

use super::api;
use super::call::{Answer, Call};
use super::limits::Family;
use super::state::State;

/// What answers a call.
pub(crate) type Handler = fn(&mut State, &Call) -> Answer;

/// One endpoint, as its API family declares it.
pub(crate) struct Route {
    method: &'static str,
    versions: &'static [&'static str],
    path: &'static str,
    pub(crate) family: Family,
    pub(crate) run: Handler,
}

/// Only version 2.0.
pub(crate) const V20: &[&str] = &["2.0"];

/// Declares an endpoint of version 2.0; `{name}` in the path is a variable part, `{*name}` all the rest.
pub(crate) const fn route(method: &'static str, path: &'static str, run: Handler) -> Route {
    Route {
        method,
        versions: V20,
        path,
        family: Family::Other,
        run,
    }
}

impl Route {
    /// The same endpoint under these versions of the API; none means a path outside `/api`.
    pub(crate) const fn versions(self, versions: &'static [&'static str]) -> Route {
        Route { versions, ..self }
    }

    /// The bucket the endpoint draws from.
    pub(crate) const fn family(self, family: Family) -> Route {
        Route { family, ..self }
    }
}

/// A route under one version, with its full name.
pub(crate) struct Endpoint {
    pub(crate) route: &'static Route,
    pub(crate) version: &'static str,
    /// Method and path pattern, the name requests are counted under.
    pub(crate) name: String,
    /// Whether it is answered without a token.
    pub(crate) is_open: bool,
    segments: Vec<&'static str>,
}

/// An endpoint with the values of the variable parts of its path.
pub(crate) type Found = (&'static Endpoint, Vec<(&'static str, String)>);

/// The endpoint that answers `method` on the (still encoded) `path`.
pub(crate) fn find(method: &str, path: &str) -> Option<Found> {
    let table = table();
    let candidates = table.exact.get(path).map_or(&[] as &[usize], Vec::as_slice);
    if let Some(index) = candidates
        .iter()
        .find(|index| table.endpoints[**index].route.method == method)
    {
        return Some((&table.endpoints[*index], Vec::new()));
    }
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    table.patterns.iter().find_map(|index| {
        let endpoint = &table.endpoints[*index];
        let params =
            (endpoint.route.method == method).then(|| match_segments(endpoint, &segments))??;
        Some((endpoint, params))
    })
}

/// The names of all endpoints.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let endpoints = table().endpoints.iter();
    endpoints.map(|endpoint| endpoint.name.as_str())
}

struct Table {
    endpoints: Vec<Endpoint>,
    exact: HashMap<String, Vec<usize>>,
    patterns: Vec<usize>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Table {
            endpoints: Vec::new(),
            exact: HashMap::new(),
            patterns: Vec::new(),
        };
        for route in api::FAMILIES.iter().flat_map(|routes| routes.iter()) {
            if route.versions.is_empty() {
                table.add(route, "", format!("/{}", route.path));
            }
            for version in route.versions {
                table.add(route, version, format!("/api/{version}/{}", route.path));
            }
        }
        table
    })
}

impl Table {
    fn add(&mut self, route: &'static Route, version: &'static str, path: String) {
        let index = self.endpoints.len();
        match route.path.contains('{') {
            true => self.patterns.push(index),
            false => self.exact.entry(path.clone()).or_default().push(index),
        }
        self.endpoints.push(Endpoint {
            route,
            version,
            name: format!("{} {path}", route.method),
            is_open: version.is_empty(),
            segments: route.path.split('/').collect(),
        });
    }
}

fn match_segments(
    endpoint: &'static Endpoint,
    segments: &[&str],
) -> Option<Vec<(&'static str, String)>> {
    let rest = match endpoint.is_open {
        true => segments,
        false => match segments {
            ["api", version, rest @ ..] if *version == endpoint.version => rest,
            _ => return None,
        },
    };
    let mut params = Vec::new();
    for (position, pattern) in endpoint.segments.iter().enumerate() {
        if let Some(name) = pattern.strip_prefix("{*") {
            params.push((
                name.trim_end_matches('}'),
                decode(&rest.get(position..)?.join("/")),
            ));
            return Some(params);
        }
        let segment = rest.get(position)?;
        match pattern.strip_prefix('{') {
            Some(name) => params.push((name.trim_end_matches('}'), decode(segment))),
            None if pattern == segment => {}
            None => return None,
        }
    }
    (rest.len() == endpoint.segments.len()).then_some(params)
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_parts_are_decoded_and_the_rest_is_taken_whole() {
        let (endpoint, params) = find("GET", "/api/2.0/preview/scim/v2/Users/12%2B3").unwrap();
        assert_eq!(endpoint.name, "GET /api/2.0/preview/scim/v2/Users/{id}");
        assert_eq!(params, [("id", "12+3".to_string())]);
        let (_, params) = find("GET", "/api/2.0/workspace-files/Shared/a%20b/c%23.txt").unwrap();
        assert_eq!(params, [("path", "Shared/a b/c#.txt".to_string())]);
    }

    #[test]
    fn an_endpoint_is_known_only_under_its_versions_and_methods() {
        assert!(find("GET", "/api/2.2/jobs/list").is_some());
        assert!(find("POST", "/api/2.2/jobs/list").is_none());
        assert!(find("GET", "/api/2.2/clusters/list").is_none());
    }

    #[test]
    fn no_two_routes_have_the_same_name() {
        let mut names: Vec<&str> = names().collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}

//! What happens to a request before and after its handler: counting, limits, faults, authentication, headers.
//!
//! Invariant: the workspace is locked only while a handler runs, never while anything is awaited.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, header, request::Parts};
use axum::response::Response;
use serde_json::Value;

use super::call::{Answer, Call, Refusal, Reply};
use super::faults::{Effect, Mischief, Seen};
use super::limits::{Buckets, Family};
use super::page::{Page, Sending, instead};
use super::routes::{self, Endpoint, Found};
use super::socket::Line;
use super::state::State;
use super::workspace::Tally;

/// The largest request body read: well above what any endpoint accepts, so that endpoints can refuse by themselves.
const BODY_LIMIT: usize = 1 << 30;

/// How the User-Agent of this program begins.
const OWN_AGENT: &str = "dbsnap/";

/// Everything the server's tasks share.
pub(crate) struct Shared {
    state: Mutex<State>,
    mischief: Mutex<Mischief>,
    buckets: Mutex<Buckets>,
    counters: Mutex<Counters>,
    latency: Duration,
    workspace_id: u64,
    in_flight: AtomicUsize,
    request_number: AtomicU64,
}

/// What was asked of the server so far.
#[derive(Default, Clone)]
pub(crate) struct Counters {
    pub(crate) total: u64,
    pub(crate) endpoints: BTreeMap<&'static str, Tally>,
    pub(crate) unknown: BTreeMap<String, u64>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) most_in_flight: usize,
}

impl Counters {
    fn note_answer(&mut self, status: u16, endpoint: Option<&'static Endpoint>, is_own: bool) {
        *self.statuses.entry(status).or_default() += 1;
        if let Some(endpoint) = endpoint.filter(|_| (200..300).contains(&status)) {
            let tally = self.endpoints.entry(&endpoint.name).or_default();
            tally.succeeded += 1;
            tally.succeeded_for_others += u64::from(!is_own);
        }
    }
}

impl Shared {
    pub(crate) fn new(
        state: State,
        mischief: Mischief,
        buckets: Buckets,
        latency: Duration,
    ) -> Shared {
        Shared {
            workspace_id: state.workspace_id,
            state: Mutex::new(state),
            mischief: Mutex::new(mischief),
            buckets: Mutex::new(buckets),
            counters: Mutex::default(),
            latency,
            in_flight: AtomicUsize::new(0),
            request_number: AtomicU64::new(0),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn mischief(&self) -> MutexGuard<'_, Mischief> {
        lock(&self.mischief)
    }

    pub(crate) fn counters(&self) -> MutexGuard<'_, Counters> {
        lock(&self.counters)
    }
}

/// A handler that panicked must not take the whole server with it: the state is still what the last call left.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one request.
pub(crate) async fn handle(
    Extract(shared): Extract<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let _guard = InFlight::enter(&shared);
    let (parts, body) = request.into_parts();
    let found = routes::find(parts.method.as_str(), parts.uri.path());
    let endpoint = found.as_ref().map(|(endpoint, _)| *endpoint);
    let is_own = header_text(&parts.headers, header::USER_AGENT).starts_with(OWN_AGENT);
    shared.count(&parts, endpoint);
    let page = match to_bytes(body, BODY_LIMIT).await {
        Ok(body) => shared.answer(&line, &parts, found, body).await,
        Err(_) => Page::refusal(&Refusal::new(
            400,
            "MALFORMED_REQUEST",
            "The request body could not be read",
        )),
    };
    shared.finish(page, endpoint, is_own)
}

impl Shared {
    async fn answer(&self, line: &Line, parts: &Parts, found: Option<Found>, body: Bytes) -> Page {
        // Even a sleep of nothing waits for the next millisecond.
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let effect = self.decide(parts, found.as_ref(), &body);
        match effect {
            None => self.serve(parts, found, body).await,
            Some(Effect::Break) => self.serve(parts, found, body).await.sent(Sending::Broken),
            Some(Effect::Pause(time)) => {
                let page = self.serve(parts, found, body).await;
                page.sent(Sending::Paused(time))
            }
            Some(Effect::Delay(time)) => {
                tokio::time::sleep(time).await;
                self.serve(parts, found, body).await
            }
            Some(Effect::LoseAnswer) => {
                let page = self.serve(parts, found, body).await;
                line.cut();
                page
            }
            Some(effect) => instead(&effect),
        }
    }

    fn decide(&self, parts: &Parts, found: Option<&Found>, body: &Bytes) -> Option<Effect> {
        let mut mischief = self.mischief();
        if mischief.is_quiet() {
            return None;
        }
        let path = parts.uri.path();
        mischief.decide(&Seen {
            method: parts.method.as_str(),
            path,
            query: parts.uri.query().unwrap_or_default(),
            targets: &targets(parts, found, body),
            is_identity: path.contains("/scim/"),
        })
    }

    async fn serve(&self, parts: &Parts, found: Option<Found>, body: Bytes) -> Page {
        let refused = self.throttle(found.as_ref());
        if let Some(page) = refused {
            return page;
        }
        let answer = self.dispatch(parts, found, body);
        let answer = match answer {
            Ok(Reply::Later(work)) => {
                tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
                    Err(Refusal::new(
                        500,
                        "INTERNAL_ERROR",
                        "The request could not be completed.",
                    ))
                })
            }
            other => other,
        };
        match answer {
            Ok(Reply::Json(status, body)) => Page::json(status, &body),
            Ok(Reply::Raw(content_type, bytes)) => Page::new(200, content_type, bytes),
            Ok(Reply::Stored(stored)) => {
                Page::new(stored.status, stored.content_type, stored.bytes).with(stored.headers)
            }
            Ok(Reply::Empty(status)) => Page::new(status, "application/json", Bytes::new()),
            Ok(Reply::Later(_)) => Page::refusal(&Refusal::new(
                500,
                "INTERNAL_ERROR",
                "The request was put off twice.",
            )),
            Err(refusal) => Page::refusal(&refusal),
        }
    }

    fn throttle(&self, found: Option<&Found>) -> Option<Page> {
        let mut buckets = lock(&self.buckets);
        let in_flight = self.in_flight.load(Ordering::SeqCst);
        if buckets.in_flight.is_some_and(|most| in_flight > most) {
            let message = format!(
                "Workspace {} exceeded the concurrent limit of requests.",
                self.workspace_id
            );
            return Some(Page::throttled(Some("1".into()), &message));
        }
        let family = found.map_or(Family::Other, |(endpoint, _)| endpoint.route.family);
        let wait = buckets.take(family, Instant::now()).err()?;
        Some(Page::throttled(
            Some(wait.to_string()),
            "Current request rate exceeds the limit.",
        ))
    }

    fn dispatch(&self, parts: &Parts, found: Option<Found>, body: Bytes) -> Answer {
        let header = |name: HeaderName| header_text(&parts.headers, name);
        let authorization = header(header::AUTHORIZATION);
        let mut state = self.state();
        let is_open = found.as_ref().is_some_and(|(endpoint, _)| endpoint.is_open);
        let caller = match is_open {
            true => state.sessions.administrator,
            false => state.sessions.who(&authorization)?,
        };
        let Some((endpoint, params)) = found else {
            let message = format!("No API found for '{} {}'", parts.method, parts.uri.path());
            return Err(Refusal::new(404, "ENDPOINT_NOT_FOUND", message));
        };
        let call = Call {
            version: endpoint.version,
            params,
            query: query(parts),
            base_url: format!("http://{}", header(header::HOST)),
            authorization,
            content_type: header(header::CONTENT_TYPE),
            range: header(header::RANGE),
            if_match: header(header::IF_MATCH),
            body,
            caller,
        };
        (endpoint.route.run)(&mut state, &call)
    }

    fn count(&self, parts: &Parts, endpoint: Option<&'static Endpoint>) {
        let mut counters = self.counters();
        counters.total += 1;
        counters.most_in_flight = counters
            .most_in_flight
            .max(self.in_flight.load(Ordering::SeqCst));
        match endpoint {
            Some(endpoint) => counters.endpoints.entry(&endpoint.name).or_default().asked += 1,
            None => {
                let name = format!("{} {}", parts.method, parts.uri.path());
                *counters.unknown.entry(name).or_default() += 1;
            }
        }
    }

    fn finish(&self, page: Page, endpoint: Option<&'static Endpoint>, is_own: bool) -> Response {
        self.counters().note_answer(page.status, endpoint, is_own);
        let number = self.request_number.fetch_add(1, Ordering::SeqCst) + 1;
        page.into_response(self.workspace_id, number)
    }
}

/// Counts a request as in flight for as long as it lives, however its task ends.
struct InFlight<'a>(&'a Shared);

impl InFlight<'_> {
    fn enter(shared: &Shared) -> InFlight<'_> {
        shared.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> String {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_string()
}

fn query(parts: &Parts) -> Vec<(String, String)> {
    url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}

/// Everything in a request that may name an object: query values, variable parts of the path, text fields of the body.
fn targets(parts: &Parts, found: Option<&Found>, body: &Bytes) -> Vec<String> {
    let mut targets: Vec<String> = query(parts).into_iter().map(|(_, value)| value).collect();
    targets.extend(
        found
            .iter()
            .flat_map(|(_, params)| params.iter().map(|(_, value)| value.clone())),
    );
    if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
        targets.extend(
            fields
                .into_iter()
                .filter_map(|(_, value)| value.as_str().map(String::from)),
        );
    }
    targets
}

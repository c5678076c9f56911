//! One gate for all requests of a client: how many at once, and how many a second per family of endpoints.
//!
//! Invariant: a request waits for its rate before it takes one of the places, so a slow family never holds up another.

mod concurrency;
mod family;
mod rate;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use family::Family;
pub use rate::{Rate, Rates, RatesError};

use concurrency::Window;
use rate::Bucket;

/// The gate.
#[derive(Debug)]
pub(super) struct Limiter {
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window: Window,
    /// Places to be taken away as soon as somebody gives one back.
    debt: usize,
    /// One bucket per family, by its index; none where there is no limit.
    buckets: Vec<Option<Bucket>>,
    total: Option<Bucket>,
}

/// How a request went, as far as the gate is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The service did its work, be the answer welcome or not.
    Answered,
    /// The service asked for less, and perhaps for a pause.
    Throttled(Option<Duration>),
    /// Nothing that tells how busy the service is.
    Unknown,
}

/// One of the places; given back with [`Permit::finish`], or by dropping it.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    limiter: &'a Limiter,
    place: Option<OwnedSemaphorePermit>,
    family: Family,
    began: Instant,
}

impl Limiter {
    pub(super) fn new(rates: &Rates, most_at_once: usize) -> Limiter {
        let window = Window::new(most_at_once);
        let now = Instant::now();
        let buckets = Family::ALL
            .iter()
            .map(|family| rates.of(*family).map(|rate| Bucket::new(rate, now)))
            .collect();
        Limiter {
            places: Arc::new(Semaphore::new(window.limit())),
            state: Mutex::new(State {
                window,
                debt: 0,
                buckets,
                total: rates.total().map(|rate| Bucket::new(rate, now)),
            }),
        }
    }

    /// Waits until a request of that family may be sent.
    pub(super) async fn enter(&self, method: &Method, path: &str) -> Permit<'_> {
        let family = Family::of(method, path);
        let wait = self.state().reserve(family, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        Permit {
            limiter: self,
            place: Some(place),
            family,
            began: Instant::now(),
        }
    }

    /// How many requests may be under way at present.
    pub(super) fn concurrency(&self) -> usize {
        self.state().window.limit()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is kept here is advice; a panic elsewhere does not make it wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, place: OwnedSemaphorePermit, family: Family, began: Instant, outcome: Outcome) {
        let now = Instant::now();
        let mut state = self.state();
        let before = state.window.limit();
        // The place is still held here, so a full house shows as no free place at all.
        let full = self.places.available_permits() == 0;
        match outcome {
            Outcome::Answered => state.window.answered(family.index(), began, now, full),
            Outcome::Throttled(pause) => {
                state.window.throttled(began, now);
                state.pause(family, pause, now);
            }
            Outcome::Unknown => {}
        }
        let after = state.window.limit();
        if after > before {
            let paid = state.debt.min(after - before);
            state.debt -= paid;
            self.places.add_permits(after - before - paid);
        } else {
            let taken = self.places.forget_permits(before - after);
            state.debt += before - after - taken;
        }
        if state.debt > 0 {
            state.debt -= 1;
            place.forget();
        }
    }
}

impl State {
    fn reserve(&mut self, family: Family, now: Instant) -> Duration {
        let of_family = self.buckets[family.index()]
            .as_mut()
            .map_or(Duration::ZERO, |bucket| bucket.take(now));
        let of_all = self
            .total
            .as_mut()
            .map_or(Duration::ZERO, |bucket| bucket.take(now));
        of_family.max(of_all)
    }

    /// A pause holds for the family, so that the others of it do not all run into the same wall. Endpoints without a
    /// family have nothing in common, and only the one request waits.
    fn pause(&mut self, family: Family, pause: Option<Duration>, now: Instant) {
        if let (Some(bucket), Some(pause)) = (self.buckets[family.index()].as_mut(), pause) {
            bucket.pause_until(now + pause);
        }
    }
}

impl Permit<'_> {
    /// The family the request belongs to.
    pub(super) fn family(&self) -> Family {
        self.family
    }

    /// How long the place has been taken.
    pub(super) fn held_for(&self) -> Duration {
        self.began.elapsed()
    }

    /// Gives the place back and learns from how it went.
    pub(super) fn finish(mut self, outcome: Outcome) {
        if let Some(place) = self.place.take() {
            self.limiter.leave(place, self.family, self.began, outcome);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // A request that was cancelled: nothing is learnt, but the books must balance.
        if let Some(place) = self.place.take() {
            self.limiter
                .leave(place, self.family, self.began, Outcome::Unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{join_all, poll_immediate};

    async fn enter(limiter: &Limiter) -> Permit<'_> {
        limiter.enter(&Method::GET, "/api/2.0/unlimited").await
    }

    #[tokio::test]
    async fn places_grow_while_all_are_taken_and_halve_when_throttled() {
        let limiter = Limiter::new(&Rates::off(), 8);
        assert_eq!(limiter.concurrency(), 4);
        for _ in 0..40 {
            let limit = limiter.concurrency();
            for permit in join_all((0..limit).map(|_| enter(&limiter))).await {
                permit.finish(Outcome::Answered);
            }
        }
        assert_eq!(limiter.concurrency(), 8);

        let permits = join_all((0..8).map(|_| enter(&limiter))).await;
        for permit in permits {
            permit.finish(Outcome::Throttled(None));
        }
        assert_eq!(
            limiter.concurrency(),
            4,
            "eight refusals of one round trip count once"
        );
        let permits = join_all((0..4).map(|_| enter(&limiter))).await;
        assert!(
            poll_immediate(enter(&limiter)).await.is_none(),
            "a fifth has to wait"
        );
        drop(permits);
        assert!(
            poll_immediate(enter(&limiter)).await.is_some(),
            "cancelled requests give their places back"
        );
    }

    #[tokio::test]
    async fn places_stay_few_while_few_are_used() {
        let limiter = Limiter::new(&Rates::off(), 8);
        for _ in 0..100 {
            enter(&limiter).await.finish(Outcome::Answered);
        }
        assert_eq!(limiter.concurrency(), 4);
    }

    #[test]
    fn a_pause_holds_for_the_whole_family_and_for_no_other() {
        let limiter = Limiter::new(&Rates::default(), 8);
        let now = Instant::now();
        let mut state = limiter.state();
        state.pause(Family::Export, Some(Duration::from_secs(3)), now);
        assert!(state.reserve(Family::Export, now) >= Duration::from_secs(3));
        assert_eq!(state.reserve(Family::Import, now), Duration::ZERO);
    }
}

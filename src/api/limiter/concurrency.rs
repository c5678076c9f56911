//! How many requests at once: more while the service keeps up, half as many when it says stop.
//!
//! Invariant: pure; the clock is an argument, and the limit never leaves `1..=most`.

use std::time::{Duration, Instant};

use super::family::Family;

/// Where a client begins: what no workspace minds.
const START: usize = 4;
/// Answers that are looked at together before a latency means anything.
const SAMPLES: u32 = 16;
/// Latency that is too small to say anything about load.
const NOISE: Duration = Duration::from_millis(50);

/// The adaptive limit.
#[derive(Debug)]
pub(super) struct Window {
    limit: usize,
    most: usize,
    /// Answers since the limit last moved.
    answers: usize,
    last_cut: Option<Instant>,
    latencies: Vec<Latency>,
}

#[derive(Clone, Debug, Default)]
struct Latency {
    samples: u32,
    average: f64,
    floor: f64,
}

impl Window {
    pub(super) fn new(most: usize) -> Window {
        let most = most.max(1);
        Window {
            limit: START.min(most),
            most,
            answers: 0,
            last_cut: None,
            latencies: vec![Latency::default(); Family::ALL.len()],
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// An answer came. `full` says whether all places were taken, that is whether more of them would be used.
    pub(super) fn answered(&mut self, family: usize, began: Instant, now: Instant, full: bool) {
        let slow = self.latencies[family].note(now.duration_since(began));
        if full {
            self.answers += 1;
        }
        if self.answers < self.limit {
            return;
        }
        self.answers = 0;
        if !slow {
            self.limit = (self.limit + 1).min(self.most);
        } else if self.limit > START {
            self.limit -= 1;
        }
    }

    /// The service said stop to a request sent at `began`. Requests that were already under way at the last cut say
    /// nothing new.
    pub(super) fn throttled(&mut self, began: Instant, now: Instant) {
        if self.last_cut.is_some_and(|cut| began <= cut) {
            return;
        }
        self.last_cut = Some(now);
        self.limit = (self.limit / 2).max(1);
        self.answers = 0;
    }
}

impl Latency {
    /// Takes in one answer and tells whether answers now take more than twice as long as they did at best. Averages
    /// are compared with averages: single answers differ tenfold without any load.
    fn note(&mut self, latency: Duration) -> bool {
        let latency = latency.as_secs_f64();
        self.samples = self.samples.saturating_add(1);
        let weight = f64::from(self.samples.min(SAMPLES)).recip();
        self.average += (latency - self.average) * weight;
        if self.samples == SAMPLES {
            self.floor = self.average;
        }
        if self.samples < SAMPLES {
            return false;
        }
        // The floor rises slowly towards the average, so that one lucky minute is forgotten in an hour or so.
        self.floor = (self.floor + (self.average - self.floor) * 0.00002).min(self.average);
        self.average > 2.0 * self.floor && self.average - self.floor > NOISE.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(window: &mut Window, now: &mut Instant, count: usize, latency: Duration) {
        for _ in 0..count {
            let began = *now;
            *now += latency;
            window.answered(0, began, *now, true);
        }
    }

    #[test]
    fn the_limit_grows_by_one_per_window_up_to_the_most() {
        let mut window = Window::new(32);
        let mut now = Instant::now();
        answers(&mut window, &mut now, 4, Duration::from_millis(20));
        assert_eq!(window.limit(), 5);
        answers(&mut window, &mut now, 4, Duration::from_millis(20));
        assert_eq!(window.limit(), 5);
        answers(&mut window, &mut now, 1, Duration::from_millis(20));
        assert_eq!(window.limit(), 6);
        answers(&mut window, &mut now, 2000, Duration::from_millis(20));
        assert_eq!(window.limit(), 32);
    }

    #[test]
    fn refusals_of_one_round_trip_halve_once_and_one_place_always_remains() {
        let mut window = Window::new(32);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        window.throttled(at(1), at(2));
        window.throttled(at(1), at(3));
        assert_eq!(window.limit(), 2);
        window.throttled(at(4), at(5));
        window.throttled(at(6), at(7));
        window.throttled(at(8), at(9));
        assert_eq!(window.limit(), 1);
    }

    #[test]
    fn slower_answers_shrink_mildly_and_not_below_the_start() {
        let mut window = Window::new(16);
        let mut now = Instant::now();
        answers(&mut window, &mut now, 1000, Duration::from_millis(100));
        assert_eq!(window.limit(), 16);
        answers(&mut window, &mut now, 60, Duration::from_millis(400));
        assert!((10..16).contains(&window.limit()), "{}", window.limit());
        answers(&mut window, &mut now, 400, Duration::from_millis(400));
        assert_eq!(window.limit(), START);
    }

    #[test]
    fn a_service_on_this_machine_is_never_too_slow() {
        let mut window = Window::new(16);
        let mut now = Instant::now();
        answers(&mut window, &mut now, 100, Duration::from_micros(200));
        answers(&mut window, &mut now, 1000, Duration::from_millis(20));
        assert_eq!(window.limit(), 16);
    }

    #[test]
    fn a_client_may_be_held_to_one_request_at_a_time() {
        let mut window = Window::new(0);
        let mut now = Instant::now();
        answers(&mut window, &mut now, 50, Duration::from_millis(1));
        assert_eq!(window.limit(), 1);
    }
}

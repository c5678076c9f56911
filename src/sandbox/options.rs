//! What a sandbox can be asked for. Every default is the quiet one: loopback, empty, no faults, no limits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::faults::Faults;
use super::limits::RateLimits;

/// How a sandbox is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The address to listen on.
    pub listen: IpAddr,
    /// The bearer token of the administrator; a random one when absent.
    pub token: Option<Token>,
    /// A machine client for the OAuth client-credentials flow.
    pub oauth: Option<OAuthClient>,
    /// What the workspace holds at the start.
    pub sample: Sample,
    /// A directory of notebooks and files to load under `/Shared`.
    pub load: Option<PathBuf>,
    /// How it misbehaves.
    pub faults: Faults,
    /// Added to every answer.
    pub latency: Duration,
    /// Whether it throttles.
    pub rate_limits: RateLimits,
    /// The number the workspace calls itself.
    pub workspace_id: u64,
    /// Where its timestamps come from.
    pub clock: Clock,
    /// Everything generated (ids, the large sample, the dice of the faults) follows from this number.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            port: 0,
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            token: None,
            oauth: None,
            sample: Sample::Empty,
            load: None,
            faults: Faults::default(),
            latency: Duration::ZERO,
            rate_limits: RateLimits::Off,
            workspace_id: 1_234_567_890_123_456,
            clock: Clock::default(),
            seed: 1,
        }
    }
}

/// What a workspace holds at the start, beside what every workspace has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sample {
    /// Nothing but the built-in groups, folders and the administrator.
    #[default]
    Empty,
    /// A hand-made team of a dozen people with one of everything, odd names included.
    Small,
    /// 200 users, 20,000 notebooks, 2,000 jobs, made from the seed.
    Large,
}

/// Where timestamps come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that starts at a moment and moves on by a step each time it is asked (both in milliseconds).
    Ticking {
        /// The first moment, in milliseconds since 1970.
        start: i64,
        /// How far one look at the clock moves it.
        step: i64,
    },
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::Ticking {
            start: 1_767_225_600_000,
            step: 1_000,
        }
    }
}

/// A machine client: what the client-credentials flow accepts, and how long its tokens live.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    /// The client id, which is also the application id of a service principal made for it.
    pub id: String,
    /// The client secret.
    pub secret: Token,
    /// The life of a token in seconds, as `expires_in` says it.
    pub expires_in: u64,
}

/// A credential. Its `Debug` and `Display` never show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Wraps a credential.
    pub fn new(secret: impl Into<String>) -> Token {
        Token(secret.into())
    }

    /// The credential itself, for the one place that has to send or compare it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

//! Starting and stopping the server.
//!
//! Invariant: dropping [`Running`] stops it; nothing of it outlives the handle but answers already under way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::faults::Mischief;
use super::gate::{self, Shared};
use super::limits::Buckets;
use super::options::{Options, Sample, Token};
use super::sample;
use super::socket::{Line, Lines};
use super::state::State;
use super::workspace::Workspace;

/// The embedded workspace server.
pub struct Sandbox;

/// A server that is listening.
#[derive(Debug)]
pub struct Running {
    /// Where it listens, as a host to configure.
    pub url: String,
    /// The administrator's token.
    pub token: Token,
    /// The handle for looking at the workspace and changing it behind the API's back.
    pub workspace: Workspace,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address is taken or not ours.
    #[error("listening on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The directory to load is not there or cannot be listed.
    #[error("listing the directory {path}")]
    LoadDirectory {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: walkdir::Error,
    },
    /// A file to load cannot be read.
    #[error("reading the file {path}")]
    LoadFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file to load has a name the workspace cannot hold.
    #[error("loading {path}: its name is not valid unicode")]
    LoadName {
        /// Which.
        path: PathBuf,
    },
    /// A random token could not be made.
    #[error("making a random token")]
    Random(#[source] getrandom::Error),
}

impl Sandbox {
    /// Fills a workspace as asked and serves it until the handle is dropped.
    pub async fn start(options: Options) -> Result<Running, SandboxError> {
        let token = match &options.token {
            Some(token) => token.clone(),
            None => random_token()?,
        };
        let (filled, options) = {
            let (options, token) = (options.clone(), token.clone());
            let fill = move || fill(&options, &token).map(|state| (state, options));
            tokio::task::spawn_blocking(fill)
                .await
                .expect("filling a workspace does not panic")?
        };
        let address = SocketAddr::new(options.listen, options.port);
        let listen = |source| SandboxError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;

        let buckets = Buckets::new(&options.rate_limits, Instant::now());
        let shared = Arc::new(Shared::new(
            filled,
            Mischief::new(options.faults),
            buckets,
            options.latency,
        ));
        let router = Router::new()
            .fallback(gate::handle)
            .with_state(Arc::clone(&shared));
        let (stop, mut stopped) = watch::channel(false);
        let server = axum::serve(
            Lines(listener),
            router.into_make_service_with_connect_info::<Line>(),
        )
        .with_graceful_shutdown(async move {
            // An error means that the handle was dropped, which is a stop as well.
            let _ = stopped.changed().await;
        });
        let server = tokio::spawn(async move {
            // Serving never fails by itself: accept errors are retried inside.
            let _ = server.await;
        });
        Ok(Running {
            url: format!("http://{bound}"),
            token,
            workspace: Workspace::new(shared),
            stop,
            server,
        })
    }
}

impl Running {
    /// Stops listening, gives answers under way a moment, and returns when the server is gone.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let grace = tokio::time::timeout(Duration::from_secs(2), &mut self.server).await;
        if grace.is_err() {
            self.server.abort();
        }
    }

    /// Serves until something else ends the program; stopping on an interrupt is the caller's part.
    pub async fn wait(&mut self) {
        // The task ends only through `shutdown`, or with the runtime.
        let _ = (&mut self.server).await;
    }
}

fn fill(options: &Options, token: &Token) -> Result<State, SandboxError> {
    let mut state = State::new(options, token);
    match options.sample {
        Sample::Empty => {}
        Sample::Small => sample::small(&mut state),
        Sample::Large => sample::large(&mut state, options.seed),
    }
    if let Some(path) = &options.load {
        sample::load(&mut state, path)?;
    }
    state.clock.switch_to(options.clock);
    Ok(state)
}

fn random_token() -> Result<Token, SandboxError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(SandboxError::Random)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Token::new(format!("dapi{hex}")))
}

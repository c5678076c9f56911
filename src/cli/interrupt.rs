//! Ctrl-C and its kin: the first stops cleanly what can be stopped cleanly, the second stops at once.
//!
//! Invariant: whatever hangs, two interrupts end the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::exit::{self, Kind};

/// What a command knows of interrupts.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    /// Somebody will look at `asked`.
    heeded: Arc<AtomicBool>,
    asked: Arc<watch::Sender<bool>>,
}

impl Default for Interrupt {
    fn default() -> Self {
        Self {
            heeded: Arc::default(),
            asked: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl Interrupt {
    /// Listens for the rest of the program's life. To be called inside the runtime.
    pub(crate) fn listen(&self) {
        let this = self.clone();
        outlive_limits();
        tokio::spawn(async move {
            loop {
                if signal().await.is_err() {
                    return;
                }
                let first = !this.asked.send_replace(true);
                if !first || !this.heeded.load(Ordering::SeqCst) {
                    stop_now();
                }
            }
        });
    }

    /// From here on the first interrupt is this command's to deal with: the value becomes true when it comes.
    pub(crate) fn heed(&self) -> watch::Receiver<bool> {
        self.heeded.store(true, Ordering::SeqCst);
        self.asked.subscribe()
    }

    /// From here on an interrupt ends the program at once again.
    pub(crate) fn unheed(&self) {
        self.heeded.store(false, Ordering::SeqCst);
    }

    /// From here on the first interrupt is this command's to deal with; resolves when it comes.
    pub(crate) async fn asked(&self) {
        // The sender lives as long as `self`, so this ends only with an interrupt.
        let _ = self.heed().wait_for(|asked| *asked).await;
    }
}

/// A file that grows beyond what `ulimit -f` allows would end the program without a word: listened to, the signal does no
/// more than let the writing fail, which is told like anything else that fails.
fn outlive_limits() {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use tokio::signal::unix::{SignalKind, signal};
        const FILE_TOO_LARGE: i32 = 25;
        // Where it cannot be listened to, all is as it was.
        let _ = signal(SignalKind::from_raw(FILE_TOO_LARGE));
    }
}

/// Ctrl-C, or the polite signal of service managers.
async fn signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupt = tokio::signal::ctrl_c() => interrupt,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

#[expect(
    clippy::exit,
    reason = "the command may be deep in work that cannot be cancelled"
)]
fn stop_now() -> ! {
    std::process::exit(exit::code(Err(Kind::Interrupted)).into())
}

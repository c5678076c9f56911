//! The workspace as it is now, read for comparing and planning.

use dbsnap::api::Client;
use dbsnap::backup::{self, BackupError, BackupOptions, BackupReport};
use dbsnap::manifest::{Selection, Snapshot};
use dbsnap::store::Store;

use super::error::Failure;
use super::metastore::Metastore;
use super::session::Session;

/// The tag of what `restore` captures before it writes. `latest` and dates pass such snapshots over: they are of the
/// target, and there to go back to.
pub(crate) const SAFETY_TAG: &str = "before-restore";

/// Whether a snapshot is what a restore captured before it wrote.
pub(crate) fn is_safety(snapshot: &Snapshot) -> bool {
    snapshot.tags.iter().any(|tag| tag == SAFETY_TAG)
}

/// How the workspace is read for something else than a backup of its own.
pub(crate) fn options(session: &Session, selection: Selection) -> BackupOptions {
    BackupOptions {
        hostname: session.environment.hostname(),
        selection,
        stop: session.interrupt.heed(),
        ..BackupOptions::new(session.now())
    }
}

/// Reads the workspace into a store that is gone when the command ends.
pub(crate) async fn live(
    session: &Session,
    client: &Client,
    store: &Store,
    selection: Selection,
    metastore: &Metastore,
) -> Result<(Store, BackupReport), Failure> {
    let mut options = options(session, selection);
    options.metastore.clone_from(&metastore.place);
    let captured = backup::capture(client, store, options, &session.progress()).await;
    metastore.close(session).await;
    session.interrupt.unheed();
    captured.map_err(|error| failed(client, error))
}

/// Why the workspace could not be read.
pub(crate) fn failed(client: &Client, error: BackupError) -> Failure {
    if let BackupError::Interrupted { .. } = error {
        return Failure::interrupted("interrupted; nothing was changed");
    }
    Failure::doing(format!("read {}", client.host()), error)
}

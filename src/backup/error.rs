//! What can end a backup.

use thiserror::Error;

use crate::api::ApiError;
use crate::export::ExportError;
use crate::manifest::ManifestError;
use crate::store::StoreError;

/// Why there is no new snapshot. What was stored until then is found again by the next backup.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The workspace did not say who it is.
    #[error("failed to reach the workspace")]
    Workspace(#[source] ApiError),
    /// The reading ended early.
    #[error("failed to read the workspace")]
    Export(#[source] ExportError),
    /// Somebody asked it to stop.
    #[error("the backup was interrupted; {stored} objects read by it are kept for the next one")]
    Interrupted {
        /// How many objects the next backup need not read again.
        stored: u64,
    },
    /// An entry of the parent was read at first and cannot be read at last.
    #[error("the parent snapshot became unreadable while the backup ran; run it again")]
    ParentLost,
    /// Secret values were asked for, and anybody could read them in this store.
    #[error("secret values are kept only in an encrypted store, and this one is not encrypted")]
    SecretsNeedKey,
    /// The store does not take or give something.
    #[error("failed to use the store")]
    Store(#[from] StoreError),
    /// The manifest cannot be written or read.
    #[error("failed to write the manifest")]
    Manifest(#[from] ManifestError),
}

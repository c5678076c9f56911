//! Plain directories: one becomes a snapshot, and a snapshot becomes one.
//!
//! - `import`: notebooks and files on disk become a snapshot like any other, and only what was touched is read again.
//! - `export`: the tree of a snapshot is written as files that the official CLI takes back, everything else as JSON.
//! - `logs`: what databrickslabs/migrate exported becomes a snapshot of the workspace that it was exported from.
//! - `notebook`: what both know of notebooks as files.
//!
//! Invariant: what is imported and then exported is the same directory, byte for byte, but for what was named as a gap.

mod export;
mod import;
mod logs;
mod notebook;
#[cfg(test)]
mod tests;

use crate::report::chain;

pub use export::{Damage, ExportError, ExportOptions, ExportReport, Target, export};
pub use import::{ImportError, ImportOptions, import};
pub use logs::{LogsOptions, Recognised, has_secret_values, import_logs, recognise};

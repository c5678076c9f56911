//! dbsnap takes immutable, deduplicated, content-addressed snapshots of a Databricks workspace, tells exactly what
//! changed between any two of them, and replays any of them into any workspace.

pub mod api;
pub mod backup;
pub mod check;
pub mod compare;
pub mod diff;
pub mod export;
pub mod manifest;
pub mod mapping;
pub mod report;
pub mod resource;
pub mod restore;
pub mod sandbox;
pub mod store;

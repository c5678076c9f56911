//! Reading a workspace: one engine per shape of listing, driven by the table of kinds.
//!
//! - `listed`: kinds with one paged list; details and facts of other lists are joined.
//! - `inner`: the lists that each object of a kind has of its own, and secret values, as content and only when asked for.
//! - `tree`: the workspace tree, folder by folder; contents come as archives of whole subtrees where that saves requests.
//! - `metastore`: the Hive metastore, by SQL statements.
//! - `runs`: runs of experiments, by searches in a window of time.
//! - `history`: every value of every metric of these runs.
//! - `artifacts`: the files that these runs have written.
//! - `mounts`: the mounts, as a cluster tells of them.
//! - `dbfs`: the files of the DBFS root, folder by folder, in blocks.
//! - `files`: how files are read in blocks, wherever they are.
//! - `permissions`: who may do what, for every object whose kind has it.
//!
//! Everything found flows as an [`Item`] through one bounded channel, so that whoever keeps it slows the reading down
//! instead of filling memory.
//!
//! Invariant: what was listed and not sent is gone from the workspace; everything else that could not be read is sent as
//! a gap.

mod artifacts;
mod dbfs;
mod files;
mod history;
mod inner;
mod item;
mod known;
mod listed;
mod metastore;
mod mounts;
mod permissions;
mod run;
mod runs;
mod tree;

pub use inner::query as inner_query;
pub use item::{Block, Blocks, Captured, Item, Part};
pub use known::{Knowledge, Known, NothingKnown, Sighting};
pub use listed::listing;
pub use permissions::permission_id;
pub use run::{ExportError, Request, run};

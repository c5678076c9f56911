//! dbsnap takes immutable, deduplicated, content-addressed snapshots of a Databricks workspace, tells exactly what
//! changed between any two of them, and replays any of them into any workspace.
//!
//! # The rooms
//!
//! In the order in which they are best read. A room uses only rooms of a lower rank; `tests/architecture.rs` holds that.
//!
//! | room | rank | what lives there |
//! |---|---|---|
//! | [`resource`] | 1 | what is known of each kind of object (user, notebook, job, ...), as a table of data |
//! | [`store`] | 1 | bytes by the hash of their content, and named heads; `src/store/FORMAT.md` is its format |
//! | [`manifest`] | 2 | what a snapshot says: the sorted list of its objects, its gaps, its head |
//! | [`api`] | 1 | method, path and JSON: authentication, retries, rates, paging, errors |
//! | [`sql`] | 2 | a place that runs SQL statements: a warehouse, or a cluster |
//! | [`export`] | 3 | reading a workspace: one engine per shape of listing |
//! | [`backup`] | 4 | an export that goes into the store and becomes a snapshot |
//! | [`folder`] | 4 | a plain directory that becomes a snapshot, a snapshot that becomes one, and what databrickslabs/migrate exported |
//! | [`diff`] | 3 | what changed between two manifests, as values |
//! | [`mapping`], [`compare`] | 2, 3 | who and what is called otherwise in another workspace |
//! | [`restore`] | 4 | a plan, made without touching anything, and its execution, which makes no choices |
//! | [`pause`] | 4 | the jobs of a workspace paused, and exactly those that ran let run again |
//! | [`retention`] | 3 | which snapshots stay, and why: a policy, and nothing that touches a store |
//! | [`forget`] | 4 | what retention looks at, taken from a store, and the removal of what does not stay |
//! | [`check`] | 4 | the proof that a store gives back what its snapshots say |
//! | [`copy`] | 4 | snapshots of one store that become snapshots of another, under the same ids |
//! | [`stats`] | 4 | where the bytes of a store are |
//! | [`repair`] | 4 | damaged snapshots made anew, with gaps where something is lost |
//! | [`sandbox`] | 2 | an embedded workspace server, for the demo, for drills and for tests |
//! | [`report`] | 0 | the only voice of all of them |
//!
//! The program itself (`src/main.rs`, `src/cli/`, rank 5) is not part of this library: arguments, settings, the clock,
//! printing and exit codes are at home there, and nowhere else.
//!
//! # The flows
//!
//! - **backup**: `cli` → [`backup::run`] → [`export::run`] lists and reads, and yields [`export::Item`]s through a bounded
//!   channel → canonical bytes → [`store::Writer::put`] → a [`manifest`] → its head, written last → a
//!   [`store::SnapshotId`].
//! - **import**: `cli` → [`folder::import`]: one thread walks, others read, one stores → a [`manifest`] → its head.
//! - **import** of what databrickslabs/migrate exported: `cli` → [`folder::recognise`] → [`folder::import_logs`]: its files, read
//!   as lists of the workspace, get their bodies from [`resource`] as what a backup reads does.
//! - **export**: `cli` → [`folder::export`]: a [`manifest::Tree`] in the order of paths → files, or a tar archive.
//! - **diff**: `cli` → two [`manifest::Tree`]s (the workspace as it is now is captured into a scratch store that is gone
//!   afterwards) → [`diff::compare`] → [`diff::Change`]s, one by one → text or JSON.
//! - **restore**: `cli` → [`restore::run`]: the target is captured, as an incremental backup into a scratch store;
//!   [`restore::plan`] makes a [`restore::Plan`] of the two manifests; it is shown and agreed to; what was captured is kept
//!   as the safety snapshot; [`restore::apply`] carries the plan out and writes every new id into a [`restore::Journal`].
//! - **jobs pause**, **unpause**: `cli` → [`pause::pause`] lists the jobs, writes down what runs, and pauses it;
//!   [`pause::unpause`] puts back what is written down.
//! - **forget**: `cli` → [`forget::survey`] reads the heads and their times → [`retention::decide`] → the decisions with
//!   their reasons are shown → [`forget::remove`] removes heads, and only heads.
//! - **prune**: `cli` → [`prune::run`] marks what heads and intents refer to → the store decides what goes
//!   ([`store::PrunePlan`]) and carries it out.
//! - **repair**: `cli` → [`store::Store::repair_index`] makes the index anew from what the packs say of themselves;
//!   [`store::Store::repair_packs`] copies what can be read out of damaged packs, and condemns those;
//!   [`repair::snapshots`] writes new heads for snapshots that lack something.
//! - **stats**: `cli` → [`stats::of_store`]: the index says what blobs take, the manifests who needs them.
//! - **copy**: `cli` → [`copy::run`]: nodes and blobs of one store → [`store::Writer::put`] of the other → the head, as it is.
//!
//! # What holds everywhere
//!
//! - What could not be read is a [`manifest::Gap`] with a reason, never an absence.
//! - A snapshot exists from the moment its head has its name, and is never changed.
//! - The same workspace gives the same bytes: time, host and randomness are arguments.
//! - `restore::apply` is the only code that writes to a workspace; but for being paused, which `pause` changes in jobs.

// In reading order; the empty lines keep rustfmt from sorting them.

pub mod resource;

pub mod store;

pub mod manifest;

pub mod api;

pub mod sql;

pub mod export;

pub mod backup;

pub mod folder;

pub mod diff;

pub mod mapping;

pub mod compare;

pub mod restore;

pub mod pause;

pub mod retention;

pub mod forget;

pub mod check;

pub mod prune;

pub mod copy;

pub mod stats;

pub mod repair;

pub mod sandbox;

pub mod report;

#[cfg(test)]
mod testing;

//! The binary, run as a user runs it: whole outputs are compared with the files under `snapshots/`.
//!
//! Everything here is for what only the binary does: arguments, settings, words, exit codes. What the library does is
//! tested there. To accept changed outputs: `INSTA_UPDATE=always cargo test --test cli`, then read the diff.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod artifacts;
mod bad_inputs;
mod bad_nights;
mod commands;
mod copy;
mod dbfs;
mod encrypted;
mod folders;
mod forget;
mod help;
mod jobs;
mod lesser;
mod logs;
mod metastore;
mod prune;
mod readme;
mod repair;
mod restores;
mod sandbox;
mod secrets;
mod stats;
mod support;

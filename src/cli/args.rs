//! What can be typed.
//!
//! The doc comments of the argument structs are the help.

use clap::{Parser, Subcommand};

use super::commands;
use super::demo;
use super::session::GlobalArgs;

/// Immutable, deduplicated snapshots of a Databricks workspace: back up, diff, restore
///
/// dbsnap copies a whole workspace (users, groups, notebooks, files, jobs, clusters, permissions, ...) into a store
/// that keeps every version once, tells exactly what changed between any two snapshots, and puts any of them back, whole
/// or in part, into the same or another workspace.
#[derive(Debug, Parser)]
#[command(
    name = "dbsnap",
    version,
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "Try it without a workspace: dbsnap demo",
    after_long_help = OVERVIEW
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(commands::init::Args),
    Backup(commands::backup::Args),
    Snapshots(commands::snapshots::Args),
    Show(commands::show::Args),
    Ls(commands::ls::Args),
    Cat(commands::cat::Args),
    Diff(commands::diff::Args),
    Restore(commands::restore::Args),
    Forget(commands::forget::Args),
    Check(commands::check::Args),
    Stats(commands::stats::Args),
    Prune(commands::prune::Args),
    Repair(commands::repair::Args),
    Copy(commands::copy::Args),
    Export(commands::export::Args),
    Import(commands::import::Args),
    Jobs(commands::jobs::Args),
    Key(commands::key::Args),
    Kinds(commands::kinds::Args),
    Sandbox(commands::sandbox::Args),
    Demo(demo::Args),
    Completions(commands::completions::Args),
}

const OVERVIEW: &str = "\
Try it without a workspace:
  dbsnap demo

A first backup:
  dbsnap backup --profile DEMO
  dbsnap snapshots
  dbsnap diff latest live --profile DEMO

Snapshots are named by the beginning of their id, `latest`, `latest~1`, or a date (2024-05-31): the last one
that was taken by then.

Exit codes:
  0   done
  1   failed, nothing was done
  2   the command line or the settings were not understood
  3   done, but something could not be read or restored; it is listed
  4   differences were found (`diff --exit-code`)
  10  there is no store
  11  locked: the same restore is running already
  12  the store is encrypted, and the key is missing or wrong
  130 interrupted";

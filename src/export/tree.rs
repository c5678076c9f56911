//! The engine for the workspace tree: one list call per folder, walked depth first.
//!
//! - `found`: a listed node. `groups`: which changed objects are worth one archive. `walk`: the walk itself.
//! - `work`: objects and archives on their way to being items. `archive`, `single`: the two ways to a content.
//!
//! Invariant: a folder is listed before anything in it is asked for, and what was asked for is known or told to be missing.

mod archive;
mod found;
mod groups;
mod library;
mod members;
mod single;
mod walk;
mod work;

use futures_util::future::join;
use tokio::sync::mpsc;

use super::run::Run;

/// Folders and groups on their way from the walk to the work.
const QUEUE: usize = 64;

/// Exports everything selected of the tree.
pub(super) async fn export(run: &Run<'_>) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let workshop = work::Workshop::new(run);
    join(
        walk::Walk::new(run, &workshop, sender).run(),
        workshop.run(queue),
    )
    .await;
}

//! Mounts, made by a cluster that may use the storage by what it is.

use super::{Carried, Failure, Run, chain};
use crate::resource::dbfs_path;
use crate::restore::plan::Step;

impl Run<'_> {
    /// Makes a mount.
    pub(super) async fn make_mount(&self, step: &Step) -> Result<Carried, Failure> {
        let place = self.place()?;
        let body = step.body.clone().unwrap_or_default();
        let text = |field: &str| body[field].as_str().unwrap_or_default();
        self.begin(step)?;
        let made = place.mount(
            dbfs_path(&step.target),
            text("source"),
            text("encryption_type"),
        );
        made.await.map_err(|error| chain(&error))?;
        self.made(step, &step.target)?;
        Ok(Carried::default())
    }
}

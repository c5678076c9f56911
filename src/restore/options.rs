//! What a restore is asked to do.
//!
//! Invariant: the defaults overwrite nothing, start nothing and make nobody.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::Cloud;
use crate::manifest::Selection;
use crate::mapping::Mapping;
use crate::resource::ObjectKey;

/// What a restore is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is restored.
    pub selection: Selection,
    /// Of that, only objects of these names; a path's last part is a name as well. Empty for all.
    pub names: Vec<String>,
    /// Nothing but these objects, whatever else is said: what an undo takes back.
    pub exactly: Option<BTreeSet<ObjectKey>>,
    /// Whether what the selected objects refer to is restored too.
    pub with_dependencies: bool,
    /// Who and what is called otherwise in the target.
    pub mapping: Mapping,
    /// Paths are restored beneath this folder.
    pub target_path: Option<String>,
    /// What becomes of users who are not in the target.
    pub missing_users: MissingUsers,
    /// What becomes of objects that are there already and differ.
    pub on_conflict: OnConflict,
    /// Whether schedules stay on.
    pub keep_schedules: bool,
    /// What takes the place of a cluster that is gone.
    pub new_cluster: Value,
    /// Whether there is a cluster in the target that tells of its mounts.
    pub reads_mounts: bool,
    /// Whether there is something that runs statements in the target, without which its metastore is out of reach.
    pub runs_statements: bool,
}

impl Options {
    /// The defaults, for a target on this cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self {
            selection: Selection::all(),
            names: Vec::new(),
            exactly: None,
            with_dependencies: false,
            mapping: Mapping::default(),
            target_path: None,
            missing_users: MissingUsers::default(),
            on_conflict: OnConflict::default(),
            keep_schedules: false,
            new_cluster: default_job_cluster(cloud),
            reads_mounts: false,
            runs_statements: false,
        }
    }
}

/// What becomes of users of the snapshot who, after mapping, are not in the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingUsers {
    /// Their homes go to `/Archive/<user>`.
    #[default]
    Archive,
    /// They are made. Those who had left already, and only a home tells of them, are archived even so.
    Create,
    /// Their homes are not restored.
    Skip,
    /// Nothing is restored at all.
    Fail,
}

/// What becomes of objects that are in the target already and differ from the snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// They stay as they are and are reported.
    #[default]
    Skip,
    /// They become what the snapshot says.
    Overwrite,
    /// Nothing is restored at all.
    Fail,
}

/// A small cluster that works on the cloud without further settings.
fn default_job_cluster(cloud: Cloud) -> Value {
    let node_type = match cloud {
        Cloud::Azure => "Standard_DS3_v2",
        Cloud::Gcp => "n1-highmem-4",
        _ => "i3.xlarge",
    };
    json!({"spark_version": "15.4.x-scala2.12", "node_type_id": node_type, "num_workers": 1})
}

//! Files that runs of experiments have written: models, plots, tables.
//!
//! A file is called after its run, so that its name tells whether a window of time has it. Where its bytes are, the service
//! decides when it makes the run: that is no part of what the file is. A folder is there as long as something is in it, so
//! only files are kept. Who may read a run may read its files.

use crate::resource::kind::{
    Fields, IdField, Kind, Naming, Reference, References, Restore, Source, Target,
};

pub(super) static KIND: Kind = Kind {
    name: "run-artifact",
    source: Source::Artifacts,
    id: IdField {
        at: "id",
        numeric: false,
    },
    naming: Naming {
        at: "name",
        unique: true,
        built_in: &[],
    },
    body: "",
    fields: Fields {
        references: &[References {
            under: &[""],
            fields: &[Reference {
                at: "run_id",
                to: Target::Id(&["run"]),
            }],
        }],
        ..Fields::PLAIN
    },
    permissions: None,
    restore: Restore::Artifact,
    prepare: None,
    request: None,
};

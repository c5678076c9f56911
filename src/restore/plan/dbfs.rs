//! The steps of files of the DBFS.
//!
//! Invariant: a file goes to the path it had; what is there and differs is written over only when that was asked for.

use serde_json::json;

use super::draft::{Draft, not_in_the_snapshot};
use super::judge::{self, content_difference};
use super::matching::Memory;
use super::planner::{DAMAGED, Planner, body_of, id_of, read_failed};
use super::{Action, PlanError};
use crate::manifest::Entry;
use crate::resource::{Kind, ObjectKey, dbfs_path, empty_folder, is_empty_folder, left_out};

impl Planner<'_> {
    /// The step of a file.
    pub(super) fn dbfs_file(&self, kind: &'static Kind, entry: &Entry) -> Result<Draft, PlanError> {
        let mut draft = Draft::new(kind, entry);
        if self.inputs.options.target_path.is_some() {
            let why = "--target-path is a folder of the workspace tree, and this is a file of the DBFS: \
                       it is restored, to where it was, without that";
            return Ok(draft.skip(why));
        }
        if entry.content.is_none() {
            let body = match body_of(self.inputs.snapshot.tree, entry, "snapshot") {
                Err(PlanError::Read { .. }) => return Ok(draft.skip(DAMAGED)),
                body => body?.unwrap_or_default(),
            };
            if is_empty_folder(&body) {
                return self.dbfs_folder(kind, draft, entry);
            }
            return Ok(match left_out(&body) {
                Some(size) => draft.skip(format!(
                    "its content is not in the snapshot: its {size} bytes were more than --dbfs-max-file-size"
                )),
                None => draft.skip(not_in_the_snapshot(entry)),
            });
        }
        let there = self.inputs.target.tree.get(&entry.key);
        let there = there.map_err(read_failed("target"))?;
        let is_ours = match self.memory(kind, &draft.step.handle()) {
            Some(Memory::Made { is_done, .. }) => !is_done,
            Some(Memory::Begun { before }) => before.is_empty(),
            None => false,
        };
        let on_conflict = self.inputs.options.on_conflict;
        let Some(there) = there else {
            if let Some(reason) = self.gaps.of_kind(kind) {
                (draft.step.action, draft.step.reason) =
                    judge::decide(&[], Some(reason), false, on_conflict);
                return Ok(draft);
            }
            let mut draft = draft.make(json!({}), "is not in the target");
            draft.step.content.clone_from(&entry.content);
            return Ok(draft);
        };
        draft.step.target_id = Some(id_of(&there).to_owned());
        draft.step.is_resumed = is_ours;
        draft.step.there = Some(there.key.clone());
        let unread = || (there.content.is_none()).then(|| "its content was not read".to_owned());
        let unknown = judge::unknown(&there).or_else(unread);
        draft
            .step
            .differences
            .extend(content_difference(Some(&there), entry));
        (draft.step.action, draft.step.reason) = judge::decide(
            &draft.step.differences,
            unknown.as_deref(),
            is_ours,
            on_conflict,
        );
        if draft.step.action == Action::Update {
            draft.step.content.clone_from(&entry.content);
        }
        Ok(draft)
    }

    /// The step of a folder in which there was nothing: it is there, or it is made.
    fn dbfs_folder(
        &self,
        kind: &'static Kind,
        mut draft: Draft,
        entry: &Entry,
    ) -> Result<Draft, PlanError> {
        let tree = self.inputs.target.tree;
        let there = tree.get(&entry.key).map_err(read_failed("target"))?;
        if let Some(there) = there {
            let body = body_of(tree, &there, "target")?.unwrap_or_default();
            return Ok(match is_empty_folder(&body) {
                true => draft.unchanged(id_of(&there)),
                false => draft.skip("there is a file in its place"),
            });
        }
        let below = ObjectKey::new(entry.key.kind.clone(), format!("{}/", entry.key.name));
        let mut below = tree.range(below.to_bytes());
        let has_something = below.next().transpose().map_err(read_failed("target"))?;
        Ok(match (has_something, self.gaps.of_kind(kind)) {
            (Some(_), _) => draft.unchanged(dbfs_path(&entry.key.name)),
            (None, Some(reason)) => {
                let on_conflict = self.inputs.options.on_conflict;
                (draft.step.action, draft.step.reason) =
                    judge::decide(&[], Some(reason), false, on_conflict);
                draft
            }
            (None, None) => draft.make(empty_folder(), "is not in the target"),
        })
    }
}

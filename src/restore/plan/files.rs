//! The steps of files: those of the DBFS, and those that runs have written.
//!
//! Invariant: a file goes to the path it had; what is there and differs is written over only when that was asked for.

use serde_json::{Value, json};

use super::draft::{Draft, not_in_the_snapshot};
use super::judge::{self, content_difference};
use super::matching::Memory;
use super::planner::{DAMAGED, Planner, body_of, id_of, read_failed};
use super::{Action, PlanError, parse_placeholder};
use crate::manifest::Entry;
use crate::mapping::home_of;
use crate::resource::{
    Kind, KindName, ObjectKey, artifact_name, dbfs_path, empty_folder, is_empty_folder, left_out,
};

impl Planner<'_> {
    /// The step of a file of the DBFS.
    pub(super) fn dbfs_file(&self, kind: &'static Kind, entry: &Entry) -> Result<Draft, PlanError> {
        let draft = Draft::new(kind, entry);
        if self.inputs.options.target_path.is_some() {
            let why = "--target-path is a folder of the workspace tree, and this is a file of the DBFS: \
                       it is restored, to where it was, without that";
            return Ok(draft.skip(why));
        }
        if entry.content.is_none()
            && let Ok(Some(body)) = body_of(self.inputs.snapshot.tree, entry, "snapshot")
            && is_empty_folder(&body)
        {
            return self.dbfs_folder(kind, draft, entry);
        }
        match self.why_no_content(entry, "--dbfs-max-file-size")? {
            Some(why) => Ok(draft.skip(why)),
            None => self.file(kind, draft, Some(&entry.key), json!({})),
        }
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

    /// The step of a file that a run has written.
    pub(super) fn artifact(&self, kind: &'static Kind, entry: &Entry) -> Result<Draft, PlanError> {
        let mut draft = Draft::new(kind, entry);
        let Some(place) = self.mapping.place(&entry.key.name) else {
            let owner = home_of(&entry.key.name).map_or("", |(_, owner, _)| owner);
            return Ok(draft.skip(format!(
                "its home belongs to {owner}, who is not in the target (--missing-users skip)"
            )));
        };
        draft.step.target = place;
        if let Some(why) = self.why_no_content(entry, "--artifacts-max-file-size")? {
            return Ok(draft.skip(why));
        }
        let Some(body) = body_of(self.inputs.snapshot.tree, entry, "snapshot")? else {
            return Ok(draft.skip(not_in_the_snapshot(entry)));
        };
        let run = body["run_id"].as_str().unwrap_or_default();
        let Some(run) = self.new_id(&["run"], run) else {
            let run = self.describe(&["run"], run);
            return Ok(draft.skip(format!("belongs to {run}, which is not in the target")));
        };
        let (remapped, uses) = self.remap(kind, body, &|_, _| false);
        draft.uses = uses;
        let there = match parse_placeholder(&run) {
            Some(_) => None,
            None => Some(self.artifact_there(kind, &run, &remapped.body)?),
        };
        self.file(kind, draft, there.as_ref(), remapped.body)
    }

    /// What the target calls a file of one of its runs.
    fn artifact_there(&self, kind: &Kind, run: &str, body: &Value) -> Result<ObjectKey, PlanError> {
        let path = body["path"].as_str().unwrap_or_default();
        let id = format!("{run}/{path}");
        let of_run = self.runs_of_target.get(run);
        let name = artifact_name(of_run.map_or("", String::as_str), path);
        let kind = KindName::known(kind.name);
        let with_id = ObjectKey::with_id(kind.clone(), name.clone(), &id);
        let found = self.inputs.target.tree.get(&with_id);
        Ok(match found.map_err(read_failed("target"))? {
            Some(_) => with_id,
            None => ObjectKey::new(kind, name),
        })
    }

    /// Why a snapshot does not have the content of a file, if so; `flag` is what may have left it out.
    fn why_no_content(&self, entry: &Entry, flag: &str) -> Result<Option<String>, PlanError> {
        if entry.content.is_some() {
            return Ok(None);
        }
        let body = match body_of(self.inputs.snapshot.tree, entry, "snapshot") {
            Err(PlanError::Read { .. }) => return Ok(Some(DAMAGED.to_owned())),
            body => body?.unwrap_or_default(),
        };
        Ok(Some(match left_out(&body) {
            Some(size) => format!(
                "its content is not in the snapshot: its {size} bytes were more than {flag}"
            ),
            None => not_in_the_snapshot(entry),
        }))
    }

    /// The step of a file whose content the snapshot has; `place` is what the target may have of it.
    fn file(
        &self,
        kind: &'static Kind,
        mut draft: Draft,
        place: Option<&ObjectKey>,
        body: Value,
    ) -> Result<Draft, PlanError> {
        let there = match place {
            Some(key) => self.inputs.target.tree.get(key),
            None => Ok(None),
        };
        let there = there.map_err(read_failed("target"))?;
        let is_ours = match self.memory(kind, &draft.step.handle()) {
            Some(Memory::Made { is_done, .. }) => !is_done,
            Some(Memory::Begun { before }) => before.is_empty(),
            None => false,
        };
        let on_conflict = self.inputs.options.on_conflict;
        draft.step.content.clone_from(&draft.entry.content);
        let Some(there) = there else {
            if let (Some(reason), Some(_)) = (self.gaps.of_kind(kind), place) {
                (draft.step.action, draft.step.reason) =
                    judge::decide(&[], Some(reason), false, on_conflict);
                draft.step.content = None;
                return Ok(draft);
            }
            return Ok(draft.make(body, "is not in the target"));
        };
        draft.step.target_id = Some(id_of(&there).to_owned());
        draft.step.is_resumed = is_ours;
        draft.step.there = Some(there.key.clone());
        let unread = || (there.content.is_none()).then(|| "its content was not read".to_owned());
        let unknown = judge::unknown(&there).or_else(unread);
        draft
            .step
            .differences
            .extend(content_difference(Some(&there), &draft.entry));
        (draft.step.action, draft.step.reason) = judge::decide(
            &draft.step.differences,
            unknown.as_deref(),
            is_ours,
            on_conflict,
        );
        match draft.step.action {
            Action::Update => draft.step.body = Some(body),
            _ => draft.step.content = None,
        }
        Ok(draft)
    }
}

//! The plan is put together here: who is who, then kind by kind in the order of the registry.
//!
//! Invariant: reads manifests, writes nothing; every selected object of the snapshot gets exactly one step.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::draft::{Draft, not_in_the_snapshot};
use super::listed::Loaded;
use super::matching::Memory;
use super::select::Selected;
use super::{Completion, FORMAT, PermissionStep, Plan, PlanError, Step};
use crate::manifest::{Entry, Extent, Gap, ManifestError, Selection, Tree};
use crate::mapping::{Ids, Mapping, is_at_or_below};
use crate::resource::{ALL, Grantee, Kind, KindName, Node, ObjectKey, Source, visit};
use crate::restore::journal::Earlier;
use crate::restore::options::Options;

/// One side of a restore.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Its manifest.
    pub tree: &'a Tree,
    /// What it set out to read.
    pub selection: &'a Selection,
    /// What tells its workspace from others.
    pub workspace: &'a str,
}

/// Everything a plan follows from.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// What is to be restored.
    pub snapshot: Side<'a>,
    /// What is there.
    pub target: Side<'a>,
    /// Who restores.
    pub caller: &'a Grantee,
    /// What was asked for.
    pub options: &'a Options,
    /// What earlier runs of the same restore did.
    pub earlier: &'a Earlier,
}

/// Plans a restore.
pub fn plan(inputs: &Inputs<'_>) -> Result<Plan, PlanError> {
    let mut planner = Planner::new(inputs)?;
    planner.identify()?;
    for kind in ALL {
        match kind.source {
            Source::Listed { .. } | Source::Metastore(_) | Source::Runs => {
                planner.plan_listed(kind)?;
            }
            // All nodes at once: what lies in a folder may need folders the snapshot does not have.
            Source::Tree(Node::Directory) => planner.plan_nodes()?,
            Source::Tree(_) | Source::Placed { .. } => {}
            Source::Mounts => planner.plan_each(kind, Planner::mount)?,
            Source::Dbfs => planner.plan_each(kind, Planner::dbfs_file)?,
            Source::Artifacts => {
                planner.name_runs();
                planner.plan_each(kind, Planner::artifact)?;
            }
        }
    }
    Ok(planner.finish())
}

pub(super) struct Planner<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) selected: Selected<'a>,
    pub(super) mapping: Mapping,
    pub(super) snapshot_ids: Ids,
    pub(super) loaded: BTreeMap<&'static str, Loaded>,
    /// What the target's runs are called, by their ids.
    pub(super) runs_of_target: HashMap<String, String>,
    /// People of the snapshot that are going to be made, by kind and old id.
    pub(super) newcomers: HashSet<(&'static str, String)>,
    /// What an old id is in the target: an id, or a placeholder.
    pub(super) new_ids: HashMap<(&'static str, String), String>,
    /// The step that makes an object, by kind and old id.
    pub(super) makers: HashMap<(String, String), usize>,
    /// The step that makes someone, by the name that permissions know them by.
    pub(super) people: HashMap<String, usize>,
    pub(super) gaps: TargetGaps,
    /// Whether the target lacks a folder, as far as that was asked.
    pub(super) missing_folders: RefCell<HashMap<String, bool>>,
    pub(super) steps: Vec<Step>,
    pub(super) stage: u32,
    completions: Vec<Completion>,
    /// What each completion uses.
    completion_uses: Vec<Vec<(String, String)>>,
    permissions: Vec<PermissionStep>,
}

impl<'a> Planner<'a> {
    fn new(inputs: &'a Inputs<'a>) -> Result<Self, PlanError> {
        let options = inputs.options;
        let snapshot_ids = index(inputs.snapshot.tree, "snapshot")?;
        let mut selected = Selected::new(options)?;
        if options.with_dependencies {
            selected.add_dependencies(inputs.snapshot.tree, &snapshot_ids)?;
        }
        let mut mapping = options.mapping.clone();
        if let Some(target) = &options.target_path {
            let only = match options.selection.include.is_empty() {
                true => vec!["/".to_owned()],
                false => options.selection.include.clone(),
            };
            mapping.put_beneath(target, only);
        }
        Ok(Self {
            inputs,
            selected,
            mapping,
            snapshot_ids,
            loaded: BTreeMap::new(),
            runs_of_target: HashMap::new(),
            newcomers: HashSet::new(),
            new_ids: HashMap::new(),
            makers: HashMap::new(),
            people: HashMap::new(),
            gaps: TargetGaps::of(inputs.target.tree)?,
            missing_folders: RefCell::default(),
            steps: Vec::new(),
            stage: 0,
            completions: Vec::new(),
            completion_uses: Vec::new(),
            permissions: Vec::new(),
        })
    }

    /// Adds the steps of a kind whose objects have nothing to do with each other, one by one.
    fn plan_each(
        &mut self,
        kind: &'static Kind,
        step: impl Fn(&Self, &'static Kind, &Entry) -> Result<Draft, PlanError>,
    ) -> Result<(), PlanError> {
        if !self.selected.covers_kind(kind) {
            return Ok(());
        }
        self.report_gap(kind)?;
        self.stage += 1;
        for entry in entries_of(self.inputs.snapshot.tree, kind, "snapshot")? {
            if self.selected.covers(&entry.key) {
                let draft = step(self, kind, &entry)?;
                self.push(draft);
            }
        }
        Ok(())
    }

    fn name_runs(&mut self) {
        let runs = self.loaded.get("run");
        let runs = runs.into_iter().flat_map(|runs| &runs.target);
        let named = runs.map(|run| (id_of(run).to_owned(), run.key.name.clone()));
        self.runs_of_target = named.collect();
    }

    /// Says that there may be more of a kind than the snapshot knows.
    pub(super) fn report_gap(&mut self, kind: &'static Kind) -> Result<(), PlanError> {
        let key = ObjectKey::whole_kind(KindName::known(kind.name));
        let found = self.inputs.snapshot.tree.get(&key);
        let entry = found.map_err(read_failed("snapshot"))?;
        if let Some(entry) = entry.filter(|entry| self.selected.covers(&entry.key)) {
            let mut draft = Draft::new(kind, &entry);
            draft.step.old_id = None;
            let why = not_in_the_snapshot(&entry);
            self.push(draft.skip(format!("what there is more of this kind {why}")));
        }
        Ok(())
    }

    /// Adds a step with what comes after it.
    pub(super) fn push(&mut self, draft: Draft) -> usize {
        let index = self.steps.len();
        let Draft {
            mut step,
            uses,
            rest,
            permissions,
            ..
        } = draft;
        let makers = uses.iter().filter_map(|used| self.makers.get(used));
        step.needs
            .extend(makers.copied().filter(|maker| *maker != index));
        step.needs.sort_unstable();
        step.needs.dedup();
        step.stage = self.stage;
        if step.action.makes()
            && let Some(old_id) = &step.old_id
        {
            self.makers
                .insert((step.kind.to_owned(), old_id.clone()), index);
            if let (Some((_, at)), Some(body)) = (step.kind().fields.principal, &step.body) {
                let people = &mut self.people;
                visit(body, at, &mut |name| {
                    people.extend(name.as_str().map(|name| (name.to_lowercase(), index)));
                });
            }
        }
        if let Some((body, uses)) = rest {
            // The steps it needs may still be to come: they are looked up at the end.
            self.completions.push(Completion {
                step: index,
                body,
                needs: Vec::new(),
            });
            self.completion_uses.push(uses);
        }
        if let Some(mut permissions) = permissions {
            permissions.step = index;
            self.permissions.push(permissions);
        }
        self.steps.push(step);
        index
    }

    fn finish(mut self) -> Plan {
        for (completion, uses) in self.completions.iter_mut().zip(&self.completion_uses) {
            let makers = uses.iter().filter_map(|used| self.makers.get(used));
            completion.needs = makers.copied().collect();
            completion.needs.push(completion.step);
            completion.needs.sort_unstable();
            completion.needs.dedup();
        }
        // What takes rights from whoever restores comes last, and folders after what lies in them.
        self.permissions.sort_by_key(|step| step.stage);
        Plan {
            format: FORMAT,
            missing_users: self.inputs.options.missing_users,
            on_conflict: self.inputs.options.on_conflict,
            steps: self.steps,
            completions: self.completions,
            permissions: self.permissions,
            mapping: self.mapping,
        }
    }

    pub(super) fn same_workspace(&self) -> bool {
        self.inputs.snapshot.workspace == self.inputs.target.workspace
    }

    /// What an earlier run did with an object.
    pub(super) fn memory(&self, kind: &Kind, handle: &str) -> Option<Memory> {
        self.inputs.earlier.get(kind.name, handle).cloned()
    }

    /// The target's id for an old id of one of some kinds.
    pub(super) fn new_id(&self, kinds: &[&str], old: &str) -> Option<String> {
        match self.snapshot_ids.get(kinds, old) {
            Some(key) => {
                let kind = crate::resource::kind(key.kind.as_str())?;
                self.new_ids.get(&(kind.name, old.to_owned())).cloned()
            }
            // The snapshot does not know the object, but within one workspace the id may still mean something.
            None if self.same_workspace() => {
                let known = |name: &&str| self.target_has(name, old);
                kinds.iter().any(known).then(|| old.to_owned())
            }
            None => None,
        }
    }

    fn target_has(&self, kind: &str, id: &str) -> bool {
        let loaded = self.loaded.get(kind);
        let target = loaded.into_iter().flat_map(|loaded| &loaded.target);
        target.into_iter().any(|entry| id_of(entry) == id)
    }

    /// What an old id is called, for people.
    pub(super) fn describe(&self, kinds: &[&str], old: &str) -> String {
        match self.snapshot_ids.get(kinds, old) {
            Some(key) => key.to_string(),
            None => format!("{} {old}", kinds.first().unwrap_or(&"object")),
        }
    }
}

/// Where the target could not be read.
#[derive(Default)]
pub(super) struct TargetGaps {
    kinds: BTreeMap<String, String>,
    folders: Vec<(String, String)>,
}

impl TargetGaps {
    fn of(target: &Tree) -> Result<Self, PlanError> {
        let mut gaps = Self::default();
        for entry in target.uncertain() {
            let entry = entry.map_err(read_failed("target"))?;
            let Some(Gap { extent, reason }) = entry.gap else {
                continue;
            };
            match extent {
                Extent::Kind => drop(gaps.kinds.insert(entry.key.kind.to_string(), reason)),
                Extent::Subtree => gaps.folders.push((entry.key.name, reason)),
                Extent::Object | Extent::Content | Extent::Permissions => {}
            }
        }
        Ok(gaps)
    }

    /// Why the objects of a kind are unknown, if they are.
    pub(super) fn of_kind(&self, kind: &Kind) -> Option<&str> {
        self.kinds.get(kind.name).map(String::as_str)
    }

    /// Why what lies at a path is unknown, if it is.
    pub(super) fn at_path(&self, path: &str) -> Option<&str> {
        let around = |(folder, _): &&(String, String)| is_at_or_below(path, folder);
        let gap = self.folders.iter().find(around);
        gap.map(|(_, reason)| reason.as_str())
    }
}

fn index(tree: &Tree, side: &'static str) -> Result<Ids, PlanError> {
    let mut ids = Ids::default();
    let listed = |kind: &&&Kind| kind.has_ids();
    for kind in ALL.iter().filter(listed) {
        for entry in entries_of(tree, kind, side)? {
            let id = id_of(&entry).to_owned();
            ids.insert(entry.key, &id);
        }
    }
    Ok(ids)
}

/// All objects of a kind, without the entry that stands for the kind as a whole.
pub(super) fn entries_of(
    tree: &Tree,
    kind: &Kind,
    side: &'static str,
) -> Result<Vec<Entry>, PlanError> {
    let entries = tree.kind(&KindName::known(kind.name));
    let is_object = |entry: &Result<Entry, ManifestError>| match entry {
        Ok(entry) => !entry.key.is_whole_kind(),
        Err(_) => true,
    };
    let objects: Result<_, _> = entries.filter(is_object).collect();
    objects.map_err(read_failed(side))
}

/// The body of an object; none if it is not in the manifest.
pub(super) fn body_of(
    tree: &Tree,
    entry: &Entry,
    side: &'static str,
) -> Result<Option<Value>, PlanError> {
    let Some(payload) = &entry.body else {
        return Ok(None);
    };
    let bytes = payload.read(tree.store()).map_err(read_failed(side))?;
    let body = serde_json::from_slice(&bytes).map_err(|source| PlanError::Body {
        what: entry.key.to_string(),
        source,
    })?;
    Ok(Some(body))
}

/// Why an object is skipped whose body cannot be read from the store.
pub(super) const DAMAGED: &str = "its body is damaged in the store";

/// The body of an object; none if it is not in the manifest, or damaged in the store: one damaged body must not keep the
/// others from coming back.
pub(super) fn whole_body_of(
    tree: &Tree,
    entry: &Entry,
    side: &'static str,
) -> Result<Option<Value>, PlanError> {
    match body_of(tree, entry, side) {
        Err(PlanError::Read { .. }) => Ok(None),
        body => body,
    }
}

/// The id of an object in its workspace.
pub(super) fn id_of(entry: &Entry) -> &str {
    let id = entry.object_id.as_deref().or(entry.key.id.as_deref());
    id.unwrap_or(&entry.key.name)
}

pub(super) fn read_failed(side: &'static str) -> impl FnOnce(ManifestError) -> PlanError {
    move |source| PlanError::Read { side, source }
}

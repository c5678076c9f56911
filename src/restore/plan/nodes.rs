//! The steps of the workspace tree: folders, notebooks, files, Git folders.
//!
//! Invariant: folders come first, parents before children, one after the other; nothing is made in a folder that is
//! neither there nor made before.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use super::draft::{Draft, not_in_the_snapshot};
use super::judge::{self, content_difference};
use super::matching::Memory;
use super::planner::{DAMAGED, Planner, body_of, id_of, read_failed, whole_body_of};
use super::{Action, PermissionStep, PlanError, placeholder};
use crate::manifest::Entry;
use crate::mapping::home_of;
use crate::resource::{ALL, Kind, KindName, LIBRARY, Node, ObjectKey, Restore, library_file};

/// Folders of every workspace.
const ALWAYS_THERE: [&str; 3] = ["/Users", "/Shared", "/Repos"];

/// Why a library of the workspace tree is not made, and where what it was comes from.
const NO_LIBRARY: &str = "no API makes a library of the workspace tree, or gives its file: clusters get the libraries that are \
    installed on them with themselves, and a file that was uploaded for one lies below dbfs:/FileStore/jars, which is in \
    snapshots made with --dbfs /FileStore/jars";

/// The same of one whose file is known.
fn of_library(body: &Value) -> String {
    match library_file(body) {
        None => NO_LIBRARY.to_owned(),
        Some(file) => format!(
            "no API makes a library of the workspace tree: clusters and jobs load its file from dbfs:{file}, where snapshots \
             made with --dbfs /FileStore/jars bring it back; `dbsnap cat` gives the one that was uploaded"
        ),
    }
}

/// What the plan of the tree is put together from.
#[derive(Default)]
struct Nodes {
    /// Folders, by their path in the target.
    folders: BTreeMap<String, Draft>,
    /// Everything else, by kind.
    others: Vec<(&'static Kind, Vec<Draft>)>,
    /// Paths in the target that something is restored to.
    taken: HashSet<String>,
    /// Whether the target has a folder, as far as that was asked.
    present: HashMap<String, bool>,
}

/// What the target has at a path.
enum There {
    /// This.
    Entry(Box<Entry>),
    /// Something of another kind.
    Other(&'static str),
    /// Nobody knows.
    Unknown(String),
    Nothing,
}

impl Planner<'_> {
    /// Adds the steps of all nodes of the tree.
    pub(super) fn plan_nodes(&mut self) -> Result<(), PlanError> {
        let mut nodes = Nodes::default();
        let kinds = ALL.iter().filter(|kind| kind.node().is_some());
        let kinds = kinds.filter(|kind| self.selected.covers_kind(kind) || kind.has_ids());
        for kind in kinds.copied().collect::<Vec<_>>() {
            self.report_gap(kind)?;
            let mut drafts = Vec::new();
            for entry in self.inputs.snapshot.tree.kind(&KindName::known(kind.name)) {
                let entry = entry.map_err(read_failed("snapshot"))?;
                if entry.key.is_whole_kind() {
                    continue;
                }
                if !self.selected.covers(&entry.key) {
                    self.learn_unselected(kind, &entry)?;
                    continue;
                }
                let draft = self.node(kind, entry, &mut nodes)?;
                self.learn_id(kind, &draft);
                match kind.node() {
                    Some(Node::Directory) if draft.step.action.makes() => {
                        nodes.folders.insert(draft.step.target.clone(), draft);
                    }
                    _ => drafts.push(draft),
                }
            }
            nodes.others.push((kind, drafts));
        }
        self.add_parents(&mut nodes)?;
        self.push_nodes(nodes);
        Ok(())
    }

    /// Takes note of what the id of a node is in the target, for those that others refer to.
    fn learn_id(&mut self, kind: &'static Kind, draft: &Draft) {
        let (Some(old), true) = (&draft.step.old_id, kind.has_ids()) else {
            return;
        };
        let new = match draft.step.action.makes() {
            true => Some(placeholder(kind.name, old)),
            false => draft.step.target_id.clone(),
        };
        if let Some(new) = new {
            self.new_ids.insert((kind.name, old.clone()), new);
        }
    }

    /// The same for one that is not restored, and may be there all the same.
    fn learn_unselected(&mut self, kind: &'static Kind, entry: &Entry) -> Result<(), PlanError> {
        let Some(path) = self
            .mapping
            .place(&entry.key.name)
            .filter(|_| kind.has_ids())
        else {
            return Ok(());
        };
        if let There::Entry(there) = self.there(kind, &path)? {
            let new = id_of(&there).to_owned();
            self.new_ids
                .insert((kind.name, id_of(entry).to_owned()), new);
        }
        Ok(())
    }

    /// The step of one node.
    fn node(
        &self,
        kind: &'static Kind,
        entry: Entry,
        nodes: &mut Nodes,
    ) -> Result<Draft, PlanError> {
        let mut draft = Draft::new(kind, &entry);
        let Some(path) = self.mapping.place(&entry.key.name) else {
            let owner = home_of(&entry.key.name).map_or("", |(_, owner, _)| owner);
            return Ok(draft.skip(format!(
                "its home belongs to {owner}, who is not in the target (--missing-users skip)"
            )));
        };
        draft.step.target.clone_from(&path);
        let there = self.there(kind, &path)?;
        if let Restore::RecordOnly { why } = kind.restore {
            let body = whole_body_of(self.inputs.snapshot.tree, &entry, "snapshot")?;
            return Ok(draft.skip(match body {
                Some(body) if body["object_type"] == LIBRARY => of_library(&body),
                _ => why.to_owned(),
            }));
        }
        if is_missing(kind, &entry) {
            return Ok(draft.skip(not_in_the_snapshot(&entry)));
        }
        let body = match body_of(self.inputs.snapshot.tree, &entry, "snapshot") {
            Err(PlanError::Read { .. }) => return Ok(draft.skip(DAMAGED)),
            body => body?.unwrap_or_default(),
        };
        // The experiment of a notebook is where the notebook is.
        let shares_path = kind.is_made_elsewhere(&body);
        if !shares_path && !nodes.taken.insert(path.clone()) {
            draft.step.action = Action::Conflict;
            draft.step.reason =
                "something else of the snapshot is restored to the same path".to_owned();
            return Ok(draft);
        }
        let (remapped, uses) = self.remap(kind, body, &|_, _| false);
        draft.uses = uses;
        draft.step.notes.extend(remapped.notes);
        draft.step.unmapped.extend(remapped.unmapped);
        let is_ours = |handle: &str| match self.memory(kind, handle) {
            Some(Memory::Made { is_done, .. }) => !is_done,
            Some(Memory::Begun { before }) => before.is_empty(),
            None => false,
        };
        match there {
            There::Unknown(reason) => {
                (draft.step.action, draft.step.reason) =
                    judge::decide(&[], Some(&reason), false, self.inputs.options.on_conflict);
                Ok(draft)
            }
            There::Other(other) if !shares_path => {
                draft.step.action = Action::Conflict;
                draft.step.reason = format!("the target has a {other} at this path");
                Ok(draft)
            }
            There::Entry(there) if matches!(kind.restore, Restore::Tree(_)) => {
                self.compare_node(kind, draft, remapped.body, &there, is_ours(&path))
            }
            There::Entry(there) => self.compare(kind, draft, remapped.body, &there, is_ours(&path)),
            There::Nothing | There::Other(_) => self.new_node(kind, draft, remapped.body),
        }
    }

    /// The step of a node that is made.
    fn new_node(&self, kind: &Kind, draft: Draft, body: Value) -> Result<Draft, PlanError> {
        if let Some(rule) = &kind.fields.elsewhere
            && kind.is_made_elsewhere(&body)
        {
            return Ok(draft.skip(rule.why));
        }
        let is_in_archive = |path: &str| path.starts_with("/Archive/");
        let is_archived = is_in_archive(&draft.step.target) && !is_in_archive(&draft.step.name);
        let mut draft = match is_archived {
            true => draft.make(body, "its owner is not in the target"),
            false => draft.make(body, "is not in the target"),
        };
        if is_archived {
            draft.step.action = Action::Archived;
        }
        draft.step.content.clone_from(&draft.entry.content);
        let mut draft = self.permissions_of(kind, draft, None)?;
        // A new node has no direct entries, so there are none to take away.
        let is_empty = |step: &PermissionStep| step.entries == json!({});
        if matches!(kind.restore, Restore::Tree(_))
            && draft.permissions.as_ref().is_some_and(is_empty)
        {
            draft.permissions = None;
        }
        Ok(draft)
    }

    /// What becomes of a node that is in the target.
    fn compare_node(
        &self,
        kind: &'static Kind,
        mut draft: Draft,
        wanted: Value,
        there: &Entry,
        is_ours: bool,
    ) -> Result<Draft, PlanError> {
        draft.step.target_id = Some(id_of(there).to_owned());
        draft.step.is_resumed = is_ours;
        draft.step.there = Some(there.key.clone());
        let mut unknown = judge::unknown(there);
        let mut written = false;
        if kind.node() != Some(Node::Directory) {
            let present = body_of(self.inputs.target.tree, there, "target")?.unwrap_or_default();
            let in_body = judge::body_differences(kind, &present, &wanted);
            let in_content = content_difference(Some(there), &draft.entry);
            written = !in_body.is_empty() || in_content.is_some();
            draft.step.differences.extend(in_body);
            draft.step.differences.extend(in_content);
            if there.content.is_none() && unknown.is_none() {
                unknown = Some("its content was not read".to_owned());
            }
        }
        let mut draft = self.permissions_of(kind, draft, Some(there))?;
        (draft.step.action, draft.step.reason) = judge::decide(
            &draft.step.differences,
            unknown.as_deref(),
            is_ours,
            self.inputs.options.on_conflict,
        );
        if draft.step.action != Action::Update {
            draft.permissions = None;
        } else if written {
            draft.step.body = Some(wanted);
            draft.step.content.clone_from(&draft.entry.content);
        }
        Ok(draft)
    }

    fn there(&self, kind: &Kind, path: &str) -> Result<There, PlanError> {
        let get = |kind: &Kind| {
            let key = ObjectKey::new(KindName::known(kind.name), path);
            let found = self.inputs.target.tree.get(&key);
            found.map_err(read_failed("target"))
        };
        if let Some(parent) = parent_of(path)
            && self.lacks_folder(parent)?
        {
            return Ok(There::Nothing);
        }
        if let Some(entry) = get(kind)? {
            return Ok(There::Entry(Box::new(entry)));
        }
        for other in ALL {
            if other.node().is_some() && other.name != kind.name && get(other)?.is_some() {
                return Ok(There::Other(other.name));
            }
        }
        Ok(match self.gaps.at_path(path) {
            Some(reason) => There::Unknown(reason.to_owned()),
            None => There::Nothing,
        })
    }

    /// Whether the target surely has no folder at a path, so that nothing can be in it. Asked for every node, and
    /// answered by looking once.
    fn lacks_folder(&self, path: &str) -> Result<bool, PlanError> {
        if let Some(lacks) = self.missing_folders.borrow().get(path) {
            return Ok(*lacks);
        }
        let folder = |name| ObjectKey::new(KindName::known(name), path);
        let tree = self.inputs.target.tree;
        let mut lacks = self.gaps.at_path(path).is_none();
        for key in [folder("directory"), folder("git-folder")] {
            lacks = lacks
                && self.inputs.target.selection.covers(&key)
                && tree.get(&key).map_err(read_failed("target"))?.is_none();
        }
        self.missing_folders
            .borrow_mut()
            .insert(path.to_owned(), lacks);
        Ok(lacks)
    }

    /// Adds the folders that have to be there and that the snapshot does not bring.
    fn add_parents(&self, nodes: &mut Nodes) -> Result<(), PlanError> {
        let directory = crate::resource::by_object_type("DIRECTORY", false);
        let others = nodes.others.iter().flat_map(|(_, drafts)| drafts);
        let made = others.filter(|draft| draft.step.action.makes());
        let mut waiting: Vec<String> = made.map(|draft| draft.step.target.clone()).collect();
        waiting.extend(nodes.folders.keys().cloned());
        while let Some(path) = waiting.pop() {
            let Some(parent) = parent_of(&path) else {
                continue;
            };
            if nodes.folders.contains_key(parent) || nodes.present.contains_key(parent) {
                continue;
            }
            let key = ObjectKey::new(KindName::known(directory.name), parent);
            let is_known = self.inputs.target.selection.covers(&key);
            if !is_known && ALWAYS_THERE.contains(&parent) {
                continue;
            }
            match self.there(directory, parent)? {
                There::Nothing => {
                    let mut draft = Draft::new(directory, &Entry::new(key));
                    draft.step.name = String::new();
                    draft.step.old_id = None;
                    draft.step.action = Action::Create;
                    draft.step.reason = match is_known {
                        true => "has to be there for what lies in it".to_owned(),
                        false => "has to be there for what lies in it, and is made if it is not"
                            .to_owned(),
                    };
                    nodes.folders.insert(parent.to_owned(), draft);
                    waiting.push(parent.to_owned());
                }
                found => {
                    let is_folder = matches!(found, There::Entry(_) | There::Unknown(_));
                    nodes.present.insert(parent.to_owned(), is_folder);
                }
            }
        }
        Ok(())
    }

    fn push_nodes(&mut self, mut nodes: Nodes) {
        // The maker of each folder; none for a folder that cannot be made.
        let mut folders: HashMap<String, Option<usize>> = HashMap::new();
        let blocked: Vec<String> = nodes
            .present
            .iter()
            .filter(|(_, is_folder)| !**is_folder)
            .map(|(path, _)| path.clone())
            .collect();
        folders.extend(blocked.into_iter().map(|path| (path, None)));
        for (path, draft) in std::mem::take(&mut nodes.folders) {
            self.stage += 1;
            let made = self.push_in_folder(draft, &folders);
            folders.insert(path, made);
        }
        for (_, drafts) in nodes.others {
            self.stage += 1;
            for draft in drafts {
                self.push_in_folder(draft, &folders);
            }
        }
    }

    /// Adds a node's step, which needs its folder's. Returns its place, if it makes something.
    fn push_in_folder(
        &mut self,
        mut draft: Draft,
        folders: &HashMap<String, Option<usize>>,
    ) -> Option<usize> {
        let makes = draft.step.action.makes();
        match parent_of(&draft.step.target).and_then(|parent| folders.get(parent)) {
            Some(Some(folder)) => draft.step.needs.push(*folder),
            Some(None) if makes => {
                draft =
                    draft.skip("its folder cannot be made: the target has something else there");
                self.push(draft);
                return None;
            }
            _ => {}
        }
        if makes && let Some((_, owner, "")) = home_of(&draft.step.target) {
            // The home of someone who is made comes after them.
            let maker = self.people.get(&owner.to_lowercase());
            draft.step.needs.extend(maker);
        }
        let index = self.push(draft);
        makes.then_some(index)
    }
}

/// Whether the snapshot lacks what a node is made of.
fn is_missing(kind: &Kind, entry: &Entry) -> bool {
    match kind.node() {
        Some(Node::Directory) => false,
        Some(Node::Notebook | Node::File) => entry.content.is_none(),
        _ => entry.body.is_none(),
    }
}

fn parent_of(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        Some(("", _)) | None => None,
        Some((parent, _)) => Some(parent),
    }
}

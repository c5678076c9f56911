//! The steps of objects that are found by listing: people, clusters, jobs and the like.
//!
//! Invariant: an object is made after everything it refers to; where that cannot be, it is made in part and completed.

use std::cell::RefCell;

use serde_json::Value;

use super::draft::{Draft, not_in_the_snapshot};
use super::identity::own_name;
use super::matching::{Candidate, Match, Matcher, Memory};
use super::planner::{DAMAGED, Planner, body_of, entries_of, id_of, whole_body_of};
use super::remap::{Context, Remapped, remap};
use super::rounds::Rounds;
use super::{Action, PlanError, parse_placeholder, placeholder};
use crate::manifest::Entry;
use crate::mapping::home_of;
use crate::resource::{Kind, Restore, Target};

/// The objects of one kind on both sides.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) snapshot: Vec<Entry>,
    pub(super) target: Vec<Entry>,
    /// For each object of the snapshot.
    pub(super) matches: Vec<Match>,
}

impl Planner<'_> {
    /// Reads both sides of a kind, once, and finds out which object is which.
    pub(super) fn load(&mut self, kind: &'static Kind) -> Result<&Loaded, PlanError> {
        if !self.loaded.contains_key(kind.name) {
            let snapshot = entries_of(self.inputs.snapshot.tree, kind, "snapshot")?;
            let target = entries_of(self.inputs.target.tree, kind, "target")?;
            let matches = self.match_up(kind, &snapshot, &target)?;
            let loaded = Loaded {
                snapshot,
                target,
                matches,
            };
            self.loaded.insert(kind.name, loaded);
        }
        Ok(&self.loaded[kind.name])
    }

    fn match_up(
        &self,
        kind: &Kind,
        snapshot: &[Entry],
        target: &[Entry],
    ) -> Result<Vec<Match>, PlanError> {
        let (ours, theirs) = (self.inputs.snapshot.tree, self.inputs.target.tree);
        let candidates = |entries: &[Entry], is_snapshot: bool| {
            let candidate = |entry: &Entry| {
                let tree = if is_snapshot { ours } else { theirs };
                let body = match kind.fields.principal {
                    Some(_) => whole_body_of(tree, entry, "snapshot")?,
                    None => None,
                };
                Ok(self.candidate(kind, entry, body.as_ref(), is_snapshot))
            };
            entries.iter().map(candidate).collect::<Result<Vec<_>, _>>()
        };
        // Only to tell apart objects that share a name: what cannot be read is like nothing.
        let comparable = |tree, entry: &Entry, is_snapshot| {
            let mut body = body_of(tree, entry, "snapshot").ok()??;
            if is_snapshot {
                let ids = |kinds: &[&str], old: &str| self.new_id(kinds, old);
                let _ = self.mapping.rewrite(kind, &mut body, &ids);
            }
            kind.visit_references(&mut body, &mut |reference, value| {
                if matches!(reference.to, Target::Id(kinds) if kinds.contains(&kind.name)) {
                    *value = Value::Null;
                }
            });
            kind.quieten(&mut body);
            kind.sort_unordered(&mut body);
            Some(
                kind.request
                    .map_or_else(|| body.clone(), |request| request(body.clone())),
            )
        };
        let matcher = Matcher {
            snapshot: &candidates(snapshot, true)?,
            target: &candidates(target, false)?,
            is_unique: kind.naming.unique,
            same_workspace: self.same_workspace(),
            memory: &|index| self.memory(kind, id_of(&snapshot[index])),
            snapshot_body: &|index| comparable(ours, &snapshot[index], true),
            target_body: &|index| comparable(theirs, &target[index], false),
        };
        Ok(matcher.run())
    }

    fn candidate(
        &self,
        kind: &Kind,
        entry: &Entry,
        body: Option<&Value>,
        is_snapshot: bool,
    ) -> Candidate {
        let mut candidate = Candidate {
            id: id_of(entry).to_owned(),
            name: entry.key.name.clone(),
            alias: None,
        };
        if kind.is_by_time() && is_snapshot {
            // Its name begins with a path.
            let placed = self.mapping.place(&candidate.name);
            candidate.name = placed.unwrap_or_default();
        }
        if let Some((what, at)) = kind.fields.principal {
            let own = own_name(kind, entry, body);
            let name = match is_snapshot {
                true => self.inputs.options.mapping.renamed(what, &own),
                false => own,
            };
            match at == kind.naming.at {
                true => candidate.name = name.to_lowercase(),
                false => candidate.alias = Some(name.to_lowercase()),
            }
        }
        candidate
    }

    /// Adds the steps of a kind.
    pub(super) fn plan_listed(&mut self, kind: &'static Kind) -> Result<(), PlanError> {
        self.report_gap(kind)?;
        let loaded = self.load(kind)?.clone();
        let mut to_make = Vec::new();
        for (index, (entry, found)) in loaded.snapshot.iter().zip(&loaded.matches).enumerate() {
            let old = id_of(entry).to_owned();
            match found {
                Match::Here { target, .. } => {
                    let id = id_of(&loaded.target[*target]).to_owned();
                    self.new_ids.insert((kind.name, old), id);
                }
                Match::New if self.is_to_be_made(kind, entry)? => {
                    let to_come = placeholder(kind.name, &old);
                    self.new_ids.insert((kind.name, old), to_come);
                    to_make.push(index);
                }
                _ => {}
            }
        }
        for (entry, found) in loaded.snapshot.iter().zip(&loaded.matches) {
            if let Match::SameAs(other) = found {
                let other = id_of(&loaded.snapshot[*other]).to_owned();
                if let Some(id) = self.new_ids.get(&(kind.name, other)).cloned() {
                    let old = id_of(entry).to_owned();
                    self.new_ids.insert((kind.name, old), id);
                }
            }
        }
        let Rounds { rounds, broken } = self.rounds(kind, &loaded, &to_make)?;
        for round in rounds {
            self.stage += 1;
            for index in round {
                if kind.fields.made_by.is_some() {
                    self.stage += 1;
                }
                if let Some(draft) = self.draft(kind, &loaded, index, &broken)? {
                    self.push(draft);
                }
            }
        }
        Ok(())
    }

    fn is_to_be_made(&self, kind: &'static Kind, entry: &Entry) -> Result<bool, PlanError> {
        if kind.fields.principal.is_some() {
            let newcomer = (kind.name, id_of(entry).to_owned());
            return Ok(self.newcomers.contains(&newcomer));
        }
        if kind.is_by_time() && self.why_no_place(kind, entry)?.is_some() {
            return Ok(false);
        }
        Ok(self.selected.covers(&entry.key)
            && self.gaps.of_kind(kind).is_none()
            && (kind.restore.rest().is_some() || matches!(kind.restore, Restore::Sql))
            && self.why_not_by_sql(kind, entry).is_none()
            && !kind.is_built_in(&entry.key.name)
            && entry.body.is_some())
    }

    /// Why there is nothing that a run could belong to, if so.
    fn why_no_place(&self, kind: &Kind, entry: &Entry) -> Result<Option<String>, PlanError> {
        if self.mapping.place(&entry.key.name).is_none() {
            let owner = home_of(&entry.key.name).map_or("", |(_, owner, _)| owner);
            return Ok(Some(format!(
                "its home belongs to {owner}, who is not in the target (--missing-users skip)"
            )));
        }
        let Some(mut body) = whole_body_of(self.inputs.snapshot.tree, entry, "snapshot")? else {
            return Ok(None);
        };
        let mut missing = None;
        kind.visit_references(&mut body, &mut |reference, value| {
            if let (Target::Id(kinds), Some(old)) = (reference.to, value.as_str())
                && !kinds.contains(&kind.name)
                && self.new_id(kinds, old).is_none()
            {
                let name = self.describe(kinds, old);
                missing = Some(format!("belongs to {name}, which is not in the target"));
            }
        });
        Ok(missing)
    }

    /// The step of one object; none if it is not to be restored.
    fn draft(
        &self,
        kind: &'static Kind,
        loaded: &Loaded,
        index: usize,
        broken: &[(usize, String)],
    ) -> Result<Option<Draft>, PlanError> {
        let entry = &loaded.snapshot[index];
        if !self.selected.covers(&entry.key) {
            return Ok(None);
        }
        let mut draft = Draft::new(kind, entry);
        let body = match body_of(self.inputs.snapshot.tree, entry, "snapshot") {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(Some(draft.skip(not_in_the_snapshot(entry)))),
            Err(PlanError::Read { .. }) => {
                return Ok(Some(draft.skip(DAMAGED)));
            }
            Err(error) => return Err(error),
        };
        if let Restore::RecordOnly { why } = kind.restore {
            return Ok(Some(draft.skip(why)));
        }
        if kind.is_by_time() {
            if let Some(why) = self.why_no_place(kind, entry)? {
                return Ok(Some(draft.skip(why)));
            }
            let place = self.mapping.place(&entry.key.name);
            draft.step.target = place.unwrap_or_default();
        }
        let later = |_: &[&str], old: &str| {
            let pair = |(from, to): &(usize, String)| *from == index && to == old;
            broken.iter().any(pair)
        };
        let is_partial = broken.iter().any(|(from, _)| *from == index);
        let (remapped, uses) = self.remap(kind, body.clone(), &later);
        draft.uses = uses;
        draft.step.unmapped = remapped.unmapped;
        draft.step.notes.extend(remapped.notes);
        let wanted = remapped.body;
        if matches!(kind.fields.principal, Some((_, at)) if at == kind.naming.at) {
            draft.step.target = own_name(kind, entry, Some(&wanted));
        }
        let draft = match &loaded.matches[index] {
            Match::Here { target, is_ours } => {
                let there = &loaded.target[*target];
                self.compare(kind, draft, wanted, there, *is_ours)?
            }
            Match::SameAs(other) => {
                let other = &loaded.snapshot[*other].key;
                draft.skip(format!("becomes the same as {other}"))
            }
            Match::Ambiguous(count) => {
                draft.step.action = Action::Conflict;
                draft.step.reason = format!(
                    "the target has {count} objects of this name, and it cannot be told which one is meant"
                );
                draft
            }
            Match::New if self.is_to_be_made(kind, entry)? => {
                draft.step.before = ids_of_namesakes(loaded, &draft.step.target);
                let memory = self.memory(kind, id_of(entry));
                draft.step.in_doubt = matches!(memory, Some(Memory::Begun { .. }));
                let whole = is_partial.then_some(body);
                self.draft_new(kind, draft, wanted, whole)?
            }
            Match::New => {
                let why = self.why_not_by_sql(kind, entry);
                let why = why.unwrap_or_else(|| self.why_not_made(kind, &body));
                draft.skip(why)
            }
        };
        Ok(Some(draft))
    }

    /// The step of an object that is made; `whole` is its body if it is made in part.
    fn draft_new(
        &self,
        kind: &'static Kind,
        mut draft: Draft,
        mut wanted: Value,
        whole: Option<Value>,
    ) -> Result<Draft, PlanError> {
        if let Some(securable) = kind.securable() {
            return self.make_by_sql(kind, securable, draft, wanted);
        }
        if kind.restore.logged().is_some() {
            draft.step.content.clone_from(&draft.entry.content);
        }
        self.quieten(kind, &mut draft.step, &mut wanted, None);
        self.secrets_of(kind, &mut draft, &mut wanted, None)?;
        self.versions_of(kind, &mut draft.step, &mut wanted, None);
        if let Some(body) = whole {
            let (remapped, uses) = self.remap(kind, body, &|_, _| false);
            let mut whole = remapped.body;
            self.quieten(kind, &mut draft.step, &mut whole, None);
            let note = "made without what closes a cycle, and completed at the end";
            draft.step.notes.push(note.to_owned());
            draft.rest = Some((whole, uses));
        }
        let made = draft.make(wanted, "is not in the target");
        self.permissions_of(kind, made, None)
    }

    /// Rewrites a body, and says which ids to come it uses.
    pub(super) fn remap(
        &self,
        kind: &Kind,
        body: Value,
        later: &dyn Fn(&[&str], &str) -> bool,
    ) -> (Remapped, Vec<(String, String)>) {
        let uses = RefCell::new(Vec::new());
        let ids = |kinds: &[&str], old: &str| {
            let id = self.new_id(kinds, old)?;
            if let Some((kind, old)) = parse_placeholder(&id) {
                uses.borrow_mut().push((kind.to_owned(), old.to_owned()));
            }
            Some(id)
        };
        let context = Context {
            mapping: &self.mapping,
            ids: &ids,
            describe: &|kinds, old| self.describe(kinds, old),
            caller: self.inputs.caller.name(),
            new_cluster: &self.inputs.options.new_cluster,
        };
        let remapped = remap(kind, body, &context, later);
        (remapped, uses.into_inner())
    }

    fn why_not_made(&self, kind: &Kind, body: &Value) -> String {
        if let Some(reason) = self.gaps.of_kind(kind) {
            return format!(
                "the target's {} objects could not be listed: {reason}",
                kind.name
            );
        }
        match &kind.fields.elsewhere {
            Some(rule) if kind.is_made_elsewhere(body) => rule.why.to_owned(),
            _ => "is not in the target, and missing people are not made (--missing-users create)"
                .to_owned(),
        }
    }
}

fn ids_of_namesakes(loaded: &Loaded, name: &str) -> Vec<String> {
    let same = |entry: &&Entry| entry.key.name.eq_ignore_ascii_case(name);
    let namesakes = loaded.target.iter().filter(same);
    namesakes.map(|entry| id_of(entry).to_owned()).collect()
}

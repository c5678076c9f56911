//! The rounds in which the objects of one kind are made.
//!
//! Invariant: every object is in exactly one round; what is not made comes last.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::PlanError;
use super::listed::Loaded;
use super::order::order;
use super::planner::{Planner, id_of, whole_body_of};
use crate::resource::hive::{Relation, Securable, mentioned};
use crate::resource::{Kind, Target, visit};

/// In which order the objects of a kind are planned.
pub(super) struct Rounds {
    /// What is made, in order, then everything else.
    pub(super) rounds: Vec<Vec<usize>>,
    /// References that have to be added later, as (who refers, to which id).
    pub(super) broken: Vec<(usize, String)>,
}

impl Planner<'_> {
    /// Brings the objects of a kind into an order.
    pub(super) fn rounds(
        &self,
        kind: &'static Kind,
        loaded: &Loaded,
        to_make: &[usize],
    ) -> Result<Rounds, PlanError> {
        let ids = || to_make.iter().map(|index| id_of(&loaded.snapshot[*index]));
        let positions: HashMap<&str, usize> = ids().zip(0..).collect();
        let is_view = kind.securable() == Some(Securable::View);
        let views = ids().map(lowered).zip(0..);
        let views: HashMap<Relation, usize> = views.filter(|_| is_view).collect();
        let mut references = Vec::with_capacity(to_make.len());
        let mut places = Vec::with_capacity(to_make.len());
        for &index in to_make {
            let entry = &loaded.snapshot[index];
            let body = whole_body_of(self.inputs.snapshot.tree, entry, "snapshot")?;
            let mut body = body.unwrap_or_default();
            references.push(match is_view {
                true => views_in(&body, &views),
                false => own_references(kind, &mut body, &positions),
            });
            places.push(kind.fields.made_by.map_or(0, |at| number_at(&body, at)));
        }
        let order = order(&references);
        let mut made = BTreeMap::<u32, Vec<(i64, usize)>>::new();
        for (position, &index) in to_make.iter().enumerate() {
            let round = made.entry(order.round[position]).or_default();
            round.push((places[position], index));
        }
        let mut rounds = Vec::new();
        for mut round in made.into_values() {
            round.sort_unstable();
            rounds.push(round.into_iter().map(|(_, index)| index).collect());
        }
        let made: HashSet<usize> = to_make.iter().copied().collect();
        let all = 0..loaded.snapshot.len();
        rounds.push(all.filter(|index| !made.contains(index)).collect());
        let id = |position: usize| id_of(&loaded.snapshot[to_make[position]]).to_owned();
        // What a query speaks of is a guess: nothing can be added to a view later, and it is only tried again.
        let broken = order.broken.iter().filter(|_| !is_view);
        let broken = broken.map(|&(from, to)| (to_make[from], id(to))).collect();
        Ok(Rounds { rounds, broken })
    }
}

/// The objects of its own kind that an object refers to, by their position.
fn own_references(kind: &Kind, body: &mut Value, positions: &HashMap<&str, usize>) -> Vec<usize> {
    let mut found = Vec::new();
    kind.visit_references(body, &mut |reference, value| {
        if matches!(reference.to, Target::Id(kinds) if kinds.contains(&kind.name)) {
            let id = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            found.extend(positions.get(id.as_str()));
        }
    });
    found
}

/// The views that the query of a view may need, by their position.
fn views_in(body: &Value, views: &HashMap<Relation, usize>) -> Vec<usize> {
    let query = body["query"].as_str().unwrap_or_default();
    let names = mentioned(query, body["namespace"].as_str());
    names
        .iter()
        .filter_map(|name| views.get(name).copied())
        .collect()
}

fn lowered(name: &str) -> Relation {
    Relation::parse(&name.to_lowercase())
}

fn number_at(body: &Value, at: &str) -> i64 {
    let mut number = 0;
    visit(body, at, &mut |value| {
        number = value.as_i64().unwrap_or_default()
    });
    number
}

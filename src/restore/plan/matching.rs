//! Which object of the target is which object of the snapshot.
//!
//! Invariant: pure; when it cannot be told, that is said, and nothing is overwritten or made twice on a guess.

use std::collections::BTreeMap;

use serde_json::Value;

/// One object, as far as matching is concerned.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidate {
    /// Its id in its workspace.
    pub(super) id: String,
    /// What the target calls it or would call it; equal names are equal as texts.
    pub(super) name: String,
    /// A second name that no two objects share.
    pub(super) alias: Option<String>,
}

/// What earlier runs of the same restore know of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// They made it.
    Made {
        /// The id it got.
        id: String,
        /// Nothing remains to be done with it.
        is_done: bool,
    },
    /// They set out to make it when these were there already.
    Begun {
        /// Their ids.
        before: Vec<String>,
    },
}

/// What an object of the snapshot is in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// This one. `is_ours`: an earlier run made it and did not finish it.
    Here { target: usize, is_ours: bool },
    /// The same one that another object of the snapshot is or becomes.
    SameAs(usize),
    /// None.
    New,
    /// One of several, and nobody can tell which.
    Ambiguous(usize),
}

/// Matches the objects of one kind.
pub(super) struct Matcher<'a> {
    pub(super) snapshot: &'a [Candidate],
    pub(super) target: &'a [Candidate],
    /// Whether no two objects of the kind share a name.
    pub(super) is_unique: bool,
    /// Whether both are the same workspace, so that an id means the same object.
    pub(super) same_workspace: bool,
    /// What earlier runs know.
    pub(super) memory: &'a dyn Fn(usize) -> Option<Memory>,
    /// The bodies, made comparable: asked for only among objects that share a name.
    pub(super) snapshot_body: &'a dyn Fn(usize) -> Option<Value>,
    /// Those of the target.
    pub(super) target_body: &'a dyn Fn(usize) -> Option<Value>,
}

impl Matcher<'_> {
    /// What each object of the snapshot is in the target.
    pub(super) fn run(&self) -> Vec<Match> {
        let mut matches: Vec<Option<Match>> = vec![None; self.snapshot.len()];
        let mut taken = vec![false; self.target.len()];
        self.by_identity(&mut matches, &mut taken);
        let mut groups: BTreeMap<&str, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (index, candidate) in self.snapshot.iter().enumerate() {
            if matches[index].is_none() {
                groups.entry(&candidate.name).or_default().0.push(index);
            }
        }
        for (index, candidate) in self.target.iter().enumerate() {
            if !taken[index]
                && let Some(group) = groups.get_mut(candidate.name.as_str())
            {
                group.1.push(index);
            }
        }
        // Someone may have a name already, by id or alias: then two of the snapshot have become one.
        let found = matches.iter().enumerate();
        let named: BTreeMap<&str, usize> = found
            .filter(|(_, found)| found.is_some())
            .map(|(index, _)| (self.snapshot[index].name.as_str(), index))
            .collect();
        for (name, (ours, theirs)) in groups {
            match self.is_unique {
                true => {
                    let namesake = named.get(name).copied();
                    self.by_unique_name(&mut matches, &ours, &theirs, namesake);
                }
                false => self.by_shared_name(&mut matches, ours, theirs),
            }
        }
        matches
            .into_iter()
            .map(|found| found.unwrap_or(Match::New))
            .collect()
    }

    /// By what earlier runs made, by id within one workspace, by alias.
    fn by_identity(&self, matches: &mut [Option<Match>], taken: &mut [bool]) {
        let by_id: BTreeMap<&str, usize> = index_by(self.target, |candidate| Some(&candidate.id));
        let by_alias = index_by(self.target, |candidate| candidate.alias.as_deref());
        for pass in 0..3 {
            for (index, candidate) in self.snapshot.iter().enumerate() {
                if matches[index].is_some() {
                    continue;
                }
                let mut is_ours = false;
                let found = match pass {
                    0 => match (self.memory)(index) {
                        Some(Memory::Made { id, is_done }) => {
                            is_ours = !is_done;
                            by_id.get(id.as_str())
                        }
                        _ => None,
                    },
                    1 if self.same_workspace => by_id.get(candidate.id.as_str()),
                    1 => None,
                    _ => candidate
                        .alias
                        .as_deref()
                        .and_then(|alias| by_alias.get(alias)),
                };
                if let Some(&target) = found
                    && !taken[target]
                {
                    taken[target] = true;
                    matches[index] = Some(Match::Here { target, is_ours });
                }
            }
        }
    }

    fn by_unique_name(
        &self,
        matches: &mut [Option<Match>],
        ours: &[usize],
        theirs: &[usize],
        namesake: Option<usize>,
    ) {
        let Some((&first, others)) = ours.split_first() else {
            return;
        };
        matches[first] = Some(match (theirs.first(), namesake) {
            (Some(&target), _) => Match::Here {
                target,
                is_ours: self.is_begun(first, target),
            },
            (None, Some(other)) => Match::SameAs(other),
            (None, None) => Match::New,
        });
        for &other in others {
            matches[other] = Some(Match::SameAs(first));
        }
    }

    fn by_shared_name(
        &self,
        matches: &mut [Option<Match>],
        mut ours: Vec<usize>,
        mut theirs: Vec<usize>,
    ) {
        let mut pair = |ours: &mut Vec<usize>,
                        theirs: &mut Vec<usize>,
                        fits: &dyn Fn(usize, usize) -> bool,
                        is_ours| {
            ours.retain(|&index| {
                let Some(at) = theirs.iter().position(|&target| fits(index, target)) else {
                    return true;
                };
                let target = theirs.remove(at);
                matches[index] = Some(Match::Here { target, is_ours });
                false
            });
        };
        let only_one = |ours: &[usize], theirs: &[usize]| ours.len() == 1 && theirs.len() == 1;
        let begun = |index, target| self.is_begun(index, target);
        let equal = |index, target| {
            let body = (self.snapshot_body)(index);
            body.is_some() && body == (self.target_body)(target)
        };
        if !theirs.is_empty() && !only_one(&ours, &theirs) {
            pair(
                &mut ours,
                &mut theirs,
                &|index, target| begun(index, target) && equal(index, target),
                true,
            );
        }
        pair(&mut ours, &mut theirs, &begun, true);
        if !theirs.is_empty() && !only_one(&ours, &theirs) {
            pair(&mut ours, &mut theirs, &equal, false);
        }
        if only_one(&ours, &theirs) {
            pair(&mut ours, &mut theirs, &|_, _| true, false);
        }
        let found = match theirs.len() {
            0 => Match::New,
            count => Match::Ambiguous(count),
        };
        for index in ours {
            matches[index] = Some(found.clone());
        }
    }

    /// Whether an earlier run set out to make the object, and this one has come since.
    fn is_begun(&self, index: usize, target: usize) -> bool {
        match (self.memory)(index) {
            Some(Memory::Begun { before }) => !before.contains(&self.target[target].id),
            _ => false,
        }
    }
}

fn index_by<'a>(
    candidates: &'a [Candidate],
    name: impl Fn(&'a Candidate) -> Option<&'a str>,
) -> BTreeMap<&'a str, usize> {
    let pairs = candidates.iter().enumerate();
    pairs
        .filter_map(|(index, candidate)| Some((name(candidate)?, index)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Case<'a> {
        snapshot: &'a [(&'a str, &'a str, i64)],
        target: &'a [(&'a str, &'a str, i64)],
        is_unique: bool,
        same_workspace: bool,
        memory: &'a [(usize, Memory)],
    }

    /// Objects are given as id, name, body.
    const CASE: Case<'static> = Case {
        snapshot: &[],
        target: &[],
        is_unique: false,
        same_workspace: false,
        memory: &[],
    };

    fn run(case: &Case<'_>) -> Vec<Match> {
        let candidates = |list: &[(&str, &str, i64)]| -> Vec<Candidate> {
            let candidate = |(id, name, _): &(&str, &str, i64)| Candidate {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                alias: None,
            };
            list.iter().map(candidate).collect()
        };
        Matcher {
            snapshot: &candidates(case.snapshot),
            target: &candidates(case.target),
            is_unique: case.is_unique,
            same_workspace: case.same_workspace,
            memory: &|index| {
                let known = case.memory.iter().find(|(of, _)| *of == index);
                known.map(|(_, memory)| memory.clone())
            },
            snapshot_body: &|index| Some(json!(case.snapshot[index].2)),
            target_body: &|index| Some(json!(case.target[index].2)),
        }
        .run()
    }

    const fn here(target: usize) -> Match {
        Match::Here {
            target,
            is_ours: false,
        }
    }

    const fn ours(target: usize) -> Match {
        Match::Here {
            target,
            is_ours: true,
        }
    }

    #[test]
    fn the_only_two_of_a_name_are_the_same() {
        let case = Case {
            snapshot: &[("1", "a", 0), ("2", "b", 0)],
            target: &[("9", "a", 5)],
            ..CASE
        };
        assert_eq!(run(&case), [here(0), Match::New]);
    }

    #[test]
    fn among_several_of_a_name_equal_ones_are_the_same_and_the_rest_is_new() {
        let case = Case {
            snapshot: &[("1", "a", 1), ("2", "a", 2), ("3", "a", 3)],
            target: &[("9", "a", 2)],
            ..CASE
        };
        assert_eq!(run(&case), [Match::New, here(0), Match::New]);
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_guessed() {
        let case = Case {
            snapshot: &[("1", "a", 1)],
            target: &[("8", "a", 2), ("9", "a", 3)],
            ..CASE
        };
        assert_eq!(run(&case), [Match::Ambiguous(2)]);
    }

    #[test]
    fn in_the_same_workspace_the_id_tells_even_after_a_change_of_name() {
        let case = Case {
            snapshot: &[("1", "a", 1), ("2", "a", 2)],
            target: &[("2", "renamed", 2), ("1", "a", 7)],
            same_workspace: true,
            ..CASE
        };
        assert_eq!(run(&case), [here(1), here(0)]);
    }

    #[test]
    fn what_an_earlier_run_made_is_found_by_its_id() {
        let made = Memory::Made {
            id: "9".into(),
            is_done: false,
        };
        let case = Case {
            snapshot: &[("1", "a", 1)],
            target: &[("8", "a", 1), ("9", "a", 2)],
            memory: &[(0, made)],
            ..CASE
        };
        assert_eq!(run(&case), [ours(1)]);
    }

    #[test]
    fn what_an_earlier_run_began_is_the_one_that_was_not_there_before() {
        let begun = Memory::Begun {
            before: vec!["8".into()],
        };
        let case = Case {
            snapshot: &[("1", "a", 1), ("2", "a", 2)],
            target: &[("8", "a", 9), ("9", "a", 2), ("10", "a", 1)],
            memory: &[(0, begun.clone()), (1, begun)],
            ..CASE
        };
        assert_eq!(run(&case), [ours(2), ours(1)]);
    }

    #[test]
    fn two_who_become_one_are_one() {
        let case = Case {
            snapshot: &[("1", "c@x", 1), ("2", "c@x", 2)],
            target: &[("9", "c@x", 0)],
            is_unique: true,
            ..CASE
        };
        assert_eq!(run(&case), [here(0), Match::SameAs(0)]);
        let nobody = Case {
            target: &[],
            ..case
        };
        assert_eq!(run(&nobody), [Match::New, Match::SameAs(0)]);
    }
}

//! In which order objects that refer to each other are made.
//!
//! Invariant: pure and deterministic; the same references give the same order, and no cycle remains.

/// An order in which everything comes after what it refers to, but for the broken references.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// The round in which each object is made; those of one round do not refer to each other.
    pub(super) round: Vec<u32>,
    /// References that close a cycle, as (who refers, to whom): they have to be added later.
    pub(super) broken: Vec<(usize, usize)>,
}

/// Orders objects by what each refers to.
pub(super) fn order(references: &[Vec<usize>]) -> Order {
    const UNSEEN: u8 = 0;
    const OPEN: u8 = 1;
    const DONE: u8 = 2;
    let mut state = vec![UNSEEN; references.len()];
    let mut round = vec![0_u32; references.len()];
    let mut broken = Vec::new();
    // A stack of its own: a chain of jobs may be longer than the machine's.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in 0..references.len() {
        if state[start] == UNSEEN {
            state[start] = OPEN;
            path.push((start, 0));
        }
        while let Some((at, next)) = path.last_mut() {
            let at = *at;
            let Some(&to) = references[at].get(*next) else {
                state[at] = DONE;
                path.pop();
                if let Some((parent, _)) = path.last() {
                    round[*parent] = round[*parent].max(round[at] + 1);
                }
                continue;
            };
            *next += 1;
            match state[to] {
                UNSEEN => {
                    state[to] = OPEN;
                    path.push((to, 0));
                }
                OPEN => broken.push((at, to)),
                _ => round[at] = round[at].max(round[to] + 1),
            }
        }
    }
    Order { round, broken }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_after_what_it_refers_to() {
        let Order { round, broken } = order(&[vec![1, 2], vec![2], vec![], vec![0]]);
        assert_eq!(round, [2, 1, 0, 3]);
        assert_eq!(broken, []);
    }

    #[test]
    fn a_cycle_is_broken_once_and_an_object_may_refer_to_itself() {
        let Order { round, broken } = order(&[vec![1], vec![2], vec![0, 2]]);
        assert_eq!(broken, [(2, 0), (2, 2)]);
        assert_eq!(round, [2, 1, 0]);
    }

    #[test]
    fn a_very_long_chain_does_not_overflow_the_stack() {
        let chain: Vec<Vec<usize>> = (0..200_000)
            .map(|at| {
                if at + 1 < 200_000 {
                    vec![at + 1]
                } else {
                    vec![]
                }
            })
            .collect();
        assert_eq!(order(&chain).round[0], 199_999);
    }

    proptest::proptest! {
        #[test]
        fn without_the_broken_references_no_reference_points_to_the_same_or_a_later_round(
            references in proptest::collection::vec(proptest::collection::vec(0_usize..12, 0..4), 12)
        ) {
            let Order { round, broken } = order(&references);
            for (at, list) in references.iter().enumerate() {
                for to in list.iter().filter(|to| !broken.contains(&(at, **to))) {
                    proptest::prop_assert!(round[at] > round[*to]);
                }
            }
        }
    }
}

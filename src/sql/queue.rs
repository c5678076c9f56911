//! Statements of several callers that wait for a place which runs one batch at a time: what waits while a batch runs goes
//! together in the next.
//!
//! Invariant: the batches have the order in which the statements came; a statement whose caller has gone is not run.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{Receiver, Sender, channel};

use super::{Rows, SqlError, Statement};

/// Statements of one batch: enough to make little of the way there and back, few enough for a batch to end in minutes.
const MOST: usize = 64;
/// How long the texts of a batch may be; one that is longer goes alone.
const LONGEST: usize = 500_000;

/// What becomes of a statement.
type Answer = Result<Rows, SqlError>;

/// Statements that wait.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Waiting>>,
}

struct Waiting {
    statement: Statement,
    caller: Sender<Answer>,
}

/// Statements that are run together.
pub(super) struct Batch {
    pub(super) statements: Vec<Statement>,
    callers: Vec<Sender<Answer>>,
}

impl Queue {
    /// Adds statements; where their answers will come.
    pub(super) fn add(&self, statements: &[Statement]) -> Vec<Receiver<Answer>> {
        let mut waiting = self.waiting();
        let add = |statement: &Statement| {
            let (caller, answer) = channel();
            let statement = statement.clone();
            waiting.push_back(Waiting { statement, caller });
            answer
        };
        statements.iter().map(add).collect()
    }

    /// Takes the next batch; none if nothing waits.
    pub(super) fn next(&self) -> Option<Batch> {
        let mut waiting = self.waiting();
        let (mut statements, mut callers, mut length) = (Vec::new(), Vec::new(), 0);
        while let Some(next) = waiting.pop_front() {
            if next.caller.is_closed() {
                continue;
            }
            length += next.statement.text.len();
            if statements.len() == MOST || (length > LONGEST && !statements.is_empty()) {
                waiting.push_front(next);
                break;
            }
            statements.push(next.statement);
            callers.push(next.caller);
        }
        (!statements.is_empty()).then_some(Batch {
            statements,
            callers,
        })
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// Tells every caller what became of its statement. What befell all of them is told to each.
    pub(super) fn deliver(self, answers: Result<Vec<Answer>, SqlError>) {
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                let (words, may_be_done) = (error.to_string(), error.may_be_done());
                let shared = |_| {
                    let words = words.clone();
                    Err(SqlError::Shared { words, may_be_done })
                };
                let rest = (1..self.callers.len()).map(shared);
                std::iter::once(Err(error)).chain(rest).collect()
            }
        };
        for (caller, answer) in self.callers.into_iter().zip(answers) {
            // Whoever does not wait any more does not want to know.
            let _ = caller.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(lengths: &[usize]) -> Vec<Statement> {
        let text = |length: &usize| Statement::new("x".repeat(*length));
        lengths.iter().map(text).collect()
    }

    fn lengths(queue: &Queue) -> Vec<Vec<usize>> {
        let batches = std::iter::from_fn(|| queue.next());
        batches
            .map(|batch| batch.statements.iter().map(|one| one.text.len()).collect())
            .collect()
    }

    #[test]
    fn batches_are_neither_of_many_statements_nor_of_long_ones_and_keep_their_order() {
        let queue = Queue::default();
        let _first = queue.add(&statements(&[1, 499_998, 2, 600_000]));
        let _second = queue.add(&statements(&[7; 65]));
        let expected = [
            vec![1, 499_998],
            vec![2],
            vec![600_000],
            vec![7; 64],
            vec![7],
        ];
        assert_eq!(lengths(&queue), expected);
    }

    #[test]
    fn what_nobody_waits_for_is_not_run() {
        let queue = Queue::default();
        drop(queue.add(&statements(&[1, 2])));
        let _kept = queue.add(&statements(&[3]));
        assert_eq!(lengths(&queue), [[3]]);
    }

    #[tokio::test]
    async fn what_befalls_a_batch_is_told_to_each_with_whether_it_may_be_done() {
        let queue = Queue::default();
        let answers = queue.add(&statements(&[1, 2]));
        let batch = queue.next().unwrap();
        batch.deliver(Err(SqlError::Answer("cut off".to_owned())));
        for answer in answers {
            let error = answer.await.unwrap().unwrap_err();
            assert!(error.to_string().contains("cut off"));
            assert!(error.may_be_done());
        }
    }
}

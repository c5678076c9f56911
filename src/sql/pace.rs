//! How often is asked whether something is done: soon at first, then less and less often.
//!
//! Invariant: every wait has an end.

use std::time::Duration;

use super::SqlError;

/// The longest wait between two looks.
const LONGEST: Duration = Duration::from_secs(5);
/// The first one.
const FIRST: Duration = Duration::from_millis(20);

/// The waits between looks at one thing.
pub(super) struct Pace {
    next: Duration,
    spent: Duration,
    most: Duration,
}

impl Pace {
    /// Looks for so long, not counting what the looks themselves take.
    pub(super) fn new(most: Duration) -> Self {
        Self {
            next: FIRST,
            spent: Duration::ZERO,
            most,
        }
    }

    /// Waits for the next look; an error when it was waited for long enough.
    pub(super) async fn wait(&mut self, what: &str) -> Result<(), SqlError> {
        if self.spent >= self.most {
            let minutes = self.most.as_secs() / 60;
            return Err(SqlError::NoPlace(format!(
                "{what} was not ready after {minutes} minutes"
            )));
        }
        tokio::time::sleep(self.next).await;
        self.spent += self.next;
        self.next = (self.next * 3 / 2).min(LONGEST);
        Ok(())
    }
}

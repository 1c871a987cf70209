//! Sends one request after another.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Messages,
    connection::{Connection, Reply},
    schedule::{Schedule, Turn},
};
use crate::{answer::Said, code::Code, outcome::Outcome};

/// One of those that send; a connection of gRPC has several.
pub(super) struct Worker {
    pub(super) connection: Connection,
    pub(super) schedule: Arc<Schedule>,
    pub(super) messages: Arc<dyn Messages>,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
}

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

// === impl Worker ===

impl Worker {
    pub(super) async fn run(mut self) -> Outcome {
        let mut outcome = Outcome::default();
        while let Some(turn) = self.schedule.next().await {
            self.deliver(turn, &mut outcome).await;
        }
        outcome
    }

    /// Sends the request until it is taken, refused for good, or given up.
    async fn deliver(&mut self, turn: Turn, outcome: &mut Outcome) {
        outcome.requests += 1;
        let mut wait = FIRST_WAIT;
        for attempt in 0.. {
            let message = self.messages.message(turn.index);
            let items = message.items;
            let Reply { code, said } = self.attempt(message).await;
            *outcome.answers.entry(code).or_default() += 1;
            if code.is_success() {
                // A count below zero or above what was sent is the server's mistake.
                let rejected = u64::try_from(said.rejected).unwrap_or_default().min(items);
                outcome.accepted_requests += 1;
                outcome.accepted_items += items - rejected;
                outcome.rejected_items += rejected;
            } else if code.is_retryable(said.retry_after.is_some()) && attempt < self.retries {
                tokio::time::sleep(said.retry_after.unwrap_or(wait)).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                continue;
            }
            outcome.latency.record(Instant::now().saturating_duration_since(turn.due));
            self.messages.ended(turn.index, code);
            return;
        }
    }

    async fn attempt(&mut self, message: super::Message) -> Reply {
        let code = match tokio::time::timeout(self.timeout, self.connection.send(message)).await {
            Ok(Ok(reply)) => return reply,
            Ok(Err(_)) => Code::Broken,
            Err(_) => Code::TimedOut,
        };
        Reply { code, said: Said::default() }
    }
}

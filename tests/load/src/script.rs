//! What a sink answers, one request after another.

use std::time::Duration;

use crate::answer::{Answer, Refusal};

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub answer: Answer,
    /// How long the request is held before; it is counted at once.
    pub delay: Duration,
}

/// Answers in their order, over all connections and both protocols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    steps: Vec<Step>,
    next: usize,
    repeats: bool,
}

// === impl Step ===

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Self { answer, delay: Duration::ZERO }
    }
}

impl From<Refusal> for Step {
    fn from(refusal: Refusal) -> Self {
        Answer::Refuse(refusal).into()
    }
}

// === impl Script ===

impl Script {
    /// Everything is accepted at once: what a sink begins with.
    #[must_use]
    pub fn accepting() -> Self {
        Self::default()
    }

    /// The same every time.
    #[must_use]
    pub fn always(step: impl Into<Step>) -> Self {
        Self::cycle([step])
    }

    /// Each in turn, and then from the beginning.
    #[must_use]
    pub fn cycle<S: Into<Step>>(steps: impl IntoIterator<Item = S>) -> Self {
        Self { repeats: true, ..Self::once(steps) }
    }

    /// Each in turn; what comes after is accepted.
    #[must_use]
    pub fn once<S: Into<Step>>(steps: impl IntoIterator<Item = S>) -> Self {
        Self { steps: steps.into_iter().map(Into::into).collect(), next: 0, repeats: false }
    }

    pub(crate) fn next(&mut self) -> Step {
        if self.repeats && self.next == self.steps.len() {
            self.next = 0;
        }
        let step = self.steps.get(self.next).cloned();
        self.next += usize::from(step.is_some());
        step.unwrap_or_else(|| Answer::Accept.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_five(mut script: Script) -> Vec<bool> {
        (0..5).map(|_| script.next().answer == Answer::Accept).collect()
    }

    #[test]
    fn scripts_run_once_or_again_and_then_accept() {
        let steps = [Answer::Break, Answer::Accept];
        assert_eq!(first_five(Script::accepting()), [true; 5]);
        assert_eq!(first_five(Script::once(steps.clone())), [false, true, true, true, true]);
        assert_eq!(first_five(Script::cycle(steps)), [false, true, false, true, false]);
        assert_eq!(first_five(Script::always(Refusal::unavailable())), [false; 5]);
        assert_eq!(first_five(Script::cycle::<Step>([])), [true; 5]);
    }
}

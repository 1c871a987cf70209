//! The step budget: no batch makes the walk run for ever, even if the walk has a fault.

use super::Refusal;
use crate::limits;

/// How many more fields may be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    left: u64,
}

/// So that the smallest batches need no arithmetic of their own.
const STEPS_ALWAYS: u64 = 1024;

// === impl Steps ===

impl Steps {
    /// For a batch of so many bytes.
    ///
    /// A batch cannot spend it. Each step consumes the tag of a field, which is at least one byte and belongs to one
    /// level only. The walk reads the fields of a resource twice (who is it, what is in it), and those of an item at
    /// most four times: its head, its tail, the tail again when a time changed behind the attributes, and a last time
    /// for exemplars. That is [`limits::STEPS_PER_BYTE_MAX`] for each byte that is a tag.
    pub(super) fn for_batch(length: usize) -> Self {
        Self::limited(limits::STEPS_PER_BYTE_MAX.saturating_mul(length as u64).saturating_add(STEPS_ALWAYS))
    }

    /// So many and no more.
    pub(super) fn limited(left: u64) -> Self {
        Self { left }
    }

    /// Takes one step, at `offset`.
    #[inline]
    pub(super) fn take(&mut self, offset: usize) -> Result<(), Refusal> {
        self.take_several(1, offset)
    }

    /// Takes so many steps, of which the last is at `offset`.
    #[inline]
    pub(super) fn take_several(&mut self, steps: u64, offset: usize) -> Result<(), Refusal> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Refusal { offset, reason: "step budget spent" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_after_the_last_is_refused() {
        let mut steps = Steps::limited(2);
        assert_eq!((steps.take(5), steps.take(6)), (Ok(()), Ok(())));
        assert_eq!(steps.take(7), Err(Refusal { offset: 7, reason: "step budget spent" }));
    }
}

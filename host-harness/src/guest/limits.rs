//! What one instance may use, and the meter that holds it to that.

use std::time::Duration;

use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};

/// Bounds on one instance of the plugin.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of linear memory. The largest batch is there as it came, as it leaves, and as a list of edits; the state may
    /// take 192 MiB more.
    pub memory_bytes: usize,
    /// How long `process` may take. A batch of 60 MB, all of it marked, took 1.2 s on two busy cores (measured); exporters
    /// of OTLP give up after 10 s.
    pub process: Duration,
    /// How long any other call may take. The longest is `merge` of a whole state.
    pub call: Duration,
    /// Bytes that one answer may hold, so that a broken plugin cannot fill the host's memory.
    pub answer_bytes: usize,
}

/// Keeps count while an instance grows, and remembers what it was denied: that is then the reason of its trap.
pub(super) struct Meter {
    limits: StoreLimits,
    memory_bytes: usize,
    /// What the instance has.
    grown: usize,
    /// The size of memory that was asked for in vain during the present call.
    pub(super) denied: Option<usize>,
}

/// Entries in one table: functions that are called through pointers. The component has a few hundred.
const TABLE_ELEMENTS_MAX: usize = 100_000;

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 * 1024 * 1024,
            process: Duration::from_secs(5),
            call: Duration::from_secs(2),
            // The largest batch, and the whole state beside its keys, each with room.
            answer_bytes: 256 * 1024 * 1024,
        }
    }
}

// === impl Meter ===

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        let memory_bytes = limits.memory_bytes;
        let limits = StoreLimitsBuilder::new().memory_size(memory_bytes).table_elements(TABLE_ELEMENTS_MAX).build();
        Self { limits, memory_bytes, grown: 0, denied: None }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    pub(super) fn grown(&self) -> usize {
        self.grown
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = self.limits.memory_growing(current, desired, maximum)?;
        if allowed {
            self.grown += desired - current;
        } else {
            self.denied = Some(desired);
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }
}

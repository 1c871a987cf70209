//! The clock behind the deadlines of calls: wasmtime counts epochs, and one thread for each engine makes them pass.

use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// How exact deadlines are. A thread that wakes a hundred times a second cannot be seen in any measurement.
const TICK: Duration = Duration::from_millis(10);

/// Lets the epochs of `engine` pass until it is dropped.
pub(super) fn start(engine: &Engine) {
    let engine = engine.weak();
    thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    });
}

/// The number of epochs in `limit`; one more than fit, since the present one has begun already. None for no time at all.
pub(super) fn ticks(limit: Duration) -> u64 {
    if limit.is_zero() {
        return 0;
    }
    u64::try_from(limit.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

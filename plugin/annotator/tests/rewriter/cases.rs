//! How many cases a property is tried on.

use proptest::test_runner::{Config as ProptestConfig, RngSeed};

/// So many cases of a property, none of which are written down.
pub(crate) fn with_cases(cases: u32) -> ProptestConfig {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    if cfg!(feature = "planted-bugs") {
        // Of a fault that was planted nobody needs the smallest case, and a few show it: the same in every run, since others
        // might not.
        ProptestConfig { cases: cases.div_ceil(4), max_shrink_iters: 0, rng_seed: RngSeed::Fixed(2), ..config }
    } else {
        config
    }
}

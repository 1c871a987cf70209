//! Any bytes as a batch of metrics: see [`rewriting::check`].
#![no_main]

use faultline_annotator::otlp::Signal;
use faultline_fuzz::{mutator, rewriting};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|input: &[u8]| rewriting::check(Signal::Metrics, input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::mutate(Signal::Metrics, data, size, max_size, seed, fuzzer_mutate)
});

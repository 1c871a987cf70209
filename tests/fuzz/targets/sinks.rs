//! See [`sinks::check`].
#![no_main]

use faultline_fuzz::{mutator, sinks};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|input: &[u8]| sinks::check(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::mutate_with_signal(data, size, max_size, seed, fuzzer_mutate)
});

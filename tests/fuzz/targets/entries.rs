//! See [`entries::check`].
#![no_main]

use faultline_fuzz::entries;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| entries::check(input));

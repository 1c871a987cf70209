//! See [`configuration::check`].
#![no_main]

use faultline_fuzz::configuration;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| configuration::check(input));

//! See [`webhooks::check`].
#![no_main]

use faultline_fuzz::webhooks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| webhooks::check(input));

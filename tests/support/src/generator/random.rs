//! Random numbers that are the same everywhere.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// A stream of numbers. Narrowing is done here: that of the `rand` crate may change between its versions.
pub(super) struct Random(ChaCha8Rng);

// === impl Random ===

impl Random {
    /// The numbers of one seed; another `stream` gives others that are unrelated.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut numbers = ChaCha8Rng::seed_from_u64(seed);
        numbers.set_stream(stream);
        Self(numbers)
    }

    /// A number below `bound`; 0 when that is 0. The bias of the remainder does not matter to test data.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound.max(1)
    }

    /// True for so many of a hundred.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(super) fn one_of<T: Copy>(&mut self, several: &[T]) -> T {
        several[self.below(several.len() as u64) as usize]
    }

    /// So many bytes, none of which is 0: an id of zeros means that there is none.
    pub(super) fn id(&mut self, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|_| 1 + self.below(255) as u8).collect()
    }

    /// Text of twice as many digits.
    pub(super) fn hexadecimal(&mut self, bytes: usize) -> String {
        self.id(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A number between 0 and 1000 with a fraction.
    pub(super) fn measurement(&mut self) -> f64 {
        self.below(1_000_000) as f64 / 1000.0
    }
}

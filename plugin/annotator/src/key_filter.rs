//! Tells most keys from a few at a glance.

/// What a few keys have in common: their lengths, and how they begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyFilter {
    /// Bit `n` is set when the length of a key ends in these six bits.
    lengths: u64,
    /// Bit `n` is set when a key begins with a byte whose lowest six bits are `n`: letters of one case differ there.
    beginnings: u64,
}

// === impl KeyFilter ===

impl KeyFilter {
    /// For no keys yet.
    pub(crate) const fn new() -> Self {
        Self { lengths: 0, beginnings: 0 }
    }

    /// The same with one more key.
    #[must_use]
    pub(crate) const fn with(self, key: &[u8]) -> Self {
        Self { lengths: self.lengths | length_bit(key), beginnings: self.beginnings | beginning_bit(key) }
    }

    /// Whether `key` may be one of the keys. False is sure.
    #[inline(always)]
    pub(crate) const fn may_be(&self, key: &[u8]) -> bool {
        self.lengths & length_bit(key) != 0 && self.beginnings & beginning_bit(key) != 0
    }
}

#[inline(always)]
const fn length_bit(key: &[u8]) -> u64 {
    1 << (key.len() & 63)
}

#[inline(always)]
const fn beginning_bit(key: &[u8]) -> u64 {
    match key {
        [] => 1,
        [first, ..] => 1 << (*first & 63),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_in_length_or_beginning_are_told_apart() {
        let filter = KeyFilter::new().with(b"incident.id").with(b"incident.severity");
        assert!(filter.may_be(b"incident.id") && filter.may_be(b"incident.severity"));
        for other in ["thread.name", "server.port", "incident", "url.path", ""] {
            assert!(!filter.may_be(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn the_empty_key_and_long_ones_are_keys_too() {
        let long = [b'k'; 100];
        assert!(KeyFilter::new().with(b"").may_be(b""));
        assert!(KeyFilter::new().with(&long).may_be(&long));
        assert!(!KeyFilter::new().with(&long).may_be(b"k"));
        assert!(!KeyFilter::new().may_be(b""));
    }
}

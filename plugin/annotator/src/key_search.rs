//! Says of a stretch of telemetry that no key of ours is in it, without reading a single field.
//!
//! A key lies in one piece wherever it occurs, whatever is around it. So where no beginning of our keys occurs among the
//! bytes, no item in them can have one of ours. This is worth its time where the bytes are compared sixteen or more at
//! once: a stretch takes about as long as copying it, and reading the attributes in it many times that.

/// The beginnings of some keys, to be searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySearch {
    /// Each key begins with one of these. Empty: nothing is searched for, any key may be anywhere.
    beginnings: Vec<Beginning>,
    bytes_min: usize,
}

/// What one or more keys begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Beginning {
    text: Vec<u8>,
    /// Three bytes of the text that are seldom found together elsewhere.
    probe: [u8; PROBE_BYTES],
    /// Where in the text they are.
    probe_at: usize,
}

/// More take longer to search for than the keys take to read.
const BEGINNINGS_MAX: usize = 4;
/// With two, "nc" of "incident" is met in "function" and "instance": one span in three has one.
const PROBE_BYTES: usize = 3;
/// So many places are looked at before the next branch.
const BLOCK: usize = 64;
/// Whether the compiler makes vector instructions of the search. Without them it takes longer than reading the keys
/// (<https://github.com/WebAssembly/simd>; SSE2 and NEON are in every processor of these kinds).
const IS_FAST: bool = cfg!(any(target_feature = "simd128", target_arch = "x86_64", target_arch = "aarch64"));
/// In less than this the keys are read as fast as they are searched for.
const BYTES_MIN: usize = 4 * 1024;
const CACHE_LINE_BYTES: usize = 64;
/// Letters of names from frequent to rare, so that the probe is taken from where a text is unlike others.
const FREQUENT: &[u8] = b"etaoinsr.lhdcumpg_fwybvkxjqz";

// === impl KeySearch ===

impl KeySearch {
    /// Searches for all of these keys, or for none, when they have too little in common.
    #[must_use]
    pub fn of<'k>(keys: impl IntoIterator<Item = &'k str>) -> Self {
        let mut texts: Vec<&[u8]> = Vec::new();
        for key in keys {
            let key = key.as_bytes();
            match texts.iter_mut().find(|text| segment(text) == segment(key)) {
                Some(text) => *text = common(text, key),
                None => texts.push(key),
            }
        }
        let beginnings: Option<Vec<Beginning>> = texts.into_iter().map(Beginning::of).collect();
        let beginnings = beginnings.filter(|found| IS_FAST && found.len() <= BEGINNINGS_MAX).unwrap_or_default();
        Self { beginnings, bytes_min: BYTES_MIN }
    }

    /// The same for stretches of any length, which otherwise must be worth it.
    #[must_use]
    pub fn of_any_length(self) -> Self {
        Self { bytes_min: 0, ..self }
    }

    /// Whether one of the keys may be in `bytes`. False is sure.
    #[must_use]
    pub fn may_be_in(&self, bytes: &[u8]) -> bool {
        if self.beginnings.is_empty() || bytes.len() < self.bytes_min {
            return true;
        }
        let found = self.beginnings.iter().any(|beginning| beginning.is_in(bytes));
        if found {
            touch(bytes);
        }
        found
    }
}

/// Brings `bytes` close to the processor. Where all items are marked already, the walk looks at the beginning of each and
/// waits for it, since no processor foresees where the next one is: that took a third of its time.
fn touch(bytes: &[u8]) {
    let lines = bytes.chunks(CACHE_LINE_BYTES).filter_map(|line| line.first());
    std::hint::black_box(lines.fold(0, |all, byte| all | byte));
}

/// A name up to its first dot: keys of one origin share it.
fn segment(key: &[u8]) -> &[u8] {
    key.split(|byte| *byte == b'.').next().unwrap_or_default()
}

fn common<'k>(one: &'k [u8], other: &[u8]) -> &'k [u8] {
    let length = one.iter().zip(other).take_while(|(left, right)| left == right).count();
    one.get(..length).unwrap_or_default()
}

// === impl Beginning ===

impl Beginning {
    /// None where the text is too short to be told from others.
    fn of(text: &[u8]) -> Option<Self> {
        let rarity = |byte: &u8| FREQUENT.iter().position(|frequent| frequent == byte).unwrap_or(FREQUENT.len());
        let probes = text.windows(PROBE_BYTES).enumerate();
        let (probe_at, probe) = probes.max_by_key(|(_, probe)| probe.iter().map(rarity).sum::<usize>())?;
        Some(Self { text: text.to_vec(), probe: *probe.first_chunk()?, probe_at })
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let [first, second, third] = self.probe;
        let mut rest = bytes;
        // Three views of one block, so that each is compared with one byte throughout and no index is checked.
        while let (Some(firsts), Some(seconds), Some(thirds)) = (block::<0>(rest), block::<1>(rest), block::<2>(rest)) {
            let mut found = 0;
            for ((one, two), three) in firsts.iter().zip(seconds).zip(thirds) {
                found |= u8::from(*one == first) & u8::from(*two == second) & u8::from(*three == third);
            }
            if found != 0 && self.is_near(bytes, bytes.len() - rest.len()) {
                return true;
            }
            rest = rest.get(BLOCK..).unwrap_or_default();
        }
        self.is_near(bytes, bytes.len() - rest.len())
    }

    /// Whether the text is in `bytes` with its probe within a block from `at` on.
    #[cold]
    fn is_near(&self, bytes: &[u8], at: usize) -> bool {
        let start = at.saturating_sub(self.probe_at);
        let end = bytes.len().min(at + BLOCK + self.text.len());
        let stretch = bytes.get(start..end).unwrap_or_default();
        stretch.windows(self.text.len()).any(|window| window == self.text)
    }
}

#[inline(always)]
fn block<const FROM: usize>(bytes: &[u8]) -> Option<&[u8; BLOCK]> {
    bytes.get(FROM..)?.first_chunk()
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};

    use super::*;

    const KEYS: [&str; 4] = ["incident.id", "incident.severity", "incident.active", "deployment.id"];

    #[test]
    fn keys_of_one_origin_are_searched_for_by_what_they_share() {
        let search = KeySearch::of(KEYS).of_any_length();
        let texts: Vec<&[u8]> = search.beginnings.iter().map(|beginning| beginning.text.as_slice()).collect();
        assert_eq!(texts, [b"incident.".as_slice(), b"deployment.id"]);
        assert_eq!(&search.beginnings[0].probe, b"cid");
    }

    #[test]
    fn too_many_or_too_short_keys_may_be_anywhere() {
        for keys in [&["a.a", "b.b", "c.c", "d.d", "e.e"][..], &["incident.id", "ab"], &["x.y", "x"], &[""], &[]] {
            assert!(KeySearch::of(keys.iter().copied()).of_any_length().may_be_in(b""), "{keys:?}");
        }
    }

    #[test]
    fn a_short_stretch_is_not_searched() {
        assert!(KeySearch::of(KEYS).may_be_in(&[0; BYTES_MIN - 1]));
        assert!(!KeySearch::of(KEYS).may_be_in(&[0; BYTES_MIN]));
    }

    #[test]
    fn a_key_is_found_at_every_place() {
        let search = KeySearch::of(KEYS).of_any_length();
        for length in [11, 63, 64, 65, 66, 67, 130, 200] {
            for at in 0..=length - 11 {
                let mut bytes = vec![b'c'; length];
                assert!(!search.may_be_in(&bytes));
                bytes[at..at + 11].copy_from_slice(b"incident.id");
                assert!(search.may_be_in(&bytes), "at {at} of {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_a_plain_search_finds_is_found(
            parts in collection::vec(prop_oneof!["[a-z.]{0,70}", Just("incident.id".to_owned()), Just("cid".to_owned())], 0..6),
        ) {
            let text = parts.concat();
            let plain = text.contains("incident.") || text.contains("deployment.id");
            prop_assert_eq!(KeySearch::of(KEYS).of_any_length().may_be_in(text.as_bytes()), plain);
        }
    }
}

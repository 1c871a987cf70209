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
    /// Two bytes of the text that are seldom found together elsewhere.
    probe: [u8; 2],
    /// Where in the text they are.
    probe_at: usize,
}

/// More take longer to search for than the keys take to read.
const BEGINNINGS_MAX: usize = 4;
/// Shorter ones are met in other words too.
const TEXT_BYTES_MIN: usize = 4;
/// So many places are looked at before the next branch.
const BLOCK: usize = 128;
/// Whether the compiler makes vector instructions of the search. Without them it takes longer than reading the keys
/// (<https://github.com/WebAssembly/simd>; SSE2 and NEON are in every processor of these kinds).
const IS_FAST: bool = cfg!(any(target_feature = "simd128", target_arch = "x86_64", target_arch = "aarch64"));
/// In less than this the keys are read as fast as they are searched for (measured).
const BYTES_MIN: usize = if cfg!(target_family = "wasm") { 512 } else { 4 * 1024 };
const CACHE_LINE_BYTES: usize = 64;
/// Names and values as they are in telemetry: the probe is taken from where a text is least like them.
const TYPICAL: &[u8] = b"http.request.method GET http.response.status_code url.path url.full url.scheme https server.address \
    server.port client.address network.protocol.version network.peer.address user_agent.original Mozilla/5.0 AppleWebKit \
    rpc.system grpc rpc.service rpc.method db.system.name postgresql db.operation.name SELECT INSERT db.query.text db.namespace \
    messaging.destination.name messaging.operation.type process exception.type exception.message exception.stacktrace \
    java.lang.IllegalStateException error.type timeout code.function.name code.file.path thread.id thread.name exec \
    service.name service.instance.id service.version telemetry.sdk.language k8s.pod.name k8s.namespace.name container.id \
    host.name cloud.region session.id user.id enduser.id customer order product account checkout payment catalog cache client \
    internal function instance connection latency count duration success failed cancelled example.com";

/// Which pairs of bytes are in [`TYPICAL`]: a bit for the second in the element for the first. Of each byte the lowest five
/// bits count, in which letters differ; a few other bytes are taken for letters.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which would say so")]
const TYPICAL_PAIRS: [u32; 32] = {
    let mut pairs = [0; 32];
    let mut rest: &[u8] = TYPICAL;
    while let [first, others @ ..] = rest {
        if let [second, ..] = others {
            pairs[low_bits(*first)] |= 1 << low_bits(*second);
        }
        rest = others;
    }
    pairs
};

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

const fn low_bits(byte: u8) -> usize {
    (byte & 31) as usize
}

fn is_typical([first, second]: [u8; 2]) -> bool {
    TYPICAL_PAIRS.get(low_bits(first)).is_some_and(|seconds| seconds & 1 << low_bits(second) != 0)
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
        if text.len() < TEXT_BYTES_MIN {
            return None;
        }
        let pairs = text.windows(2).enumerate().filter_map(|(at, pair)| Some((at, *pair.first_chunk()?)));
        let (probe_at, probe) = pairs.min_by_key(|(_, pair)| is_typical(*pair))?;
        Some(Self { text: text.to_vec(), probe, probe_at })
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let mut at = 0;
        while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            if self.is_probe_in(block) && self.is_near(bytes, at) {
                return true;
            }
            at += BLOCK;
        }
        // The rest is searched as a block too, together with some of what was searched already.
        match bytes.len().checked_sub(BLOCK + 1) {
            Some(last) => {
                bytes.get(last..).and_then(<[u8]>::first_chunk).is_some_and(|block| self.is_probe_in(block))
                    && self.is_near(bytes, last)
            }
            None => self.is_near(bytes, 0),
        }
    }

    /// Whether the probe begins at one of the places of a block.
    #[inline(always)]
    fn is_probe_in(&self, block: &[u8; BLOCK + 1]) -> bool {
        let [first, second] = self.probe;
        // Two views of one block, so that each is compared with one byte throughout and no index is checked.
        let (Some(firsts), Some(seconds)) = (block.first_chunk::<BLOCK>(), block.last_chunk::<BLOCK>()) else {
            return true;
        };
        firsts
            .iter()
            .zip(seconds)
            .fold(0, |found, (one, two)| found | u8::from(*one == first) & u8::from(*two == second))
            != 0
    }

    /// Whether the text is in `bytes` with its probe within a block from `at` on.
    #[inline(never)]
    fn is_near(&self, bytes: &[u8], at: usize) -> bool {
        let probed = bytes.get(at..bytes.len().min(at + BLOCK + 1)).unwrap_or_default();
        let found = probed.windows(2).enumerate().filter(|(_, pair)| *pair == self.probe);
        found.map(|(offset, _)| at + offset).any(|probe| {
            let start = probe.checked_sub(self.probe_at);
            start.and_then(|start| bytes.get(start..)).is_some_and(|bytes| bytes.starts_with(&self.text))
        })
    }
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
        assert_eq!(&search.beginnings[0].probe, b"ci");
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
        for length in [11, 63, 64, 127, 128, 129, 130, 139, 200, 300] {
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

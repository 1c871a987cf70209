//! The part of an answer that changes only with the state: made once, sent to many.

use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::hex;
use crate::plugin::Entry;

/// The state at one revision of the board.
pub(super) struct Snapshot {
    /// Which one.
    pub(super) revision: u64,
    /// When it was made, to tell how old it is.
    pub(super) made: Instant,
    /// How long that kept the thread that decides about incidents.
    pub(super) took: Duration,
    tag: String,
    /// From the key `configuration` to the end of the document.
    tail: Bytes,
    compressed: OnceLock<Compressed>,
}

/// A stream of deflate, and what a trailer of gzip needs of what is in it.
struct Compressed {
    deflated: Bytes,
    checksum: Crc,
}

#[derive(Serialize)]
struct Tail<'a> {
    configuration: &'a Value,
    entries: Vec<TailEntry<'a>>,
}

#[derive(Serialize)]
struct TailEntry<'a> {
    key: &'a str,
    #[serde(serialize_with = "as_base64")]
    bytes: &'a [u8],
}

/// A member of gzip that is deflated, without name, time or system (RFC 1952, 2.3).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// Further levels cost more than a network between two machines of one site.
const LEVEL: u32 = 1;
/// Bytes of the tag: 128 bits of a digest do not meet by accident.
const TAG_BYTES: usize = 16;

// === impl Snapshot ===

impl Snapshot {
    /// That of these entries, which are sorted, under this configuration.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(super) fn new(revision: u64, configuration: &Value, entries: &[Entry], took: Duration) -> anyhow::Result<Self> {
        let entries = entries.iter().map(|Entry { key, bytes }| TailEntry { key, bytes }).collect();
        let mut tail = serde_json::to_vec(&Tail { configuration, entries })?;
        // What is before it opens the object.
        tail.remove(0);
        let tag = hex::encode(&Sha256::digest(&tail)[..TAG_BYTES]);
        Ok(Self { revision, made: Instant::now(), took, tag, tail: tail.into(), compressed: OnceLock::new() })
    }

    /// The same for the same configuration and entries, on any server and after any restart.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// The tag as a header.
    pub(super) fn etag(&self) -> HeaderValue {
        // Digits of a number.
        HeaderValue::from_str(&format!("\"{}\"", self.tag)).unwrap_or(HeaderValue::from_static("\"\""))
    }

    /// The document that begins with `head`, in parts.
    pub(super) fn plain(&self, head: &Bytes) -> Vec<Bytes> {
        vec![head.clone(), self.tail.clone()]
    }

    /// The same compressed by gzip: the head as a block that is stored, behind it the tail, which was deflated once, and the
    /// checksum of both. `head` must be shorter than 64 KiB.
    pub(super) fn gzipped(&self, head: &Bytes) -> Vec<Bytes> {
        let compressed = self.compressed.get_or_init(|| Compressed::new(&self.tail));
        let length = u16::try_from(head.len()).unwrap_or(u16::MAX);
        let mut begin = GZIP_HEAD.to_vec();
        // Not the last block, stored (RFC 1951, 3.2.4).
        begin.push(0);
        begin.extend(length.to_le_bytes());
        begin.extend((!length).to_le_bytes());
        begin.extend_from_slice(head);
        let mut checksum = Crc::new();
        checksum.update(head);
        checksum.combine(&compressed.checksum);
        let end = [checksum.sum().to_le_bytes(), checksum.amount().to_le_bytes()].concat();
        vec![begin.into(), compressed.deflated.clone(), end.into()]
    }
}

// === impl Compressed ===

impl Compressed {
    fn new(bytes: &[u8]) -> Self {
        let mut checksum = Crc::new();
        checksum.update(bytes);
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(LEVEL));
        let deflated = encoder.write_all(bytes).and_then(|()| encoder.finish());
        // Writing to memory does not fail.
        Self { deflated: deflated.unwrap_or_default().into(), checksum }
    }
}

fn as_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use serde_json::json;

    use super::*;

    fn entries(count: usize) -> Vec<Entry> {
        (0..count).map(|number| Entry { key: format!("{number:05}"), bytes: vec![0, 255, 7] }).collect()
    }

    fn snapshot(revision: u64, marking: &str, count: usize) -> Snapshot {
        Snapshot::new(revision, &json!({ "marking": marking }), &entries(count), Duration::ZERO).unwrap()
    }

    #[test]
    fn head_and_tail_are_one_document() {
        let parts = snapshot(1, "on", 2).plain(&Bytes::from_static(br#"{"version":1,"#));
        let document: Value = serde_json::from_slice(&parts.concat()).unwrap();
        assert_eq!(
            document,
            json!({
                "version": 1,
                "configuration": { "marking": "on" },
                "entries": [{ "key": "00000", "bytes": "AP8H" }, { "key": "00001", "bytes": "AP8H" }],
            })
        );
    }

    /// Scenario: heads of different lengths before one tail, with few and many entries.
    /// Guarantees: a decoder, which checks the sum and the length, gives the same bytes as without compression.
    #[test]
    fn what_is_compressed_in_parts_is_one_member_of_gzip() {
        for count in [0, 1, 20_000] {
            let snapshot = snapshot(1, "on", count);
            for head in [&b"{"[..], br#"{"version":1,"now":"2026-11-22T10:00:00Z","#] {
                let head = Bytes::from_static(head);
                let gzipped = snapshot.gzipped(&head).concat();
                let mut decoder = GzDecoder::new(&gzipped[..]);
                let mut decoded = Vec::new();
                decoder.read_to_end(&mut decoded).unwrap();
                assert!(decoded == snapshot.plain(&head).concat(), "{count} entries");
                assert!(decoder.into_inner().is_empty(), "nothing is behind it");
                assert!(count == 0 || gzipped.len() < decoded.len() + 64);
            }
        }
    }

    #[test]
    fn the_tag_changes_with_the_content_alone() {
        let tag = |snapshot: Snapshot| snapshot.tag().to_owned();
        assert_eq!(tag(snapshot(1, "on", 3)), tag(snapshot(2, "on", 3)));
        assert_ne!(tag(snapshot(1, "on", 3)), tag(snapshot(1, "off", 3)));
        assert_ne!(tag(snapshot(1, "on", 3)), tag(snapshot(1, "on", 4)));
    }
}

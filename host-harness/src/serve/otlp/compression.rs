//! gzip and zstd, within bounds.

use std::io::{self, Read, Write};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::body::{over, spent};
use super::refusal::{Code, Refusal};
use crate::serve::buffers::{Buffer, Buffers};
use crate::serve::config::Compression;

/// Further levels cost more than they save on a network between two machines of one site.
const GZIP_LEVEL: u32 = 1;
const ZSTD_LEVEL: i32 = 1;
/// What a zstd frame may make us keep: 8 MiB, the least that a decoder must support (RFC 8878, 3.1.1.1.2).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// How much is decompressed between two looks at the bounds.
const STEP: usize = 64 * 1024;

// === impl Compression ===

impl Compression {
    /// By its name in `Content-Encoding` and `grpc-encoding`.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"" | b"identity" => Some(Self::None),
            b"gzip" => Some(Self::Gzip),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Its name there.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Decompresses.
    ///
    /// # Errors
    /// When it comes to more than `bytes_max`, which ends the work there; when the budget is spent; when it is not what
    /// it says it is.
    pub fn decompress(self, bytes: &[u8], bytes_max: usize, buffers: &Arc<Buffers>) -> Result<Buffer, Refusal> {
        let malformed =
            |error: io::Error| Refusal::new(Code::InvalidArgument, format!("this is not {}: {error}", self.name()));
        match self {
            Self::None => {
                let mut buffer = buffers.get(bytes.len()).map_err(spent)?;
                buffer.extend(bytes).map_err(spent)?;
                Ok(buffer)
            }
            Self::Gzip => fill(MultiGzDecoder::new(bytes), bytes, bytes_max, buffers, &malformed),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(malformed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(malformed)?;
                fill(decoder, bytes, bytes_max, buffers, &malformed)
            }
        }
    }

    /// Compresses.
    ///
    /// # Errors
    /// When the budget is spent.
    pub fn compress(self, bytes: &[u8], buffers: &Arc<Buffers>) -> Result<Buffer, Refusal> {
        // What is repetitive, as telemetry is, comes to a quarter or less.
        let mut buffer = buffers.get(bytes.len() / 4 + 128).map_err(spent)?;
        let failed = |error: io::Error| Refusal::new(Code::Internal, format!("cannot compress: {error}"));
        match self {
            Self::None => buffer.vec().extend_from_slice(bytes),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(buffer.vec(), flate2::Compression::new(GZIP_LEVEL));
                encoder.write_all(bytes).and_then(|()| encoder.finish().map(drop)).map_err(failed)?;
            }
            Self::Zstd => {
                zstd::stream::copy_encode(bytes, buffer.vec(), ZSTD_LEVEL).map_err(failed)?;
            }
        }
        buffer.settle().map_err(spent)?;
        Ok(buffer)
    }
}

fn fill(
    mut decoder: impl Read,
    compressed: &[u8],
    bytes_max: usize,
    buffers: &Arc<Buffers>,
    malformed: &dyn Fn(io::Error) -> Refusal,
) -> Result<Buffer, Refusal> {
    let mut buffer = buffers.get(compressed.len().saturating_mul(4).min(bytes_max)).map_err(spent)?;
    loop {
        let before = buffer.bytes().len();
        let step = STEP.min(bytes_max - before + 1);
        buffer.count(before + step).map_err(spent)?;
        let read = decoder.by_ref().take(step as u64).read_to_end(buffer.vec()).map_err(malformed)?;
        if buffer.bytes().len() > bytes_max {
            return Err(over(bytes_max));
        }
        if read < step {
            return Ok(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::buffers::Budget;

    fn buffers(capacity: usize) -> Arc<Buffers> {
        Buffers::new(Arc::new(Budget::new(capacity)))
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let text = b"while an incident is open ".repeat(20_000);
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let buffers = buffers(4 << 20);
            let compressed = compression.compress(&text, &buffers).unwrap();
            assert!(compression == Compression::None || compressed.bytes().len() < text.len() / 20);
            let back = compression.decompress(compressed.bytes(), text.len(), &buffers).unwrap();
            assert!(back.bytes() == text, "{compression:?}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit_and_not_behind_it() {
        let bomb = vec![0; 32 << 20];
        for compression in [Compression::Gzip, Compression::Zstd] {
            let large = buffers(256 << 20);
            let compressed = compression.compress(&bomb, &large).unwrap();
            assert!(compressed.bytes().len() < bomb.len() / 100, "{compression:?}");
            let small = buffers(4 << 20);
            let refusal = compression.decompress(compressed.bytes(), 1 << 20, &small).unwrap_err();
            assert_eq!(refusal.http_status(), 413, "{compression:?}");
            let refusal = compression.decompress(compressed.bytes(), 64 << 20, &small).unwrap_err();
            assert_eq!(refusal.http_status(), 503, "{compression:?}: the budget ends it");
        }
    }

    #[test]
    fn what_is_something_else_or_cut_short_is_refused() {
        let buffers = buffers(1 << 20);
        for compression in [Compression::Gzip, Compression::Zstd] {
            assert_eq!(compression.decompress(b"plain", 100, &buffers).unwrap_err().code, Code::InvalidArgument);
            let compressed = compression.compress(&[7; 5000], &buffers).unwrap();
            let cut = &compressed.bytes()[..compressed.bytes().len() / 2];
            assert_eq!(compression.decompress(cut, 10_000, &buffers).unwrap_err().code, Code::InvalidArgument);
        }
    }
}

//! How bodies are compressed.

use std::io::{self, Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

/// What a body is compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// gzip at level 6, which is what SDKs and the Collector send.
    Gzip,
    /// Zstandard at its default level.
    Zstd,
}

// === impl Encoding ===

impl Encoding {
    /// All that a [`Sink`](crate::Sink) accepts.
    pub const ALL: [Self; 3] = [Self::Identity, Self::Gzip, Self::Zstd];

    /// As headers name it: `identity`, `gzip` or `zstd`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The encoding that a header names, if it is one of ours.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    /// `bytes` in this encoding.
    ///
    /// # Errors
    /// When zstd has no memory.
    pub fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(bytes.to_vec()),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Zstd => zstd::encode_all(bytes, zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }

    /// Appends what `bytes` hold to `output`.
    ///
    /// # Errors
    /// When they are not of this encoding.
    pub fn decompress(self, bytes: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Identity => output.extend_from_slice(bytes),
            Self::Gzip => _ = GzDecoder::new(bytes).read_to_end(output)?,
            Self::Zstd => zstd::stream::copy_decode(bytes, output)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_comes_out_again() {
        let text = "the same again, ".repeat(100).into_bytes();
        for encoding in Encoding::ALL {
            let compressed = encoding.compress(&text).unwrap();
            assert_eq!(compressed.len() < text.len(), encoding != Encoding::Identity);
            let mut output = b"before ".to_vec();
            encoding.decompress(&compressed, &mut output).unwrap();
            assert_eq!(output, [b"before ", &text[..]].concat());
            assert_eq!(Encoding::named(encoding.name()), Some(encoding));
        }
    }

    #[test]
    fn what_is_of_another_encoding_is_an_error() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            assert!(encoding.decompress(b"plain text, no archive", &mut Vec::new()).is_err());
        }
    }
}

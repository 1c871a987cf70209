//! What kind of WebAssembly a file is, told from its first eight bytes.

use std::fmt;

use serde::Serialize;

const MAGIC: &[u8; 4] = b"\0asm";

/// A kind of WebAssembly file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A component: has typed interfaces, and can be a plugin.
    Component,
    /// A core module, which a component is made of.
    Module,
    /// Something newer.
    Unknown,
}

// === impl Kind ===

impl Kind {
    /// `None` when it is not WebAssembly at all.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        // Two bytes of version, then two of layer: 0 is the core specification, 1 the component model.
        Some(match rest {
            [1, 0, 0, 0, ..] => Self::Module,
            [_, _, 1, 0, ..] => Self::Component,
            _ => Self::Unknown,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Component => "a WebAssembly component",
            Self::Module => "a core WebAssembly module",
            Self::Unknown => "WebAssembly of an unknown version",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_components_from_modules() {
        assert_eq!(Kind::of(b"\0asm\x0d\0\x01\0"), Some(Kind::Component));
        assert_eq!(Kind::of(b"\0asm\x01\0\0\0"), Some(Kind::Module));
        assert_eq!(Kind::of(b"\0asm\x02"), Some(Kind::Unknown));
        assert_eq!(Kind::of(b"hello"), None);
        assert_eq!(Kind::of(b""), None);
    }
}

//! `on` or `off`.

use crate::document::{Place, Read};

/// `on` or `off`. `true` and `false` are read too: YAML 1.1 tools rewrite `on` to `true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// `on`
    On,
    /// `off`
    Off,
}

// === impl Switch ===

impl Switch {
    /// Whether it is `on`.
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

impl Read for Switch {
    fn read(at: &Place<'_>) -> Option<Self> {
        match at.value().as_bool() {
            Some(true) => Some(Self::On),
            Some(false) => Some(Self::Off),
            None => at.choice(&[("on", Self::On), ("off", Self::Off)]),
        }
    }
}

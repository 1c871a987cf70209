//! `on` or `off`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// `on` or `off`. `true` and `false` are read too: YAML 1.1 tools rewrite `on` to `true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// `on`
    On,
    /// `off`
    Off,
}

struct SwitchVisitor;

// === impl Switch ===

impl Switch {
    /// Whether it is `on`.
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SwitchVisitor)
    }
}

impl Visitor<'_> for SwitchVisitor {
    type Value = Switch;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`on` or `off`")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Switch, E> {
        Ok(if on { Switch::On } else { Switch::Off })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Switch, E> {
        match text {
            "on" => Ok(Switch::On),
            "off" => Ok(Switch::Off),
            other => Err(E::unknown_variant(other, &["on", "off"])),
        }
    }
}

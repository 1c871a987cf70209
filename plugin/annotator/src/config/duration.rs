//! A length of time as people write it.

use serde::de::{Deserialize, Deserializer, Error};

use crate::time::Nanos;

/// A length of time: `90s`, `5m`, `1h30m`, `24h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(Nanos);

// === impl Duration ===

impl Duration {
    /// From nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: Nanos) -> Self {
        Self(nanos)
    }

    /// In nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> Nanos {
        self.0
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refuse =
            || D::Error::custom(format!("`{text}` is not a duration, expected for example `90s`, `5m` or `24h`"));
        let duration: jiff::SignedDuration = text.parse().map_err(|_| refuse())?;
        Nanos::try_from(duration.as_nanos()).map(Self).map_err(|_| refuse())
    }
}

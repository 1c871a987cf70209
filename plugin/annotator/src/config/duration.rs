//! A length of time as people write it.

use crate::document::{Place, Read};
use crate::text;
use crate::time::{Nanos, parse_duration};

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

impl Read for Duration {
    fn read(at: &Place<'_>) -> Option<Self> {
        at.parse(|text| {
            parse_duration(text).map(Self).ok_or_else(|| {
                format!("`{}` is not a duration, expected for example `90s`, `5m` or `24h`", text::clean(text, 64))
            })
        })
    }
}

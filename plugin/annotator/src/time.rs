//! Points in time and lengths of time, in nanoseconds; reading and writing RFC 3339.

use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z, as OTLP counts them; or a length of time in nanoseconds.
pub type Nanos = u64;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;
/// One minute.
pub const MINUTE: Nanos = 60 * SECOND;
/// One hour.
pub const HOUR: Nanos = 60 * MINUTE;

/// Reads an RFC 3339 time with up to nine fractional digits and any offset.
///
/// `None` for anything else, and for times before 1970: Go writes its zero time as `0001-01-01T00:00:00Z`, which means
/// "none" to every sender that uses it.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Nanos> {
    let timestamp: jiff::Timestamp = text.trim().parse().ok()?;
    Nanos::try_from(timestamp.as_nanosecond()).ok().filter(|nanos| *nanos > 0)
}

/// Displays a point in time as RFC 3339 in UTC, with as many fractional digits as it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub Nanos);

// === impl Rfc3339 ===

impl fmt::Display for Rfc3339 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(timestamp) => write!(formatter, "{timestamp}"),
            Err(_) => write!(formatter, "{} ns", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_and_nine_fractional_digits() {
        assert_eq!(parse_rfc3339("1970-01-01T01:00:00.000000001+01:00"), Some(1));
        assert_eq!(parse_rfc3339("2026-03-01T10:00:00Z"), Some(1_772_359_200 * SECOND));
    }

    #[test]
    fn takes_the_zero_time_of_go_for_none() {
        assert_eq!(parse_rfc3339("0001-01-01T00:00:00Z"), None);
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn writes_what_it_reads() {
        let nanos = 1_772_359_200 * SECOND + 120;
        assert_eq!(parse_rfc3339(&Rfc3339(nanos).to_string()), Some(nanos));
    }
}

//! Points in time and lengths of time: reading what people write, and writing what they read.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};

/// Nanoseconds since 1970-01-01T00:00:00Z, as OTLP and the contract count them; or a length of time in nanoseconds.
pub type Nanos = u64;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;

/// Displays a point in time as RFC 3339 in UTC, with as many fractional digits as it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub Nanos);

/// Displays the time of day of a point in time in UTC, and the date before it where that is not the day of `reference`.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What is displayed.
    pub time: Nanos,
    /// The point in time whose day goes without saying.
    pub reference: Nanos,
}

/// The time now, from the system's clock. Only commands ask for it; the plugin never does.
#[must_use]
pub fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX)
}

/// Reads an RFC 3339 time with any offset, or `now`.
///
/// # Errors
/// For anything else, and for times that OTLP cannot hold: before 1970 and after 2554.
pub fn parse_time(text: &str) -> anyhow::Result<Nanos> {
    if text == "now" {
        return Ok(now());
    }
    let timestamp: jiff::Timestamp =
        text.parse().map_err(|error| anyhow!("{text:?} is not an RFC 3339 time like 2026-03-01T10:00:00Z: {error}"))?;
    Nanos::try_from(timestamp.as_nanosecond()).with_context(|| format!("{text:?} is before 1970 or after 2554"))
}

/// Reads a length of time such as `90s`, `5m` or `1h30m`.
///
/// # Errors
/// For anything else, and for negative lengths.
pub fn parse_length(text: &str) -> anyhow::Result<Nanos> {
    let length: jiff::SignedDuration =
        text.parse().map_err(|_| anyhow!("{text:?} is not a length of time like 90s, 5m or 1h30m"))?;
    if length.is_negative() {
        bail!("{text:?} is negative");
    }
    Nanos::try_from(length.as_nanos()).with_context(|| format!("{text:?} is longer than 584 years"))
}

// === impl Rfc3339 ===

impl fmt::Display for Rfc3339 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(timestamp) => write!(formatter, "{timestamp}"),
            Err(_) => write!(formatter, "{} ns", self.0),
        }
    }
}

impl serde::Serialize for Rfc3339 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl Clock ===

impl fmt::Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Rfc3339(self.time).to_string();
        let (Some((date, time)), reference) = (text.split_once('T'), Rfc3339(self.reference).to_string()) else {
            return formatter.write_str(&text);
        };
        let time = time.trim_end_matches('Z');
        if reference.starts_with(date) { formatter.pad(time) } else { write!(formatter, "{date} {time}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_O_CLOCK: Nanos = 1_772_359_200 * SECOND;

    #[test]
    fn reads_times_with_any_offset() {
        assert_eq!(parse_time("2026-03-01T10:00:00Z").unwrap(), TEN_O_CLOCK);
        assert_eq!(parse_time("2026-03-01T11:00:00.000000001+01:00").unwrap(), TEN_O_CLOCK + 1);
    }

    #[test]
    fn refuses_what_otlp_cannot_hold() {
        assert!(parse_time("0001-01-01T00:00:00Z").is_err());
        assert!(parse_time("9999-01-01T00:00:00Z").is_err());
        assert!(parse_time("yesterday").unwrap_err().to_string().contains("RFC 3339"));
    }

    #[test]
    fn reads_lengths_of_time() {
        assert_eq!(parse_length("1h30m").unwrap(), 5400 * SECOND);
        assert_eq!(parse_length("90s").unwrap(), 90 * SECOND);
        assert!(parse_length("-5m").is_err());
        assert!(parse_length("soon").is_err());
    }

    #[test]
    fn names_the_day_only_where_it_is_another() {
        let next_day = TEN_O_CLOCK + 24 * 3600 * SECOND;
        assert_eq!(Clock { time: TEN_O_CLOCK, reference: TEN_O_CLOCK }.to_string(), "10:00:00");
        assert_eq!(Clock { time: next_day, reference: TEN_O_CLOCK }.to_string(), "2026-03-02 10:00:00");
    }
}

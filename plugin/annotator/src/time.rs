//! Points in time and lengths of time, in nanoseconds; reading and writing RFC 3339.
//!
//! A date library would be a fifth of the plugin, nearly all of it texts of errors that are dropped here. jiff judges
//! this file in its tests instead.

use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z, as OTLP counts them; or a length of time in nanoseconds.
pub type Nanos = u64;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;
/// One minute.
pub const MINUTE: Nanos = 60 * SECOND;
/// One hour.
pub const HOUR: Nanos = 60 * MINUTE;

const SECONDS_PER_DAY: u64 = 86_400;
/// The Gregorian calendar repeats itself after 400 years.
const DAYS_PER_CYCLE: u64 = 146_097;
/// From 0000-03-01, where the count of days below begins, to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;
/// The lengths of units in texts like `1h30m`, longest first.
const UNITS: [(&str, Nanos); 4] = [("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", SECOND / 1000)];

/// Reads an RFC 3339 time with up to nine fractional digits and any offset.
///
/// `None` for anything else, and for times before 1970: Go writes its zero time as `0001-01-01T00:00:00Z`, which means
/// "none" to every sender that uses it. `None` too after 2554, where nanoseconds end.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Nanos> {
    let mut rest = Text(text.trim().as_bytes());
    let year = rest.number(4)?;
    rest.one_of(b"-")?;
    let month = rest.number(2)?;
    rest.one_of(b"-")?;
    let day = rest.number(2)?;
    rest.one_of(b"Tt ")?;
    let hour = rest.number(2)?;
    rest.one_of(b":")?;
    let minute = rest.number(2)?;
    rest.one_of(b":")?;
    let second = rest.number(2)?;
    let nanos = if rest.one_of(b".").is_some() { rest.fraction()? } else { 0 };
    let offset = rest.offset()?;
    // A minute may have a second 60, a leap second, which no clock here counts.
    if hour > 23 || minute > 59 || second > 60 || !rest.0.is_empty() {
        return None;
    }
    let days = days_since_1970(year, month, day)?;
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second.min(59);
    let seconds = seconds.checked_add_signed(-offset)?;
    seconds.checked_mul(SECOND)?.checked_add(nanos).filter(|nanos| *nanos > 0)
}

/// Reads Unix time, in the unit that its size tells: seconds, milliseconds, microseconds or nanoseconds, each for the years
/// 1973 to 5138 or as far as nanoseconds go. `None` for zero, which means "none", and for what lies too far ahead.
#[must_use]
pub fn parse_unix(number: u64) -> Option<Nanos> {
    let unit = match number {
        0..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => SECOND / 1000,
        100_000_000_000_000..100_000_000_000_000_000 => SECOND / 1_000_000,
        _ => 1,
    };
    number.checked_mul(unit).filter(|nanos| *nanos > 0)
}

/// Reads a length of time such as `90s`, `5m`, `1h30m`, `1h 30m` or `500ms`: whole numbers with units, the longer unit first.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Nanos> {
    let mut rest = text.trim();
    let mut units = UNITS.iter();
    let mut nanos: Nanos = 0;
    while !rest.is_empty() {
        let number = rest.find(|character: char| !character.is_ascii_digit())?;
        let (count, behind) = rest.split_at(number);
        let letters = behind.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (name, behind) = behind.split_at(letters);
        // Each unit takes those before it away: none comes twice, none out of order.
        let (_, unit) = units.find(|(unit, _)| *unit == name)?;
        nanos = nanos.checked_add(count.parse::<Nanos>().ok()?.checked_mul(*unit)?)?;
        rest = behind.trim_start();
    }
    (!text.trim().is_empty()).then_some(nanos)
}

/// Displays a point in time as RFC 3339 in UTC, with as many fractional digits as it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub Nanos);

/// What is left of a text.
struct Text<'a>(&'a [u8]);

/// Days since 1970-01-01; `None` for a date that is in no calendar, and for those before.
///
/// Years are counted from March, so that the leap day is the last of its year.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if day == 0 || day > days_in(year, month)? {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_month(month) + day - 1;
    days.checked_sub(DAYS_BEFORE_1970)
}

/// Days before a month, of which 0 is March.
fn day_of_month(month: u64) -> u64 {
    // 31 and 30 days alternate, with two of 31 behind one another twice; this line goes through all steps.
    (153 * month + 2) / 5
}

fn days_in(year: u64, month: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    })
}

/// Year, month and day, from days since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE_1970;
    let (cycle, day) = (days / DAYS_PER_CYCLE, days % DAYS_PER_CYCLE);
    // Takes the leap days out: one in 1461 days, but for one in 36,524, and the last day of a cycle is one again.
    let year = (day - day / 1460 + day / 36_524 - day / (DAYS_PER_CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - day_of_month(month) + 1;
    let year = 400 * cycle + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

// === impl Text ===

impl Text<'_> {
    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        wanted.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// A number of exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let number = number
            .iter()
            .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| 10 * number + u64::from(digit - b'0')))?;
        self.0 = rest;
        Some(number)
    }

    /// One to nine digits behind the point, as nanoseconds.
    fn fraction(&mut self) -> Option<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return None;
        }
        let number = self.number(digits)?;
        Some((digits..9).fold(number, |number, _| 10 * number))
    }

    /// `Z`, or hours and minutes from UTC, as seconds. Some senders leave the colon out.
    fn offset(&mut self) -> Option<i64> {
        let sign = self.one_of(b"Zz+-")?;
        if matches!(sign, b'Z' | b'z') {
            return Some(0);
        }
        let hours = self.number(2)?;
        self.one_of(b":");
        let minutes = self.number(2)?;
        if hours > 23 || minutes > 59 {
            return None;
        }
        let seconds = (hours * 3600 + minutes * 60).cast_signed();
        Some(if sign == b'-' { -seconds } else { seconds })
    }
}

// === impl Rfc3339 ===

impl fmt::Display for Rfc3339 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / SECOND, self.0 % SECOND);
        let (year, month, day) = date(seconds / SECONDS_PER_DAY);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if nanos > 0 {
            let fraction = format!("{nanos:09}");
            write!(formatter, ".{}", fraction.trim_end_matches('0'))?;
        }
        formatter.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn by_jiff(text: &str) -> Option<Nanos> {
        let time: Timestamp = text.parse().ok()?;
        Nanos::try_from(time.as_nanosecond()).ok().filter(|nanos| *nanos > 0)
    }

    #[test]
    fn reads_offsets_and_nine_fractional_digits() {
        assert_eq!(parse_rfc3339("1970-01-01T01:00:00.000000001+01:00"), Some(1));
        assert_eq!(parse_rfc3339(" 2026-03-01T10:00:00Z"), Some(1_772_359_200 * SECOND));
        assert_eq!(parse_rfc3339("2026-03-01T10:00:00+0000"), Some(1_772_359_200 * SECOND));
    }

    #[test]
    fn the_size_of_a_unix_time_tells_its_unit() {
        let ten = 1_772_359_200 * SECOND;
        for number in [1_772_359_200, 1_772_359_200_000, 1_772_359_200_000_000, ten] {
            assert_eq!(parse_unix(number), Some(ten), "{number}");
        }
        assert_eq!(parse_unix(0), None);
        assert_eq!(parse_unix(99_999_999_999), None, "the year 5138");
    }

    #[test]
    fn takes_the_zero_time_of_go_for_none() {
        assert_eq!(parse_rfc3339("0001-01-01T00:00:00Z"), None);
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn refuses_what_is_in_no_calendar_and_what_is_left_over() {
        for text in [
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-04-00T00:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T10:60:00Z",
            "2026-03-01T10:00:61Z",
            "2026-03-01T10:00:00",
            "2026-03-01T10:00:00.Z",
            "2026-03-01T10:00:00.0000000001Z",
            "2026-03-01T10:00:00Zulu",
            "2026-03-01T10:00:00+24:00",
            "2026-3-1T10:00:00Z",
            "",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        assert!(parse_rfc3339("2000-02-29T00:00:00Z").is_some());
        assert_eq!(parse_rfc3339("2554-07-21T23:34:33.709551615Z"), Some(u64::MAX));
        assert_eq!(parse_rfc3339("2554-07-21T23:34:33.709551616Z"), None);
    }

    #[test]
    fn a_leap_second_is_the_one_before_it() {
        let leap = "2016-12-31T23:59:60Z";
        assert_eq!(parse_rfc3339(leap), by_jiff(leap));
        assert_eq!(parse_rfc3339(leap), parse_rfc3339("2016-12-31T23:59:59Z"));
    }

    #[test]
    fn a_duration_is_numbers_with_units_the_longer_first() {
        for (text, nanos) in [
            ("90s", Some(90 * SECOND)),
            ("1h30m", Some(90 * MINUTE)),
            (" 1h 30m ", Some(90 * MINUTE)),
            ("24h", Some(24 * HOUR)),
            ("1s500ms", Some(1_500_000_000)),
            ("0s", Some(0)),
            ("30m1h", None),
            ("5m5m", None),
            ("5", None),
            ("m", None),
            ("-5m", None),
            ("5 m", None),
            ("1d", None),
            ("99999999999999999999h", None),
            ("9999999h", None),
            ("", None),
        ] {
            assert_eq!(parse_duration(text), nanos, "{text}");
            let by_jiff = text.trim().parse::<jiff::SignedDuration>().ok();
            let by_jiff = by_jiff.and_then(|duration| Nanos::try_from(duration.as_nanos()).ok());
            // jiff takes more ways of writing than one.
            assert!(by_jiff == nanos || nanos.is_none(), "{text}: {by_jiff:?}");
        }
    }

    proptest! {
        /// Scenario: any point in time that nanoseconds can hold.
        /// Guarantees: it is written as jiff writes it, and read back as it was.
        #[test]
        fn writes_as_jiff_and_reads_what_it_writes(nanos in 1..=u64::MAX) {
            let text = Rfc3339(nanos).to_string();
            prop_assert_eq!(&text, &Timestamp::from_nanosecond(i128::from(nanos)).unwrap().to_string());
            prop_assert_eq!(parse_rfc3339(&text), Some(nanos));
        }

        /// Scenario: any day of any month, real or not, with any offset.
        /// Guarantees: it is read as jiff reads it.
        #[test]
        fn reads_as_jiff(
            year in 1969_u16..2555, month in 0_u8..14, day in 0_u8..33, hour in 0_u8..25, minute in 0_u8..61,
            sign in "[+-]", offset_hours in 0_u8..24, offset_minutes in 0_u8..61, fraction in "(\\.[0-9]{1,9})?",
        ) {
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:30{fraction}{sign}{offset_hours:02}:{offset_minutes:02}"
            );
            prop_assert_eq!(parse_rfc3339(&text), by_jiff(&text), "{}", text);
        }
    }
}

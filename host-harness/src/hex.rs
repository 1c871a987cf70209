//! Bytes as hexadecimal text.

use std::fmt::Write;

use anyhow::{Context, bail};

/// Two lower-case digits for each byte.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads digits of either case; white space may stand anywhere, and `#` begins a comment up to the end of its line.
///
/// # Errors
/// Names the line that holds something else, or says that half a byte is left over.
pub fn decode(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut high = None;
    for (line, number) in text.lines().zip(1..) {
        let (digits, _comment) = line.split_once('#').unwrap_or((line, ""));
        for character in digits.chars().filter(|character| !character.is_whitespace()) {
            let digit = character
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
                .with_context(|| format!("line {number}: {character:?} is not a hexadecimal digit"))?;
            high = match high {
                None => Some(digit),
                Some(high) => {
                    bytes.push(high << 4 | digit);
                    None
                }
            };
        }
    }
    if high.is_some() {
        bail!("an odd number of hexadecimal digits");
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
    }

    #[test]
    fn skips_comments_and_white_space() {
        assert_eq!(decode("# a batch\n0a 0B # tag\n ff").unwrap(), [0x0a, 0x0b, 0xff]);
    }

    #[test]
    fn names_the_line_of_a_mistake() {
        assert_eq!(decode("00\n0g").unwrap_err().to_string(), "line 2: 'g' is not a hexadecimal digit");
        assert!(decode("000").is_err());
    }
}

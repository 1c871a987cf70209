//! Protobuf read without keeping anything: a sink reads hundreds of thousands of items a second.
//!
//! `faultline_test_support::wire` tells everything about a message, in memory that it allocates; this tells what is in it.

/// The fields of a message, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// The number of a field, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Value<'a>,
}

/// As much of a value as is of use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Delimited(&'a [u8]),
    /// Four or eight bytes, or a whole group.
    Other,
}

/// The message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn read(&mut self) -> Result<Field<'a>, Unreadable> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0).ok_or(Unreadable)?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = self.varint()?;
                Value::Delimited(self.take(usize::try_from(length).map_err(|_| Unreadable)?)?)
            }
            3 => self.skip_group().map(|()| Value::Other)?,
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return Err(Unreadable),
        };
        Ok(Field { number, value })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Unreadable)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Unreadable> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(Unreadable)
    }

    /// Up to behind the end of the group whose start was read. Counts instead of calling itself, so that no depth is too
    /// much; that the numbers of start and end agree is not its business.
    fn skip_group(&mut self) -> Result<(), Unreadable> {
        let mut depth = 1_u32;
        while depth > 0 {
            match self.varint()? & 7 {
                0 => _ = self.varint()?,
                1 => _ = self.take(8)?,
                2 => {
                    let length = self.varint()?;
                    self.take(usize::try_from(length).map_err(|_| Unreadable)?)?;
                }
                3 => depth = depth.checked_add(1).ok_or(Unreadable)?,
                4 => depth -= 1,
                5 => _ = self.take(4)?,
                _ => return Err(Unreadable),
            }
        }
        Ok(())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Unreadable>;

    /// After an error nothing more comes.
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use faultline_test_support::{Generator, Signal, wire};

    use super::*;

    /// All fields as the plain reader sees them; whether they could all be read.
    fn check(message: &[u8]) {
        let (expected, rest) = wire::fields(message);
        let expected = expected.iter().map(|field| {
            let value = match field.value {
                wire::Value::Varint(value) => Value::Varint(value),
                wire::Value::Delimited(content) => Value::Delimited(content),
                _ => Value::Other,
            };
            Ok(Field { number: field.number, value })
        });
        let unreadable = (!rest.is_empty()).then_some(Err(Unreadable));
        assert_eq!(Fields::of(message).collect::<Vec<_>>(), expected.chain(unreadable).collect::<Vec<_>>());
    }

    #[test]
    fn it_sees_what_the_plain_reader_sees() {
        check(&[0x08, 0x96, 1, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, 9, 9, 0x23, 0x08, 1, 0x24, 0x2d, 4, 0, 0, 0]);
        check(&[0x0b, 0x13, 0x12, 1, 0, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x14, 0x1d, 1, 2, 3, 4, 0x0c, 0x10, 1]);
        for signal in Signal::ALL {
            check(&Generator { items: 8, ..Generator::default() }.bytes(signal));
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_the_end() {
        for bad in [&[0x00][..], &[0x0e], &[0x0c], &[0x0b, 0x08], &[0x0a, 2, 1], &[0x08], &[0x09, 1], &[0x80; 11]] {
            check(&[&[0x10, 1], bad].concat());
        }
    }
}

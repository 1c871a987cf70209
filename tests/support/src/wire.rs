//! Protobuf read by hand and as plainly as possible: what judges bytes that `prost` does not read, and tells what `prost`
//! does not show.

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// From 1 to 2^29 - 1.
    pub number: u32,
    /// The tag as it was written.
    pub tag: &'a [u8],
    /// Tag, length and value as they were written.
    pub bytes: &'a [u8],
    /// What it holds.
    pub value: Value<'a>,
}

/// A value by its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number in as many bytes as it needs, or more.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Text, bytes or a message, without its length.
    Delimited(&'a [u8]),
    /// A group and how deep groups are nested in it: 1 for none.
    Group(usize),
    /// Four bytes.
    Fixed32(u32),
}

/// The fields of a message in their order, and what is left from the first byte that cannot be read on: nothing where all
/// can.
#[must_use]
pub fn fields(message: &[u8]) -> (Vec<Field<'_>>, &[u8]) {
    let mut fields = Vec::new();
    let mut rest = message;
    while let Some((field, behind)) = field(rest) {
        fields.push(field);
        rest = behind;
    }
    (fields, rest)
}

/// `value` as a varint of at least `width` bytes; more than ten make one that nobody reads.
#[must_use]
pub fn varint(mut value: u64, width: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 || bytes.len() + 1 < width {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field with a length, in as few bytes as can be; `tag` is the tag as it was written.
#[must_use]
pub fn delimited(tag: &[u8], content: &[u8]) -> Vec<u8> {
    [tag, &varint(content.len() as u64, 1), content].concat()
}

fn field(message: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (tag, behind_tag) = read_varint(message)?;
    let tag = u32::try_from(tag).ok().filter(|tag| tag >> 3 != 0)?;
    let (value, behind) = match tag & 7 {
        0 => read_varint(behind_tag).map(|(value, behind)| (Value::Varint(value), behind))?,
        1 => behind_tag
            .split_first_chunk()
            .map(|(eight, behind)| (Value::Fixed64(u64::from_le_bytes(*eight)), behind))?,
        2 => {
            let (length, behind) = read_varint(behind_tag)?;
            let (content, behind) = behind.split_at_checked(usize::try_from(length).ok()?)?;
            (Value::Delimited(content), behind)
        }
        3 => group(tag >> 3, behind_tag)?,
        5 => {
            behind_tag.split_first_chunk().map(|(four, behind)| (Value::Fixed32(u32::from_le_bytes(*four)), behind))?
        }
        _ => return None,
    };
    let before = |rest: &[u8]| &message[..message.len() - rest.len()];
    Some((Field { number: tag >> 3, tag: before(behind_tag), bytes: before(behind), value }, behind))
}

/// The group up to behind its end. Keeps the open ones in a list, so that no depth is too much.
fn group(number: u32, mut rest: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let mut open = vec![number];
    let mut depth = 1;
    while let Some(innermost) = open.last() {
        let (tag, behind) = read_varint(rest)?;
        let tag = u32::try_from(tag).ok().filter(|tag| tag >> 3 != 0)?;
        match tag & 7 {
            3 => {
                open.push(tag >> 3);
                depth = depth.max(open.len());
                rest = behind;
            }
            4 if tag >> 3 == *innermost => {
                open.pop();
                rest = behind;
            }
            _ => (_, rest) = field(rest)?,
        }
    }
    Some((Value::Group(depth), rest))
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        value |= bits.checked_shl(7 * index as u32).filter(|shifted| shifted >> (7 * index) == bits)?;
        if *byte < 0x80 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(message: &[u8]) -> Vec<(u32, Value<'_>)> {
        let (fields, rest) = fields(message);
        assert_eq!(rest, b"", "all can be read");
        fields.into_iter().map(|field| (field.number, field.value)).collect()
    }

    #[test]
    fn every_wire_type_is_read() {
        let message =
            [0x08, 0x96, 1, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, 9, 9, 0x23, 0x08, 1, 0x24, 0x2d, 4, 0, 0, 0];
        let expected = [
            (1, Value::Varint(150)),
            (2, Value::Fixed64(1)),
            (3, Value::Delimited(&[9, 9])),
            (4, Value::Group(1)),
            (5, Value::Fixed32(4)),
        ];
        assert_eq!(values(&message), expected);
    }

    #[test]
    fn fields_keep_their_bytes_padding_included() {
        let message = [0x8a, 0x00, 0x81, 0x00, 7, 0x10, 1];
        let (fields, _) = fields(&message);
        assert_eq!((fields[0].tag, fields[0].bytes), (&message[..2], &message[..5]));
        assert_eq!((fields[0].number, fields[0].value), (1, Value::Delimited(&[7])));
        assert_eq!(fields[1].bytes, &message[5..]);
    }

    #[test]
    fn nested_groups_count_their_depth() {
        assert_eq!(values(&[0x0b, 0x13, 0x1b, 0x1c, 0x14, 0x13, 0x14, 0x0c]), [(1, Value::Group(3))]);
    }

    #[test]
    fn what_cannot_be_read_is_left_over() {
        for bad in [
            &[0x00][..],
            &[0x0e],
            &[0x0c],
            &[0x0b, 0x14],
            &[0x0b, 0x0b, 0x0c],
            &[0x0a, 2, 1],
            &[0x08],
            &[0x09, 1],
            &[0x88, 0x80, 0x80, 0x80, 0x10, 1],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ] {
            let message = [&[0x10, 1], bad].concat();
            let (fields, rest) = fields(&message);
            assert_eq!((fields.len(), rest), (1, bad));
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (value, width) in [(0, 1), (1, 4), (127, 1), (128, 1), (u64::MAX, 10)] {
            assert_eq!(values(&[vec![0x08], varint(value, width)].concat()), [(1, Value::Varint(value))]);
        }
        assert_eq!(varint(1, 4), [0x81, 0x80, 0x80, 0x00]);
        assert_eq!(values(&delimited(&[0x0a], b"text")), [(1, Value::Delimited(b"text"))]);
    }
}

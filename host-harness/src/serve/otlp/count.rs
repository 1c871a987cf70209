//! How many items a batch has, for metrics: lengths are read, nothing is decoded.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::plugin::Signal;

/// Spans, data points or log records of a batch; of one that cannot be read, those up to there.
#[must_use]
pub(super) fn items(signal: Signal, batch: &[u8]) -> u64 {
    let mut count = 0;
    each(batch, 1, &mut |resource| {
        each(resource, 2, &mut |scope| match signal {
            Signal::Traces | Signal::Logs => each(scope, 2, &mut |_| count += 1),
            // Of a metric, whatever kind of data it holds: gauge 5, sum 7, histogram 9, exponential histogram 10,
            // summary 11, whose points are all field 1.
            Signal::Metrics => each(scope, 2, &mut |metric| {
                for data in [5, 7, 9, 10, 11] {
                    each(metric, data, &mut |data| each(data, 1, &mut |_| count += 1));
                }
            }),
        });
    });
    count
}

/// Calls `found` for each occurrence of a field that has a length.
fn each(mut message: &[u8], field: u32, found: &mut dyn FnMut(&[u8])) {
    while !message.is_empty() {
        let Ok((tag, wire_type)) = decode_key(&mut message) else { return };
        if wire_type != WireType::LengthDelimited {
            if skip_field(wire_type, tag, &mut message, DecodeContext::default()).is_err() {
                return;
            }
            continue;
        }
        let length = decode_varint(&mut message).ok().and_then(|length| usize::try_from(length).ok());
        let Some((content, rest)) = length.and_then(|length| message.split_at_checked(length)) else { return };
        message = rest;
        if tag == field {
            found(content);
        }
    }
}

#[cfg(test)]
mod tests {
    use faultline_test_support::{Generator, Signal as Kind};

    use super::*;

    #[test]
    fn the_items_of_a_batch_are_counted() {
        for (signal, kind) in
            [(Signal::Traces, Kind::Traces), (Signal::Metrics, Kind::Metrics), (Signal::Logs, Kind::Logs)]
        {
            let batch = Generator { items: 300, ..Generator::default() }.bytes(kind);
            let decoded = crate::telemetry::Batch::decode(signal, &batch).unwrap().items().len();
            assert_eq!(items(signal, &batch), decoded as u64, "{signal:?}");
            assert!(items(signal, &batch[..batch.len() / 2]) < decoded as u64);
        }
    }

    #[test]
    fn what_is_no_batch_has_no_items() {
        for bytes in
            [&b""[..], b"hello", &[0x0a, 0xff], &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]]
        {
            assert_eq!(items(Signal::Traces, bytes), 0);
        }
    }
}

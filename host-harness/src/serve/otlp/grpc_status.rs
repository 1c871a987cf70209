//! What became of a call, as gRPC writes it into headers or trailers; and the names of its headers.
//!
//! Source: gRPC over HTTP2 (grpc/doc/PROTOCOL-HTTP2.md), "Status", "Status-Message" and "Custom-Metadata".

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::refusal::{Code, Refusal};

pub(super) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
pub(super) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(super) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(super) const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Writes a refusal.
pub(super) fn write(refusal: &Refusal, headers: &mut HeaderMap) {
    headers.insert(STATUS, HeaderValue::from(u16::from(refusal.code as u8)));
    if let Ok(message) = HeaderValue::from_str(&percent_encode(&refusal.message)) {
        headers.insert(MESSAGE, message);
    }
    let details = refusal.to_grpc_details().map(|details| STANDARD_NO_PAD.encode(details));
    if let Some(details) = details.and_then(|details| HeaderValue::from_str(&details).ok()) {
        headers.insert(DETAILS, details);
    }
}

/// Reads a refusal; `None` when headers or trailers say success, or nothing.
pub(super) fn read(headers: &HeaderMap) -> Option<Refusal> {
    let status = headers.get(STATUS)?.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(Code::Unknown as u8);
    let code = Code::of_number(status)?;
    let message = headers.get(MESSAGE).map(|message| percent_decode(message.as_bytes())).unwrap_or_default();
    // Binary headers are Base64, padded or not.
    let unpadded =
        headers.get(DETAILS).and_then(|text| text.as_bytes().trim_ascii().split(|byte| *byte == b'=').next());
    let details = unpadded.and_then(|text| STANDARD_NO_PAD.decode(text).ok());
    Some(Refusal::of_grpc(code, message, details.map(Bytes::from)))
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => write!(encoded, "%{byte:02X}").unwrap_or_default(),
        }
    }
    encoded
}

/// What is no encoding stands for itself.
fn percent_decode(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for message in ["", "plain", "50% of ü\n", "%41"] {
            for retry_after in [None, Some(Duration::from_millis(1500))] {
                let refusal = Refusal { retry_after, ..Refusal::new(Code::Unavailable, message) };
                let mut headers = HeaderMap::new();
                write(&refusal, &mut headers);
                let read = read(&headers).unwrap();
                assert_eq!((read.code, read.message.as_str(), read.retry_after), (refusal.code, message, retry_after));
            }
        }
    }

    #[test]
    fn a_message_is_written_so_that_it_can_stand_in_a_header() {
        assert_eq!(percent_encode("50% of ü\n"), "50%25 of %C3%BC%0A");
    }

    #[test]
    fn a_message_is_decoded_as_far_as_it_is_encoded() {
        assert_eq!(percent_decode(b"no%20space%"), "no space%");
        assert_eq!(percent_decode("50%zz ü".as_bytes()), "50%zz ü");
    }

    #[test]
    fn success_and_silence_are_no_refusal() {
        let mut headers = HeaderMap::new();
        assert_eq!(read(&headers), None);
        headers.insert(STATUS, HeaderValue::from_static("0"));
        assert_eq!(read(&headers), None);
        headers.insert(STATUS, HeaderValue::from_static("no number"));
        assert_eq!(read(&headers).map(|refusal| refusal.code), Some(Code::Unknown));
    }
}

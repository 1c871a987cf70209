//! Bearer tokens: who may ask a listener that is not for everybody.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, header};
use faultline_annotator::config::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The tokens of a listener, any of which opens it: several while one is rotated. Without any it stays closed.
///
/// Kept as digests, which are all of one length and show nothing of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens(Vec<[u8; 32]>);

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It shows no bearer token.
    NoToken,
    /// The one that it shows is none of ours.
    WrongToken,
}

// === impl Tokens ===

impl Tokens {
    /// These tokens.
    #[must_use]
    pub fn new(tokens: &[Secret]) -> Self {
        Self(tokens.iter().map(|token| Sha256::digest(token.expose().as_bytes()).into()).collect())
    }

    /// Lets a request with these headers in, if it shows one of the tokens.
    ///
    /// # Errors
    /// Why it may not come in.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let given = headers.get(header::AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        let token = given.split_first_chunk::<7>().filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
        let (_, token) = token.ok_or(Refused::NoToken)?;
        let digest: [u8; 32] = Sha256::digest(token.trim_ascii()).into();
        // All are compared, so that the time taken does not tell which one fits.
        let fits = self.0.iter().fold(0, |fits, known| fits | known.ct_eq(&digest).unwrap_u8());
        if fits == 0 { Err(Refused::WrongToken) } else { Ok(()) }
    }
}

// === impl Refused ===

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoToken => "no-token",
            Self::WrongToken => "wrong-token",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tokens: &[&str], authorization: Option<&'static str>) -> Result<(), Refused> {
        let tokens: Vec<Secret> = tokens.iter().map(|token| Secret::new((*token).to_owned())).collect();
        let mut headers = HeaderMap::new();
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(authorization));
        }
        Tokens::new(&tokens).check(&headers)
    }

    #[test]
    fn any_of_the_tokens_opens_and_nothing_else() {
        let tokens = ["old", "new"];
        for authorization in ["Bearer old", "bearer new", "BEARER  new "] {
            assert_eq!(check(&tokens, Some(authorization)), Ok(()), "{authorization}");
        }
        for authorization in ["Bearer ", "Bearer olde", "Bearer ol", "Bearer old new"] {
            assert_eq!(check(&tokens, Some(authorization)), Err(Refused::WrongToken), "{authorization}");
        }
        for authorization in [None, Some(""), Some("old"), Some("Basic old"), Some("Bearer")] {
            assert_eq!(check(&tokens, authorization), Err(Refused::NoToken), "{authorization:?}");
        }
        assert_eq!(check(&[], Some("Bearer ")), Err(Refused::WrongToken), "no token is no open door");
    }
}

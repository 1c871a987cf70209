//! A secret that no log, error or debug print shows.

use std::fmt;

use crate::document::{Place, Read};

/// A key or token. `Debug` hides it.
#[derive(Clone, Default)]
pub struct Secret(String);

// === impl Secret ===

impl Secret {
    /// A key or token as it was given.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself; callers compare with it and drop it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Read for Secret {
    fn read(at: &Place<'_>) -> Option<Self> {
        Read::read(at).map(Self)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }
}

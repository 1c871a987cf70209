//! JSON Pointers (RFC 6901) as lists of parts.

use std::fmt;

/// A place in a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pointer {
    parts: Vec<String>,
}

// === impl Pointer ===

impl Pointer {
    pub(super) fn parse(text: &str) -> Self {
        Self { parts: text.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect() }
    }

    pub(super) fn of(parts: &[&str]) -> Self {
        Self { parts: parts.iter().map(|part| (*part).to_owned()).collect() }
    }

    pub(super) fn push(&mut self, part: String) {
        self.parts.push(part);
    }

    pub(super) fn pop(&mut self) -> Option<String> {
        self.parts.pop()
    }

    pub(super) fn last(&self) -> Option<&str> {
        self.parts.last().map(String::as_str)
    }

    pub(super) fn parts(&self) -> &[String] {
        &self.parts
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            write!(formatter, "/{}", part.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_tildes_survive() {
        let mut pointer = Pointer::default();
        pointer.push("app.kubernetes.io/name".to_owned());
        pointer.push("~".to_owned());
        assert_eq!(pointer.to_string(), "/app.kubernetes.io~1name/~0");
        assert_eq!(Pointer::parse(&pointer.to_string()), pointer);
    }
}

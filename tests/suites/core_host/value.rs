//! Values between Rust and the guest's memory: what they are made of, and how contract types come from them.

use std::borrow::Cow;

use anyhow::{Context, bail};

/// A value of any type of the contract. Texts and bytes are borrowed on the way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Also a bool.
    Integer(u64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// A list of 32-bit numbers: there may be thousands.
    Numbers(Vec<u32>),
    List(Vec<Value<'a>>),
    /// Also a tuple. Fields in the order of the WIT.
    Record(Vec<Value<'a>>),
    /// Also an enum, an option (`none` is 0), and a result (`ok` is 0): the case's number, and what belongs to it.
    Variant(usize, Option<Box<Value<'a>>>),
}

/// Made from an answer of the guest.
pub(super) trait FromValue: Sized {
    /// # Errors
    /// When the value has another shape, which means that the contract and this host differ.
    fn from_value(value: Value<'_>) -> anyhow::Result<Self>;
}

/// Reads records of the contract. Their fields are named in the order of the WIT, all of them.
macro_rules! records {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {$(
        impl FromValue for $name {
            fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
                let [$($field),+] = value.record()?;
                Ok(Self { $($field: FromValue::from_value($field)?),+ })
            }
        }
    )+};
}
pub(super) use records;

// === impl Value ===

impl<'a> Value<'a> {
    pub(super) fn option(value: Option<impl Into<Self>>) -> Self {
        match value {
            None => Self::Variant(0, None),
            Some(value) => Self::Variant(1, Some(Box::new(value.into()))),
        }
    }

    /// A case without more to it.
    pub(super) fn case(number: usize) -> Self {
        Self::Variant(number, None)
    }

    /// The fields of a record that has so many.
    pub(super) fn record<const FIELDS: usize>(self) -> anyhow::Result<[Self; FIELDS]> {
        let Self::Record(fields) = self else { bail!("expected a record, found {self:?}") };
        let found = fields.len();
        fields.try_into().ok().with_context(|| format!("expected {FIELDS} fields, found {found}"))
    }

    /// The number of a case and what belongs to it.
    pub(super) fn variant(self) -> anyhow::Result<(usize, Option<Self>)> {
        let Self::Variant(case, payload) = self else { bail!("expected a variant, found {self:?}") };
        Ok((case, payload.map(|payload| *payload)))
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(number)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

// === impl FromValue ===

impl FromValue for u64 {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        let Value::Integer(number) = value else { bail!("expected a number, found {value:?}") };
        Ok(number)
    }
}

impl FromValue for u32 {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        Ok(Self::try_from(u64::from_value(value)?)?)
    }
}

impl FromValue for u16 {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        Ok(Self::try_from(u64::from_value(value)?)?)
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        Ok(u64::from_value(value)? != 0)
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        let Value::Text(text) = value else { bail!("expected a text, found {value:?}") };
        Ok(text.into_owned())
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        let Value::Bytes(bytes) = value else { bail!("expected bytes, found {value:?}") };
        Ok(bytes.into_owned())
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        match value {
            Value::List(elements) => elements.into_iter().map(T::from_value).collect(),
            Value::Numbers(numbers) => {
                numbers.into_iter().map(|number| T::from_value(Value::Integer(number.into()))).collect()
            }
            other => bail!("expected a list, found {other:?}"),
        }
    }
}

impl<T: FromValue, U: FromValue> FromValue for (T, U) {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        let [first, second] = value.record()?;
        Ok((T::from_value(first)?, U::from_value(second)?))
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        match value.variant()? {
            (0, None) => Ok(None),
            (1, Some(some)) => T::from_value(some).map(Some),
            other => bail!("expected an option, found {other:?}"),
        }
    }
}

impl<T: FromValue, E: FromValue> FromValue for Result<T, E> {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        match value.variant()? {
            (0, Some(value)) => T::from_value(value).map(Ok),
            (1, Some(error)) => E::from_value(error).map(Err),
            other => bail!("expected a result, found {other:?}"),
        }
    }
}

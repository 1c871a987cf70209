//! Attribute values as JSON, for people and for `-o json`.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde_json::{Value, json};

use crate::hex;

/// Key and value in the order written. Values keep their type, except that bytes become `{"bytes": "<hexadecimal>"}` and
/// numbers that JSON does not have become text.
pub(super) fn attributes(attributes: &[KeyValue]) -> Vec<(String, Value)> {
    attributes.iter().map(|attribute| (attribute.key.clone(), optional(attribute.value.as_ref()))).collect()
}

/// A value, or null where there is none.
pub(super) fn optional(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        None => Value::Null,
        Some(Any::StringValue(text)) => text.as_str().into(),
        Some(Any::BoolValue(flag)) => (*flag).into(),
        Some(Any::IntValue(number)) => (*number).into(),
        Some(Any::DoubleValue(number)) => {
            serde_json::Number::from_f64(*number).map_or_else(|| number.to_string().into(), Value::Number)
        }
        Some(Any::ArrayValue(list)) => list.values.iter().map(|value| optional(Some(value))).collect(),
        Some(Any::KvlistValue(map)) => attributes(&map.values).into_iter().collect(),
        Some(Any::BytesValue(bytes)) => json!({ "bytes": hex::encode(bytes) }),
        Some(Any::StringValueStrindex(index)) => json!({ "strindex": index }),
    }
}

/// A value as people read it: text without quotation marks.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

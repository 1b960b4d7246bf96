//! Headers: between a JSON object as text and AMQP's table of fields, with the types that py-amqp uses.

use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};
use serde_json::{Map, Number, Value};

/// Writes an object as a table; `None` where a table can't hold what is in it.
pub(super) fn to_table(object: &Map<String, Value>) -> Option<FieldTable> {
    let mut table = FieldTable::default();
    for (name, value) in object {
        table.insert(ShortString::try_new(name.as_str()).ok()?, to_field(value)?);
    }
    Some(table)
}

fn to_field(value: &Value) -> Option<AMQPValue> {
    Some(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(flag) => AMQPValue::Boolean(*flag),
        Value::Number(number) => number_field(number)?,
        Value::String(text) => AMQPValue::LongString(LongString::from(text.as_str())),
        Value::Array(values) => {
            AMQPValue::FieldArray(FieldArray::from(values.iter().map(to_field).collect::<Option<Vec<_>>>()?))
        }
        Value::Object(object) => AMQPValue::FieldTable(to_table(object)?),
    })
}

fn number_field(number: &Number) -> Option<AMQPValue> {
    if let Some(whole) = number.as_i64() {
        return Some(i32::try_from(whole).map_or(AMQPValue::LongLongInt(whole), AMQPValue::LongInt));
    }
    number.as_f64().filter(|_| number.is_f64()).map(AMQPValue::Double)
}

/// Reads a table, but for the names that `skip` tells.
///
/// # Errors
/// The name of the field that is no text where it has to be one.
pub(super) fn to_object(table: &FieldTable, skip: fn(&str) -> bool) -> Result<Map<String, Value>, String> {
    let fields = table.inner().iter().filter(|(name, _)| !skip(name.as_str()));
    fields
        .map(|(name, field)| {
            let value = to_value(field).ok_or_else(|| name.to_string())?;
            Ok((name.to_string(), value))
        })
        .collect()
}

fn to_value(field: &AMQPValue) -> Option<Value> {
    Some(match field {
        AMQPValue::Void => Value::Null,
        AMQPValue::Boolean(flag) => Value::Bool(*flag),
        AMQPValue::ShortShortInt(number) => (*number).into(),
        AMQPValue::ShortShortUInt(number) => (*number).into(),
        AMQPValue::ShortInt(number) => (*number).into(),
        AMQPValue::ShortUInt(number) => (*number).into(),
        AMQPValue::LongInt(number) => (*number).into(),
        AMQPValue::LongUInt(number) => (*number).into(),
        AMQPValue::LongLongInt(number) => (*number).into(),
        AMQPValue::Timestamp(number) => (*number).into(),
        AMQPValue::Float(number) => f64::from(*number).into(),
        AMQPValue::Double(number) => (*number).into(),
        AMQPValue::DecimalValue(decimal) => {
            (f64::from(decimal.value) / 10_f64.powi(decimal.scale.into())).into()
        }
        AMQPValue::ShortString(text) => text.as_str().into(),
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.into(),
        AMQPValue::ByteArray(bytes) => std::str::from_utf8(bytes.as_slice()).ok()?.into(),
        AMQPValue::FieldArray(fields) => {
            fields.as_slice().iter().map(to_value).collect::<Option<Vec<_>>>()?.into()
        }
        AMQPValue::FieldTable(table) => Value::Object(to_object(table, |_| false).ok()?),
    })
}

/// Reads a field that is a text.
pub(super) fn text<'t>(table: &'t FieldTable, name: &str) -> Option<&'t str> {
    match table.inner().get(name)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}

/// Reads a field that is a whole number.
pub(super) fn number(table: &FieldTable, name: &str) -> Option<i64> {
    to_value(table.inner().get(name)?)?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn celerys_headers_have_py_amqps_types_and_come_back() {
        let headers = object(
            r#"{"argsrepr":"(2, 3)","eta":null,"ignore_result":false,"retries":0,"stamps":{},"timelimit":[30,2.5],"x":4294967296}"#,
        );
        let table = to_table(&headers).unwrap();
        assert_eq!(table.inner().get("eta"), Some(&AMQPValue::Void));
        assert_eq!(table.inner().get("retries"), Some(&AMQPValue::LongInt(0)));
        assert_eq!(table.inner().get("x"), Some(&AMQPValue::LongLongInt(4_294_967_296)));
        let limits = FieldArray::from(vec![AMQPValue::LongInt(30), AMQPValue::Double(2.5)]);
        assert_eq!(table.inner().get("timelimit"), Some(&AMQPValue::FieldArray(limits)));
        assert_eq!(to_object(&table, |_| false), Ok(headers));
    }

    #[test]
    fn what_a_table_cannot_hold_is_told() {
        assert!(to_table(&object(r#"{"n":18446744073709551615}"#)).is_none());
        assert!(to_table(&object(&format!(r#"{{"{}":1}}"#, "k".repeat(256)))).is_none());
        let mut table = FieldTable::default();
        table.insert("bytes".into(), AMQPValue::LongString(LongString::from(vec![255])));
        assert_eq!(to_object(&table, |_| false), Err("bytes".to_owned()));
        assert_eq!(to_object(&table, |name| name == "bytes"), Ok(Map::new()));
    }
}

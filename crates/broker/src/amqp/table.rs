//! Headers: between a JSON object as text and AMQP's table of fields, with the types that py-amqp uses.

use std::fmt::Write as _;

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

/// Writes a table as an object of JSON, but for the names that `skip` tells. It is text right away, since that is what
/// a message carries, and there is no message without it.
///
/// # Errors
/// The name of the field that is no text where it has to be one.
pub(super) fn to_json(table: &FieldTable, skip: fn(&str) -> bool) -> Result<String, String> {
    let mut json = String::with_capacity(JSON_ROOM);
    write_table(&mut json, table, skip)?;
    Ok(json)
}

/// How long the headers of a message of Celery's are, about.
const JSON_ROOM: usize = 640;

fn write_table(json: &mut String, table: &FieldTable, skip: fn(&str) -> bool) -> Result<(), String> {
    json.push('{');
    let mut is_first = true;
    for (name, field) in table.inner().iter().filter(|(name, _)| !skip(name.as_str())) {
        if !std::mem::take(&mut is_first) {
            json.push(',');
        }
        write_text(json, name.as_str());
        json.push(':');
        write_field(json, field).ok_or_else(|| name.to_string())?;
    }
    json.push('}');
    Ok(())
}

fn write_text(json: &mut String, text: &str) {
    // What needs no escape, which is nearly all, is copied.
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&Value::from(text).to_string());
    }
}

fn write_field(json: &mut String, field: &AMQPValue) -> Option<()> {
    match field {
        AMQPValue::Void => json.push_str("null"),
        AMQPValue::ShortString(text) => write_text(json, text.as_str()),
        AMQPValue::LongString(text) => write_text(json, std::str::from_utf8(text.as_bytes()).ok()?),
        AMQPValue::ByteArray(bytes) => write_text(json, std::str::from_utf8(bytes.as_slice()).ok()?),
        AMQPValue::FieldArray(fields) => {
            json.push('[');
            for (nth, field) in fields.as_slice().iter().enumerate() {
                if nth > 0 {
                    json.push(',');
                }
                write_field(json, field)?;
            }
            json.push(']');
        }
        AMQPValue::FieldTable(table) => write_table(json, table, |_| false).ok()?,
        plain => write!(json, "{}", to_value(plain)?).ok()?,
    }
    Some(())
}

/// Reads a field that is neither text nor made of others.
fn to_value(field: &AMQPValue) -> Option<Value> {
    Some(match field {
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
        _ => return None,
    })
}

/// Reads a field that is a text.
pub(super) fn text<'t>(table: &'t FieldTable, name: &str) -> Option<&'t str> {
    match table.inner().get(name)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ByteArray(bytes) => std::str::from_utf8(bytes.as_slice()).ok(),
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

    fn read(table: &FieldTable) -> Map<String, Value> {
        object(&to_json(table, |_| false).unwrap())
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
        assert_eq!(read(&table), headers);
    }

    #[test]
    fn what_a_table_cannot_hold_is_told() {
        assert!(to_table(&object(r#"{"n":18446744073709551615}"#)).is_none());
        assert!(to_table(&object(&format!(r#"{{"{}":1}}"#, "k".repeat(256)))).is_none());
        let mut table = FieldTable::default();
        table.insert("bytes".into(), AMQPValue::LongString(LongString::from(vec![255])));
        assert_eq!(to_json(&table, |_| false), Err("bytes".to_owned()));
        assert_eq!(to_json(&table, |name| name == "bytes").as_deref(), Ok("{}"));
    }

    #[test]
    fn texts_of_all_kinds_and_what_is_made_of_others_come_back() {
        let headers = object(
            r#"{"a":"plain é","b":"\"quoted\"\\ \n\u0001","c":[],"d":[1,[null,"x"],{"y":{}}],"e":{"\"":true},"f":-1.5e300}"#,
        );
        assert_eq!(read(&to_table(&headers).unwrap()), headers);
    }
}

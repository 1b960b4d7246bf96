//! How large a message's properties are on the wire: they come in one frame, and a larger one ends the connection.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// What stands around the properties: the frame's head and end, class, weight, the body's size and the flags.
const AROUND: usize = 7 + 1 + 2 + 2 + 8 + 2;

/// Returns how many bytes the frame has that carries these properties.
pub(super) fn of_header_frame(properties: &BasicProperties) -> usize {
    let texts = [
        properties.content_type(),
        properties.content_encoding(),
        properties.correlation_id(),
        properties.reply_to(),
        properties.expiration(),
        properties.message_id(),
        properties.kind(),
        properties.user_id(),
        properties.app_id(),
        properties.cluster_id(),
    ];
    let texts: usize = texts.into_iter().flatten().map(of_short).sum();
    let bytes = [properties.delivery_mode(), properties.priority()];
    let timestamp = properties.timestamp().map_or(0, |_| 8);
    let headers = properties.headers().as_ref().map_or(0, of_table);
    AROUND + texts + bytes.into_iter().flatten().count() + timestamp + headers
}

fn of_short(text: &ShortString) -> usize {
    1 + text.as_str().len()
}

fn of_table(table: &FieldTable) -> usize {
    4 + table.inner().iter().map(|(key, value)| of_short(key) + of_value(value)).sum::<usize>()
}

/// A value with the letter that tells its type.
fn of_value(value: &AMQPValue) -> usize {
    1 + match value {
        AMQPValue::Boolean(_) | AMQPValue::ShortShortInt(_) | AMQPValue::ShortShortUInt(_) => 1,
        AMQPValue::ShortInt(_) | AMQPValue::ShortUInt(_) => 2,
        AMQPValue::LongInt(_) | AMQPValue::LongUInt(_) | AMQPValue::Float(_) => 4,
        AMQPValue::LongLongInt(_) | AMQPValue::Double(_) | AMQPValue::Timestamp(_) => 8,
        AMQPValue::DecimalValue(_) => 5,
        AMQPValue::ShortString(text) => of_short(text),
        AMQPValue::LongString(text) => 4 + text.as_bytes().len(),
        AMQPValue::ByteArray(bytes) => 4 + bytes.as_slice().len(),
        AMQPValue::FieldArray(values) => 4 + values.as_slice().iter().map(of_value).sum::<usize>(),
        AMQPValue::FieldTable(table) => of_table(table),
        AMQPValue::Void => 0,
    }
}

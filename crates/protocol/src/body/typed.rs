//! Celery's typed JSON values, and what they become when a task's parameters are read.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use uuid::Uuid;

use super::MAX_DEPTH;
use crate::{Arguments, RawValue};

/// The key that names the type; what has none of them is not looked at.
pub(super) const TYPE: &str = "__type__";

/// The key that stands beside it.
pub(super) const VALUE: &str = "__value__";

impl Arguments {
    /// Returns the arguments with Celery's typed values (`{"__type__": …, "__value__": …}`) as the
    /// plain JSON that serde's types read:
    ///
    /// | `__type__` | becomes | reaches |
    /// | --- | --- | --- |
    /// | `datetime` | its text, `2026-01-02T03:04:05+00:00` | with an offset `jiff::Timestamp`, without one `jiff::civil::DateTime`, `String` |
    /// | `date`, `time` | its text | `jiff::civil::Date`, `Time`, `String` |
    /// | `decimal` | its text, every digit | `rust_decimal::Decimal`, `String` |
    /// | `uuid` | its text, with hyphens | `uuid::Uuid`, `String` |
    /// | `bytes`, `base64` | a list of numbers | `Vec<u8>`, `serde_bytes::ByteBuf` |
    ///
    /// Other types, and values that are not what their type says, stay as they came. The message itself
    /// keeps the typed form, so that it loses nothing on its way to somebody else.
    pub fn untyped(&self) -> Cow<'_, Self> {
        if !self.positional.get().contains(TYPE) && !self.named.get().contains(TYPE) {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self { positional: plain(&self.positional), named: plain(&self.named) })
    }
}

fn plain(raw: &RawValue) -> Box<RawValue> {
    let mut out = String::with_capacity(raw.get().len());
    write(raw.get(), 0, &mut out);
    RawValue::from_string(out).unwrap_or_else(|_| raw.to_owned())
}

/// Writes a value with what is typed in it made plain.
fn write(json: &str, depth: usize, out: &mut String) {
    let is_open = depth < MAX_DEPTH && json.contains(TYPE);
    match json.as_bytes().first() {
        Some(b'[') if is_open => {
            let parts: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            out.push('[');
            for (index, part) in parts.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(part.get(), depth + 1, out);
            }
            out.push(']');
        }
        Some(b'{') if is_open => object(json, depth, out),
        _ => out.push_str(json),
    }
}

fn object(json: &str, depth: usize, out: &mut String) {
    let Ok(Pairs(pairs)) = serde_json::from_str::<Pairs<'_>>(json) else {
        out.push_str(json);
        return;
    };
    if let Some(value) = typed(&pairs) {
        out.push_str(&value);
        return;
    }
    out.push('{');
    for (index, (name, value)) in pairs.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        out.push_str(&super::text::quoted(name));
        out.push(':');
        write(value.get(), depth + 1, out);
    }
    out.push('}');
}

pub(super) type Pair<'a> = (Cow<'a, str>, &'a RawValue);

/// Returns the plain form of an object with exactly the two keys.
fn typed(pairs: &[Pair<'_>]) -> Option<String> {
    let [one, other] = pairs else { return None };
    let (name, value) = match (&*one.0, &*other.0) {
        (TYPE, VALUE) => (one.1, other.1),
        (VALUE, TYPE) => (other.1, one.1),
        _ => return None,
    };
    let name: String = serde_json::from_str(name.get()).ok()?;
    if name == "uuid" {
        let uuid: HexUuid = serde_json::from_str(value.get()).ok()?;
        return Some(format!("\"{}\"", Uuid::parse_str(&uuid.hex).ok()?));
    }
    let text: String = serde_json::from_str(value.get()).ok()?;
    match name.as_str() {
        "datetime" | "date" | "time" | "decimal" => Some(value.get().to_owned()),
        "bytes" => serde_json::to_string(text.as_bytes()).ok(),
        "base64" => serde_json::to_string(&BASE64.decode(text).ok()?).ok(),
        _ => None,
    }
}

#[derive(serde::Deserialize)]
struct HexUuid {
    hex: String,
}

/// The members of an object in their order.
pub(super) struct Pairs<'a>(pub(super) Vec<Pair<'a>>);

impl<'de> serde::Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

//! The parameters of an address.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::value::MapDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use url::form_urlencoded;

use super::{fields_of, invalid, unknown};
use crate::problem::Problem;

/// The most parameters of one address.
const MAX_PARAMETERS: usize = 100;

/// Parameters, read into a struct; whatever it does not know is refused. An empty value counts as none.
#[derive(Clone, Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(text.as_bytes())
        .take(MAX_PARAMETERS)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let known = fields_of::<T>();
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        return Err(unknown("parameter", name, known));
    }
    let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    let values = given.map(|(name, value)| (name.clone(), Text { name, value }));
    T::deserialize(MapDeserializer::new(values)).map_err(|error: Fault| match error.name {
        Some(name) => invalid(name, error.reason),
        None => invalid("query", error.reason),
    })
}

/// Why a value can't be read, and which it is.
#[derive(Debug)]
struct Fault {
    name: Option<String>,
    reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self { name: None, reason: reason.to_string() }
    }
}

/// The text of one parameter, read as whatever its field wants.
struct Text {
    name: String,
    value: String,
}

impl<'de> IntoDeserializer<'de, Fault> for Text {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty, $wanted:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.value.parse::<$type>() {
                Ok(value) => visitor.$visit(value).map_err(|fault: Fault| fault.of(self.name)),
                Err(_) => Err(Fault { name: Some(self.name), reason: format!("\"{}\" is not {}", self.value, $wanted) }),
            }
        })*
    };
}

impl Fault {
    fn of(self, name: String) -> Self {
        Self { name: self.name.or(Some(name)), ..self }
    }
}

impl<'de> Deserializer<'de> for Text {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_string(self.value).map_err(|fault: Fault| fault.of(self.name))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let name = self.name.clone();
        visitor.visit_some(self).map_err(|fault: Fault| fault.of(name))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Self { name, value } = self;
        visitor.visit_enum(value.into_deserializer()).map_err(|fault: Fault| fault.of(name))
    }

    parsed! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number";
        deserialize_u32 visit_u32 u32, "a whole number";
        deserialize_u64 visit_u64 u64, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct List {
        limit: Option<u64>,
        status: Option<String>,
        cursor: Option<i64>,
        all: bool,
    }

    #[track_caller]
    fn refused(text: &str) -> serde_json::Value {
        serde_json::to_value(read::<List>(text).unwrap_err()).unwrap()
    }

    #[test]
    fn parameters_are_read_as_what_their_field_wants() {
        let list: List = read("limit=20&status=a%20b&cursor=-3&all=true").unwrap();
        assert_eq!(list, List { limit: Some(20), status: Some("a b".into()), cursor: Some(-3), all: true });
        assert_eq!(read::<List>("").unwrap(), List::default());
        assert_eq!(read::<List>("status=&limit=").unwrap(), List::default());
    }

    #[test]
    fn what_cant_be_read_is_named() {
        assert_eq!(refused("limit=many")["field"], "limit");
        assert_eq!(refused("limit=-1")["detail"], "limit: \"-1\" is not a whole number");
        let unknown = refused("stauts=1");
        assert_eq!(
            (&unknown["field"], &unknown["hint"]),
            (&"stauts".into(), &"did you mean `status`?".into())
        );
        assert_eq!(refused("limit=1&limit=2")["code"], "invalid_request");
    }
}

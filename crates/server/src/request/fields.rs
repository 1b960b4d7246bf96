//! Asks a type which fields it reads.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Returns the names of the fields that a struct reads; nothing where it is none.
pub(crate) fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // It always fails: nothing is there to be read.
    drop(T::deserialize(Probe(&mut found)));
    found
}

struct Probe<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("nothing is there"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Some {
        #[expect(dead_code, reason = "only its name counts")]
        #[serde(rename = "type")]
        kind: Option<String>,
        #[expect(dead_code, reason = "only its name counts")]
        limit: u64,
    }

    #[test]
    fn a_struct_tells_the_names_that_it_reads() {
        assert_eq!(fields_of::<Some>(), ["type", "limit"]);
        assert!(fields_of::<u64>().is_empty());
    }
}

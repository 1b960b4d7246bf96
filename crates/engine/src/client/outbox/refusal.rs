//! The refusals that a message of the outbox has met, which it carries beside its own properties: any process can read
//! there why it still waits.

use celeriac_protocol::{Content, Timestamp};
use serde::{Deserialize, Serialize};

/// How much of a refusal's words is kept.
const MAX_ERROR_BYTES: usize = 1_000;

/// What stored properties begin with that hold refusals.
const MARKED: &str = "{\"celeriac-refusals\":";

/// What refusals a message has met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusals {
    /// How often the server has said that it never takes this very message.
    pub(super) for_good: u32,
    /// When the first was met, in microseconds.
    first_at: i64,
    /// The words of the last.
    pub(super) error: String,
}

/// Properties as they are stored.
#[derive(Serialize, Deserialize)]
struct Marked {
    #[serde(rename = "celeriac-refusals")]
    refusals: Refusals,
    /// The message's own, to the byte.
    properties: String,
}

impl Refusals {
    /// Begins to count.
    pub(super) fn since(now: Timestamp) -> Self {
        Self { for_good: 0, first_at: now.as_micros(), error: String::new() }
    }

    /// Adds one.
    pub(super) fn add(&mut self, error: &str, is_for_good: bool) {
        error[..error.floor_char_boundary(MAX_ERROR_BYTES)].clone_into(&mut self.error);
        self.for_good = self.for_good.saturating_add(u32::from(is_for_good));
    }

    /// Returns when the first was met.
    pub(super) fn first_at(&self) -> Timestamp {
        Timestamp::from_micros(self.first_at)
    }

    /// Takes the refusals out of a message's content, which is its sender's after that.
    pub(super) fn take(content: &mut Content) -> Option<Self> {
        if !content.properties.starts_with(MARKED) {
            return None;
        }
        let Marked { refusals, properties } = serde_json::from_str(&content.properties).ok()?;
        content.properties = properties;
        Some(refusals)
    }

    /// Puts them beside a message's own properties.
    pub(super) fn put(self, content: &Content) -> Content {
        let marked = Marked { refusals: self, properties: content.properties.clone() };
        let properties = serde_json::to_string(&marked).expect("texts and numbers always serialize");
        Content { properties, ..content.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(properties: &str) -> Content {
        Content {
            headers: "{}".into(),
            properties: properties.into(),
            content_type: "application/json".into(),
            content_encoding: "utf-8".into(),
            body: b"[]".to_vec(),
        }
    }

    #[test]
    fn properties_come_back_to_the_byte() {
        for properties in ["{}", r#"{ "reply_to":"a\u00e9" }"#, "no object"] {
            let mut refusals = Refusals::since(Timestamp::from_micros(7));
            refusals.add(&"é".repeat(1_000), true);
            let mut stored = refusals.clone().put(&content(properties));
            assert_eq!(Refusals::take(&mut stored), Some(refusals));
            assert_eq!(stored, content(properties));
            assert_eq!(Refusals::take(&mut stored), None);
        }
    }
}

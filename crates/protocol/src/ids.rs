//! The id of a job: Celery allows any text, ours are UUIDv7.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// Names one job, from enqueue to record, on every transport.
///
/// Any text of 1 to 155 characters without control characters is valid, since Celery's senders
/// may choose their own. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

/// A text that can't name a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("job id is empty")]
    Empty,
    /// It would not fit the column that Celery's database backend gives it.
    #[error("job id has {length} characters, {max} are allowed", max = JobId::MAX_CHARS)]
    TooLong {
        /// How many characters were given.
        length: usize,
    },
    /// It would break a log line or a terminal.
    #[error("job id has a control character at byte {at}")]
    ControlCharacter {
        /// The byte offset of the first one.
        at: usize,
    },
}

impl JobId {
    /// The longest id in characters, as wide as `task_id` in Celery's result tables.
    pub const MAX_CHARS: usize = 155;

    /// Makes a fresh id whose order follows time to the millisecond (UUIDv7, RFC 9562).
    pub fn fresh(now: Timestamp) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let random: [u8; 10] = rand::random();
        Self::from_uuid(&uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Derives an id from a name: the same parent and name give the same id, so that a second
    /// publish of the same thing is recognised (UUIDv5, RFC 9562).
    pub fn derived(parent: &Self, name: &str) -> Self {
        let parent = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, parent.as_str().as_bytes());
        Self::from_uuid(&uuid::Uuid::new_v5(&parent, name.as_bytes()))
    }

    /// Checks a text that came from outside.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let length = text.chars().count();
        if length == 0 {
            return Err(IdError::Empty);
        }
        if length > Self::MAX_CHARS {
            return Err(IdError::TooLong { length });
        }
        if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(IdError::ControlCharacter { at });
        }
        Ok(Self(text.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_uuid(uuid: &uuid::Uuid) -> Self {
        Self(Arc::from(&*uuid.as_hyphenated().encode_lower(&mut [0; 36])))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for JobId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_differ_and_follow_time() {
        let early = JobId::fresh(Timestamp::from_millis(1_000));
        let late = JobId::fresh(Timestamp::from_millis(2_000));
        assert!(early < late);
        assert_ne!(JobId::fresh(Timestamp::EPOCH), JobId::fresh(Timestamp::EPOCH));
        assert_eq!(early.as_str().len(), 36);
    }

    #[test]
    fn derived_ids_are_stable_and_spread() {
        let parent = JobId::parse("parent").unwrap();
        assert_eq!(JobId::derived(&parent, "link:0"), JobId::derived(&parent, "link:0"));
        assert_ne!(JobId::derived(&parent, "link:0"), JobId::derived(&parent, "link:1"));
    }

    #[test]
    fn ids_from_outside_are_checked() {
        assert_eq!(JobId::parse("my-id").unwrap().as_str(), "my-id");
        assert_eq!(JobId::parse(""), Err(IdError::Empty));
        assert_eq!(JobId::parse(&"x".repeat(156)), Err(IdError::TooLong { length: 156 }));
        assert_eq!(JobId::parse("a\nb"), Err(IdError::ControlCharacter { at: 1 }));
    }
}

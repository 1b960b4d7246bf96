//! Which jobs are meant: for lists, and for what is done to all that match, which travels as JSON.

use std::fmt;
use std::time::Duration;

use celeriac_protocol::{JobStatus, Timestamp, UnknownStatus};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::arguments::ArgumentFilter;

/// Which jobs are meant; the default means all.
///
/// As JSON it is an object of what is asked for, and no other names are taken. Times are texts (RFC 3339).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobFilter {
    /// Only those whose id begins so, or is this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_prefix: Option<String>,
    /// Only those that stand so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusFilter>,
    /// Only this task's, by its whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Only those listed under this label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// Only those of this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Only those whose newest attempt this worker ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Only those with this account key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_key: Option<String>,
    /// Only those of the entry of the schedule that had this name when they were enqueued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Only those made at or after this instant.
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only those made before this instant.
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only those whose error message has this text in it, in upper or lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_text: Option<String>,
    /// Only those of one of these tasks, by their whole names; empty for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any_task: Vec<String>,
    /// Only those that have ended and whose newest attempt took longer than this; in milliseconds as JSON.
    #[serde(rename = "longer_than_ms", with = "millis", skip_serializing_if = "Option::is_none")]
    pub longer_than: Option<Duration>,
    /// Only those that have ended and whose newest attempt took less than this; in milliseconds as JSON.
    #[serde(rename = "shorter_than_ms", with = "millis", skip_serializing_if = "Option::is_none")]
    pub shorter_than: Option<Duration>,
    /// Only those that were called with these arguments, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<ArgumentFilter>,
}

/// What a list by status can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    /// Jobs of a status.
    In(JobStatus),
    /// Failed jobs whose message is among the dead letters.
    Dead,
    /// Jobs that have not come to their end.
    Open,
    /// Jobs that have.
    Ended,
}

impl StatusFilter {
    /// Returns all words that can be asked for.
    pub fn words() -> impl Iterator<Item = &'static str> {
        JobStatus::ALL.into_iter().map(JobStatus::as_str).chain(["dead", "open", "ended"])
    }

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In(status) => status.as_str(),
            Self::Dead => "dead",
            Self::Open => "open",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for StatusFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for StatusFilter {
    type Err = UnknownStatus;

    /// Reads one of the seven words, or `dead`, `open` or `ended`.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "dead" => Ok(Self::Dead),
            "open" => Ok(Self::Open),
            "ended" => Ok(Self::Ended),
            other => other.parse().map(Self::In),
        }
    }
}

impl Serialize for StatusFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for StatusFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Instants as texts.
mod instant {
    use celeriac_protocol::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(|at| at.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let read = |text: String| {
            let refuse = |error| serde::de::Error::custom(format_args!("\"{text}\" is no time: {error}"));
            text.parse().map_err(refuse)
        };
        text.map(read).transpose()
    }
}

/// Spans as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_travels_as_json_and_says_only_what_is_asked_for() {
        assert_eq!(serde_json::to_string(&JobFilter::default()).unwrap(), "{}");
        let filter = JobFilter {
            status: Some(StatusFilter::Dead),
            task: Some("shop.scrape".to_owned()),
            since: Some(Timestamp::from_micros(1_767_225_600_000_001)),
            longer_than: Some(Duration::from_millis(1_500)),
            arguments: vec![ArgumentFilter { path: "customer.id".parse().unwrap(), value: "7".to_owned() }],
            ..JobFilter::default()
        };
        let text = serde_json::to_string(&filter).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"status":"dead","task":"shop.scrape","since":"2026-01-01T00:00:00.000001+00:00","#,
                r#""longer_than_ms":1500,"arguments":[{"path":"customer.id","value":"7"}]}"#
            )
        );
        assert_eq!(serde_json::from_str::<JobFilter>(&text).unwrap(), filter);
    }

    #[test]
    fn what_a_filter_does_not_know_is_refused_by_name() {
        for (text, expected) in [
            (r#"{"tsak": "a"}"#, "unknown field `tsak`"),
            (r#"{"status": "zombie"}"#, "zombie"),
            (r#"{"since": "yesterday"}"#, "yesterday"),
        ] {
            let error = serde_json::from_str::<JobFilter>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn every_word_of_a_status_is_read_back() {
        for word in StatusFilter::words() {
            assert_eq!(word.parse::<StatusFilter>().unwrap().as_str(), word);
        }
    }
}

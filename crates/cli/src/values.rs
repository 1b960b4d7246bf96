//! Values as they are typed: arguments, instants, spans.

use std::time::Duration;

use celeriac_engine::Param;
use celeriac_protocol::{Arguments, JobId, RawValue, Timestamp};
use serde_json::value::to_raw_value;

use crate::config::Period;

/// Reads one argument of a task: JSON where it is JSON, otherwise text.
///
/// A parameter that takes text gets what was typed as it is, so that `42` need not be quoted twice.
pub(crate) fn argument(text: &str, param: Option<&Param>) -> Box<RawValue> {
    let json = serde_json::from_str::<Box<RawValue>>(text).ok();
    let wants_text = param.is_some_and(|param| takes_text(param.type_name));
    match json {
        Some(json) if !wants_text || is_text_or_null(json.get()) => json,
        _ => to_raw_value(text).expect("a text can be written as JSON"),
    }
}

/// Looks at the type as it is written in the source.
fn takes_text(type_name: &str) -> bool {
    let name = type_name.replace(' ', "");
    let inner = name.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(&name);
    matches!(inner.rsplit("::").next(), Some("String" | "PathBuf" | "str" | "&str"))
}

fn is_text_or_null(json: &str) -> bool {
    json.starts_with('"') || json == "null"
}

/// Puts positional and named arguments together as they travel.
pub(crate) fn arguments(
    positional: &[String],
    named: &[(String, String)],
    params: Option<&[Param]>,
) -> Arguments {
    let at = |i: usize| params.and_then(|params| params.get(i));
    let by_name = |name: &str| params.and_then(|params| params.iter().find(|param| param.name == name));
    let values: Vec<Box<RawValue>> =
        positional.iter().enumerate().map(|(i, text)| argument(text, at(i))).collect();
    let mut fields = Vec::with_capacity(named.len());
    for (name, text) in named {
        let name = serde_json::to_string(name).expect("a text can be written as JSON");
        fields.push(format!("{name}:{}", argument(text, by_name(name.trim_matches('"'))).get()));
    }
    let object = format!("{{{}}}", fields.join(","));
    Arguments {
        positional: to_raw_value(&values).expect("JSON can be written as JSON"),
        named: RawValue::from_string(object).expect("names and values are JSON"),
    }
}

/// An instant as it is typed: an ISO 8601 time, or a span counted from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At this instant.
    At(Timestamp),
    /// This far from now.
    Span(Duration),
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(Period(span)) = text.parse() {
            return Ok(Self::Span(span));
        }
        let refusal =
            |_| "write a time such as 2026-12-24T18:00:00Z, or a span such as 30s, 5m, 2h, 7d".to_owned();
        text.parse().map(Self::At).map_err(refusal)
    }
}

impl When {
    /// Returns the instant, with a span counted forward.
    pub(crate) fn ahead(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Span(span) => now + span,
        }
    }

    /// Returns the instant, with a span counted back.
    pub(crate) fn back(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Span(span) => now - span,
        }
    }
}

/// Reads a job's id.
pub(crate) fn job_id(text: &str) -> Result<JobId, String> {
    JobId::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, type_name: &'static str, json: &str) {
        let param = Param::required("x", type_name);
        assert_eq!(argument(text, Some(&param)).get(), json, "{text} as {type_name}");
    }

    #[test]
    fn an_argument_is_json_where_it_can_be_and_text_where_text_is_wanted() {
        check("42", "i64", "42");
        check("42", "String", "\"42\"");
        check("42", "Option<String>", "\"42\"");
        check("null", "Option < String >", "null");
        check("\"quoted\"", "String", "\"quoted\"");
        check("plain words", "serde_json::Value", "\"plain words\"");
        check("[1, 2]", "Vec<i64>", "[1, 2]");
        check("12345678901234567890.10", "Number", "12345678901234567890.10");
        check("", "String", "\"\"");
    }

    #[test]
    fn arguments_keep_their_places_and_names() {
        let params = [Param::required("to", "String"), Param::optional("count", "u32")];
        let named = [("count".to_owned(), "3".to_owned()), ("to".to_owned(), "7".to_owned())];
        let both = arguments(&["5".to_owned()], &named, Some(&params));
        assert_eq!(both.positional.get(), "[\"5\"]");
        assert_eq!(both.named.get(), "{\"count\":3,\"to\":\"7\"}");
    }

    #[test]
    fn instants_are_times_or_spans() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        assert_eq!("1d".parse::<When>().unwrap().back(now).to_string(), "2026-01-01T00:00:00+00:00");
        assert_eq!("1h".parse::<When>().unwrap().ahead(now).to_string(), "2026-01-02T01:00:00+00:00");
        assert_eq!("2026-01-01".parse::<When>().unwrap().ahead(now).to_string(), "2026-01-01T00:00:00+00:00");
        assert!("tomorrow".parse::<When>().is_err());
    }
}

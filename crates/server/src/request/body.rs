//! The body of a request: JSON.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{fields_of, invalid, unknown};
use crate::code::Code;
use crate::failure::Failure;
use crate::problem::Problem;

/// A body of JSON, read into a struct; whatever it does not know is refused.
#[derive(Clone, Debug)]
pub(crate) struct Body<T>(pub(crate) T);

/// The same, where there may be none.
#[derive(Clone, Debug)]
pub(crate) struct OptionalBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(&request);
        let bytes = bytes_of(request, state).await?;
        if !is_json {
            let failure = Failure::plain(Code::UnsupportedMediaType, "the body is not said to be JSON");
            return Err(Problem::from(failure).field("content-type"));
        }
        read(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_said = request.headers().contains_key(CONTENT_TYPE);
        let (parts, body) = request.into_parts();
        let bytes = bytes_of(Request::from_parts(parts.clone(), body), state).await?;
        if bytes.is_empty() && !is_said {
            return Ok(Self(T::default()));
        }
        let again = Request::from_parts(parts, bytes.into());
        Body::from_request(again, state).await.map(|Body(value)| Self(value))
    }
}

fn is_json(request: &Request) -> bool {
    let said = request.headers().get(CONTENT_TYPE).and_then(|said| said.to_str().ok()).unwrap_or_default();
    let kind = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

async fn bytes_of<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::plain(Code::BodyTooLarge, "the body is larger than `http.body_max` allows").into()
        }
        _ => invalid("body", error.body_text()),
    })
}

/// Reads what is well written once; only what is not is read again, to find the place.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let known = fields_of::<T>();
    // A struct can be read from an array as well, which nobody means.
    if !known.is_empty() && bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid("body", "an object is wanted"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        if let Ok(Value::Object(given)) = serde_json::from_slice::<Value>(bytes)
            && let Some(name) = given.keys().find(|name| !known.contains(&name.as_str()))
        {
            return unknown("field", name, known);
        }
        let found =
            serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(bytes));
        let path =
            found.err().map(|error| error.path().to_string()).filter(|path| path != "." && path != "?");
        invalid(path.unwrap_or_else(|| "body".to_owned()), error)
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Wanted {
        task: String,
        priority: Option<u8>,
        jobs: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only whether it can be read counts")]
    struct Inner {
        count: u8,
    }

    #[track_caller]
    fn check(body: &str, field: &str) {
        let problem = serde_json::to_value(read::<Wanted>(body.as_bytes()).unwrap_err()).unwrap();
        assert_eq!(
            (&problem["code"], &problem["field"]),
            (&"invalid_request".into(), &field.into()),
            "{problem}"
        );
    }

    #[test]
    fn the_field_that_cant_be_read_is_named() {
        check("{\"task\": 1}", "task");
        check("{\"priority\": 300}", "priority");
        check("{\"jobs\": [{\"count\": 1}, {\"count\": -1}]}", "jobs[1].count");
        check("{\"tsak\": \"a\"}", "tsak");
        check("{", "body");
        check("[]", "body");
        read::<Wanted>(b"{\"task\": \"a\"}").unwrap();
    }
}

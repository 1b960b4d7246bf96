//! Errors as HTTP tells them: problem details of RFC 9457, with a stable code and a hint.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::code::{Code, Kind};
use crate::failure::Failure;

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error as HTTP tells it, by RFC 9457. The codes are stable; programs may rely on them.
///
/// It is one pointer wide, because it travels in results that are mostly good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<ProblemView>);

/// What is told of an error, by RFC 9457. The codes are stable; programs may rely on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView {
    /// Names the kind of problem by an address where more is said of it; it ends in the code.
    #[serde(rename = "type")]
    #[schema(example = "/api#unknown_job")]
    type_uri: String,
    /// What kind of problem it is, in words that are the same each time.
    #[schema(example = "There is no such job.")]
    title: String,
    /// The status of the answer.
    #[schema(example = 404)]
    status: u16,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Names the kind of problem for programs.
    #[schema(example = "unknown_job")]
    code: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Why it failed, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    /// The parameter, header or field of the body that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// What it is about, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<ObjectView>,
    /// Names this answer; the server's log does, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "urn:uuid:01999999-0000-7000-8000-000000000000")]
    instance: Option<String>,
}

/// What a problem is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ObjectView {
    /// What kind of thing it is.
    #[schema(example = "job")]
    kind: String,
    /// Its id or its name.
    id: String,
}

impl Problem {
    /// Begins with what is the same each time: a code, a status and a sentence.
    pub fn new(status: StatusCode, code: &str, title: impl Into<String>) -> Self {
        Self(Box::new(ProblemView {
            type_uri: format!("/api#{code}"),
            title: title.into(),
            status: status.as_u16(),
            detail: None,
            code: code.to_owned(),
            hint: None,
            causes: Vec::new(),
            field: None,
            object: None,
            instance: None,
        }))
    }

    /// Says that something went wrong that should not; the log says what.
    pub fn internal() -> Self {
        let code = Code::Internal;
        Self::new(code.status(), code.as_str(), "Something went wrong that should not have.")
            .hint("the server's log says more; look there for the request named by `instance`")
    }

    /// Says what happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Names the parameter, header or field that is wrong.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Returns the status of the answer.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// Returns what kind of problem it is, in words.
    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// Returns what happened this time.
    pub fn what(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Returns what to do next.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Writes the answer of a request that goes by this id. What the answer's head had said before is kept.
    pub(crate) fn answer(mut self, request_id: &str, headers: HeaderMap) -> Response {
        self.0.instance = Some(format!("urn:uuid:{request_id}"));
        let body = serde_json::to_vec(&self).expect("texts and numbers can be written as JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        *response.headers_mut() = headers;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
    }
}

impl IntoResponse for Problem {
    /// Leaves the body to the outermost layer, which knows the request's id and who reads the answer.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}

impl<E> From<E> for Problem
where
    Failure: From<E>,
{
    /// Tells what the command line would tell, in the same words. What went wrong inside is told to the log alone.
    fn from(error: E) -> Self {
        let failure = Failure::from(error);
        let code = failure.code();
        if code.kind() == Kind::Internal {
            tracing::error!(code = code.as_str(), error = %failure, "request failed");
            return Self::internal();
        }
        let mut problem = Self::new(code.status(), code.as_str(), code.meaning()).detail(failure.headline());
        let object = failure.object();
        problem.0.object =
            object.map(|object| ObjectView { kind: object.kind.to_owned(), id: object.id.clone() });
        problem.0.causes = failure.causes().to_vec();
        problem.0.hint = failure.http_advice().map(str::to_owned);
        problem
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

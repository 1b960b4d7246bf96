//! Reads requests: what can't be read is a problem that names the parameter or the field, and whatever is not known is
//! refused with the name that was probably meant.

mod body;
mod fields;
mod query;

pub(crate) use body::{Body, OptionalBody};
pub(crate) use fields::fields_of;
pub(crate) use query::Query;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use celeriac_protocol::JobId;
use celeriac_protocol::suggest::did_you_mean;

use crate::code::Code;
use crate::failure::Failure;
use crate::problem::Problem;

/// The id of a job, as it stands in a path.
#[derive(Clone, Debug)]
pub(crate) struct JobPath(pub(crate) JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = NamePath::from_request_parts(parts, state).await?;
        let id = JobId::parse(&name.0).map_err(|error| invalid("id", error))?;
        Ok(Self(id))
    }
}

/// A name, as it stands in a path.
#[derive(Clone, Debug)]
pub(crate) struct NamePath(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for NamePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| invalid("path", error.body_text()))?;
        Ok(Self(name))
    }
}

/// Says that a parameter or a field can't be read.
pub(crate) fn invalid(field: impl Into<String>, reason: impl ToString) -> Problem {
    let field = field.into();
    let failure = Failure::plain(Code::InvalidRequest, format!("{field}: {}", reason.to_string()));
    Problem::from(failure).field(field)
}

/// Says that there is no parameter or field of this name, and which was probably meant.
fn unknown(what: &str, name: &str, known: &[&str]) -> Problem {
    let failure = Failure::plain(Code::InvalidRequest, format!("there is no {what} `{name}` here"));
    let problem = Problem::from(failure).field(name);
    match did_you_mean(name, known.iter().copied()) {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

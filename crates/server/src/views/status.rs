//! The seven statuses, as the API's description lists them.

use std::borrow::Cow;

use celeriac_protocol::JobStatus;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Stands for [`JobStatus`] in the API's description; the floor where that lives knows nothing of HTTP.
#[derive(Clone, Copy, Debug)]
pub struct StatusWord;

impl PartialSchema for StatusWord {
    fn schema() -> RefOr<Schema> {
        let words = JobStatus::ALL.map(JobStatus::as_str);
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Where a job stands."))
            .enum_values(Some(words))
            .into()
    }
}

impl ToSchema for StatusWord {
    fn name() -> Cow<'static, str> {
        "JobStatus".into()
    }
}

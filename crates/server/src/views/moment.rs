//! An instant as JSON shows it.

use std::fmt;

use celeriac_protocol::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// An instant: RFC 3339 in UTC with microseconds, as Python's `datetime.isoformat()` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-11-22T03:44:17.619136+00:00"))]
pub struct Moment(pub Timestamp);

impl Moment {
    /// Takes an instant that may be missing.
    pub fn or_none(at: Option<Timestamp>) -> Option<Self> {
        at.map(Self)
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

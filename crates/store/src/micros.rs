//! Time as rows hold it.

use celeriac_protocol::Timestamp;
use sea_orm::DeriveValueType;

/// Holds microseconds since the Unix epoch in a `bigint` column, the same in every database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, DeriveValueType)]
pub struct Micros(pub i64);

impl From<Timestamp> for Micros {
    fn from(at: Timestamp) -> Self {
        Self(at.as_micros())
    }
}

impl From<Micros> for Timestamp {
    fn from(micros: Micros) -> Self {
        Self::from_micros(micros.0)
    }
}

#![doc = include_str!("../README.md")]

mod entity;
mod error;
pub mod limits;
mod micros;
mod migration;
pub mod query;
mod record;
mod recording;

pub use error::StoreError;
pub use micros::Micros;
pub use migration::MIGRATIONS;
pub use record::{AttemptOutcome, AttemptRecord, JobProgress, JobRecord, JobSummary};
pub use recording::record_batch;

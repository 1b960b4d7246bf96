//! Takes over what Celery's schedulers have stored: django-celery-beat and sqlalchemy-celery-beat in a database,
//! redbeat in Redis. Nothing is written on their side.
//!
//! ```text
//! Tables::read ─► Tables::definitions ─┐
//!                                      ├─► Definition::proposal ─► Import::rehearse, or Import::run
//! read_redbeat ─► redbeat_definition ──┘
//! ```

mod convert;
mod definition;
mod import;
mod redbeat;
mod rows;
mod rule;
mod tables;
#[cfg(test)]
mod tests;

pub use convert::{Carrier, Change, Proposal, Rules};
pub use definition::{Definition, Fields, LeftOut, Timing};
pub use import::{Import, ImportError, Imported, Verdict};
pub use redbeat::redbeat_definition;
pub use tables::{Package, Tables, TablesError};

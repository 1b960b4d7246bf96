#![doc = include_str!("../README.md")]

mod database;
mod direct;
mod error;
mod migrator;
mod options;
#[cfg(feature = "postgres")]
pub mod postgres;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod tx;
mod writer;

pub use database::Database;
pub use direct::DirectTx;
pub use error::{DbError, ServerFault, StorageFault};
pub use migrator::{Migration, MigrationSet, MigrationState, MigrationStatus, Step};
#[cfg(feature = "postgres")]
pub use options::postgres::PostgresOptions;
pub use options::{Durability, SqliteOptions};
pub use tx::DbTx;

/// SeaORM, whose connection and entity types are part of this interface on purpose: enqueueing and
/// recording happen inside the user's own transaction.
pub use sea_orm;

/// rusqlite, whose values and rows are part of [`DirectTx`].
pub use rusqlite;

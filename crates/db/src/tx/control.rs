//! Beginning, ending and dividing the transaction: the only statements of this crate that are text,
//! because no builder writes them.

use std::sync::atomic::Ordering;

use sea_orm::sqlx;

use super::DbTx;

/// Takes the write lock at once, so that a transaction never fails half-way for want of it.
const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
const SAVEPOINT: &str = "SAVEPOINT celeriac_write";
const NEXT_SAVEPOINT: &str = "RELEASE celeriac_write; SAVEPOINT celeriac_write";
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const ROLLBACK_TO_SAVEPOINT: &str = "ROLLBACK TO celeriac_write";

impl DbTx {
    pub(crate) async fn begin(&self) -> Result<(), sqlx::Error> {
        self.health.rolled_back.store(false, Ordering::Release);
        self.control(BEGIN).await
    }

    pub(crate) async fn commit(&self) -> Result<(), sqlx::Error> {
        self.control(COMMIT).await
    }

    pub(crate) async fn rollback(&self) -> Result<(), sqlx::Error> {
        self.control(ROLLBACK).await
    }

    pub(crate) async fn savepoint(&self) -> Result<(), sqlx::Error> {
        self.control(SAVEPOINT).await
    }

    /// Lets go of the last savepoint and sets the next one, in one hop to SQLite's thread.
    pub(crate) async fn next_savepoint(&self) -> Result<(), sqlx::Error> {
        self.control(NEXT_SAVEPOINT).await
    }

    pub(crate) async fn rollback_to_savepoint(&self) -> Result<(), sqlx::Error> {
        self.control(ROLLBACK_TO_SAVEPOINT).await
    }

    /// Moves as much of the write-ahead log into the file as can be without stopping anybody.
    pub(crate) async fn checkpoint(&self) -> Result<(), sqlx::Error> {
        self.control(CHECKPOINT).await
    }

    async fn control(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        let mut connection = self.connection.lock().await;
        sqlx::query(statement).execute(&mut *connection).await.map(drop)
    }
}

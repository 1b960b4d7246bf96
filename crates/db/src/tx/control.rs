//! Beginning, ending and dividing the transaction: the only statements of this crate that are text,
//! because no builder writes them.

use std::sync::atomic::Ordering;

use sea_orm::sqlx;

use super::DbTx;

/// What is done to the transaction itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Begins, and takes the write lock at once: it never fails half-way for want of it.
    Begin,
    /// Stores everything.
    Commit,
    /// Undoes everything.
    Rollback,
    /// Sets the first savepoint.
    Savepoint,
    /// Lets go of the last savepoint and sets the next one.
    NextSavepoint,
    /// Undoes what came after the savepoint.
    RollbackToSavepoint,
}

impl Control {
    /// Returns its statements.
    pub(crate) fn statements(self) -> &'static [&'static str] {
        match self {
            Self::Begin => &["BEGIN IMMEDIATE"],
            Self::Commit => &["COMMIT"],
            Self::Rollback => &["ROLLBACK"],
            Self::Savepoint => &["SAVEPOINT celeriac_write"],
            Self::NextSavepoint => &["RELEASE celeriac_write", "SAVEPOINT celeriac_write"],
            Self::RollbackToSavepoint => &["ROLLBACK TO celeriac_write"],
        }
    }

    /// Returns its statements as one text, for one hop to sqlx's thread.
    fn text(self) -> &'static str {
        match self {
            Self::NextSavepoint => "RELEASE celeriac_write; SAVEPOINT celeriac_write",
            other => other.statements()[0],
        }
    }
}

impl DbTx {
    /// Begins, ends or divides the transaction, through sqlx's thread.
    pub(crate) async fn control(&self, control: Control) -> Result<(), sqlx::Error> {
        if control == Control::Begin {
            self.forget_loss();
        }
        self.run(control.text()).await
    }

    /// Moves as much of the write-ahead log into the file as can be without stopping anybody.
    pub(crate) async fn checkpoint(&self) -> Result<(), sqlx::Error> {
        self.run("PRAGMA wal_checkpoint(PASSIVE)").await
    }

    async fn run(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        let mut connection = self.connection.connection().lock().await;
        sqlx::query(statement).execute(&mut *connection).await.map(drop)
    }

    /// Takes note that a new transaction begins.
    pub(crate) fn forget_loss(&self) {
        self.health.rolled_back.store(false, Ordering::Release);
    }
}

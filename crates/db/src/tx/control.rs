//! Beginning, ending and dividing the transaction: the only statements of this crate that are text,
//! because no builder writes them.

use super::DbTx;
use crate::error::DbError;

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
    fn statements(self) -> &'static [&'static str] {
        match self {
            Self::Begin => &["BEGIN IMMEDIATE"],
            Self::Commit => &["COMMIT"],
            Self::Rollback => &["ROLLBACK"],
            Self::Savepoint => &["SAVEPOINT celeriac_write"],
            Self::NextSavepoint => &["RELEASE celeriac_write", "SAVEPOINT celeriac_write"],
            Self::RollbackToSavepoint => &["ROLLBACK TO celeriac_write"],
        }
    }
}

impl DbTx {
    /// Begins, ends or divides the transaction.
    pub(crate) fn control(&self, control: Control) -> Result<(), DbError> {
        if control == Control::Begin {
            self.forget_loss();
        }
        let view = self.file()?.view();
        for statement in control.statements() {
            view.prepare_cached(statement)?.execute([])?;
        }
        Ok(())
    }

    /// Moves as much of the write-ahead log into the file as can be without stopping anybody.
    pub(crate) fn checkpoint(&self) -> Result<(), DbError> {
        Ok(self.file()?.view().query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
    }
}

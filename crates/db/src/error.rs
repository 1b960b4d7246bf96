//! What can go wrong with a database, by what the caller can do about it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::{DbErr, RuntimeErr, sqlx};

pub use self::server::ServerFault;

mod server;

/// What the file or its disk refused. Command lines make hints out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StorageFault {
    /// The folder that should hold the file does not exist.
    FolderMissing,
    /// There is no such file, and it was not to be created.
    FileMissing,
    /// The path names a folder.
    IsFolder,
    /// The operating system denies access to the file or to its folder.
    Denied,
    /// The file can be read but not written (permissions, a read-only disk, or opened so).
    ReadOnly,
    /// The file is something else than a SQLite database.
    NotADatabase,
    /// The file is a SQLite database whose content is damaged.
    Corrupt,
    /// Another process held the write lock for longer than the busy timeout.
    Locked,
    /// The disk, or the file's allowed size, is full.
    Full,
    /// The file lies on a file system without shared memory, which the write-ahead log needs.
    NoSharedMemory,
    /// Reading or writing the file failed in another way.
    Io,
}

impl StorageFault {
    fn text(self) -> &'static str {
        match self {
            Self::FolderMissing => "its folder does not exist",
            Self::FileMissing => "no such file",
            Self::IsFolder => "is a folder",
            Self::Denied => "permission denied",
            Self::ReadOnly => "is read-only",
            Self::NotADatabase => "is not a SQLite database",
            Self::Corrupt => "is damaged",
            Self::Locked => "is locked by another process",
            Self::Full => "no space left on its disk",
            Self::NoSharedMemory => "lies on a file system that cannot hold a write-ahead log",
            Self::Io => "cannot be read or written",
        }
    }
}

impl fmt::Display for StorageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Why the database could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// The file or its disk refused.
    #[error("database {path:?}: {fault}")]
    Storage {
        /// What was refused.
        fault: StorageFault,
        /// The database file.
        path: PathBuf,
        /// What SQLite or the operating system said, where it was asked.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The server refused, or could not be reached.
    #[error("database {database}: {fault}")]
    Server {
        /// What was in the way.
        fault: ServerFault,
        /// The database, without its password.
        database: String,
        /// What the server or the operating system said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The server is older than the oldest version that is supported.
    #[error("database {database}: PostgreSQL {found} is older than {needed}")]
    PostgresTooOld {
        /// The database, without its password.
        database: String,
        /// The version that it runs.
        found: u32,
        /// The version that is needed.
        needed: u32,
    },
    /// A statement failed.
    #[error("run statement")]
    Statement(#[source] DbErr),
    /// A statement of [`crate::DirectTx`] failed.
    #[error("run statement")]
    Direct(#[source] rusqlite::Error),
    /// A setting makes no sense.
    #[error("option {name} {reason}")]
    Option {
        /// The field of the options.
        name: &'static str,
        /// What it must be.
        reason: &'static str,
    },
    /// The linked SQLite is older than the first version without the WAL-reset race.
    #[error("SQLite {found} is older than {needed}")]
    SqliteTooOld {
        /// The version that is linked.
        found: String,
        /// The version that is needed.
        needed: &'static str,
    },
    /// A plain write was asked for from inside a write on the same database: it could never start.
    #[error("write \"{label}\" from inside write \"{outer}\": pass its transaction on (the `_in(&tx)` form)")]
    Nested {
        /// The write that was refused.
        label: &'static str,
        /// The write that is running.
        outer: &'static str,
    },
    /// A write ran longer than it may, and was rolled back.
    #[error("write \"{label}\" ran longer than {limit:?} and was rolled back")]
    Deadline {
        /// The write.
        label: &'static str,
        /// How long it might run.
        limit: Duration,
    },
    /// A write panicked, and was rolled back.
    #[error("write \"{label}\" panicked and was rolled back: {message}")]
    Panicked {
        /// The write.
        label: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The database gave the whole transaction up; nothing of it is stored.
    #[error("transaction lost during write \"{label}\": nothing of it is stored")]
    TransactionLost {
        /// The write during which it was lost (perhaps another caller's, of the same group).
        label: &'static str,
    },
    /// The commit failed; nothing of the transaction is stored.
    #[error("commit write \"{label}\"")]
    Commit {
        /// The write.
        label: &'static str,
        /// What SQLite said; all writes of the transaction share it.
        #[source]
        source: Arc<DbError>,
    },
    /// The connection broke while the server committed: what was written is stored, or nothing of it.
    #[error("commit write \"{label}\": the connection broke, so it may be stored or not")]
    InDoubt {
        /// The write.
        label: &'static str,
        /// How it broke.
        #[source]
        source: Option<Box<DbError>>,
    },
    /// The database was closed.
    #[error("database {path:?} is closed")]
    Closed {
        /// The database file, or the server's database without its password.
        path: PathBuf,
    },
    /// What was asked for is only there with the other engine.
    #[error("{what}: {database} can't do that")]
    WrongEngine {
        /// What was asked for.
        what: &'static str,
        /// The database.
        database: String,
    },
    /// The writer's thread could not be started.
    #[error("start the writer's thread")]
    Thread(#[source] std::io::Error),
    /// The database was migrated by a newer binary.
    #[error("database is newer than this binary: {owner:?} has unknown migration {name:?}")]
    NewerDatabase {
        /// Whose line of migrations.
        owner: String,
        /// The first unknown migration.
        name: String,
    },
    /// A migration stands before one that is already applied: the line was changed after a release.
    #[error("migration {name:?} of {owner:?} stands before {applied:?}, which is already applied")]
    MigrationOrder {
        /// Whose line of migrations.
        owner: &'static str,
        /// The migration that was slipped in.
        name: &'static str,
        /// The applied one behind it.
        applied: &'static str,
    },
    /// A migration failed and was rolled back.
    #[error("migration {name:?} of {owner:?}")]
    Migration {
        /// Whose line of migrations.
        owner: &'static str,
        /// The migration.
        name: &'static str,
        /// What failed.
        #[source]
        source: Box<DbError>,
    },
    /// A migration cannot be undone.
    #[error("migration {name:?} of {owner:?} has no way down")]
    Irreversible {
        /// Whose line of migrations.
        owner: &'static str,
        /// The migration.
        name: &'static str,
    },
    /// There is no migration of that name.
    #[error("{owner:?} has no migration {name:?}")]
    UnknownMigration {
        /// Whose line of migrations.
        owner: &'static str,
        /// The name that was asked for.
        name: String,
    },
}

impl DbError {
    pub(crate) fn storage(path: &Path, fault: StorageFault) -> Self {
        Self::Storage { fault, path: path.to_owned(), source: None }
    }

    /// Names the file where SQLite's code says that the file or disk refused.
    pub(crate) fn on_file(path: &Path, source: impl Into<Self>) -> Self {
        let error = source.into();
        let (Some(fault), path) = (error.fault(), path.to_owned()) else { return error };
        match error {
            Self::Statement(source) => Self::Storage { fault, path, source: Some(Box::new(source)) },
            Self::Direct(source) => Self::Storage { fault, path, source: Some(Box::new(source)) },
            other => other,
        }
    }

    /// Returns what the file or its disk refused, wherever in the chain it was said.
    pub fn fault(&self) -> Option<StorageFault> {
        match self {
            Self::Storage { fault, .. } => Some(*fault),
            Self::Statement(source) => fault_of(source),
            Self::Direct(source) => fault_of_code(source.sqlite_error()?.extended_code),
            Self::Commit { source, .. } => source.fault(),
            Self::Migration { source, .. } => source.fault(),
            _ => None,
        }
    }

    /// Returns what the server refused or why it was not reached, wherever in the chain it was said.
    pub fn server_fault(&self) -> Option<ServerFault> {
        match self {
            Self::Server { fault, .. } => Some(*fault),
            Self::Statement(source) => ServerFault::of(source),
            Self::Commit { source, .. } => source.server_fault(),
            Self::InDoubt { source, .. } => source.as_ref()?.server_fault(),
            Self::Migration { source, .. } => source.server_fault(),
            _ => None,
        }
    }

    /// Returns whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TransactionLost { .. } | Self::Commit { .. } | Self::InDoubt { .. } => true,
            other => {
                other.server_fault().is_some_and(ServerFault::passes)
                    || matches!(
                        other.fault(),
                        Some(StorageFault::Locked | StorageFault::Full | StorageFault::Io)
                    )
            }
        }
    }
}

impl From<DbErr> for DbError {
    fn from(source: DbErr) -> Self {
        Self::Statement(source)
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Direct(source)
    }
}

/// Returns an error's text and that of all its causes, for a log: what SQLite said stands last.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Reads the storage fault out of SQLite's result code (<https://www.sqlite.org/rescode.html>).
fn fault_of(error: &DbErr) -> Option<StorageFault> {
    let said = said_by_sqlx(error)?.as_database_error()?;
    fault_of_code(said.try_downcast_ref::<SqliteError>().and(said.code())?.parse().ok()?)
}

fn said_by_sqlx(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// SQLite's SQLITE_IOERR_SHMSIZE: the file of shared memory can't grow, which is how a full disk
/// greets whoever opens the database.
const NO_ROOM_FOR_SHARED_MEMORY: i32 = 4874;

fn fault_of_code(extended: i32) -> Option<StorageFault> {
    if extended == NO_ROOM_FOR_SHARED_MEMORY {
        return Some(StorageFault::Full);
    }
    match extended & 0xff {
        3 | 23 => Some(StorageFault::Denied),
        5 | 6 => Some(StorageFault::Locked),
        8 => Some(StorageFault::ReadOnly),
        10 | 14 => Some(StorageFault::Io),
        11 => Some(StorageFault::Corrupt),
        13 => Some(StorageFault::Full),
        26 => Some(StorageFault::NotADatabase),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_faults_that_pass_by_themselves_are_retryable() {
        let path = Path::new("x.db");
        for (fault, retryable) in [
            (StorageFault::Locked, true),
            (StorageFault::Full, true),
            (StorageFault::Io, true),
            (StorageFault::ReadOnly, false),
            (StorageFault::NotADatabase, false),
            (StorageFault::FolderMissing, false),
        ] {
            assert_eq!(DbError::storage(path, fault).is_retryable(), retryable, "{fault:?}");
        }
        assert!(DbError::TransactionLost { label: "x" }.is_retryable());
        assert!(!DbError::Deadline { label: "x", limit: Duration::ZERO }.is_retryable());
    }

    #[test]
    fn text_is_a_fragment_that_names_file_and_fault() {
        let error = DbError::storage(Path::new("/a/b.db"), StorageFault::FolderMissing);
        assert_eq!(error.to_string(), "database \"/a/b.db\": its folder does not exist");
    }
}

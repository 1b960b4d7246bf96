//! Opening connections to one SQLite file, and saying clearly why one cannot be opened.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use sea_orm::sea_query::{ColumnDef, Func, Query, SelectStatement, Table};
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, DeriveIden, RuntimeErr, SqlxSqliteConnector, sqlx,
};

use crate::error::{DbError, StorageFault};
use crate::options::{Durability, SqliteOptions};
use crate::tx::control::Control;
use crate::tx::{DbTx, failed_execute};
use crate::writer::LONGEST_LOG;

/// The first version without the race that could corrupt a file in WAL mode.
const OLDEST_SQLITE: &str = "3.51.3";

/// SQLite's page size, which the limit of the write-ahead log is counted in.
const PAGE_KIB: u32 = 4;

/// Rows that may wait between SQLite's thread and the reader of a result; a batch fits in.
const ROW_BUFFER: usize = 1024;

/// Prepared statements that a connection keeps.
const STATEMENT_CACHE: usize = 100;

/// How long an unused reading connection is kept.
const READER_IDLE: Duration = Duration::from_secs(60);

/// Refuses a path of which nothing good can come, before SQLite is asked.
pub(crate) fn check_path(options: &SqliteOptions) -> Result<(), DbError> {
    let path = options.path();
    let fault = if path.is_dir() {
        StorageFault::IsFolder
    } else if folder_of(path).is_some_and(|folder| !folder.exists()) {
        StorageFault::FolderMissing
    } else if !options.create && !path.exists() {
        StorageFault::FileMissing
    } else {
        return Ok(());
    };
    Err(DbError::storage(path, fault))
}

/// Opens the one connection that writes, and proves that it can.
pub(crate) async fn open_writer(options: &SqliteOptions) -> Result<DbTx, DbError> {
    let path = options.path();
    let tx = DbTx::connect(&writer_options(options)).await.map_err(|error| explain(path, error))?;
    check_version(&tx).await?;
    check_journal(&tx, path).await?;
    check_writable(&tx, path).await?;
    Ok(tx)
}

/// Opens a connection that does nothing but move the log into the file.
pub(crate) async fn open_checkpointer(options: &SqliteOptions) -> Result<DbTx, sqlx::Error> {
    let options = writer_options(options)
        .create_if_missing(false)
        .pragma("wal_autocheckpoint", "0")
        .pragma("cache_size", "10")
        .thread_name(|_| "celeriac-sqlite-checkpoint".into());
    DbTx::connect(&options).await
}

/// Makes the pool of connections that read; none is opened yet.
pub(crate) fn reader_pool(options: &SqliteOptions) -> DatabaseConnection {
    let pool = SqlitePoolOptions::new()
        .max_connections(options.read_connections)
        .min_connections(0)
        .idle_timeout(READER_IDLE)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(options.busy_timeout)
        .connect_lazy_with(reader_options(options));
    SqlxSqliteConnector::from_sqlx_sqlite_pool(pool)
}

/// Proves that the file can be read.
pub(crate) async fn check_reader(reader: &DatabaseConnection, path: &Path) -> Result<(), DbError> {
    check_version(reader).await.map_err(|error| match error {
        DbError::Statement(source) => explain_reading(path, source),
        other => other,
    })?;
    reader.query_one(&journal_mode()).await.map_err(|source| explain_reading(path, source))?;
    Ok(())
}

fn writer_options(options: &SqliteOptions) -> SqliteConnectOptions {
    let synchronous = match options.durability {
        Durability::Process => SqliteSynchronous::Normal,
        Durability::Power => SqliteSynchronous::Full,
    };
    base_options(options)
        .create_if_missing(options.create)
        // Two libraries use this connection, each from a thread of its own.
        .serialized(true)
        // Waiting for the lock is the writer's: SQLite's own waits grow to 100 ms.
        .busy_timeout(Duration::ZERO)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .pragma(
            "wal_autocheckpoint",
            (u64::from(options.wal_kib / PAGE_KIB).max(1) * LONGEST_LOG).to_string(),
        )
        // The log is cut when it begins anew, so that its length tells how much is in it.
        .pragma("journal_size_limit", "0")
        .thread_name(|_| "celeriac-sqlite-write".into())
}

fn reader_options(options: &SqliteOptions) -> SqliteConnectOptions {
    base_options(options)
        .read_only(true)
        .busy_timeout(options.busy_timeout)
        .thread_name(|_| "celeriac-sqlite-read".into())
}

fn base_options(options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(options.path())
        .foreign_keys(true)
        .pragma("cache_size", format!("-{}", options.cache_kib))
        .pragma("mmap_size", "0")
        .pragma("temp_store", "memory")
        .statement_cache_capacity(STATEMENT_CACHE)
        .row_buffer_size(ROW_BUFFER)
        .disable_statement_logging()
}

/// What SQLite is asked about itself.
#[derive(DeriveIden)]
enum Ask {
    SqliteVersion,
    PragmaJournalMode,
    JournalMode,
}

async fn check_version(connection: &impl ConnectionTrait) -> Result<(), DbError> {
    let query = Query::select().expr(Func::cust(Ask::SqliteVersion)).to_owned();
    let row = connection.query_one(&query).await?;
    let found: String = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    if version_key(&found) < version_key(OLDEST_SQLITE) {
        return Err(DbError::SqliteTooOld { found, needed: OLDEST_SQLITE });
    }
    Ok(())
}

fn version_key(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

fn journal_mode() -> SelectStatement {
    Query::select().column(Ask::JournalMode).from(Ask::PragmaJournalMode).to_owned()
}

async fn check_journal(tx: &DbTx, path: &Path) -> Result<(), DbError> {
    let row = tx.query_one(&journal_mode()).await.map_err(|error| DbError::on_file(path, error))?;
    let mode: String = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    if mode == "wal" { Ok(()) } else { Err(DbError::storage(path, StorageFault::NoSharedMemory)) }
}

/// A table that is never committed.
#[derive(DeriveIden)]
enum CeleriacProbe {
    Table,
    Id,
}

/// Writes and takes it back: SQLite opens a file that it may not write, and begins on it, too.
async fn check_writable(tx: &DbTx, path: &Path) -> Result<(), DbError> {
    tx.control(Control::Begin).map_err(|error| explain_by(path, error, &way_of_a_writer()))?;
    let mut id = ColumnDef::new(CeleriacProbe::Id);
    let probe = Table::create().table(CeleriacProbe::Table).col(id.integer()).to_owned();
    tx.execute(&probe).await.map_err(|error| explain_orm(path, error))?;
    tx.control(Control::Rollback).map_err(|error| explain_by(path, error, &way_of_a_writer()))
}

/// Turns what SQLite said on opening into what a person can act on.
///
/// "Unable to open" has many causes, and the operating system tells them apart when asked itself.
fn explain(path: &Path, error: sqlx::Error) -> DbError {
    explain_orm(path, failed_execute(error))
}

fn explain_orm(path: &Path, source: DbErr) -> DbError {
    let source = match source {
        DbErr::Conn(RuntimeErr::SqlxError(error)) => DbErr::Exec(RuntimeErr::SqlxError(error)),
        other => other,
    };
    explain_by(path, source, &way_of_a_writer())
}

fn way_of_a_writer() -> OpenOptions {
    OpenOptions::new().read(true).append(true).create(true).to_owned()
}

/// As [`explain_orm`], for who only reads.
fn explain_reading(path: &Path, source: DbErr) -> DbError {
    explain_by(path, source, OpenOptions::new().read(true))
}

/// Tries once more what SQLite tried, in the operating system's own words.
fn explain_by(path: &Path, source: impl Into<DbError>, way: &OpenOptions) -> DbError {
    let error = DbError::on_file(path, source);
    match (error.fault(), probe(path, way)) {
        (Some(StorageFault::Io), Some((fault, refusal))) => {
            DbError::Storage { fault, path: path.to_owned(), source: Some(Box::new(refusal)) }
        }
        _ => error,
    }
}

/// Asks the operating system what SQLite does not tell.
fn probe(path: &Path, way: &OpenOptions) -> Option<(StorageFault, std::io::Error)> {
    let refusal = way.open(path).err()?;
    let fault = match refusal.kind() {
        ErrorKind::PermissionDenied => StorageFault::Denied,
        ErrorKind::ReadOnlyFilesystem => StorageFault::ReadOnly,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StorageFault::Full,
        _ => return None,
    };
    Some((fault, refusal))
}

fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_and_not_by_text() {
        for (found, new_enough) in [
            ("3.51.3", true),
            ("3.51.2", false),
            ("3.9.9", false),
            ("3.100.0", true),
            ("4.0", true),
            ("", false),
        ] {
            assert_eq!(version_key(found) >= version_key(OLDEST_SQLITE), new_enough, "{found}");
        }
    }
}

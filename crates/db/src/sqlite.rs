//! One SQLite file as the rest of the platform sees it: a writer, and readers beside it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::sync::{mpsc, oneshot};

use crate::direct::DirectTx;
use crate::error::{DbError, StorageFault};
use crate::options::SqliteOptions;
use crate::tx::DbTx;
use crate::writer::{self, Request, Waiting};

pub(crate) mod connect;

/// Is responsible for one open database; cheap to clone, closed when the last clone is gone.
///
/// Everything that changes the file goes through [`write`](Self::write): one writer for the whole
/// process, which commits many callers' work together. Reads go through [`reader`](Self::reader) and
/// see what is committed.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: u64,
    options: Arc<SqliteOptions>,
    reader: DatabaseConnection,
    /// Absent where the database is open for reading only.
    writer: Option<mpsc::Sender<Request>>,
}

impl Database {
    /// Opens the file for writing and reading, creating it where the options say so.
    ///
    /// The write-ahead log is on; several processes may have the same file open.
    ///
    /// # Errors
    /// [`DbError::Storage`] with the one fault that stands in the way, [`DbError::SqliteTooOld`],
    /// [`DbError::Option`].
    pub async fn open(options: SqliteOptions) -> Result<Self, DbError> {
        options.validate()?;
        connect::check_path(&options)?;
        let options = Arc::new(options);
        let id = writer::next_id();
        let writer = writer::start(id, Arc::clone(&options)).await?;
        let reader = connect::reader_pool(&options);
        Ok(Self { inner: Arc::new(Inner { id, options, reader, writer: Some(writer) }) })
    }

    /// Opens the file for reading only, as a tool beside a running platform does.
    ///
    /// # Errors
    /// As [`open`](Self::open); a missing file is never created.
    pub async fn open_read_only(options: SqliteOptions) -> Result<Self, DbError> {
        options.validate()?;
        let options = Arc::new(SqliteOptions { create: false, ..options });
        connect::check_path(&options)?;
        let reader = connect::reader_pool(&options);
        connect::check_reader(&reader, options.path()).await?;
        let id = writer::next_id();
        Ok(Self { inner: Arc::new(Inner { id, options, reader, writer: None }) })
    }

    /// Runs `work` in the writer's transaction and returns its result once that is committed.
    ///
    /// Writes run one after another, in the order in which they were handed in. Those that wait when
    /// one is done share its transaction and its commit; each is undone alone when it returns an
    /// error, panics or runs longer than [`SqliteOptions::write_deadline`]. A caller that goes away
    /// does not take back a write it has handed in. `label` names the write in errors.
    ///
    /// Keep it short and wait for nothing but the database: everybody's writes stand behind it.
    ///
    /// ```
    /// # use celeriac_db::{Database, DbError, SqliteOptions};
    /// # async fn example(db: &Database) -> Result<(), DbError> {
    /// let saved = db.write("save page", async move |tx| { /* page.insert(tx).await? */ Ok::<_, DbError>(1) }).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What `work` returned; or [`DbError::Nested`] from inside another write on this database,
    /// [`DbError::Deadline`], [`DbError::Panicked`], [`DbError::Commit`], [`DbError::TransactionLost`],
    /// [`DbError::Storage`] and [`DbError::Closed`], all of which mean that nothing is stored.
    pub async fn write<T, E, F>(&self, label: &'static str, work: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&DbTx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.write_within(label, self.inner.options.write_deadline, work).await
    }

    /// Runs `work` as [`write`](Self::write) does, with a deadline of its own.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_within<T, E, F>(&self, label: &'static str, limit: Duration, work: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&DbTx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let waiting = self.hand_in(label, limit, work).await?;
        waiting.await.map_err(|_| self.closed())?
    }

    /// Runs statements written by hand as [`write`](Self::write) does, and a good deal faster.
    ///
    /// For the hot path of a queue, where a benchmark shows that it is worth SQL in strings. In a
    /// write of SeaORM's statements, [`DbTx::direct`] does the same.
    ///
    /// # Errors
    /// As [`write`](Self::write); what a statement says is [`DbError::Direct`].
    pub async fn write_direct<T, E, F>(&self, label: &'static str, work: F) -> Result<T, E>
    where
        F: FnOnce(&DirectTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.write(label, async move |tx| tx.direct(work).await).await
    }

    /// Returns the pool of reading connections; each read sees what was committed when it began.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.inner.reader
    }

    /// Returns the database file.
    pub fn path(&self) -> &Path {
        self.inner.options.path()
    }

    /// Returns the settings that it was opened with.
    pub fn options(&self) -> &SqliteOptions {
        &self.inner.options
    }

    /// Returns whether it was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.inner.writer.is_none()
    }

    /// Finishes the writes that were handed in, then closes all connections of all clones.
    ///
    /// The last process to close moves the write-ahead log into the file. Without this call the same
    /// happens in the background when the last clone is dropped.
    pub async fn close(&self) {
        // A pool that is closed already, and a writer that is gone already, are what was wanted.
        drop(self.inner.reader.clone().close().await);
        let (answer, closed) = oneshot::channel();
        if let Some(writer) = &self.inner.writer
            && writer.send(Request::Close(answer)).await.is_ok()
        {
            closed.await.ok();
        }
    }

    async fn hand_in<T, E, F>(
        &self,
        label: &'static str,
        limit: Duration,
        work: F,
    ) -> Result<Waiting<T, E>, E>
    where
        F: AsyncFnOnce(&DbTx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        if let Some(outer) = writer::running_write(self.inner.id) {
            return Err(DbError::Nested { label, outer }.into());
        }
        let Some(writer) = &self.inner.writer else {
            return Err(DbError::storage(self.path(), StorageFault::ReadOnly).into());
        };
        let (call, waiting) = writer::call(label, limit, work);
        writer.send(Request::Write(call)).await.map_err(|_| self.closed())?;
        Ok(waiting)
    }

    fn closed(&self) -> DbError {
        DbError::Closed { path: self.path().to_owned() }
    }
}

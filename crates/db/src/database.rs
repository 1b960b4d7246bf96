//! A database as the rest of the platform sees it: who writes, and readers beside.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::sync::{mpsc, oneshot};

use crate::direct::DirectTx;
use crate::error::{DbError, StorageFault};
use crate::options::SqliteOptions;
#[cfg(feature = "postgres")]
use crate::options::postgres::PostgresOptions;
#[cfg(feature = "postgres")]
use crate::postgres::Server;
use crate::sqlite::connect;
use crate::tx::DbTx;
use crate::writer::{self, Request, Waiting};

/// Is responsible for one open database; cheap to clone, closed when the last clone is gone.
///
/// Everything that changes it goes through [`write`](Self::write). A SQLite file has one writer for
/// the whole process, which commits many callers' work together; a PostgreSQL server runs a few
/// transactions side by side. Reads go through [`reader`](Self::reader) and see what is committed.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: u64,
    engine: Engine,
    name: String,
    reader: DatabaseConnection,
    /// Absent where the database is open for reading only.
    writer: Option<mpsc::Sender<Request>>,
}

/// What the database lies in.
#[derive(Debug)]
enum Engine {
    Sqlite(Arc<SqliteOptions>),
    #[cfg(feature = "postgres")]
    Postgres(Server),
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
        Ok(Self::of_file(id, options, reader, Some(writer)))
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
        Ok(Self::of_file(writer::next_id(), options, reader, None))
    }

    /// Opens a database of a PostgreSQL server for writing and reading; it must exist.
    ///
    /// Call it within a tokio runtime that outlives the database. Connections that break are opened
    /// anew by themselves.
    ///
    /// # Errors
    /// [`DbError::Server`] with the one fault that stands in the way, [`DbError::PostgresTooOld`],
    /// [`DbError::Option`].
    #[cfg(feature = "postgres")]
    pub async fn open_postgres(options: PostgresOptions) -> Result<Self, DbError> {
        let server = Server::open(options).await?;
        let id = writer::next_id();
        let (writer, reader) = (Some(server.start_writers(id)?), server.readers());
        let name = server.name().to_owned();
        let engine = Engine::Postgres(server);
        Ok(Self { inner: Arc::new(Inner { id, engine, name, reader, writer }) })
    }

    fn of_file(
        id: u64,
        options: Arc<SqliteOptions>,
        reader: DatabaseConnection,
        writer: Option<mpsc::Sender<Request>>,
    ) -> Self {
        let name = options.path.display().to_string();
        let engine = Engine::Sqlite(options);
        Self { inner: Arc::new(Inner { id, engine, name, reader, writer }) }
    }

    /// Runs `work` in the writer's transaction and returns its result once that is committed.
    ///
    /// On a SQLite file writes run one after another, in the order in which they were handed in; those
    /// that wait when one is done share its transaction and its commit. On a server each is a
    /// transaction of its own (`READ COMMITTED`), and some run side by side: what is read in order to
    /// be changed is read with a lock. Each is undone alone when it returns an error, panics or runs
    /// longer than the options' `write_deadline`. A caller that goes away does not take back a write
    /// it has handed in. `label` names the write in errors.
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
    /// [`DbError::Storage`], [`DbError::Server`] and [`DbError::Closed`], all of which mean that nothing
    /// is stored; and [`DbError::InDoubt`], which means that nobody knows.
    pub async fn write<T, E, F>(&self, label: &'static str, work: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&DbTx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.write_within(label, self.write_deadline(), work).await
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
    /// As [`write`](Self::write); what a statement says is [`DbError::Direct`]. [`DbError::WrongEngine`]
    /// on a server.
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

    /// Returns its name for people: the file, or the server's database without its password.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the database file; of a server's database, its [`name`](Self::name).
    pub fn path(&self) -> &Path {
        self.sqlite_path().unwrap_or_else(|| Path::new(&self.inner.name))
    }

    /// Returns the database file, where it is one.
    pub fn sqlite_path(&self) -> Option<&Path> {
        match &self.inner.engine {
            Engine::Sqlite(options) => Some(options.path()),
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => None,
        }
    }

    /// Returns the way to statements written by hand, where the database lies on a server.
    #[cfg(feature = "postgres")]
    pub fn server(&self) -> Option<&Server> {
        match &self.inner.engine {
            Engine::Postgres(server) => Some(server),
            Engine::Sqlite(_) => None,
        }
    }

    /// Returns whether a transaction of one is a transaction of the other.
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (&self.inner.engine, &other.inner.engine) {
            (Engine::Sqlite(ours), Engine::Sqlite(theirs)) => ours.path == theirs.path,
            #[cfg(feature = "postgres")]
            (Engine::Postgres(ours), Engine::Postgres(theirs)) => ours.is_same_as(theirs),
            #[cfg(feature = "postgres")]
            _ => false,
        }
    }

    /// Returns whether it was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.inner.writer.is_none()
    }

    /// Finishes the writes that were handed in, then closes all connections of all clones.
    ///
    /// The last process to close a file moves its write-ahead log into it. Without this call the same
    /// happens in the background when the last clone is dropped.
    pub async fn close(&self) {
        // A pool that is closed already, and a writer that is gone already, are what was wanted.
        drop(self.inner.reader.clone().close().await);
        let Some(writer) = &self.inner.writer else { return };
        for _ in 0..self.writers() {
            let (answer, closed) = oneshot::channel();
            if writer.send(Request::Close(answer)).await.is_ok() {
                closed.await.ok();
            }
        }
        #[cfg(feature = "postgres")]
        if let Some(server) = self.server() {
            server.close();
        }
    }

    /// Returns how many threads write.
    fn writers(&self) -> u32 {
        match &self.inner.engine {
            Engine::Sqlite(_) => 1,
            #[cfg(feature = "postgres")]
            Engine::Postgres(server) => server.options().write_connections,
        }
    }

    fn write_deadline(&self) -> Duration {
        match &self.inner.engine {
            Engine::Sqlite(options) => options.write_deadline,
            #[cfg(feature = "postgres")]
            Engine::Postgres(server) => server.options().write_deadline,
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

//! The writer: one thread that owns the one writing connection and commits callers' work in groups.
//!
//! It is a thread of its own and not a task, because a hop to SQLite's thread and back costs a third
//! less from a parked thread than through the runtime, and because a runtime whose workers are all
//! blocked must not keep leases from being renewed.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::sqlx;
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::call::{Call, Waiting, call};
use self::checkpoint::Checkpointer;
pub(crate) use self::checkpoint::LONGEST_LOG;
use self::group::Group;
#[cfg(feature = "postgres")]
pub(crate) use self::group::{message_of, run_hooks};
pub(crate) use self::park::Stopwatch;
use crate::error::{DbError, StorageFault, told};
use crate::options::SqliteOptions;
use crate::sqlite::connect;
use crate::tx::DbTx;
use crate::tx::control::Control;

mod call;
mod checkpoint;
mod group;
pub(crate) mod park;

/// First pause while another process holds the write lock; it doubles up to the longest.
const SHORTEST_LOCK_PAUSE: Duration = Duration::from_micros(100);

/// Longest pause between two tries for the write lock.
const LONGEST_LOCK_PAUSE: Duration = Duration::from_millis(1);

/// What the writer is asked.
pub(crate) enum Request {
    /// Run this and commit it.
    Write(Box<dyn Call>),
    /// Close the connection, answer, and end.
    Close(oneshot::Sender<()>),
}

thread_local! {
    /// Which database's writer this thread is running a write for, and which write.
    pub(crate) static RUNNING: Cell<Option<(u64, &'static str)>> = const { Cell::new(None) };
}

/// Returns the label of the write that this very code runs in, if it is one on database `id`.
pub(crate) fn running_write(id: u64) -> Option<&'static str> {
    RUNNING.get().filter(|(running, _)| *running == id).map(|(_, label)| label)
}

/// Returns the label of the write that this thread is running.
pub(crate) fn running_label() -> &'static str {
    RUNNING.get().map_or("", |(_, label)| label)
}

/// Returns a number that tells open databases of this process apart.
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Starts the thread and returns where to send writes, once the connection is open.
pub(crate) async fn start(id: u64, options: Arc<SqliteOptions>) -> Result<mpsc::Sender<Request>, DbError> {
    let (requests, inbox) = mpsc::channel(options.write_queue);
    let (opened, answer) = oneshot::channel();
    let runtime = tokio::runtime::Handle::try_current().ok();
    let path = options.path.clone();
    std::thread::Builder::new()
        .name("celeriac-db-writer".into())
        .spawn(move || {
            // Writes may use timers and the like of the runtime that opened the database.
            let _context = runtime.as_ref().map(tokio::runtime::Handle::enter);
            let checkpointer = Checkpointer::new(Arc::clone(&options));
            let (connection, locked) = (None, None);
            let mut writer = Writer { id, options, inbox, connection, locked, checkpointer };
            match writer.open(Duration::ZERO) {
                Ok(()) => {
                    opened.send(Ok(())).ok();
                    writer.run();
                }
                Err(error) => drop(opened.send(Err(error))),
            }
        })
        .map_err(DbError::Thread)?;
    answer.await.map_err(|_| DbError::Closed { path })??;
    Ok(requests)
}

/// Is responsible for the writing connection and for the order of writes.
struct Writer {
    id: u64,
    options: Arc<SqliteOptions>,
    inbox: mpsc::Receiver<Request>,
    /// Absent after a failure that left the connection in doubt; the next write opens it anew.
    connection: Option<DbTx>,
    /// Runs since the write lock was first asked for in vain. Who was waiting then has waited for
    /// the lock as long as the one whose turn it was.
    locked: Option<Stopwatch>,
    checkpointer: Checkpointer,
}

impl Writer {
    fn run(mut self) {
        while let Some(request) = self.inbox.blocking_recv() {
            let closing = match request {
                Request::Write(call) => self.write(call),
                Request::Close(answer) => Some(answer),
            };
            if let Some(answer) = closing {
                return self.close(answer);
            }
        }
    }

    /// Runs one group that begins with `first`; returns the request to close, if it met one.
    fn write(&mut self, first: Box<dyn Call>) -> Option<oneshot::Sender<()>> {
        if let Err(error) = self.begin_for(&*first) {
            first.fail(error);
            return None;
        }
        let tx = self.connection.take()?;
        let mut group = Group::new(&tx, self.id, &self.options);
        let mut next = Some(first);
        let mut closing = None;
        while let Some(call) = next.take() {
            group.run(call);
            if !group.takes_more() {
                break;
            }
            match self.inbox.try_recv() {
                Ok(Request::Write(call)) => next = Some(call),
                Ok(Request::Close(answer)) => closing = Some(answer),
                Err(_) => {}
            }
        }
        let healthy = group.finish();
        self.connection = healthy.then_some(tx);
        self.checkpointer.after_commit();
        closing
    }

    /// Begins a transaction for a write, which waits for the lock no longer than the busy timeout,
    /// however many have waited for it in vain before.
    fn begin_for(&mut self, call: &dyn Call) -> Result<(), DbError> {
        let asked = Stopwatch::start();
        let spent = self.locked.map_or(Duration::ZERO, |locked| locked.elapsed().min(call.waited()));
        let begun = self.begin(spent);
        let is_locked = begun.as_ref().is_err_and(|error| error.fault() == Some(StorageFault::Locked));
        self.locked = is_locked.then(|| self.locked.unwrap_or(asked));
        begun
    }

    /// Begins a transaction, opening the connection anew where the last one is in doubt. `spent` of
    /// the busy timeout has passed.
    fn begin(&mut self, spent: Duration) -> Result<(), DbError> {
        if self.connection.is_some() {
            match self.take_lock(spent) {
                Err(DbError::Storage { fault: StorageFault::Locked, path, source }) => {
                    return Err(DbError::Storage { fault: StorageFault::Locked, path, source });
                }
                Err(error) => {
                    tracing::warn!(error = told(&error), "writing connection is in doubt, opening it anew");
                    self.connection = None;
                }
                Ok(()) => return Ok(()),
            }
        }
        self.open(spent)?;
        self.take_lock(spent)
    }

    /// Tries for the write lock until the busy timeout has passed.
    fn take_lock(&self, spent: Duration) -> Result<(), DbError> {
        let Some(tx) = &self.connection else {
            return Err(DbError::Closed { path: self.options.path.clone() });
        };
        let begin = || tx.control(Control::Begin);
        self.patiently(spent, || begin().map_err(|error| DbError::on_file(&self.options.path, error)))
    }

    fn open(&mut self, spent: Duration) -> Result<(), DbError> {
        let opened = self.patiently(spent, || park::drive(connect::open_writer(&self.options)))?;
        self.connection = Some(opened);
        Ok(())
    }

    /// Repeats `attempt` while it says that the file is locked, for what is left of the busy timeout.
    fn patiently<T>(&self, spent: Duration, attempt: impl Fn() -> Result<T, DbError>) -> Result<T, DbError> {
        let (waited, patience) = (Stopwatch::start(), self.options.busy_timeout.saturating_sub(spent));
        let mut pause = SHORTEST_LOCK_PAUSE;
        loop {
            match attempt() {
                Err(error) if error.fault() == Some(StorageFault::Locked) && waited.elapsed() < patience => {
                    park::pause(pause);
                }
                other => return other,
            }
            pause = (pause * 2).min(LONGEST_LOCK_PAUSE);
        }
    }

    fn close(mut self, answer: oneshot::Sender<()>) {
        self.inbox.close();
        while let Ok(request) = self.inbox.try_recv() {
            match request {
                Request::Write(call) => drop(self.write(call)),
                Request::Close(also) => drop(also),
            }
        }
        self.checkpointer.stop();
        let closed: Result<(), sqlx::Error> =
            self.connection.take().map_or(Ok(()), |tx| park::drive(tx.close()));
        if let Err(error) = closed {
            tracing::warn!(%error, "database did not close cleanly");
        }
        answer.send(()).ok();
    }
}

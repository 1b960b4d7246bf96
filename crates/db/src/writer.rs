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

pub(crate) use self::call::{Call, call, direct_call};
use self::checkpoint::Checkpointer;
pub(crate) use self::checkpoint::LONGEST_LOG;
use self::group::{Group, Way};
pub(crate) use self::park::Stopwatch;
use crate::direct::DirectTx;
use crate::error::{DbError, StorageFault, told};
use crate::options::SqliteOptions;
use crate::sqlite::connect;
use crate::tx::control::Control;
use crate::tx::{DbTx, failed_execute};

mod call;
mod checkpoint;
mod group;
mod park;

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
    static RUNNING: Cell<Option<(u64, &'static str)>> = const { Cell::new(None) };
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
    connection: Option<Arc<DbTx>>,
    /// Runs since the write lock was first asked for in vain. Who was waiting then has waited for
    /// the lock as long as the one whose turn it was.
    locked: Option<Stopwatch>,
    checkpointer: Checkpointer,
}

impl Writer {
    fn run(mut self) {
        let (mut group, mut next) = (None, None);
        loop {
            let request = match next.take().or_else(|| self.joining(group.as_ref())) {
                Some(request) => request,
                None => {
                    self.finish(group.take(), Way::Thread);
                    let Some(request) = self.inbox.blocking_recv() else { return };
                    request
                }
            };
            match request {
                Request::Write(call) if call.is_direct() && self.connection.is_some() => {
                    (group, next) = self.write_directly(group, call);
                }
                Request::Write(call) => group = self.write(group, call),
                Request::Close(answer) => {
                    self.finish(group.take(), Way::Thread);
                    return self.close(answer);
                }
            }
        }
    }

    /// Returns what waits, where the open group takes more.
    fn joining(&mut self, group: Option<&Group>) -> Option<Request> {
        if group?.takes_more() { self.inbox.try_recv().ok() } else { None }
    }

    fn finish(&mut self, group: Option<Group>, way: Way<'_>) {
        let Some(group) = group else { return };
        if !group.finish(way) {
            self.connection = None;
        }
        self.checkpointer.after_commit();
    }

    /// Runs one write, in the open group or in a new one.
    fn write(&mut self, group: Option<Group>, call: Box<dyn Call>) -> Option<Group> {
        match group.map_or_else(|| self.begin_for(&*call, Way::Thread), Ok) {
            Ok(mut group) => {
                group.run(call, Way::Thread);
                Some(group)
            }
            Err(error) => {
                call.fail(error);
                None
            }
        }
    }

    /// Locks sqlx's thread out and runs direct writes, group after group, for as long as no other
    /// request comes; returns the group that is open then, and that request.
    fn write_directly(
        &mut self,
        group: Option<Group>,
        call: Box<dyn Call>,
    ) -> (Option<Group>, Option<Request>) {
        let Some(tx) = self.connection.clone() else { return (group, Some(Request::Write(call))) };
        let (mut work, mut left) = (Some((group, call)), (None, None));
        let run = tx.with_direct(|direct| {
            if let Some((group, call)) = work.take() {
                left = self.run_directly(direct, group, call);
            }
        });
        let ran = park::drive(run);
        if let (Err(error), Some((group, call))) = (ran, work) {
            self.doubt(&failed_execute(error).into());
            if let Some(group) = group {
                group.abandon(call.label());
            }
            return (None, Some(Request::Write(call)));
        }
        left
    }

    fn run_directly(
        &mut self,
        direct: &DirectTx<'_>,
        mut group: Option<Group>,
        mut call: Box<dyn Call>,
    ) -> (Option<Group>, Option<Request>) {
        let way = Way::Direct(direct);
        loop {
            match group.take().map_or_else(|| self.begin_for(&*call, way), Ok) {
                Ok(mut open) => {
                    open.run(call, way);
                    group = Some(open);
                }
                // It goes on by sqlx's thread, on a new connection.
                Err(_) if self.connection.is_none() => return (None, Some(Request::Write(call))),
                Err(error) => call.fail(error),
            }
            let mut request = self.joining(group.as_ref());
            if request.is_none() {
                self.finish(group.take(), way);
                if self.connection.is_none() {
                    return (None, None);
                }
                request = self.inbox.blocking_recv();
            }
            match request {
                Some(Request::Write(next)) if next.is_direct() => call = next,
                other => return (group, other),
            }
        }
    }

    /// Begins a group for a write, which waits for the lock no longer than the busy timeout, however
    /// many have waited for it in vain before.
    fn begin_for(&mut self, call: &dyn Call, way: Way<'_>) -> Result<Group, DbError> {
        let asked = Stopwatch::start();
        let spent = self.locked.map_or(Duration::ZERO, |locked| locked.elapsed().min(call.waited()));
        let begun = self.begin(spent, way);
        let is_locked = begun.as_ref().is_err_and(|error| error.fault() == Some(StorageFault::Locked));
        self.locked = is_locked.then(|| self.locked.unwrap_or(asked));
        let tx = begun?;
        Ok(Group::new(tx, self.id, Arc::clone(&self.options)))
    }

    /// Begins a transaction, opening the connection anew where the last one is in doubt and nobody
    /// holds on to it. `spent` of the busy timeout has passed.
    fn begin(&mut self, spent: Duration, way: Way<'_>) -> Result<Arc<DbTx>, DbError> {
        if self.connection.is_some() {
            match self.take_lock(spent, way) {
                Err(error) if error.fault() != Some(StorageFault::Locked) => self.doubt(&error),
                taken => return taken,
            }
        }
        if matches!(way, Way::Direct(_)) {
            return Err(self.closed());
        }
        self.open(spent)?;
        self.take_lock(spent, way)
    }

    /// Tries for the write lock until the busy timeout has passed.
    fn take_lock(&self, spent: Duration, way: Way<'_>) -> Result<Arc<DbTx>, DbError> {
        let tx = self.connection.as_ref().ok_or_else(|| self.closed())?;
        self.patiently(spent, || {
            let begun = way.control(tx, Control::Begin);
            begun.map_err(|error| DbError::on_file(&self.options.path, error))
        })?;
        Ok(Arc::clone(tx))
    }

    fn doubt(&mut self, error: &DbError) {
        tracing::warn!(error = told(error), "writing connection is in doubt, opening it anew");
        self.connection = None;
    }

    fn open(&mut self, spent: Duration) -> Result<(), DbError> {
        let opened = self.patiently(spent, || park::drive(connect::open_writer(&self.options)))?;
        self.connection = Some(Arc::new(opened));
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
            if let Request::Write(call) = request {
                let group = self.write(None, call);
                self.finish(group, Way::Thread);
            }
        }
        self.checkpointer.stop();
        let closed: Result<(), sqlx::Error> =
            self.connection.take().and_then(Arc::into_inner).map_or(Ok(()), |tx| park::drive(tx.close()));
        if let Err(error) = closed {
            tracing::warn!(%error, "database did not close cleanly");
        }
        answer.send(()).ok();
    }

    fn closed(&self) -> DbError {
        DbError::Closed { path: self.options.path.clone() }
    }
}

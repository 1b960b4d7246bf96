//! The writers: a few threads, each with a connection of its own, that run callers' transactions.
//!
//! They are threads and not tasks because a write's future need not be `Send`, and because a runtime
//! whose workers are all blocked must not keep leases from being renewed.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::connect::Connector;
use crate::error::DbError;
use crate::tx::DbTx;
use crate::writer::{Call, RUNNING, Request, message_of, park, run_hooks};

/// Starts the threads and returns where to send writes. Each opens its connection when it first
/// needs one.
pub(super) fn start(id: u64, connector: &Arc<Connector>) -> Result<mpsc::Sender<Request>, DbError> {
    let (requests, inbox) = mpsc::channel(connector.options.write_queue);
    let inbox = Arc::new(Mutex::new(inbox));
    let runtime = Handle::current();
    for number in 0..connector.options.write_connections {
        let (inbox, runtime) = (Arc::clone(&inbox), runtime.clone());
        let writer = Writer { id, connector: Arc::clone(connector), connection: None };
        std::thread::Builder::new()
            .name(format!("celeriac-pg-{number}"))
            .spawn(move || {
                // The connection, and the writes, use sockets and timers of the runtime.
                let _context = runtime.enter();
                writer.run(&inbox);
            })
            .map_err(DbError::Thread)?;
    }
    Ok(requests)
}

/// Is responsible for one connection and for the transactions on it, one at a time.
struct Writer {
    id: u64,
    connector: Arc<Connector>,
    /// Absent after a failure that left the connection in doubt; the next write opens it anew.
    connection: Option<DbTx>,
}

/// How one write ended.
enum Ended {
    Succeeded,
    /// With an error of its own, which it keeps.
    Failed,
    /// By its deadline or a panic; its statement may still run.
    Cut(DbError),
}

impl Writer {
    fn run(mut self, inbox: &Mutex<mpsc::Receiver<Request>>) {
        loop {
            // Whoever waits for a request keeps the others waiting for the inbox.
            let request = inbox.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
            match request {
                Some(Request::Write(call)) => self.write(call),
                Some(Request::Close(answer)) => return self.close(answer),
                None => return self.close(oneshot::channel().0),
            }
        }
    }

    fn write(&mut self, mut call: Box<dyn Call>) {
        let (label, limit) = (call.label(), call.limit());
        let tx = match self.begin(limit) {
            Ok(tx) => tx,
            Err(error) => return call.fail(error),
        };
        match self.drive(&tx, &mut *call) {
            Ended::Succeeded if tx.is_lost() => {
                self.roll_back(tx);
                call.fail(DbError::TransactionLost { label });
            }
            Ended::Succeeded => match self.commit(tx, label) {
                Ok(()) => call.answer(),
                Err(error) => call.fail(error),
            },
            Ended::Failed => {
                self.roll_back(tx);
                call.answer();
            }
            Ended::Cut(error) => call.fail(error),
        }
    }

    /// Begins a transaction. A connection that turns out to be dead has done nothing yet, so it is
    /// simply opened anew.
    fn begin(&mut self, limit: Duration) -> Result<DbTx, DbError> {
        if let Some(tx) = self.connection.take()
            && self.begin_on(&tx, limit).is_ok()
        {
            return Ok(tx);
        }
        let opened = park::drive(self.connector.open_for_writes())?;
        let tx = DbTx::on_server(opened, self.connector.options.prepared_statements);
        self.begin_on(&tx, limit)?;
        Ok(tx)
    }

    fn begin_on(&self, tx: &DbTx, limit: Duration) -> Result<(), DbError> {
        let options = &self.connector.options;
        // Whoever may run for long, as a migration does, may wait for long.
        let lock = if limit > options.write_deadline { limit } else { options.lock_timeout };
        park::drive(self.connector.within(tx.begin(lock, limit)))
    }

    fn drive(&self, tx: &DbTx, call: &mut dyn Call) -> Ended {
        let (label, limit) = (call.label(), call.limit());
        RUNNING.set(Some((self.id, label)));
        // What a panic leaves behind is never committed, so nothing half-done is seen afterwards.
        let ended = park::drive_within(AssertUnwindSafe(call.run(tx)).catch_unwind(), limit);
        RUNNING.set(None);
        match ended {
            Some(Ok(true)) => Ended::Succeeded,
            Some(Ok(false)) => Ended::Failed,
            Some(Err(panic)) => Ended::Cut(DbError::Panicked { label, message: message_of(&*panic) }),
            None => Ended::Cut(DbError::Deadline { label, limit }),
        }
    }

    fn commit(&mut self, tx: DbTx, label: &'static str) -> Result<(), DbError> {
        match park::drive(self.connector.within(tx.commit())) {
            Ok(()) => {
                run_hooks(&tx);
                self.connection = Some(tx);
                Ok(())
            }
            Err(source) => {
                let refused = matches!(&source, DbError::Statement(_))
                    || source.server_fault().is_some_and(|fault| !fault.ends_connection());
                tracing::warn!(error = %source, write = label, "commit failed");
                Err(if refused {
                    DbError::Commit { label, source: Arc::new(source) }
                } else {
                    DbError::InDoubt { label, source: Some(Box::new(source)) }
                })
            }
        }
    }

    fn roll_back(&mut self, tx: DbTx) {
        tx.forget_hooks_from(0);
        match park::drive(self.connector.within(tx.roll_back())) {
            Ok(()) => self.connection = Some(tx),
            // The server rolls back what it has lost the connection of.
            Err(error) => tracing::debug!(%error, "connection is in doubt, opening it anew"),
        }
    }

    fn close(mut self, answer: oneshot::Sender<()>) {
        if let Some(tx) = self.connection.take()
            && let Err(error) = park::drive(self.connector.within(tx.close()))
        {
            tracing::debug!(%error, "connection did not close cleanly");
        }
        answer.send(()).ok();
    }
}

//! Moving the write-ahead log into the file beside the writer, so that no commit waits for the disk.
//!
//! SQLite would do it inside of a commit, which then lasts as long as two `fsync`s. A passive
//! checkpoint on a connection of its own stops nobody; as long as writes go on all the time it
//! cannot finish, so past four times the size the commit does the (short) rest after all.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use super::park;
use crate::error::told;
use crate::options::SqliteOptions;
use crate::sqlite::connect;

/// How many times its usual size the log may reach before a commit moves it.
pub(crate) const LONGEST_LOG: u64 = 4;

/// Is responsible for the size of the log; its thread and connection begin when first needed.
pub(super) struct Checkpointer {
    options: Arc<SqliteOptions>,
    log: PathBuf,
    /// The log's size at which it is moved next.
    next_at: u64,
    thread: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Checkpointer {
    pub(super) fn new(options: Arc<SqliteOptions>) -> Self {
        let mut log = options.path.as_os_str().to_owned();
        log.push("-wal");
        let next_at = step(&options);
        Self { options, log: log.into(), next_at, thread: None }
    }

    /// Looks at the log after a commit.
    pub(super) fn after_commit(&mut self) {
        // No log, or none that can be looked at: SQLite still has its own limit.
        let size = self.log.metadata().map_or(0, |log| log.len());
        let step = step(&self.options);
        if size >= step * LONGEST_LOG {
            // A checkpoint beside the commits would only keep theirs from beginning.
        } else if size >= self.next_at {
            self.next_at = size + step;
            self.wake();
        } else if size < step {
            self.next_at = step;
        }
    }

    /// Lets a checkpoint that is running finish, and closes its connection.
    pub(super) fn stop(&mut self) {
        if let Some((orders, thread)) = self.thread.take() {
            drop(orders);
            // A thread that panicked has nothing left to finish.
            thread.join().ok();
        }
    }

    fn wake(&mut self) {
        if let Some((orders, _)) = &self.thread
            && !matches!(orders.try_send(()), Err(TrySendError::Disconnected(())))
        {
            return;
        }
        let (orders, inbox) = sync_channel(1);
        // The channel is empty and takes one.
        orders.try_send(()).ok();
        let options = Arc::clone(&self.options);
        let named = std::thread::Builder::new().name("celeriac-db-checkpoint".into());
        match named.spawn(move || run(&options, &inbox)) {
            Ok(thread) => self.thread = Some((orders, thread)),
            Err(error) => tracing::warn!(%error, "no thread for checkpoints, commits do them"),
        }
    }
}

fn step(options: &SqliteOptions) -> u64 {
    u64::from(options.wal_kib) * 1024
}

fn run(options: &SqliteOptions, inbox: &Receiver<()>) {
    let tx = match park::drive(connect::open_checkpointer(options)) {
        Ok(tx) => tx,
        Err(error) => return tracing::warn!(%error, "no connection for checkpoints, commits do them"),
    };
    while inbox.recv().is_ok() {
        if let Err(error) = tx.checkpoint() {
            tracing::debug!(error = told(&error), "checkpoint put off");
        }
    }
    park::drive(tx.close()).ok();
}

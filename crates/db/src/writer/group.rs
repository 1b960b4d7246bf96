//! One transaction and the writes that it takes together.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;

use super::RUNNING;
use super::call::Call;
use super::park::{self, Stopwatch};
use crate::error::{DbError, told};
use crate::options::SqliteOptions;
use crate::tx::DbTx;
use crate::tx::control::Control;

/// Is responsible for one open transaction: every write in it is kept or undone by itself, and
/// those kept are answered after the commit and not before.
pub(super) struct Group<'w> {
    tx: &'w DbTx,
    database: u64,
    options: &'w Arc<SqliteOptions>,
    open_for: Stopwatch,
    kept: Vec<Box<dyn Call>>,
    /// Whether a savepoint stands in the transaction: only from the second write on, because when
    /// the first fails there is nothing to keep and the whole transaction goes.
    divided: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Rolled back, with nothing kept.
    Ended,
    /// Rolled back by SQLite, or the connection is in doubt.
    Broken,
}

impl<'w> Group<'w> {
    /// Takes charge of a transaction that has just been begun.
    pub(super) fn new(tx: &'w DbTx, database: u64, options: &'w Arc<SqliteOptions>) -> Self {
        let (open_for, kept) = (Stopwatch::start(), Vec::new());
        Self { tx, database, options, open_for, kept, divided: false, state: State::Open }
    }

    pub(super) fn takes_more(&self) -> bool {
        self.state == State::Open
            && self.kept.len() < self.options.group_writes
            && self.open_for.elapsed() < self.options.group_time
    }

    /// Runs one write and keeps it, or undoes it and answers its caller.
    pub(super) fn run(&mut self, mut call: Box<dyn Call>) {
        let label = call.label();
        if self.divide().is_err() {
            self.lose(label);
            return call.fail(DbError::TransactionLost { label });
        }
        let hooks = self.tx.hook_count();
        let ended = self.drive(&mut *call);
        if self.tx.is_lost() {
            self.lose(label);
        } else if !matches!(ended, Ended::Succeeded) {
            self.undo(label, hooks);
        }
        match ended {
            Ended::Succeeded if self.state == State::Open => self.kept.push(call),
            Ended::Succeeded => call.fail(DbError::TransactionLost { label }),
            Ended::Failed => call.answer(),
            Ended::Cut(error) => call.fail(error),
        }
    }

    /// Commits what was kept and answers everybody; returns whether the connection is sound.
    pub(super) fn finish(mut self) -> bool {
        if self.state == State::Open
            && let Err(error) = self.tx.control(Control::Commit)
        {
            self.give_up(error);
        }
        if self.state == State::Open {
            run_hooks(self.tx);
            self.kept.drain(..).for_each(Call::answer);
        }
        self.state != State::Broken
    }

    fn divide(&mut self) -> Result<(), DbError> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let divided = std::mem::replace(&mut self.divided, true);
        self.tx.control(if divided { Control::NextSavepoint } else { Control::Savepoint })
    }

    fn drive(&self, call: &mut dyn Call) -> Ended {
        let (label, limit) = (call.label(), call.limit());
        RUNNING.set(Some((self.database, label)));
        self.tx.limits().set(limit);
        // What a panic leaves behind is rolled back, so nothing half-done is seen afterwards.
        let ended = park::drive_within(AssertUnwindSafe(call.run(self.tx)).catch_unwind(), limit);
        if ended.is_none() {
            // An error here shows again at the rollback that follows.
            park::drive(self.tx.interrupt()).ok();
        }
        let was_stopped = self.tx.limits().lift();
        RUNNING.set(None);
        match ended {
            Some(Ok(true)) => Ended::Succeeded,
            Some(Ok(false)) if !was_stopped => Ended::Failed,
            Some(Err(panic)) => Ended::Cut(DbError::Panicked { label, message: message_of(&*panic) }),
            _ => Ended::Cut(DbError::Deadline { label, limit }),
        }
    }

    fn undo(&mut self, label: &'static str, hooks: usize) {
        self.tx.forget_hooks_from(hooks);
        let undone = if self.kept.is_empty() {
            self.state = State::Ended;
            self.tx.control(Control::Rollback)
        } else {
            self.tx.control(Control::RollbackToSavepoint)
        };
        if let Err(error) = undone {
            tracing::warn!(error = told(&error), write = label, "write could not be undone alone");
            self.lose(label);
        }
    }

    /// Answers everybody that SQLite gave the transaction up.
    fn lose(&mut self, label: &'static str) {
        self.state = State::Broken;
        self.tx.forget_hooks_from(0);
        self.kept.drain(..).for_each(|call| call.fail(DbError::TransactionLost { label }));
    }

    fn give_up(&mut self, error: DbError) {
        tracing::warn!(error = told(&error), writes = self.kept.len(), "commit failed");
        self.state = State::Broken;
        self.tx.forget_hooks_from(0);
        let source = Arc::new(error);
        for call in self.kept.drain(..) {
            let label = call.label();
            call.fail(DbError::Commit { label, source: Arc::clone(&source) });
        }
    }
}

/// How one write ended.
enum Ended {
    Succeeded,
    /// With an error of its own, which it keeps.
    Failed,
    /// By its deadline or a panic.
    Cut(DbError),
}

/// Runs the wake-ups; one that panics takes nobody's answer with it.
pub(crate) fn run_hooks(tx: &DbTx) {
    for hook in tx.take_hooks() {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(hook)) {
            tracing::error!(message = message_of(&*panic), "hook panicked after commit");
        }
    }
}

pub(crate) fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

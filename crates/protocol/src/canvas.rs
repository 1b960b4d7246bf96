//! What follows a job, as Celery's canvas sends it along: signatures, links and chains.
//!
//! Links and chains are run: once a job has ended well, [`Continuation::next`] makes the messages that follow it,
//! each under an id that is the same whenever it is made. What would need more, a chord or an error callback however
//! deep it lies, is refused by [`Continuation::check`] before the job begins, so that nothing is run by half.

use crate::{Continuation, JobId, RawValue, TaskMessage, Timestamp};

mod destination;
mod next;
mod signature;

pub use self::destination::Destination;
use self::next::Maker;
use self::signature::{Signature, list_of};

/// How many signatures may follow one job, those within others included.
pub const MAX_SIGNATURES: usize = 10_000;

/// How many bytes the copies of one result may have together, where several jobs that follow get it.
const MAX_COPIED: usize = 256 << 20;

/// How deep signatures may lie within each other.
const MAX_DEPTH: usize = 32;

/// What a worker can't run whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanvasError {
    /// It asks for something that is not done here.
    #[error("the message carries {0}, which this version can't run whole")]
    Unsupported(&'static str),
    /// It is no signature as Celery writes them.
    #[error("the message carries a signature that can't be read: {0}")]
    Signature(String),
    /// There are too many, or they lie too deep.
    #[error("the message carries more than {MAX_SIGNATURES} signatures, or one deeper than {MAX_DEPTH}")]
    TooMany,
    /// A task that follows can't be sent where it is to go.
    #[error("the message is followed by task \"{task}\", which can't be sent: {reason}")]
    Unsendable {
        /// The task.
        task: String,
        /// Why not.
        reason: String,
    },
    /// A result would be copied too often for its size.
    #[error("the result goes to {copies} jobs that follow, {bytes} bytes in all; {MAX_COPIED} are allowed")]
    TooLarge {
        /// How many jobs get it.
        copies: usize,
        /// How many bytes all copies have.
        bytes: usize,
    },
}

/// What is known where messages that follow are made.
pub struct Following<'f> {
    /// The job that has ended.
    pub parent: &'f TaskMessage,
    /// When it ended.
    pub now: Timestamp,
    /// Who sends, `gen<pid>@<host>` in Celery's manner.
    pub origin: &'f str,
    /// Returns the queue of a task for which its signature names none.
    pub queue_of: &'f dyn Fn(&str) -> String,
    /// Turns a priority as the transport writes it into ours, of which the highest is first.
    pub priority_of: &'f dyn Fn(u8) -> u8,
}

/// Says why a task can't be sent where it is to go, where it can't.
pub type CanBeSent<'c> = &'c dyn Fn(&Destination<'_>) -> Result<(), String>;

impl Continuation {
    /// Says whether all that follows can be run.
    ///
    /// # Errors
    /// The first that can't; the message must not be begun then.
    pub fn check(&self) -> Result<(), CanvasError> {
        self.check_sent(&|_| Ok(()))
    }

    /// Says whether all that follows can be run, and sent as far as `can_be_sent` knows, which says why not.
    ///
    /// # Errors
    /// The first that can't; the message must not be begun then.
    pub fn check_sent(&self, can_be_sent: CanBeSent<'_>) -> Result<(), CanvasError> {
        if self.parts().is_empty() {
            return Ok(());
        }
        let mut check = Check { left: MAX_SIGNATURES, can_be_sent };
        if !list_of(self.errbacks.as_deref())?.is_empty() {
            return Err(ERROR_CALLBACK);
        }
        if signature::is_said(self.chord.as_deref()) {
            return Err(CHORD);
        }
        for callback in list_of(self.callbacks.as_deref())? {
            check.signature(callback, MAX_DEPTH)?;
        }
        // The next one stands last.
        check.chain(list_of(self.chain.as_deref())?.into_iter().rev(), MAX_DEPTH)
    }

    /// Says whether all that get `result` can have it, which are in memory together when they are published.
    ///
    /// # Errors
    /// [`CanvasError::TooLarge`], or what [`Continuation::check`] refuses.
    pub fn check_result(&self, result: &RawValue) -> Result<(), CanvasError> {
        let mut first = list_of(self.callbacks.as_deref())?;
        first.extend(list_of(self.chain.as_deref())?.pop());
        let copies = first.into_iter().map(receivers).sum::<Result<usize, _>>()?;
        let bytes = copies.saturating_mul(result.get().len());
        // A single one is no larger than the job's own.
        if copies > 1 && bytes > MAX_COPIED { Err(CanvasError::TooLarge { copies, bytes }) } else { Ok(()) }
    }

    /// Makes the messages that follow a job that has ended well with `result`: those of its links, then the next of
    /// its chain, which carries the rest on. The result stands before their own arguments unless they are immutable.
    ///
    /// # Errors
    /// What [`Continuation::check`] refuses.
    pub fn next(
        &self,
        result: &RawValue,
        following: &Following<'_>,
    ) -> Result<Vec<TaskMessage>, CanvasError> {
        self.check()?;
        let mut maker = Maker::new(following);
        let callbacks = list_of(self.callbacks.as_deref())?;
        maker.callbacks(&callbacks, result)?;
        let mut rest = list_of(self.chain.as_deref())?;
        if let Some(next) = rest.pop() {
            maker.apply(Signature::read(next)?, "chain", &[result], Some(rest))?;
        }
        Ok(maker.into_messages())
    }

    /// Makes the messages of the rest of a chain, which will never be sent since the job has failed for good; whoever
    /// waits for the last of them has to be told. Only those that have been given an id are among them.
    pub fn abandoned(&self, following: &Following<'_>) -> Vec<TaskMessage> {
        let (mut maker, mut left) = (Maker::new(following), MAX_SIGNATURES);
        for signature in list_of(self.chain.as_deref()).unwrap_or_default().into_iter().rev() {
            maker.abandon(signature, MAX_DEPTH, &mut left);
        }
        maker.into_messages()
    }
}

const CHORD: CanvasError = CanvasError::Unsupported("a chord");
const ERROR_CALLBACK: CanvasError = CanvasError::Unsupported("an error callback");

/// Walks through all that follows.
struct Check<'c> {
    /// How many signatures may still come.
    left: usize,
    can_be_sent: CanBeSent<'c>,
}

impl Check<'_> {
    fn signature(&mut self, raw: &RawValue, depth: usize) -> Result<(), CanvasError> {
        self.left = self.left.checked_sub(1).ok_or(CanvasError::TooMany)?;
        let depth = depth.checked_sub(1).ok_or(CanvasError::TooMany)?;
        let signature = Signature::read(raw)?;
        check_options(&signature)?;
        for link in list_of(signature.options.get("link"))? {
            self.signature(link, depth)?;
        }
        self.chain(list_of(signature.options.get("chain"))?.into_iter().rev(), depth)?;
        match signature.tasks()? {
            Some(tasks) if signature.is("chain") => self.chain(tasks.iter().map(|task| &**task), depth),
            Some(tasks) => tasks.iter().try_for_each(|task| self.signature(task, depth)),
            None => (self.can_be_sent)(&Destination::of(&signature))
                .map_err(|reason| CanvasError::Unsendable { task: signature.task.clone(), reason }),
        }
    }

    /// Checks steps in the order in which they are run.
    fn chain<'r>(
        &mut self,
        steps: impl Iterator<Item = &'r RawValue>,
        depth: usize,
    ) -> Result<(), CanvasError> {
        let mut steps = steps.peekable();
        while let Some(step) = steps.next() {
            self.signature(step, depth)?;
            if steps.peek().is_some() && ends_in_a_group(step)? {
                // What comes behind a group waits for all of it.
                return Err(CHORD);
            }
        }
        Ok(())
    }
}

fn check_options(signature: &Signature) -> Result<(), CanvasError> {
    let options = &signature.options;
    if signature.is("chord") || signature::is_said(options.get("chord")) {
        return Err(CHORD);
    }
    if !list_of(options.get("link_error"))?.is_empty() {
        return Err(ERROR_CALLBACK);
    }
    match options.get("task_id").filter(|id| id.get() != "null") {
        Some(id) if serde_json::from_str::<JobId>(id.get()).is_err() => {
            Err(CanvasError::Signature(format!("{id} is no id")))
        }
        _ => Ok(()),
    }
}

/// Counts the messages into which a result goes.
fn receivers(raw: &RawValue) -> Result<usize, CanvasError> {
    let signature = Signature::read(raw)?;
    match signature.tasks()? {
        Some(tasks) if signature.is("chain") => tasks.first().map_or(Ok(0), |first| receivers(first)),
        Some(tasks) => tasks.iter().map(|task| receivers(task)).sum(),
        None => Ok(usize::from(!signature.immutable)),
    }
}

fn ends_in_a_group(raw: &RawValue) -> Result<bool, CanvasError> {
    let signature = Signature::read(raw)?;
    match signature.tasks()? {
        Some(tasks) if signature.is("chain") => tasks.last().map_or(Ok(false), |last| ends_in_a_group(last)),
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests;

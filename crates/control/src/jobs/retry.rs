//! Runs a job again that has come to its end: as it was, or otherwise.

use celeriac_engine::{Call, EnqueueError, Revision};
use celeriac_protocol::{Arguments, ErrorKind, JobError, JobId, RawValue, TaskMessage, Timestamp};
use celeriac_store::query::jobs;
use celeriac_store::{JobRecord, limits};

use super::{JobDesk, JobsError};

/// What a retry came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// The dead letter is back in its queue, under the id that it has.
    Revived(JobId),
    /// A copy was enqueued under a new id.
    Copied(JobId),
}

impl Retried {
    /// Returns the job whose turn it is now: the same one, or the copy.
    pub fn runs_as(&self) -> &JobId {
        match self {
            Self::Revived(id) | Self::Copied(id) => id,
        }
    }
}

/// What is to be otherwise when a job runs again; what is not said stays as it was.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// Other positional arguments, a JSON array.
    pub args: Option<Box<RawValue>>,
    /// Other named arguments, a JSON object; they replace all that there were.
    pub kwargs: Option<Box<RawValue>>,
    /// Another queue.
    pub queue: Option<String>,
    /// Another priority, 0 to 9, higher first.
    pub priority: Option<u8>,
    /// Another number of retries.
    pub max_retries: Option<u32>,
    /// Not to run before; without it, it may run at once.
    pub eta: Option<Timestamp>,
}

impl JobDesk {
    /// Runs a job again: puts its dead letter back into its queue under the id that it has, or, where there is none, enqueues
    /// a copy under a new id.
    ///
    /// # Errors
    /// The job has not ended, is not known, or its arguments were too long to be kept; queue or record can't be reached.
    pub async fn retry(&self, id: &JobId) -> Result<Retried, JobsError> {
        self.retry_with(id, Edits::default()).await
    }

    /// Runs a job again otherwise than it was. A dead letter's message keeps what is not edited, what is to follow it
    /// included; a copy is made of what the record tells.
    ///
    /// # Errors
    /// As [`retry`](Self::retry); arguments that don't fit the task, as far as it is known here; options that can't be.
    pub async fn retry_with(&self, id: &JobId, edits: Edits) -> Result<Retried, JobsError> {
        self.retry_under(id, edits, None).await
    }

    /// Runs a job again; a copy gets this id, or a fresh one.
    pub(super) async fn retry_under(
        &self,
        id: &JobId,
        edits: Edits,
        copy_id: Option<JobId>,
    ) -> Result<Retried, JobsError> {
        if self.revive(id, &edits).await? {
            return Ok(Retried::Revived(id.clone()));
        }
        let Some(record) = jobs::find(self.database.reader(), id).await? else {
            return Err(JobsError::unknown(&self.client, id).await);
        };
        let status = record.summary.status;
        if !status.is_final() {
            return Err(JobsError::NotEnded { id: id.clone(), status });
        }
        let call = self.copy(record, edits)?;
        let call = copy_id.into_iter().fold(call, Call::id);
        Ok(Retried::Copied(self.client.send(call).await?.id().clone()))
    }

    /// Puts the dead letter back; `false` where there is none, or its job is in a queue already.
    async fn revive(&self, id: &JobId, edits: &Edits) -> Result<bool, JobsError> {
        let Some(letter) = self.client.dead_letter(id).await? else { return Ok(false) };
        let Ok(message) = TaskMessage::decode(&letter.envelope) else {
            // Refused there, with the reason.
            return Ok(self.client.revive(letter).await?);
        };
        let was = (message.args, message.queue);
        let (call, revision) = self.revision(id, message.task, was, edits)?;
        // What nobody edits has been sent before.
        if edits.are_any() {
            self.client.check(call)?;
        }
        Ok(self.client.revive_as(letter, revision).await?)
    }

    /// Checks what is asked for, as a call and as what is to be otherwise in a message.
    fn revision(
        &self,
        id: &JobId,
        task: String,
        (args, queue): (Arguments, String),
        edits: &Edits,
    ) -> Result<(Call, Revision), JobsError> {
        let args = self.edited(id, &task, args, edits)?;
        let call = Call::new(task, args.clone()).queue(edits.queue.clone().unwrap_or(queue));
        let call = edits.priority.into_iter().fold(call, Call::priority);
        let call = edits.eta.into_iter().fold(call, Call::eta);
        let revision = Revision {
            args: edits.has_arguments().then_some(args),
            queue: edits.queue.clone(),
            priority: edits.priority,
            max_retries: edits.max_retries,
            eta: edits.eta,
        };
        Ok((call, revision))
    }

    /// Asks once more for what a job was asked for.
    fn copy(&self, record: JobRecord, edits: Edits) -> Result<Call, JobsError> {
        let JobRecord { summary: job, args, kwargs, .. } = record;
        let is_cut = |kept: &RawValue, edit: &Option<Box<RawValue>>| edit.is_none() && is_cut(kept);
        if is_cut(&args, &edits.args) || is_cut(&kwargs, &edits.kwargs) {
            return Err(JobsError::ArgumentsCut { id: job.id });
        }
        let args = self.edited(&job.id, &job.task, Arguments { positional: args, named: kwargs }, &edits)?;
        let call = Call::new(job.task, args).job_type(job.job_type);
        let call = call.queue(edits.queue.unwrap_or(job.queue));
        let call = edits.priority.or(job.priority).into_iter().fold(call, Call::priority);
        let call = edits.max_retries.or(job.max_retries).into_iter().fold(call, Call::max_retries);
        Ok(edits.eta.into_iter().fold(call, Call::eta))
    }

    /// Returns the arguments as they are to be, which must fit where they are others and the task is known here.
    fn edited(&self, id: &JobId, task: &str, was: Arguments, edits: &Edits) -> Result<Arguments, JobsError> {
        if !edits.has_arguments() {
            return Ok(was);
        }
        let fail = |source| JobsError::Arguments { id: id.clone(), source };
        let args = Arguments {
            positional: shaped(&edits.args, was.positional, '[', "args").map_err(fail)?,
            named: shaped(&edits.kwargs, was.named, '{', "kwargs").map_err(fail)?,
        };
        if let Some(known) = self.client.registry().find(task) {
            let misfit = |source| EnqueueError::Arguments { task: task.to_owned(), source };
            known.check(&args).map_err(misfit)?;
        }
        Ok(args)
    }
}

impl Edits {
    fn are_any(&self) -> bool {
        let Self { queue, priority, max_retries, eta, .. } = self;
        self.has_arguments()
            || queue.is_some()
            || priority.is_some()
            || max_retries.is_some()
            || eta.is_some()
    }

    fn has_arguments(&self) -> bool {
        self.args.is_some() || self.kwargs.is_some()
    }
}

/// Says whether a marker stands in place of arguments that were too long to be kept.
fn is_cut(kept: &RawValue) -> bool {
    kept.get().starts_with(&format!("{{\"{}\":", limits::TRUNCATED))
}

fn shaped(
    edit: &Option<Box<RawValue>>,
    was: Box<RawValue>,
    opening: char,
    name: &str,
) -> Result<Box<RawValue>, JobError> {
    let Some(edit) = edit else { return Ok(was) };
    if edit.get().trim_start().starts_with(opening) {
        return Ok(edit.clone());
    }
    let kind = if opening == '[' { "array" } else { "object" };
    Err(JobError::new(ErrorKind::InvalidArguments, format!("{name} are no JSON {kind}")))
}

//! Names as they are typed: a job by the beginning of its id, and what is said of a name that nothing goes by, where
//! that is no error: it may be another program's.

use std::collections::BTreeSet;

use celeriac_control::workflow::WORKFLOW_QUEUE;
use celeriac_engine::RegisteredTask;
use celeriac_protocol::JobId;
use celeriac_protocol::suggest::did_you_mean;
use celeriac_store::query::jobs::{self, JobFilter};

use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::platform::Platform;

/// The shortest beginning of an id that is looked for; less would fit nearly every job.
const MIN_PREFIX: usize = 4;

/// How many characters an id of ours has. What is as long is no beginning, and costs no search.
const WHOLE: usize = 36;

/// How many jobs are named where several are meant.
const CANDIDATES: usize = 5;

/// How many of the newest dead letters are looked through for jobs that have no record.
const LETTERS: usize = 1_000;

/// Returns the job that is meant by its id, or by the beginning of it where no other job's id begins so. What
/// nothing goes by is returned as it is: whoever looks for it says so.
///
/// # Errors
/// Several ids begin so; all of them, or the newest, are named.
pub(super) async fn job(platform: &Platform, given: &JobId) -> Result<JobId> {
    if !(MIN_PREFIX..WHOLE).contains(&given.as_str().len()) || is_there(platform, given).await? {
        return Ok(given.clone());
    }
    let mut found = recorded(platform, given).await?;
    if found.is_empty() {
        found = dead(platform, given).await?;
    }
    match found.as_slice() {
        [] => Ok(given.clone()),
        [(id, _)] => Ok(id.clone()),
        several => Err(ambiguous(given, several)),
    }
}

/// Returns the jobs that are meant by each of these.
///
/// # Errors
/// As [`job`].
pub(super) async fn jobs(platform: &Platform, given: &[JobId]) -> Result<Vec<JobId>> {
    let mut jobs = Vec::with_capacity(given.len());
    for id in given {
        jobs.push(job(platform, id).await?);
    }
    Ok(jobs)
}

/// Says whether something goes by this very id, however short it is.
async fn is_there(platform: &Platform, id: &JobId) -> Result<bool> {
    if jobs::progress(platform.database.reader(), id).await?.is_some() {
        return Ok(true);
    }
    let broker = platform.broker();
    let has_message = broker.capabilities().lookup && platform.client.find(id).await?.is_some();
    Ok(has_message || platform.client.dead_letter(id).await?.is_some())
}

/// A job whose id begins as was typed, and what is known of it.
type Candidate = (JobId, String);

async fn recorded(platform: &Platform, given: &JobId) -> Result<Vec<Candidate>> {
    let filter = JobFilter { id_prefix: Some(given.to_string()), ..JobFilter::default() };
    let page = jobs::list(platform.database.reader(), &filter, None, CANDIDATES as u64 + 1).await?;
    Ok(page.jobs.into_iter().map(|job| (job.id, format!("{}, {}", job.task, job.status))).collect())
}

async fn dead(platform: &Platform, given: &JobId) -> Result<Vec<Candidate>> {
    let page = platform.client.dead_letters(None, LETTERS).await?;
    let ids: BTreeSet<JobId> = page.letters.into_iter().map(|letter| letter.envelope.id).collect();
    let fits = ids.into_iter().filter(|id| id.as_str().starts_with(given.as_str()));
    Ok(fits.map(|id| (id, "a dead letter".to_owned())).take(CANDIDATES + 1).collect())
}

fn ambiguous(given: &JobId, several: &[Candidate]) -> Failure {
    let mut named: Vec<String> =
        several.iter().take(CANDIDATES).map(|(id, what)| format!("{id} ({what})")).collect();
    if several.len() > CANDIDATES {
        named.push("…".to_owned());
    }
    let text = format!("several jobs' ids begin with {given}: {}", named.join(", "));
    Failure::plain(Code::AmbiguousJob, text)
}

/// Returns the queues that this app's tasks go to, and those that its worker takes from.
pub(crate) fn queues(context: &Context) -> BTreeSet<String> {
    let registry = &context.app.registry;
    let sending = context.loaded.config.tasks.sending();
    let queue_of =
        |task: &RegisteredTask| task.options.queue.unwrap_or_else(|| sending.queue_of(task.name)).to_owned();
    let of_tasks = registry.tasks().map(|task| queue_of(task));
    let of_worker = context.loaded.config.worker.queues.iter().cloned();
    of_tasks.chain(of_worker).chain([WORKFLOW_QUEUE.to_owned()]).collect()
}

/// Says that no task of this app goes by a name.
pub(super) fn note_task(context: &Context, name: &str) {
    let registry = &context.app.registry;
    if registry.find(name).is_none() {
        note(
            context,
            format!("no task of this app is called {name}"),
            name,
            registry.tasks().map(|task| task.name).collect::<Vec<_>>(),
        );
    }
}

/// Says that no task of this app goes to a queue.
pub(super) fn note_queue(context: &Context, name: &str) {
    let known = queues(context);
    if !known.contains(name) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        note(context, format!("no task of this app goes to queue {name}"), name, known);
    }
}

/// Says something of a name, and which one may have been meant.
pub(super) fn note<'a>(
    context: &Context,
    text: String,
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) {
    let hint = did_you_mean(name, known).map(|hint| format!("; {hint}")).unwrap_or_default();
    context.output.note(format_args!("{text}{hint}"));
}

//! `enqueue`: asks for a job, or for many.

use std::path::PathBuf;
use std::time::Duration;

use celeriac_control::check_call;
use celeriac_engine::{Call, Client, RegisteredTask, eager_client};
use celeriac_protocol::{Compression, JobId, RecordLevel, Serializer, Timestamp};
use clap::Args;
use serde::Serialize;

use super::jobs::wait::{Waiting, follow};
use super::{names, tasks};
use crate::arguments::key_value;
use crate::config::{Period, compression_of, serializer_of};
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::Paint;
use crate::platform::{Platform, Use};
use crate::values::{When, arguments, job_id};

mod bulk;

/// Arguments of `enqueue`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    enqueue greet Ada\n  \
    enqueue report 42 --kwarg format=pdf --countdown 10m --wait\n  \
    enqueue --bulk calls.jsonl\n\n\
    A line of a bulk file is [1, 2] for the task that was named, or\n  \
    {\"task\": \"greet\", \"args\": [\"Ada\"], \"kwargs\": {}, \"queue\": \"mail\", \"countdown\": \"5m\"}")]
pub(crate) struct EnqueueArgs {
    /// The task, by its name or an alias
    #[arg(required_unless_present = "bulk")]
    task: Option<String>,
    /// Its arguments in order, each as JSON, or as plain text
    #[arg(allow_negative_numbers = true, conflicts_with = "bulk")]
    args: Vec<String>,
    /// A named argument, as JSON or as plain text
    #[arg(long = "kwarg", short = 'k', value_name = "NAME=VALUE", value_parser = key_value, conflicts_with = "bulk")]
    kwargs: Vec<(String, String)>,
    /// Enqueue a job for each line of this file, or of standard input for -
    #[arg(long, value_name = "FILE")]
    bulk: Option<PathBuf>,
    /// Send it although this app does not know the task, or its arguments don't fit
    #[arg(long)]
    unchecked: bool,
    /// Wait until the job has ended, and print its result
    #[arg(long, short, conflicts_with = "bulk")]
    wait: bool,
    /// Wait for this long at most [default: no limit; Ctrl-C ends the waiting, not the job]
    #[arg(long, value_name = "SPAN", requires = "wait")]
    timeout: Option<Period>,
    /// Run it here and now, in place of enqueueing it
    #[arg(long, conflicts_with_all = ["bulk", "unchecked"])]
    eager: bool,
    #[command(flatten)]
    options: CallFlags,
}

/// What may be asked for besides the arguments.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of the job")]
struct CallFlags {
    /// Send it to this queue
    #[arg(long, short = 'Q')]
    queue: Option<String>,
    /// 0 to 9, higher first
    #[arg(long, short, value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// Write it in this serializer: json, msgpack or yaml
    #[arg(long, value_name = "NAME", value_parser = serializer_of)]
    serializer: Option<Serializer>,
    /// Make it smaller by this: gzip, bzip2, lzma or zstd
    #[arg(long, value_name = "NAME", value_parser = compression)]
    compression: Option<Compression>,
    /// Hold it back for this long
    #[arg(long, value_name = "SPAN", conflicts_with = "eta")]
    countdown: Option<Period>,
    /// Hold it back until then
    #[arg(long, value_name = "TIME")]
    eta: Option<When>,
    /// Cancel it if it has not begun by then: a time, or a span from now
    #[arg(long, value_name = "WHEN")]
    expires: Option<When>,
    /// Enqueue nothing while a job with this key waits or runs
    #[arg(long, value_name = "KEY")]
    unique: Option<String>,
    /// Give the job this id
    #[arg(long, value_parser = job_id)]
    id: Option<JobId>,
    /// Allow this many retries
    #[arg(long, value_name = "COUNT")]
    max_retries: Option<u32>,
    /// Tell the task to stop after this long
    #[arg(long, value_name = "SPAN")]
    soft_limit: Option<Period>,
}

impl CallFlags {
    fn apply(self, mut call: Call, now: Timestamp) -> Call {
        let Self { queue, priority, serializer, compression, countdown, eta, expires, unique, id, .. } = self;
        let (max_retries, soft_limit) = (self.max_retries, self.soft_limit);
        call = queue.into_iter().fold(call, Call::queue);
        call = priority.into_iter().fold(call, Call::priority);
        call = serializer.into_iter().fold(call, Call::serializer);
        call = compression.into_iter().fold(call, Call::compression);
        call = countdown.into_iter().fold(call, |call, span| call.countdown(span.0));
        call = eta.into_iter().fold(call, |call, eta| call.eta(eta.ahead(now)));
        call = expires.into_iter().fold(call, |call, when| call.expires_at(when.ahead(now)));
        call = unique.into_iter().fold(call, Call::unique);
        call = id.into_iter().fold(call, Call::id);
        call = max_retries.into_iter().fold(call, Call::max_retries);
        soft_limit.into_iter().fold(call, |call, limit| call.soft_limit(limit.0))
    }
}

fn compression(name: &str) -> std::result::Result<Compression, String> {
    compression_of(name)?.ok_or_else(|| "write gzip, bzip2, lzma or zstd".to_owned())
}

/// A job that was asked for, as JSON. The field names are stable.
#[derive(Serialize)]
struct EnqueuedView<'a> {
    id: &'a str,
    task: &'a str,
    /// A job with the same id or unique key waits or runs already, and nothing was added.
    duplicate: bool,
}

/// Runs the command.
pub(super) async fn run(mut context: Context, args: EnqueueArgs) -> Result<Exit> {
    if let Some(file) = &args.bulk {
        let default = args.task.as_deref();
        return bulk::run(&context, file, default, &args.options, args.unchecked).await;
    }
    let name = args.task.as_deref().unwrap_or_default();
    let known = known_task(&context, name, args.unchecked)?;
    let params = known.map(|task| task.params);
    let call = Call::new(name, arguments(&args.args, &args.kwargs, params));
    if let (Some(task), false) = (known, args.unchecked) {
        check(&call, task)?;
        refuse_to_wait_for_nothing(task, args.wait)?;
    }
    let wanted = args.options.id.clone();
    let foreign = foreign_unique(&context, name, known.is_some(), &args.options);
    let call = args.options.apply(call, context.clock.now());
    if args.eager || context.loaded.config.tasks.always_eager {
        return run_eagerly(&mut context, call).await;
    }
    let platform = context.open(if args.wait { Use::Hearing } else { Use::Creating }).await?;
    foreign.iter().for_each(|why| warn_of_unique(&context, &platform, why));
    let id = send(&context, &platform.client, call, wanted, args.wait).await?;
    if !args.wait {
        return Ok(Exit::Done);
    }
    let waiting = Waiting { timeout: args.timeout.map(|timeout| timeout.0), recorded: true };
    follow(&context, &platform.client, &id, waiting).await
}

/// Says why nobody of ours seems to run a call that has a unique key, where that is so.
fn foreign_unique(context: &Context, task: &str, is_known: bool, flags: &CallFlags) -> Option<String> {
    flags.unique.as_ref()?;
    match &flags.queue {
        _ if !is_known => Some(format!("no task of this app is called {task}")),
        Some(queue) if !names::queues(context).contains(queue) => {
            Some(format!("no worker of this app is known to take from queue {queue}"))
        }
        _ => None,
    }
}

/// Says what a unique key is worth where workers that know none of them take from the queue.
fn warn_of_unique(context: &Context, platform: &Platform, why: &str) {
    let can = platform.broker().capabilities();
    if can.shared && can.unique_keys {
        context.output.note(format_args!(
            "{why}: where Celery's workers run it, its unique key ends when the queue has run empty, not with the job"
        ));
    }
}

/// Finds the task, which may be unknown only where that was said.
fn known_task<'a>(context: &'a Context, name: &str, unchecked: bool) -> Result<Option<&'a RegisteredTask>> {
    match tasks::find(context, name) {
        Ok(task) => Ok(Some(task)),
        Err(_) if unchecked => Ok(None),
        Err(error) => Err(error),
    }
}

/// Checks that a call's arguments fit, before it costs anybody an attempt.
fn check(call: &Call, task: &RegisteredTask) -> Result {
    check_call(call, task).map_err(|misfit| {
        let (error, takes) = *misfit;
        Failure::from(error).hint(takes)
    })
}

fn refuse_to_wait_for_nothing(task: &RegisteredTask, wait: bool) -> Result {
    if !wait || task.options.record == RecordLevel::All {
        return Ok(());
    }
    Err(Failure::failed_to(Code::Usage, format_args!("wait for a job of task `{}`", task.name))
        .because("its jobs are not recorded, so nobody could tell when it has ended"))
}

/// Sends the call and says under which id.
async fn send(
    context: &Context,
    client: &Client,
    call: Call,
    wanted: Option<JobId>,
    quietly: bool,
) -> Result<JobId> {
    let output = &context.output;
    let task = call.task().to_owned();
    let id = wanted.unwrap_or_else(|| JobId::fresh(context.clock.now()));
    let before = client.find(&id).await?.is_some();
    let handle = client.send(call.id(id.clone())).await?;
    let duplicate = before || *handle.id() != id;
    let id = handle.id().clone();
    if duplicate {
        output.note(format_args!("job {id} waits or runs already; nothing was added"));
    }
    match (quietly, output.is_json()) {
        (true, true) => {}
        (true, false) => output
            .note(format_args!("enqueued {task} as {}", output.paint_stderr(Paint::Strong, id.as_str()))),
        (false, true) => output.json(&EnqueuedView { id: id.as_str(), task: &task, duplicate })?,
        (false, false) => output.line(&id)?,
    }
    Ok(id)
}

/// Runs the job in this process, retries and all, and prints what came of it.
async fn run_eagerly(context: &mut Context, call: Call) -> Result<Exit> {
    let platform = context.open(Use::Creating).await?;
    let states = platform.make_states(context).await?;
    let client = eager_client(context.app.registry.clone(), states)?;
    let handle = client.send(call).await?;
    let at_once = Waiting { timeout: Some(Duration::ZERO), recorded: false };
    follow(context, &client, handle.id(), at_once).await
}

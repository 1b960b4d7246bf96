//! `jobs wait`: waits until a job has ended, telling how far it is, and prints its result.

use std::time::Duration;

use celeriac_broker::MessageState;
use celeriac_engine::{Client, JobSnapshot};
use celeriac_protocol::{JobId, JobStatus};
use celeriac_server::views::SnapshotView;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::unknown;
use crate::commands::names;
use crate::config::Period;
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::Output;
use crate::platform::Use;
use crate::shutdown::Shutdown;
use crate::values::job_id;
use crate::views::pretty;

/// How often the record is looked at, at first and at last.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Arguments of `jobs wait`.
#[derive(Args, Debug)]
pub(super) struct WaitArgs {
    /// The job, by its id or the beginning of it
    #[arg(value_parser = job_id)]
    id: JobId,
    /// Wait for this long at most [default: no limit; Ctrl-C ends the waiting, not the job]
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Period>,
}

/// How to wait.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Waiting {
    /// For how long at most. Where nothing is said, until the job has ended or somebody interrupts: how long a
    /// job may take only its own limits say, and whoever waits sees how far it is.
    pub(in crate::commands) timeout: Option<Duration>,
    /// Whether the job is on record for others, too, and goes on without whoever waits.
    pub(in crate::commands) recorded: bool,
}

/// How long a job may lie in its queue before whoever waits is told that nobody seems to take from it. A worker
/// looks several times as often.
const UNTAKEN: Duration = Duration::from_secs(3);

/// Runs the command.
pub(super) async fn run(context: &Context, args: &WaitArgs) -> Result<Exit> {
    let platform = context.open(Use::Reading).await?;
    let waiting = Waiting { timeout: args.timeout.map(|timeout| timeout.0), recorded: true };
    let id = names::job(&platform, &args.id).await?;
    follow(context, &platform.client, &id, waiting).await
}

/// Waits for a job and prints what came of it.
pub(in crate::commands) async fn follow(
    context: &Context,
    client: &Client,
    id: &JobId,
    waiting: Waiting,
) -> Result<Exit> {
    let line = ProgressLine::new(&context.output);
    let watch = Watch { output: &context.output, client, id, line: &line };
    let ended = if waiting.recorded {
        let mut shutdown = Shutdown::listen()?;
        tokio::select! {
            ended = watch.until_ended(waiting) => ended,
            _ = shutdown.next() => Err(Failure::plain(Code::Interrupted, format!("no longer waiting for job {id}"))
                .hint(format!("the job goes on; `jobs wait {id}` waits again, `jobs cancel {id}` ends it"))
                .about("job", id)),
        }
    } else {
        watch.until_ended(waiting).await
    };
    line.clear();
    print(&context.output, id, &ended?, waiting)
}

/// Is responsible for waiting for one job.
struct Watch<'a> {
    output: &'a Output,
    client: &'a Client,
    id: &'a JobId,
    line: &'a ProgressLine,
}

impl Watch<'_> {
    async fn until_ended(&self, waiting: Waiting) -> Result<JobSnapshot> {
        let Self { client, id, .. } = self;
        let clock = client.clock();
        let (begun, deadline) = (clock.now(), waiting.timeout.map(|timeout| clock.now() + timeout));
        let (mut pause, longest) = POLL;
        let mut told = !waiting.recorded;
        loop {
            let Some(snapshot) = client.snapshot(id).await? else {
                return Err(unknown(client, id).await);
            };
            if snapshot.status.is_final() {
                return Ok(snapshot);
            }
            self.line.show(&snapshot);
            if deadline.is_some_and(|deadline| clock.now() >= deadline) {
                return Err(timed_out(id, snapshot.status));
            }
            if !told && clock.now().since(begun) >= UNTAKEN {
                told = true;
                self.tell_if_untaken().await?;
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Says once why a job that is ready is not taken.
    async fn tell_if_untaken(&self) -> Result {
        let admin = self.client.broker().admin();
        let Some(found) = self.client.find(self.id).await? else { return Ok(()) };
        if found.state != MessageState::Ready {
            return Ok(());
        }
        let queue = &found.envelope.queue;
        let depths = admin.depths().await?;
        let Some(depth) = depths.iter().find(|depth| depth.queue == *queue) else { return Ok(()) };
        match (depth.paused_at, depth.held) {
            (Some(_), _) => {
                self.say(&format!("queue {queue} is paused; `queues resume {queue}` lets it go on"));
            }
            (None, 0) => {
                self.say(&format!("no worker takes from queue {queue}; `worker -Q {queue}` starts one"));
            }
            (None, _) => {}
        }
        Ok(())
    }

    fn say(&self, text: &str) {
        self.line.suspend(|| self.output.note(text));
    }
}

fn timed_out(id: &JobId, status: JobStatus) -> Failure {
    Failure::plain(Code::TimedOut, format!("job {id} has not ended in time, it is {status}")).about("job", id)
}

/// The one line that tells how far a job is, where a person watches.
struct ProgressLine(Option<ProgressBar>);

impl ProgressLine {
    fn new(output: &Output) -> Self {
        if !output.can_animate() {
            return Self(None);
        }
        let template = "{spinner} {prefix} {wide_msg}";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self(Some(bar.with_style(style)))
    }

    fn show(&self, snapshot: &JobSnapshot) {
        let Some(bar) = &self.0 else { return };
        let mut text = match snapshot.percent {
            0 => String::new(),
            percent => format!("{percent} % "),
        };
        text.push_str(snapshot.message.as_deref().unwrap_or_default());
        if snapshot.attempt > 1 {
            text.push_str(&format!(" (attempt {})", snapshot.attempt));
        }
        bar.set_prefix(snapshot.status.to_string());
        bar.set_message(text);
        bar.tick();
    }

    /// Takes the line off the screen while something else is written there.
    fn suspend(&self, write: impl FnOnce()) {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn clear(&self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn print(output: &Output, id: &JobId, ended: &JobSnapshot, waiting: Waiting) -> Result<Exit> {
    let exit = if ended.status == JobStatus::Completed { Exit::Done } else { Exit::Negative };
    if output.is_json() {
        output.json(&SnapshotView::new(id, ended))?;
        return Ok(exit);
    }
    match ended.status {
        JobStatus::Completed => print_result(output, ended).map(|()| exit),
        JobStatus::Cancelled => {
            let reason = ended.cancel_reason.as_deref().unwrap_or("nobody said why");
            Err(Failure::plain(Code::JobCancelled, format!("job {id} was cancelled")).because(reason))
        }
        _ => {
            let error = Failure::plain(Code::JobFailed, format!("job {id} failed"));
            let error = ended.error.iter().fold(error, |error, cause| error.because(&cause.message));
            match waiting.recorded {
                true => Err(error.hint(format!("`jobs show {id}` tells of each attempt"))),
                false => Err(error),
            }
        }
    }
}

fn print_result(output: &Output, ended: &JobSnapshot) -> Result {
    match &ended.result {
        Some(result) if output.stdout_is_terminal() => output.line(pretty(result)),
        Some(result) => output.line(result),
        None => Ok(()),
    }
}

//! `jobs wait`: waits until a job has ended, telling how far it is, and prints its result.

use std::time::Duration;

use celeriac_engine::{Client, JobSnapshot};
use celeriac_protocol::{JobId, JobStatus};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::unknown;
use crate::config::Period;
use crate::context::Context;
use crate::error::{CliError, Code, Result};
use crate::exit::Exit;
use crate::output::Output;
use crate::platform::Use;
use crate::values::job_id;
use crate::views::{SnapshotView, pretty};

/// How often the record is looked at, at first and at last.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Arguments of `jobs wait`.
#[derive(Args, Debug)]
pub(super) struct WaitArgs {
    /// The job
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
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: &WaitArgs) -> Result<Exit> {
    let platform = context.open(Use::Reading).await?;
    let waiting = Waiting { timeout: args.timeout.map(|timeout| timeout.0) };
    follow(context, &platform.client, &args.id, waiting).await
}

/// Waits for a job and prints what came of it.
pub(in crate::commands) async fn follow(
    context: &Context,
    client: &Client,
    id: &JobId,
    waiting: Waiting,
) -> Result<Exit> {
    let line = ProgressLine::new(&context.output);
    let ended = until_ended(client, id, waiting, &line).await;
    line.clear();
    print(&context.output, id, &ended?)
}

async fn until_ended(
    client: &Client,
    id: &JobId,
    waiting: Waiting,
    line: &ProgressLine,
) -> Result<JobSnapshot> {
    let clock = client.clock();
    let deadline = waiting.timeout.map(|timeout| clock.now() + timeout);
    let (mut pause, longest) = POLL;
    loop {
        let Some(snapshot) = client.snapshot(id).await? else {
            return Err(unknown(client.broker().as_ref(), id).await);
        };
        if snapshot.status.is_final() {
            return Ok(snapshot);
        }
        line.show(&snapshot);
        if deadline.is_some_and(|deadline| clock.now() >= deadline) {
            let status = snapshot.status;
            return Err(CliError::plain(
                Code::TimedOut,
                format!("job {id} has not ended in time, it is {status}"),
            ));
        }
        clock.sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
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

    fn clear(&self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn print(output: &Output, id: &JobId, ended: &JobSnapshot) -> Result<Exit> {
    let exit = if ended.status == JobStatus::Completed { Exit::Done } else { Exit::Negative };
    if output.is_json() {
        output.json(&SnapshotView::new(id, ended))?;
        return Ok(exit);
    }
    match ended.status {
        JobStatus::Completed => print_result(output, ended).map(|()| exit),
        JobStatus::Cancelled => {
            let reason = ended.cancel_reason.as_deref().unwrap_or("nobody said why");
            Err(CliError::plain(Code::JobCancelled, format!("job {id} was cancelled")).because(reason))
        }
        _ => {
            let error = CliError::plain(Code::JobFailed, format!("job {id} failed"));
            let error = ended.error.iter().fold(error, |error, cause| error.because(&cause.message));
            Err(error.hint(format!("`jobs show {id}` tells of each attempt")))
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

//! The app that tests run beside real Celery: tasks for Python's clients.

use std::process::ExitCode;
use std::time::Duration;

use celeriac_cli::App;
use celeriac_engine::{Call, Ctx, TaskError, task};
use celeriac_protocol::Arguments;
use serde_json::value::RawValue;

/// Adds two numbers.
#[task(crate = celeriac_engine, name = "house.add")]
async fn add(x: i64, #[default(10)] y: i64) -> i64 {
    x + y
}

/// Adds two numbers, as a task of the same name in Python does.
#[task(crate = celeriac_engine, name = "both.add")]
async fn both(x: i64, y: i64) -> (i64, &'static str) {
    tokio::time::sleep(Duration::from_millis(10)).await;
    (x + y, "rust")
}

/// Fails as long as it is asked; a task of the same name in Python does not.
#[task(crate = celeriac_engine, name = "both.flaky", default_retry_delay = "2s", max_retries = 5)]
async fn both_flaky() -> Result<(), TaskError> {
    Err(std::io::Error::other("not here").into())
}

/// Returns what it is given, to the letter.
#[task(crate = celeriac_engine, name = "house.echo")]
async fn echo(value: Box<RawValue>) -> Box<RawValue> {
    value
}

/// Fails for good, at once.
#[task(crate = celeriac_engine, name = "house.fail", max_retries = 0)]
async fn fail(message: String) -> Result<(), TaskError> {
    Err(std::io::Error::other(message).into())
}

/// Fails once.
#[task(crate = celeriac_engine, name = "house.flaky", default_retry_delay = "1s")]
async fn flaky(ctx: Ctx) -> Result<u32, TaskError> {
    match ctx.attempt() {
        1 => Err(std::io::Error::other("first").into()),
        attempt => Ok(attempt),
    }
}

/// Says how far it is until a file is there.
#[task(crate = celeriac_engine, name = "house.progress")]
async fn progress(path: String, ctx: Ctx) -> &'static str {
    ctx.progress(40, "on it");
    while !std::path::Path::new(&path).exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    "done"
}

/// Enqueues a task of somebody else's, and returns the job's id.
#[task(crate = celeriac_engine, name = "house.ask")]
async fn ask(task: String, queue: String, argument: String, ctx: Ctx) -> Result<String, TaskError> {
    let call = Call::new(task, Arguments::from_positional(&(argument,))?).queue(queue);
    Ok(ctx.client().send(call).await?.id().to_string())
}

/// Writes a line into a file.
#[task(crate = celeriac_engine, name = "house.log")]
async fn log(text: String, path: String) -> Result<(), TaskError> {
    use std::io::Write as _;
    let mut file = std::fs::File::options().create(true).append(true).open(path)?;
    Ok(writeln!(file, "{text}")?)
}

fn main() -> ExitCode {
    let app =
        App::new("interop").task::<add>().task::<both>().task::<both_flaky>().task::<echo>().task::<fail>();
    celeriac_cli::main(app.task::<flaky>().task::<progress>().task::<ask>().task::<log>())
}

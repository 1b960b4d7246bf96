//! The app that the tests of the command line run: tasks that succeed, fail, wait and report.

use std::io;
use std::process::ExitCode;

use celeriac_cli::App;
use celeriac_db::{Database, DbTx};
use celeriac_engine::{Ctx, RegistryBuilder, TaskError, task};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// Greets somebody by name.
#[task(crate = celeriac_engine, name = "greet", aliases("old.greet"))]
async fn greet(name: String, #[default("Hello".to_owned())] greeting: String) -> String {
    format!("{greeting}, {name}!")
}

/// Adds two numbers.
#[task(crate = celeriac_engine, name = "math.add", queue = "math", job_type = "arithmetic", priority = 7)]
async fn add(x: i64, #[default(10)] y: i64) -> i64 {
    x + y
}

/// Fails for good, at once.
#[task(crate = celeriac_engine, name = "fail", max_retries = 0)]
async fn fail(message: String) -> Result<(), TaskError> {
    Err(io::Error::other(message).into())
}

/// Calls a socket when it begins, and ends with what it is answered there.
#[task(crate = celeriac_engine, name = "hold", soft_time_limit = "60s")]
async fn hold(socket: String, ctx: Ctx) -> Result<String, TaskError> {
    ctx.progress(40, "holding");
    let mut call = UnixStream::connect(socket).await?;
    let mut answer = String::new();
    tokio::select! {
        read = call.read_to_string(&mut answer) => read.map(|_| answer).map_err(TaskError::from),
        () = ctx.cancelled() => Err(TaskError::cancel("told to stop")),
    }
}

/// Asks for a greeting within a transaction of the database, and returns its job's id.
#[task(crate = celeriac_engine, name = "order", state(Database))]
async fn order(name: String, ctx: Ctx) -> Result<String, TaskError> {
    let client = ctx.client().clone();
    let ask = async move |tx: &DbTx| client.enqueue_in(tx, greet(name, "Hello".to_owned())).await;
    Ok(ctx.state::<Database>().write("order", ask).await?.id().to_string())
}

/// Leaves no record.
#[task(crate = celeriac_engine, name = "silent", record = "none", acks_late = false, default_retry_delay = "60s")]
async fn silent() {}

fn main() -> ExitCode {
    let app = App::new("testbed").version("1.2.3").task::<greet>().task::<fail>();
    let app = app.module("math", RegistryBuilder::task::<add>);
    celeriac_cli::main(app.module("slow", |slow| slow.task::<hold>().task::<silent>().task::<order>()))
}

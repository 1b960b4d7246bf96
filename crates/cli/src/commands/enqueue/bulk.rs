//! Enqueues a job for each line of a file, in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use celeriac_engine::{Call, Client, MAX_MESSAGE_BYTES};
use celeriac_protocol::{Arguments, JobId, RawValue};
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;

use super::{CallFlags, check, compression, foreign_unique, known_task, warn_of_unique};
use crate::config::{Period, serializer_of};
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::{counted, grouped};
use crate::platform::Use;
use crate::values::When;

/// How many lines are sent together; each such chunk is stored whole or not at all.
const CHUNK: usize = 1_000;

/// The longest line, in bytes: a message's limit, and room for its options.
const MAX_LINE: u64 = MAX_MESSAGE_BYTES as u64 + 64 * 1024;

/// What a line may hold besides an array of arguments.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    task: Option<String>,
    args: Vec<Box<RawValue>>,
    kwargs: Option<Box<RawValue>>,
    queue: Option<String>,
    priority: Option<u8>,
    serializer: Option<String>,
    compression: Option<String>,
    countdown: Option<Period>,
    eta: Option<String>,
    expires: Option<String>,
    unique: Option<String>,
    id: Option<JobId>,
    max_retries: Option<u32>,
    soft_limit: Option<Period>,
}

/// What became of a file, as JSON. The field names are stable.
#[derive(Serialize)]
struct BulkView {
    enqueued: u64,
}

/// Enqueues a job for each line; flags are for lines that say nothing else.
pub(super) async fn run(
    context: &Context,
    file: &Path,
    default_task: Option<&str>,
    flags: &CallFlags,
    unchecked: bool,
) -> Result<Exit> {
    let mut reader = open(file)?;
    let platform = context.open(Use::Creating).await?;
    let (mut chunk, mut text) = (Vec::with_capacity(CHUNK), Vec::new());
    let (mut number, mut enqueued) = (0_u64, 0_u64);
    // One word for the whole file is enough.
    let mut foreign = None;
    loop {
        let is_end = !read_line(&mut *reader, &mut text).map_err(|error| unreadable(file, &error))?;
        if !is_end {
            number += 1;
            if text.trim_ascii().is_empty() {
                continue;
            }
            let call = call_of(context, &text, default_task, flags, unchecked);
            let (call, why) = call.map_err(|error| at_line(file, number, enqueued, &error))?;
            if let (None, Some(why)) = (&foreign, why) {
                warn_of_unique(context, &platform, &why);
                foreign = Some(why);
            }
            chunk.push(call);
        }
        if chunk.len() == CHUNK || (is_end && !chunk.is_empty()) {
            enqueued += send(&platform.client, &mut chunk).await?;
        }
        if is_end {
            break;
        }
    }
    report(context, enqueued)
}

fn open(file: &Path) -> Result<Box<dyn BufRead + Send>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(file).map_err(|error| unreadable(file, &error))?;
    Ok(Box::new(BufReader::new(opened)))
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    Failure::failed_to(Code::FileUnreadable, format_args!("read \"{}\"", file.display())).caused_by(error)
}

/// Reads the next line; `false` at the end.
fn read_line(reader: &mut (dyn BufRead + Send), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = reader.take(MAX_LINE).read_until(b'\n', line)?;
    if read as u64 == MAX_LINE && line.last() != Some(&b'\n') {
        return Err(io::Error::other(format!("a line has more than {MAX_LINE} bytes")));
    }
    Ok(read > 0)
}

/// Reads a call, and says why its unique key may be worth little.
fn call_of(
    context: &Context,
    text: &[u8],
    default_task: Option<&str>,
    flags: &CallFlags,
    unchecked: bool,
) -> Result<(Call, Option<String>)> {
    let unusable = |reason: String| Failure::plain(Code::BulkLine, reason);
    let line = parse(text).map_err(|error| unusable(within_line(&error)))?;
    let name =
        line.task.as_deref().or(default_task).ok_or_else(|| unusable("it names no task".to_owned()))?;
    let named = line.kwargs.unwrap_or_else(|| Arguments::default().named);
    if !named.get().starts_with('{') {
        return Err(unusable("kwargs must be an object".to_owned()));
    }
    let positional = to_raw_value(&line.args).map_err(|error| unusable(error.to_string()))?;
    let call = Call::new(name, Arguments { positional, named });
    let known = known_task(context, name, unchecked)?;
    if let (Some(task), false) = (known, unchecked) {
        check(&call, task)?;
    }
    let when = |text: Option<String>| text.map(|text| text.parse::<When>()).transpose().map_err(unusable);
    let own = CallFlags {
        queue: line.queue.or_else(|| flags.queue.clone()),
        priority: line.priority.or(flags.priority),
        serializer: named_form(line.serializer, serializer_of).map_err(unusable)?.or(flags.serializer),
        compression: named_form(line.compression, compression).map_err(unusable)?.or(flags.compression),
        countdown: line.countdown.or(flags.countdown),
        eta: when(line.eta)?.or(flags.eta),
        expires: when(line.expires)?.or(flags.expires),
        unique: line.unique.or_else(|| flags.unique.clone()),
        id: line.id.or_else(|| flags.id.clone()),
        max_retries: line.max_retries.or(flags.max_retries),
        soft_limit: line.soft_limit.or(flags.soft_limit),
    };
    let foreign = foreign_unique(context, name, known.is_some(), &own);
    Ok((own.apply(call, context.clock.now()), foreign))
}

/// Reads a name where there is one.
fn named_form<T>(
    name: Option<String>,
    read: impl Fn(&str) -> std::result::Result<T, String>,
) -> std::result::Result<Option<T>, String> {
    name.map(|name| read(&name)).transpose()
}

/// Reads `[…]` as positional arguments, `{…}` as a whole call.
fn parse(text: &[u8]) -> serde_json::Result<Line> {
    if text.trim_ascii_start().starts_with(b"[") {
        return Ok(Line { args: serde_json::from_slice(text)?, ..Line::default() });
    }
    serde_json::from_slice(text)
}

/// Leaves out the line that the parser counts: to it, each is the first.
fn within_line(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    text.strip_suffix(&place).map_or(text.clone(), |text| format!("{text} at column {}", error.column()))
}

async fn send(client: &Client, chunk: &mut Vec<Call>) -> Result<u64> {
    let handles = client.send_many(chunk.drain(..)).await?;
    Ok(handles.len() as u64)
}

fn at_line(file: &Path, number: u64, enqueued: u64, error: &Failure) -> Failure {
    let place = format!("enqueue line {number} of \"{}\"", file.display());
    let so_far = match enqueued {
        0 => "nothing was enqueued".to_owned(),
        count => format!("the jobs of the {} lines before line {} are enqueued", grouped(count), count + 1),
    };
    let advice = error.advice().map_or(so_far.clone(), |advice| format!("{advice}; {so_far}"));
    Failure::failed_to(Code::BulkLine, place).because(error).hint(advice)
}

fn report(context: &Context, enqueued: u64) -> Result<Exit> {
    let output = &context.output;
    if output.is_json() {
        output.json(&BulkView { enqueued })?;
    } else {
        output.line(format_args!("{} enqueued", counted(enqueued, "job")))?;
    }
    Ok(Exit::Done)
}

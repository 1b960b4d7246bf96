//! Logs: human on a terminal, JSON otherwise, always on the error stream.

use std::panic::PanicHookInfo;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use crate::config::{LogFormat, LogSection};
use crate::output::Output;

/// What commands that end by themselves say unless asked for more.
const QUIET: &str = "warn";

/// The client library of RabbitMQ calls an error what we recover from, and says again what ours say;
/// who names it in the level hears it.
const LOUD: &str = "lapin";

/// Begins to log. `asked` says whether somebody chose the level; `long` whether the command runs
/// until it is stopped, and so has a story to tell.
pub(crate) fn start(section: &LogSection, output: &Output, asked: bool, long: bool) {
    let level = if asked || long { section.level.as_str() } else { QUIET };
    let filter: Targets = level.parse().unwrap_or_default();
    let filter = match level.contains(LOUD) {
        true => filter,
        false => filter.with_target(LOUD, LevelFilter::OFF),
    };
    let human = match section.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => output.stderr_is_terminal(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    // A second start in one process (a test that runs two commands) keeps the first one's logs.
    let _ = if human {
        let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(output.stderr_is_colored());
        registry.with(layer.with_target(false)).try_init()
    } else {
        std::panic::set_hook(Box::new(log_panic));
        let layer = fmt::layer().json().flatten_event(true).with_span_list(false);
        registry.with(layer.with_writer(std::io::stderr)).try_init()
    };
}

/// Writes a panic as an event like all others, where plain text would break what reads the log. A task's panic is that
/// job's failure, which is told beside it.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a value that is no text");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(panic.message = message, panic.place = place, "code panicked");
}

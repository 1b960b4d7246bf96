//! Where text goes: results to standard output, everything else to the error stream.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use celeriac_protocol::Timestamp;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use crate::error::{Code, Failure, Result};

mod paint;
mod size;
mod table;
mod times;

pub(crate) use paint::Paint;
pub(crate) use size::{ByteSize, counted, grouped};
pub(crate) use table::{Cell, Column, Table};
pub(crate) use times::{ago, brief, until};

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Is responsible for what a command prints, and for the form that suits whoever reads it: aligned
/// and coloured on a terminal, tab-separated in a pipe, JSON where that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    stdout: Stream,
    stderr: Stream,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    terminal: bool,
    color: bool,
}

/// The terminal's width where it does not say.
const FALLBACK_WIDTH: usize = 100;

impl Output {
    /// Looks at both streams and at what the environment says about colour.
    pub(crate) fn new(json: bool, quiet: bool, color: ColorChoice) -> Self {
        let stream = |terminal: bool| Stream { terminal, color: color.decide(terminal) };
        Self {
            json,
            quiet,
            stdout: stream(io::stdout().is_terminal()),
            stderr: stream(io::stderr().is_terminal()),
        }
    }

    /// Says whether results are to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Says whether a person watches the error stream, so that a progress line makes sense.
    pub(crate) fn can_animate(&self) -> bool {
        self.stderr.terminal && !self.json && !self.quiet
    }

    /// Says whether a person reads the error stream.
    pub(crate) fn stderr_is_terminal(&self) -> bool {
        self.stderr.terminal
    }

    /// Says whether a person reads the results.
    pub(crate) fn stdout_is_terminal(&self) -> bool {
        self.stdout.terminal
    }

    /// Says whether the error stream is coloured.
    pub(crate) fn stderr_is_colored(&self) -> bool {
        self.stderr.color
    }

    /// Prints one line of the result.
    pub(crate) fn line(&self, text: impl Display) -> Result {
        written(writeln!(io::stdout().lock(), "{text}"))
    }

    /// Prints text of the result as it is.
    pub(crate) fn text(&self, text: &str) -> Result {
        written(io::stdout().lock().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()))
    }

    /// Prints text for people, broken between words where the terminal ends.
    pub(crate) fn paragraph(&self, text: &str) -> Result {
        if !self.stdout.terminal {
            return self.line(text);
        }
        table::wrapped(text, self.width()).iter().try_for_each(|line| self.line(line))
    }

    /// Prints one JSON object in one line.
    pub(crate) fn json(&self, view: &impl Serialize) -> Result {
        let text = serde_json::to_string(view).map_err(|error| {
            Failure::failed_to(Code::Internal, "write the result as JSON").caused_by(&error)
        })?;
        self.line(text)
    }

    /// Prints a list: one JSON object a line, or a table.
    pub(crate) fn list<V: Serialize>(&self, views: &[V], table: impl FnOnce(&[V]) -> Table) -> Result {
        if self.json {
            return views.iter().try_for_each(|view| self.json(view));
        }
        self.table(&table(views))
    }

    /// Prints a table.
    pub(crate) fn table(&self, table: &Table) -> Result {
        let text = if self.stdout.terminal {
            table.for_people(self.width(), self.stdout.color)
        } else {
            table.for_programs()
        };
        self.text(&text)
    }

    /// Prints a table that is part of a text for people, aligned wherever it goes, and cut nowhere but on a
    /// terminal.
    pub(crate) fn table_for_people(&self, table: &Table) -> Result {
        let width = if self.stdout.terminal { self.width() } else { usize::MAX };
        self.text(&table.for_people(width, self.stdout.color))
    }

    /// Says something beside the result to a person; programs and `--quiet` don't hear it.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.json && !self.quiet {
            self.complain(&text.to_string());
        }
    }

    /// Writes a line to the error stream, whoever listens.
    pub(crate) fn complain(&self, text: &str) {
        // Where the error stream is gone, nobody is left to be told.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Writes an instant and how long ago it was: in the viewer's zone for people, in UTC and to the
    /// microsecond otherwise.
    pub(crate) fn told(&self, at: Timestamp, now: Timestamp) -> String {
        let instant = if self.stdout.terminal { times::local(at) } else { at.to_string() };
        format!("{instant} ({})", ago(at, now))
    }

    /// Colours text for standard output.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        paint.on(self.stdout.color, text)
    }

    /// Colours text for the error stream.
    pub(crate) fn paint_stderr(&self, paint: Paint, text: &str) -> String {
        paint.on(self.stderr.color, text)
    }

    /// Returns how many columns there are: as COLUMNS says, or the terminal, or what passes for it.
    #[expect(clippy::disallowed_methods, reason = "the terminal's own conventions come from the environment")]
    pub(crate) fn width(&self) -> usize {
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
        if let Some(columns) = columns.filter(|columns| *columns > 0) {
            return columns;
        }
        terminal_size::terminal_size().map_or(FALLBACK_WIDTH, |(width, _)| usize::from(width.0))
    }
}

impl ColorChoice {
    /// Reads one of the three words.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        PossibleValuesParser::new(["auto", "always", "never"]).map(|word| match word.as_str() {
            "always" => Self::Always,
            "never" => Self::Never,
            _ => Self::Auto,
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the terminal's own conventions come from the environment")]
    fn decide(self, terminal: bool) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                terminal && !dumb && !is_set("NO_COLOR")
            }
        }
    }
}

fn written(result: io::Result<()>) -> Result {
    result.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::plain(Code::OutputClosed, "nobody reads the output any more"),
        _ => Failure::failed_to(Code::Unavailable, "write to standard output").caused_by(&error),
    })
}

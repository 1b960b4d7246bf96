//! The command line: what is the same for every command.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser};

use crate::commands::Command;
use crate::config::{Flag, Given};
use crate::exit::Exit;
use crate::output::ColorChoice;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(about = "Background jobs and table workflows in one binary", long_about = None)]
#[command(disable_help_subcommand = true, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Read settings from this file instead of ./celeriac.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Use this database: a path, or sqlite:PATH
    #[arg(long, short = 'd', global = true, value_name = "URL", alias = "db")]
    pub(crate) database: Option<String>,
    /// Use this queue: database, or the URL of Redis or RabbitMQ
    #[arg(long, short = 'b', global = true, value_name = "URL")]
    pub(crate) broker: Option<String>,
    /// Set any key of the configuration
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// Print results as JSON, lists as one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing beside results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Log error, warn, info, debug or trace, or "info,celeriac_engine=debug"
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// Log for people or for machines
    #[arg(long, global = true, value_name = "FORMAT", value_parser = ["auto", "human", "json"])]
    pub(crate) log_format: Option<String>,
    /// Colour the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_default_value = true, value_parser = ColorChoice::parser())]
    pub(crate) color: ColorChoice,
}

impl Global {
    /// Returns the keys that these flags set.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let named = [
            ("--database", "database.url", &self.database),
            ("--broker", "broker.url", &self.broker),
            ("--log-level", "log.level", &self.log_level),
            ("--log-format", "log.format", &self.log_format),
        ];
        let named = named.into_iter().filter_map(|(name, key, value)| Some(flag(name, key, value.as_ref()?)));
        let set = self.set.iter().map(|(key, value)| flag(&format!("--set {key}"), key, value));
        set.chain(named).collect()
    }
}

/// Says that a flag sets a key.
pub(crate) fn flag(name: &str, key: &str, value: impl ToString) -> Flag {
    Flag { name: name.to_owned(), key: key.to_owned(), value: Given::Text(value.to_string()) }
}

/// Reads `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// What an app's command line depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'a> {
    /// What it is called.
    pub(crate) name: &'a str,
    /// Its version, where it says one.
    pub(crate) version: Option<&'a str>,
    /// Whether it collects sites, and so has the commands for that.
    pub(crate) collects: bool,
}

/// The commands of an app that collects sites.
const OF_COLLECTING: [&str; 2] = ["demo", "collect"];

/// Reads the command line of an app.
pub(crate) fn parse(
    shape: Shape<'_>,
    line: impl IntoIterator<Item = OsString>,
) -> Result<Arguments, clap::Error> {
    let mut definition = definition(shape);
    let matches = definition.try_get_matches_from_mut(line)?;
    if let Some(command) = matches.subcommand_name().filter(|name| OF_COLLECTING.contains(name))
        && !shape.collects
    {
        let refused = format!("unrecognized subcommand '{command}': this app does not collect sites");
        return Err(definition.error(ErrorKind::InvalidSubcommand, refused));
    }
    Arguments::from_arg_matches(&matches)
}

/// Returns the definition of an app's command line, for help and completions.
pub(crate) fn definition(shape: Shape<'_>) -> clap::Command {
    let name = shape.name.to_owned();
    let mut definition = Arguments::command().name(name.clone()).bin_name(name);
    if !shape.collects {
        for command in OF_COLLECTING {
            definition = definition.mut_subcommand(command, |command| command.hide(true));
        }
    }
    let definition = definition.mut_subcommand("workflow", |workflow| named_usage(workflow, shape.name));
    definition.version(shape.version.unwrap_or(env!("CARGO_PKG_VERSION")).to_owned()).after_help(exit_codes())
}

/// Writes the usage of `workflow`, whose name stands before what is done with it.
fn named_usage(workflow: clap::Command, name: &str) -> clap::Command {
    let usage = |rest: &str| format!("{name} workflow {rest}");
    let both = format!(
        "{}\n       {}",
        usage("list"),
        usage("NAME [check | reset | run | settings | set | unset] [OPTIONS]")
    );
    workflow
        .override_usage(both)
        .mut_subcommand("list", |list| list.override_usage(usage("[list]")))
        .mut_subcommand("check", |check| check.override_usage(usage("NAME [check]")))
        .mut_subcommand("reset", |reset| reset.override_usage(usage("NAME reset [OPTIONS]")))
        .mut_subcommand("run", |run| run.override_usage(usage("NAME run")))
}

fn exit_codes() -> String {
    let mut text = "Exit codes:".to_owned();
    for exit in Exit::ALL {
        text.push_str(&format!("\n  {:>3}  {}", exit.number(), exit.meaning()));
    }
    text
}

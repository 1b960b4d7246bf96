//! `config`: the settings in force, the commented defaults, the file.

use celeriac_control::AppParts;
use celeriac_protocol::suggest::did_you_mean;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::config::secret::shown;
use crate::config::{COLLECTING, DEFAULT_FILE, Origin, commented_defaults, is_of_collecting, show};
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::{Cell, Column, Output, Paint, Table};

/// Arguments of `config`.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every setting with its value and where that came from
    Show {
        /// Only this section or key
        key: Option<String>,
    },
    /// Print the commented defaults, ready to be saved as celeriac.toml
    Default,
    /// Print the path of the file in use; the exit code is 1 where there is none
    Path,
}

impl ConfigArgs {
    /// Says whether only the defaults are asked for, which no broken file may stand in the way of.
    pub(super) fn is_default(&self) -> bool {
        matches!(self.action, Action::Default)
    }
}

/// One setting as JSON. The field names are stable.
#[derive(Serialize)]
struct SettingView<'a> {
    key: &'a str,
    value: Value,
    origin: &'a Origin,
}

/// Prints the commented defaults.
pub(super) fn print_default(app: &AppParts, output: &Output) -> Result {
    output.text(&commented_defaults(app))
}

/// Runs the command.
pub(super) fn run(context: &Context, args: &ConfigArgs) -> Result<Exit> {
    match &args.action {
        Action::Show { key } => print(context, key.as_deref()).map(|()| Exit::Done),
        Action::Default => print_default(&context.app, &context.output).map(|()| Exit::Done),
        Action::Path => print_path(context),
    }
}

fn print(context: &Context, wanted: Option<&str>) -> Result {
    let layers = &context.loaded.layers;
    let collects = COLLECTING.iter().all(|name| context.app.has_workflow(name));
    let is_used = |key: &str| collects || !is_of_collecting(key);
    let fits = |key: &str| match wanted {
        _ if !is_used(key) => false,
        Some(wanted) => key == wanted || key.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.')),
        None => true,
    };
    let views: Vec<SettingView<'_>> = layers
        .entries()
        .filter(|entry| fits(entry.key))
        .map(|entry| SettingView { key: entry.key, value: shown(entry.value), origin: entry.origin })
        .collect();
    if let (true, Some(wanted)) = (views.is_empty(), wanted) {
        let error = Failure::failed_to(Code::ConfigUnknownKey, format_args!("show \"{wanted}\""))
            .because("there is no such section or key");
        let known = layers.entries().map(|entry| entry.key).filter(|key| is_used(key)).collect::<Vec<_>>();
        return Err(match did_you_mean(wanted, known) {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
    context.output.list(&views, table)
}

fn table(views: &[SettingView<'_>]) -> Table {
    let columns = [Column::new("KEY"), Column::elastic("VALUE"), Column::elastic("FROM")];
    let mut table = Table::new(columns, "no settings");
    for view in views {
        let paint = if *view.origin == Origin::Default { Paint::Faint } else { Paint::Strong };
        table.row([
            Cell::new(view.key),
            Cell::painted(paint, show(&view.value)),
            Cell::painted(Paint::Faint, view.origin.to_string()),
        ]);
    }
    table
}

fn print_path(context: &Context) -> Result<Exit> {
    match &context.loaded.file {
        Some(path) if context.output.is_json() => {
            context.output.json(&serde_json::json!({ "path": path })).map(|()| Exit::Done)
        }
        Some(path) => context.output.line(path.display()).map(|()| Exit::Done),
        None => {
            context.output.note(format_args!("no file is in use; ./{DEFAULT_FILE} would be read"));
            Ok(Exit::Negative)
        }
    }
}

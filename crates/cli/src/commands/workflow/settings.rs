//! `workflow NAME settings`, `set` and `unset`: how a workflow runs, and changing that while it does.

use std::collections::BTreeSet;

use celeriac_control::workflow::{
    ChangeError, ChangedBy, Lookout, SettingInForce, SettingsDesk, SettingsForm,
};
use celeriac_protocol::suggest::did_you_mean;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::unknown_workflow;
use crate::commands::beat::merge_declared;
use crate::config::{Origin, show};
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::{Cell, Column, Paint, Table};
use crate::platform::{Platform, Use};
use crate::views::instant;

/// Arguments of `workflow NAME set`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    workflow page set batch_size=50 max_instances=2\n  \
    workflow domain set interval=5m jitter=30s\n  \
    workflow sitemap set cron='0 2 * * mon-fri' timezone=Europe/Berlin")]
pub(super) struct SetArgs {
    /// The settings with their new values
    #[arg(value_name = "KEY=VALUE", required = true)]
    changes: Vec<String>,
}

/// Arguments of `workflow NAME unset`.
#[derive(Args, Debug)]
pub(super) struct UnsetArgs {
    /// The settings
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
}

/// One setting. The field names are stable.
#[derive(Serialize)]
struct SettingView<'a> {
    key: &'static str,
    value: &'a Value,
    /// What is declared, where that is not in force.
    declared: Option<&'a Value>,
    /// Where the declared value comes from.
    origin: &'a Origin,
    /// Whether an operator has changed it.
    changed: bool,
    changed_by: Option<&'a str>,
    changed_at: Option<String>,
}

/// Runs `workflow NAME settings`.
pub(super) async fn settings(context: &Context, name: &str) -> Result<Exit> {
    let workflow = find(context, name)?;
    let platform = context.open(Use::Reading).await?;
    let told = SettingsDesk::new(&platform.environment()).settings(&workflow).await;
    print(context, &workflow, &told.map_err(refused)?, &all())
}

/// Runs `workflow NAME set`.
pub(super) async fn set(context: &Context, name: &str, args: &SetArgs) -> Result<Exit> {
    let workflow = find(context, name)?;
    let changes = args.changes.iter().map(|text| change(text)).collect::<Result<Vec<_>>>()?;
    let mut keys: BTreeSet<String> = changes.iter().map(|(key, _)| key.clone()).collect();
    // What goes with it is shown, too.
    if keys.contains("interval") {
        keys.insert("cron".to_owned());
    }
    let platform = context.open(Use::Changing).await?;
    let (desk, by) = (SettingsDesk::new(&platform.environment()), context.operator());
    let mut told = desk.set(&workflow, changes.clone(), &by).await;
    if is_without_entry(&told) {
        declare(context, &platform).await?;
        told = desk.set(&workflow, changes, &by).await;
    }
    print(context, &workflow, &told.map_err(refused)?, &keys)
}

/// Runs `workflow NAME unset`.
pub(super) async fn unset(context: &Context, name: &str, args: &UnsetArgs) -> Result<Exit> {
    let workflow = find(context, name)?;
    let platform = context.open(Use::Changing).await?;
    let (desk, by) = (SettingsDesk::new(&platform.environment()), context.operator());
    let mut told = desk.unset(&workflow, &args.keys, &by).await;
    if is_without_entry(&told) {
        declare(context, &platform).await?;
        told = desk.unset(&workflow, &args.keys, &by).await;
    }
    print(context, &workflow, &told.map_err(refused)?, &args.keys.iter().cloned().collect())
}

fn all() -> BTreeSet<String> {
    SettingsForm::KEYS.into_iter().map(str::to_owned).collect()
}

fn find(context: &Context, name: &str) -> Result<Lookout> {
    let lookouts = context.app.lookouts();
    lookouts.of_workflow(name).ok_or_else(|| unknown_workflow(name, &lookouts.workflows()))
}

/// Reads `batch_size=50`.
fn change(text: &str) -> Result<(String, Value)> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), Value::from(value.trim()))),
        None => Err(Failure::failed_to(Code::Usage, format_args!("read \"{text}\""))
            .because("a setting and its value are wanted, such as batch_size=50")),
    }
}

fn is_without_entry<T>(done: &Result<T, ChangeError>) -> bool {
    matches!(done, Err(ChangeError::NoEntry { .. }))
}

/// Does what the first worker or scheduler would do: until then the jobs of workflows have no entries.
async fn declare(context: &Context, platform: &Platform) -> Result {
    merge_declared(context, platform).await
}

fn refused(error: ChangeError) -> Failure {
    match error {
        ChangeError::Unknown { workflow, setting } => {
            let unknown =
                Failure::failed_to(Code::ConfigUnknownKey, format_args!("change workflow {workflow}"))
                    .because(format_args!("workflows have no setting \"{setting}\""));
            match did_you_mean(&setting, SettingsForm::KEYS) {
                Some(hint) => unknown.hint(hint),
                None => unknown.hint(format!("there are: {}", SettingsForm::KEYS.join(", "))),
            }
        }
        ChangeError::Invalid { setting, value, reason, .. } => {
            Failure::failed_to(Code::ConfigInvalidValue, format_args!("set {setting} = {value}"))
                .because(reason)
        }
        ChangeError::Schedule { source, .. } => source.into(),
        ChangeError::Store(source) => source.into(),
        ChangeError::Database(source) => source.into(),
        // A worker or the beat adds its entry when it starts, and so did this command.
        error => Failure::failed_to(Code::UnknownSchedule, error)
            .hint("`schedule diff` says why it is not declared"),
    }
}

fn print(
    context: &Context,
    workflow: &Lookout,
    settings: &[SettingInForce],
    keys: &BTreeSet<String>,
) -> Result<Exit> {
    let shown = settings.iter().filter(|setting| keys.contains(setting.name));
    let views: Vec<SettingView<'_>> = shown.map(|setting| view(context, workflow, setting)).collect();
    context.output.list(&views, table)?;
    Ok(Exit::Done)
}

fn view<'a>(context: &'a Context, workflow: &Lookout, setting: &'a SettingInForce) -> SettingView<'a> {
    let origin = context.loaded.layers.origin(&format!("workflow.{}.{}", workflow.workflow(), setting.name));
    let changed: Option<&ChangedBy> = setting.changed.as_ref();
    SettingView {
        key: setting.name,
        value: &setting.value,
        declared: changed.map(|_| &setting.declared),
        origin,
        changed: changed.is_some(),
        changed_by: changed.and_then(|changed| changed.by.as_deref()),
        changed_at: changed.map(|changed| instant(changed.at)),
    }
}

fn table(views: &[SettingView<'_>]) -> Table {
    let columns = [Column::new("SETTING"), Column::elastic("VALUE"), Column::elastic("FROM")];
    let mut table = Table::new(columns, "no settings");
    for view in views {
        let is_default = !view.changed && *view.origin == Origin::Default;
        let paint = if is_default { Paint::Faint } else { Paint::Strong };
        table.row([
            Cell::new(view.key),
            Cell::painted(paint, show(view.value)),
            Cell::painted(Paint::Faint, from(view)),
        ]);
    }
    table
}

/// Says where a value comes from, in words.
fn from(view: &SettingView<'_>) -> String {
    let (Some(at), declared) = (&view.changed_at, view.declared.map(show).unwrap_or_default()) else {
        return view.origin.to_string();
    };
    let by = view.changed_by.map_or_else(|| "in the schedule".to_owned(), |by| format!("by {by}"));
    format!("changed {by} at {at}; {}: {declared}", view.origin)
}

//! `migrate`: the database's tables, brought up to date or taken back.

use celeriac_db::{MigrationSet, MigrationState};
use celeriac_protocol::Timestamp;
use celeriac_protocol::suggest::did_you_mean;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::{Cell, Column, Paint, Table, ago};
use crate::platform::{migrate, migration_lines, open_bare, open_to_look};
use crate::views::instant;

/// Arguments of `migrate`.
#[derive(Args, Debug)]
#[command(after_help = "The embedded database is brought up to date by every command that needs it; \
    `migrate` is for looking, and for going back before an older version is installed.")]
pub(crate) struct MigrateArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all migrations; the exit code is 1 where some are pending
    Status,
    /// Make all that are pending
    Up,
    /// Take migrations back, newest first; rows that only they knew are lost
    Down(DownArgs),
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false, id = "how_far")]
struct Target {
    /// Stop when this migration is the newest one left of its line
    #[arg(long, value_name = "MIGRATION")]
    to: Option<String>,
    /// Take back the whole line of this owner
    #[arg(long, value_name = "OWNER")]
    all_of: Option<String>,
}

#[derive(Args, Debug)]
struct DownArgs {
    #[command(flatten)]
    target: Target,
}

/// A migration as JSON. The field names are stable.
#[derive(Serialize)]
struct MigrationView {
    owner: &'static str,
    name: String,
    state: &'static str,
    applied_at: Option<String>,
    #[serde(skip)]
    at: Option<Timestamp>,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: MigrateArgs) -> Result<Exit> {
    match args.action {
        None | Some(Action::Status) => status(context).await,
        Some(Action::Up) => up(context).await,
        Some(Action::Down(args)) => down(context, &args.target).await,
    }
}

async fn status(context: &Context) -> Result<Exit> {
    let database = open_to_look(context).await?;
    let mut views = Vec::new();
    for line in migration_lines(context) {
        for status in line.status(database.reader()).await? {
            views.push(view(line.owner, status.name, status.state));
        }
    }
    let now = context.clock.now();
    context.output.list(&views, |views| table(views, now))?;
    let is_current = views.iter().all(|view| view.state == "applied");
    Ok(if is_current { Exit::Done } else { Exit::Negative })
}

fn view(owner: &'static str, name: String, state: MigrationState) -> MigrationView {
    let (state, at) = match state {
        MigrationState::Applied(at) => ("applied", Some(at)),
        MigrationState::Pending => ("pending", None),
        MigrationState::Unknown(at) => ("unknown", Some(at)),
    };
    let at = at.map(Timestamp::from_micros);
    MigrationView { owner, name, state, applied_at: at.map(instant), at }
}

fn table(views: &[MigrationView], now: Timestamp) -> Table {
    let columns = [
        Column::new("OWNER").spare(),
        Column::new("MIGRATION"),
        Column::new("STATE"),
        Column::new("APPLIED"),
    ];
    let mut table = Table::new(columns, "no migrations");
    for view in views {
        let paint = match view.state {
            "applied" => Paint::Good,
            "pending" => Paint::Warning,
            _ => Paint::Bad,
        };
        let applied = view.at.map(|at| ago(at, now)).unwrap_or_default();
        table.row([
            Cell::new(view.owner),
            Cell::new(&view.name),
            Cell::painted(paint, view.state),
            Cell::painted(Paint::Faint, applied).exactly(view.applied_at.clone().unwrap_or_default()),
        ]);
    }
    table
}

async fn up(context: &Context) -> Result<Exit> {
    let database = open_bare(context, true).await?;
    let made = migrate(context, &database).await?;
    database.close().await;
    say(context, "made", &made)
}

async fn down(context: &Context, target: &Target) -> Result<Exit> {
    let (line, newest_left) = find_line(context, target)?;
    let database = open_bare(context, false).await?;
    let undone = line.down_to(&database, newest_left).await?;
    database.close().await;
    let undone: Vec<_> = undone.into_iter().map(|name| (line.owner, name)).collect();
    say(context, "taken back", &undone)
}

fn find_line<'a>(context: &Context, target: &'a Target) -> Result<(MigrationSet, Option<&'a str>)> {
    let lines = migration_lines(context);
    if let Some(name) = &target.to {
        let holds = |line: &MigrationSet| line.migrations.iter().any(|migration| migration.name == name);
        let names = lines.iter().flat_map(|line| line.migrations.iter().map(|migration| migration.name));
        let names: Vec<&str> = names.collect();
        let found = lines.iter().find(|line| holds(line)).copied();
        return found
            .map(|line| (line, Some(name.as_str())))
            .ok_or_else(|| unknown("migration", name, &names));
    }
    let owner = target.all_of.as_deref().unwrap_or_default();
    let owners: Vec<&str> = lines.iter().map(|line| line.owner).collect();
    let found = lines.iter().find(|line| line.owner == owner).copied();
    found.map(|line| (line, None)).ok_or_else(|| unknown("owner of migrations", owner, &owners))
}

fn unknown(what: &str, given: &str, known: &[&str]) -> Failure {
    let error = Failure::plain(Code::UnknownMigration, format!("there is no {what} \"{given}\""));
    match did_you_mean(given, known.iter().copied()) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn say(context: &Context, done: &'static str, changed: &[(&'static str, &'static str)]) -> Result<Exit> {
    let output = &context.output;
    if output.is_json() {
        let names = |(owner, name): &(&str, &str)| serde_json::json!({ "owner": owner, "name": name });
        let changed: Vec<_> = changed.iter().map(names).collect();
        output.json(&serde_json::json!({ "migrations": changed }))?;
    } else if changed.is_empty() {
        output.note("nothing to do");
    } else {
        changed.iter().try_for_each(|(owner, name)| output.line(format_args!("{owner} {name} {done}")))?;
    }
    Ok(Exit::Done)
}

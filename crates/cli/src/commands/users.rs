//! `users`: people who log in to the dashboard.

use celeriac_control::access::Scope;
use celeriac_server::views::UserView;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::access::{self, scope_parser, user_named};
use super::password;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::platform::Use;
use crate::views::users_table;

/// Arguments of `users`.
#[derive(Args, Debug)]
pub(crate) struct UsersArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the users
    List,
    /// Make a user; the password is asked for, or read as a line from standard input
    Add {
        /// The name; capitals don't matter
        name: String,
        /// What the user may do: read, enqueue (and read), operate (and both), admin (and all)
        #[arg(long, short, default_value = "read", hide_possible_values = true, value_parser = scope_parser())]
        scope: Scope,
    },
    /// Set another password, and end the user's sessions
    Password {
        /// The user
        name: String,
    },
    /// Let a user log in no more, and end the user's sessions
    Disable {
        /// The user
        name: String,
    },
    /// Let a disabled user log in again
    Enable {
        /// The user
        name: String,
    },
    /// Change what a user may do, in sessions that go on as well where it is less
    Scope {
        /// The user
        name: String,
        /// read, enqueue, operate or admin
        #[arg(hide_possible_values = true, value_parser = scope_parser())]
        scope: Scope,
    },
}

/// What a change came to, as JSON. The field names are stable.
#[derive(Serialize)]
struct ChangeView<'a> {
    name: &'a str,
    changed: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: UsersArgs) -> Result<Exit> {
    match args.action {
        Action::List => list(context).await,
        Action::Add { name, scope } => add(context, &name, scope).await,
        Action::Password { name } => set_password(context, &name).await,
        Action::Disable { name } => set_disabled(context, &name, true).await,
        Action::Enable { name } => set_disabled(context, &name, false).await,
        Action::Scope { name, scope } => set_scope(context, &name, scope).await,
    }
}

async fn list(context: &Context) -> Result<Exit> {
    let desk = access::desk(context, Use::Reading).await?;
    let now = context.clock.now();
    let views: Vec<UserView> = desk.users().await?.into_iter().map(Into::into).collect();
    context.output.list(&views, |views| users_table(views, now))?;
    Ok(Exit::Done)
}

async fn add(context: &Context, name: &str, scope: Scope) -> Result<Exit> {
    let desk = access::desk(context, Use::Creating).await?;
    let password = password::ask(&context.output, name)?;
    desk.add_user(&access::caller(context), name, password, scope).await?;
    let told = format!("added; may {scope}");
    report(context, &ChangeView { name, changed: "added", scope: Some(scope.as_str()) }, &told)
}

async fn set_password(context: &Context, name: &str) -> Result<Exit> {
    let desk = access::desk(context, Use::Changing).await?;
    let password = password::ask(&context.output, name)?;
    let done = desk.set_password(&access::caller(context), name, password).await;
    user_named(&desk, name, done).await?;
    let told = "has another password, and no sessions";
    report(context, &ChangeView { name, changed: "password", scope: None }, told)
}

async fn set_disabled(context: &Context, name: &str, disabled: bool) -> Result<Exit> {
    let desk = access::desk(context, Use::Changing).await?;
    let done = desk.set_disabled(&access::caller(context), name, disabled).await;
    user_named(&desk, name, done).await?;
    let changed = if disabled { "disabled" } else { "enabled" };
    report(context, &ChangeView { name, changed, scope: None }, changed)
}

async fn set_scope(context: &Context, name: &str, scope: Scope) -> Result<Exit> {
    let desk = access::desk(context, Use::Changing).await?;
    let done = desk.set_scope(&access::caller(context), name, scope).await;
    user_named(&desk, name, done).await?;
    let told = format!("may {scope}");
    report(context, &ChangeView { name, changed: "scope", scope: Some(scope.as_str()) }, &told)
}

fn report(context: &Context, view: &ChangeView<'_>, told: &str) -> Result<Exit> {
    let output = &context.output;
    if output.is_json() {
        output.json(view)?;
    } else {
        output.line(format_args!("user {} {told}", view.name))?;
    }
    Ok(Exit::Done)
}

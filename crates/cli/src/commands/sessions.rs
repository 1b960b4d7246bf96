//! `sessions`: logins of the dashboard.

use celeriac_control::access::SessionsOf;
use celeriac_server::views::SessionView;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::access::{self, user_named};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::counted;
use crate::platform::Use;
use crate::views::sessions_table;

/// Arguments of `sessions`.
#[derive(Args, Debug)]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the logins that go on, the one used last first
    List,
    /// End logins: one by its number, those of a user, or all
    Revoke(RevokeArgs),
}

/// Arguments of `sessions revoke`.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct RevokeArgs {
    /// The session, by its number
    id: Option<i64>,
    /// All sessions of this user
    #[arg(long, short, value_name = "NAME")]
    user: Option<String>,
    /// All sessions
    #[arg(long)]
    all: bool,
}

/// What an end came to, as JSON. The field names are stable.
#[derive(Serialize)]
struct RevokedView {
    revoked: u64,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: SessionsArgs) -> Result<Exit> {
    match args.action {
        Action::List => list(context).await,
        Action::Revoke(args) => revoke(context, args).await,
    }
}

async fn list(context: &Context) -> Result<Exit> {
    let desk = access::desk(context, Use::Reading).await?;
    let now = context.clock.now();
    let sessions = desk.sessions(SessionsOf::Everybody).await?;
    let views: Vec<SessionView> = sessions.into_iter().map(Into::into).collect();
    context.output.list(&views, |views| sessions_table(views, now))?;
    Ok(Exit::Done)
}

async fn revoke(context: &Context, args: RevokeArgs) -> Result<Exit> {
    let desk = access::desk(context, Use::Changing).await?;
    let by = access::caller(context);
    let revoked = match (args.id, args.user) {
        (Some(id), _) => desk.end_session(&by, id).await.map(|()| 1)?,
        (None, Some(name)) => user_named(&desk, &name, desk.end_sessions(&by, Some(&name)).await).await?,
        (None, None) => desk.end_sessions(&by, None).await?,
    };
    let output = &context.output;
    if output.is_json() {
        output.json(&RevokedView { revoked })?;
    } else {
        output.line(format_args!("{} ended", counted(revoked, "session")))?;
    }
    Ok(Exit::Done)
}

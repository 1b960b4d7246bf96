//! `audit`: what was done, and by whom.

use celeriac_control::access::{AuditFilter, AuditOutcome, Via};
use celeriac_server::views::AuditView;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::access;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::platform::Use;
use crate::values::When;
use crate::views::audit_table;

/// Arguments of `audit`.
#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what was done, newest first
    List(ListArgs),
}

/// Arguments of `audit list`.
#[derive(Args, Debug)]
struct ListArgs {
    /// Only what this user, token or operator did
    #[arg(long, short)]
    who: Option<String>,
    /// Only what came this way in: token, session, cli or loopback
    #[arg(long, hide_possible_values = true, value_parser = via())]
    via: Option<Via>,
    /// Only this action, such as jobs.cancel; "jobs." for all to do with jobs
    #[arg(long, short)]
    action: Option<String>,
    /// Only what was done to this: an id or a name
    #[arg(long, short)]
    object: Option<String>,
    /// Only what came to this: done, refused or failed
    #[arg(long, hide_possible_values = true, value_parser = outcome())]
    outcome: Option<String>,
    /// Only since then: a time, or a span such as 2h
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,
    /// Only before then
    #[arg(long, value_name = "WHEN")]
    until: Option<When>,
    /// At most this many
    #[arg(long, short, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Go on behind the entry with this cursor
    #[arg(long)]
    cursor: Option<i64>,
}

fn via() -> impl TypedValueParser<Value = Via> {
    PossibleValuesParser::new(Via::ALL.map(Via::as_str)).try_map(|word| word.parse::<Via>())
}

fn outcome() -> PossibleValuesParser {
    let all = [AuditOutcome::Done, AuditOutcome::Refused, AuditOutcome::Failed];
    PossibleValuesParser::new(all.map(AuditOutcome::as_str))
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: AuditArgs) -> Result<Exit> {
    let Action::List(args) = args.action;
    list(context, args).await
}

async fn list(context: &Context, args: ListArgs) -> Result<Exit> {
    let desk = access::desk(context, Use::Reading).await?;
    let now = context.clock.now();
    let filter = AuditFilter {
        who: args.who,
        via: args.via,
        action: args.action,
        object: args.object,
        outcome: args.outcome,
        since: args.since.map(|when| when.back(now)),
        until: args.until.map(|when| when.back(now)),
    };
    let page = desk.audit_log(&filter, args.cursor, args.limit).await?;
    let views: Vec<AuditView> = page.entries.into_iter().map(Into::into).collect();
    context.output.list(&views, |views| audit_table(views, now))?;
    if let (Some(next), true) = (page.next, context.output.stdout_is_terminal()) {
        context.output.note(format_args!("there are more: --cursor {next}"));
    }
    Ok(Exit::Done)
}

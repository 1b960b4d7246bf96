//! `tokens`: what programs call the API with.

use celeriac_control::access::{AccessDesk, AccessError, Scope};
use celeriac_protocol::suggest::did_you_mean;
use celeriac_server::views::{FreshTokenView, TokenView};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::access::{self, scope_parser};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::platform::Use;
use crate::values::When;
use crate::views::tokens_table;

/// Arguments of `tokens`.
#[derive(Args, Debug)]
pub(crate) struct TokensArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the tokens in use
    List {
        /// Those that are revoked or expired as well
        #[arg(long, short)]
        all: bool,
    },
    /// Make a token and print it, this once
    Add(AddArgs),
    /// Refuse a token from now on, and end the logins that were begun with it
    Revoke {
        /// The token
        name: String,
    },
}

/// Arguments of `tokens add`.
#[derive(Args, Debug)]
struct AddArgs {
    /// What it is to be called
    name: String,
    /// What it may do: read, enqueue (and read), operate (and both), admin (and all)
    #[arg(long, short, default_value = "read", hide_possible_values = true, value_parser = scope_parser())]
    scope: Scope,
    /// From when on it is refused: a time, or a span from now such as 90d [default: never]
    #[arg(long, short, value_name = "WHEN")]
    expires: Option<When>,
}

/// What a revocation came to, as JSON. The field names are stable.
#[derive(Serialize)]
struct RevokedView<'a> {
    name: &'a str,
    revoked: bool,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: TokensArgs) -> Result<Exit> {
    match args.action {
        Action::List { all } => list(context, all).await,
        Action::Add(args) => add(context, &args).await,
        Action::Revoke { name } => revoke(context, &name).await,
    }
}

async fn list(context: &Context, all: bool) -> Result<Exit> {
    let desk = access::desk(context, Use::Reading).await?;
    let now = context.clock.now();
    let tokens = desk.tokens(all).await?;
    let views: Vec<TokenView> = tokens.into_iter().map(|token| TokenView::new(token, now)).collect();
    context.output.list(&views, |views| tokens_table(views, now))?;
    Ok(Exit::Done)
}

/// The text alone goes to standard output, so that a script can take it from there.
async fn add(context: &Context, args: &AddArgs) -> Result<Exit> {
    let desk = access::desk(context, Use::Creating).await?;
    let ends = args.expires.map(|when| when.ahead(context.clock.now()));
    let made = desk.add_token(&access::caller(context), &args.name, args.scope, ends).await?;
    let (output, view) = (&context.output, FreshTokenView::from(made));
    if output.is_json() {
        output.json(&view)?;
    } else {
        output.line(&view.token)?;
        let until = view.expires_at.map(|end| format!(" until {end}")).unwrap_or_default();
        output.note(format_args!(
            "token {} may {}{until}; it is shown this once, and can't be found again",
            view.name, view.scope
        ));
    }
    Ok(Exit::Done)
}

async fn revoke(context: &Context, name: &str) -> Result<Exit> {
    let desk = access::desk(context, Use::Changing).await?;
    match desk.revoke_token(&access::caller(context), name).await {
        Ok(()) => {}
        Err(error @ AccessError::UnknownToken { .. }) => return Err(unknown(&desk, error, name).await?),
        Err(error) => return Err(error.into()),
    }
    let output = &context.output;
    if output.is_json() {
        output.json(&RevokedView { name, revoked: true })?;
    } else {
        output.line(format_args!("token {name} revoked"))?;
    }
    Ok(Exit::Done)
}

async fn unknown(desk: &AccessDesk, error: AccessError, name: &str) -> Result<Failure> {
    let names: Vec<String> = desk.tokens(false).await?.into_iter().map(|token| token.name).collect();
    let error = Failure::from(error);
    Ok(match did_you_mean(name, names.iter().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

//! What the commands about who may do what share.

use std::sync::Arc;

use celeriac_control::access::{AccessDesk, Caller, Scope};
use celeriac_protocol::suggest::did_you_mean;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::platform::Use;

/// Opens the desk; the queue's server is not needed for it.
pub(super) async fn desk(context: &Context, used_for: Use) -> Result<AccessDesk> {
    let database = context.open_database(used_for).await?;
    let settings = context.loaded.config.access.settings();
    Ok(AccessDesk::new(database, Arc::clone(&context.clock), settings)?)
}

/// Returns who types.
pub(super) fn caller(context: &Context) -> Caller {
    Caller::cli(context.operator())
}

/// Reads a scope; what is none is answered with those that there are.
pub(super) fn scope_parser() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|word| word.parse::<Scope>())
}

/// Says which user may have been meant, where there is none of a name.
pub(super) async fn user_named<T>(
    desk: &AccessDesk,
    name: &str,
    done: Result<T, impl Into<Failure>>,
) -> Result<T> {
    let error: Failure = match done {
        Ok(done) => return Ok(done),
        Err(error) => error.into(),
    };
    if error.code() != Code::UnknownUser {
        return Err(error);
    }
    let names: Vec<String> = desk.users().await?.into_iter().map(|user| user.name).collect();
    Err(match did_you_mean(name, names.iter().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

//! The server that the queue is in, where that is not the database.

use celeriac_broker::{BrokerAdmin, Danger, Gravity};

use super::finding::Finding;
use crate::context::Context;
use crate::error::CliError;

/// Checks that the server can be reached and keeps what it is given; says whether the queue can be used.
pub(super) async fn check(context: &Context, findings: &mut Vec<Finding>) -> bool {
    let dangers = match context.open_redis().await {
        Ok(None) => return true,
        Ok(Some(redis)) => redis.dangers().await,
        Err(error) => {
            findings.push(Finding::failed("broker", &error));
            return false;
        }
    };
    match dangers {
        Ok(dangers) if dangers.is_empty() => {
            findings.push(Finding::ok("broker", context.loaded.config.broker.url.shown()));
        }
        Ok(dangers) => findings.extend(dangers.into_iter().map(told)),
        Err(error) => findings.push(Finding::failed("broker", &CliError::from(error))),
    }
    true
}

fn told(danger: Danger) -> Finding {
    match danger.gravity {
        Gravity::Serious => Finding::wrong("broker", danger.what, danger.advice),
        Gravity::Rare => Finding::warning("broker", danger.what, danger.advice),
    }
}

//! The servers that queue and results are in, where that is not the database.

use celeriac_broker::{Danger, Gravity};

use super::finding::Finding;
use crate::context::Context;
use crate::error::CliError;

/// Checks both; says whether they can be used.
pub(super) async fn check(context: &Context, findings: &mut Vec<Finding>) -> bool {
    let has_queue = queue(context, findings).await;
    let has_results = match context.open_result_store().await {
        Ok(None) => return has_queue,
        Ok(Some(_)) => Finding::ok("results", context.loaded.config.results.url.shown()),
        Err(error) => Finding::failed("results", &error),
    };
    let is_well = has_results.is_ok();
    findings.push(has_results);
    has_queue && is_well
}

/// Checks that the server can be reached and keeps what it is given; says whether the queue can be used.
async fn queue(context: &Context, findings: &mut Vec<Finding>) -> bool {
    let dangers = match context.open_queue_server(Vec::new()).await {
        Ok(None) => return true,
        Ok(Some(broker)) => broker.admin().dangers().await,
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

//! The servers that queue and results are in, where that is not the database.

use celeriac_control::health::{Finding, of_dangers};

use super::finding::failed;
use crate::context::Context;
use crate::error::Failure;

/// Checks both; says whether they can be used.
pub(super) async fn check(context: &Context, findings: &mut Vec<Finding>) -> bool {
    let has_queue = queue(context, findings).await;
    let has_results = match context.open_result_store().await {
        Ok(None) => return has_queue,
        Ok(Some(_)) => Finding::ok("results", context.loaded.config.results.url.shown()),
        Err(error) => failed("results", &error),
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
            findings.push(failed("broker", &error));
            return false;
        }
    };
    match dangers {
        Ok(dangers) if dangers.is_empty() => {
            findings.push(Finding::ok("broker", context.loaded.config.broker.url.shown()));
        }
        Ok(dangers) => findings.extend(of_dangers(dangers)),
        Err(error) => findings.push(failed("broker", &Failure::from(error))),
    }
    true
}

//! The queue: does it answer, and does its server keep what it is given?

use celeriac_broker::{Danger, Gravity};
use celeriac_engine::Client;

use super::{Finding, HealthError};

const CHECK: &str = "broker";

/// Asks the queue what waits in it, and its server what would lose messages.
pub(super) async fn check(client: &Client) -> Finding {
    look(client).await.unwrap_or_else(|error| error.found_by(CHECK))
}

async fn look(client: &Client) -> Result<Finding, HealthError> {
    let admin = client.broker().admin();
    let queues = admin.open_queues().await?.len();
    let dangers = admin.dangers().await?;
    if !dangers.is_empty() {
        return Ok(Finding::joined(CHECK, of_dangers(dangers)));
    }
    let name = client.broker().capabilities().name;
    let detail = match queues {
        0 => format!("{name} answers; nothing is ready"),
        1 => format!("{name} answers; jobs are ready in 1 queue"),
        more => format!("{name} answers; jobs are ready in {more} queues"),
    };
    Ok(Finding::ok(CHECK, detail))
}

/// Tells of dangers, one finding each.
pub fn of_dangers(dangers: Vec<Danger>) -> Vec<Finding> {
    let told = |danger: Danger| match danger.gravity {
        Gravity::Serious => Finding::wrong(CHECK, danger.what, danger.advice),
        Gravity::Rare => Finding::warning(CHECK, danger.what, danger.advice),
    };
    dangers.into_iter().map(told).collect()
}

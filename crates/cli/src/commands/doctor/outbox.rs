//! The outbox: jobs that were enqueued within a transaction, while their queue is in a server.

use std::sync::Arc;

use celeriac_broker::sql;
use celeriac_control::health::{Finding, UNTAKEN};
use celeriac_db::Database;
use celeriac_engine::{OutboxState, RefusedState};
use celeriac_protocol::Timestamp;

use super::finding::failed;
use crate::context::Context;
use crate::error::Failure;
use crate::output::{brief, counted};

/// Looks for jobs that no relay hands on, or that their server refuses. The server need not be there for that.
pub(super) async fn check(context: &Context, database: &Database) -> Finding {
    let outbox = sql::broker(database.clone(), Arc::clone(&context.clock));
    match OutboxState::of(&*outbox).await {
        Ok(state) => finding(&state, context.clock.now()),
        Err(error) => failed("outbox", &Failure::from(error)),
    }
}

fn finding(state: &OutboxState, now: Timestamp) -> Finding {
    let told = format!("{} to be handed on", counted(state.waiting, "job"));
    let waited = state.oldest_at.map(|at| now.since(at)).filter(|waited| *waited > UNTAKEN);
    let late = waited.map(|waited| format!("{told}, the oldest for {}", brief(waited)));
    match (&state.refused, late) {
        (Some(refused), late) => {
            let detail = late.into_iter().chain([refusals(refused, now)]).collect::<Vec<_>>().join("; ");
            let hint = "mend what the error names, and they are handed on; `jobs cancel` takes one out; what the queue's server never takes is a dead letter after some twenty minutes";
            Finding::warning("outbox", detail, hint)
        }
        (None, Some(late)) => {
            let hint = "start a `worker` on this database, whose relay hands them on; where one runs, look whether the queue's server is there";
            Finding::warning("outbox", late, hint)
        }
        (None, None) => Finding::ok("outbox", told),
    }
}

fn refusals(refused: &RefusedState, now: Timestamp) -> String {
    let RefusedState { messages, since, error } = refused;
    let waited = brief(now.since(*since));
    format!("{} refused by the queue's server, the first {waited} ago: {error}", counted(*messages, "job"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(state: &OutboxState, is_ok: bool, words: &[&str]) {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let finding = finding(state, now);
        let told = format!("{finding:?}");
        assert_eq!(finding.is_ok(), is_ok, "{told}");
        words.iter().for_each(|word| assert!(told.contains(word), "{word} in {told}"));
    }

    #[test]
    fn outbox_tells_who_waits_for_how_long_and_why() {
        let since = |seconds| Timestamp::from_millis(1_800_000_000_000) - Duration::from_secs(seconds);
        let calm = OutboxState { waiting: 1, oldest_at: Some(since(1)), refused: None };
        check(&calm, true, &["1 job to be handed on"]);
        let late = OutboxState { oldest_at: Some(since(60)), ..calm.clone() };
        check(&late, false, &["the oldest for 1m", "start a `worker`"]);
        let refused = RefusedState { messages: 2, since: since(120), error: "no exchange".to_owned() };
        let refused = OutboxState { refused: Some(refused), ..calm };
        check(&refused, false, &["2 jobs refused", "2m", "no exchange", "jobs cancel"]);
    }
}

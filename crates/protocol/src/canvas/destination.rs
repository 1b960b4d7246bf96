//! Where a signature is sent to, by the rules of Celery's `apply_async`.

use super::next::{countdown_of, eta_of};
use super::signature::{Members, Signature};
use crate::Address;

/// Where a task that follows is to be sent, as its signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination<'s> {
    /// The task's name.
    pub task: &'s str,
    /// An [`Address`] as text; nothing where the route of the task says it.
    pub address: Option<String>,
    /// Whether its message is to wait for a time.
    pub waits: bool,
}

impl<'s> Destination<'s> {
    pub(super) fn of(signature: &'s Signature) -> Self {
        let options = &signature.options;
        let waits = countdown_of(options).is_some_and(|span| !span.is_zero()) || eta_of(options).is_some();
        Self { task: &signature.task, address: address(options), waits }
    }
}

/// Returns where options send a message; nothing where they leave it to the route of the task.
///
/// An exchange with a key comes before a queue. A key alone says nothing, nor does an exchange alone unless it is
/// said to be none of the direct ones: Celery goes by the queue then. The exchange of a queue and its key bear the
/// queue's name where nobody names them.
pub(super) fn address(options: &Members) -> Option<String> {
    let said = |name| options.read::<String>(name).filter(|text| !text.is_empty());
    let is_direct = said("exchange_type").is_none_or(|kind| kind == "direct");
    match (said("exchange"), said("routing_key")) {
        (Some(exchange), Some(key)) if is_direct && exchange == key => Some(key),
        (Some(exchange), key) if key.is_some() || !is_direct => {
            let routing_key = key.as_deref().unwrap_or_default();
            Some(Address::Exchange { name: &exchange, routing_key }.to_string())
        }
        _ => said("queue"),
    }
}

//! Renews the leases on what the worker holds, and hears of cancellations and of lost leases by it.

use std::sync::Arc;

use celeriac_broker::{LeaseTag, Renewal};
use celeriac_protocol::error_text;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::ctx::StopReason;

/// How many renewals fall into one lease, so that two may fail before it ends.
const RENEWALS_PER_LEASE: u32 = 3;

/// How many leases are renewed in one call.
const RENEW_CHUNK: usize = 1_000;

/// Renews until told to stop: three times in a lease, and at once when somebody may have cancelled
/// what is held. A notice of that is only a reason to look; the transport's answer is the truth.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let period = shared.options.lease / RENEWALS_PER_LEASE;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.clock().sleep(period) => renew(&shared).await,
            () = shared.look_at_leases.notified() => renew(&shared).await,
        }
    }
}

async fn renew(shared: &Shared) {
    for tags in shared.held.tags().chunks(RENEW_CHUNK) {
        match shared.client.broker().renew(tags, shared.options.lease).await {
            Ok(renewals) => {
                for (tag, renewal) in tags.iter().zip(renewals) {
                    heed(shared, *tag, renewal);
                }
            }
            Err(error) => {
                let error = error_text(&error);
                tracing::warn!(worker = %shared.name, error, "leases could not be renewed, trying again");
            }
        }
    }
}

fn heed(shared: &Shared, tag: LeaseTag, renewal: Renewal) {
    let now = shared.clock().now();
    match renewal {
        Renewal::Held { cancel_requested: None } => {}
        Renewal::Held { cancel_requested: Some(why) } => shared.held.cancel(tag, why, now),
        Renewal::Lost => shared.held.stop(tag, StopReason::LeaseLost, now),
    }
}

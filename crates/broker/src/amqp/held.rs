//! What this process holds: a lease is a message of a channel that lives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use celeriac_protocol::JobId;

use super::intake::Shelf;
use crate::{LeaseTag, Renewal};

/// A message that is held.
#[derive(Clone)]
pub(super) struct Holding {
    pub(super) id: JobId,
    /// Where it came from, and is acknowledged.
    pub(super) shelf: Arc<Shelf>,
}

/// Is responsible for knowing what is held. Its size is what the workers of this process hold.
#[derive(Default)]
pub(super) struct Held {
    leases: Mutex<HashMap<LeaseTag, Lease>>,
}

struct Lease {
    holding: Holding,
    cancel: Option<String>,
}

impl Held {
    fn leases(&self) -> MutexGuard<'_, HashMap<LeaseTag, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self, tag: LeaseTag, holding: Holding) {
        self.leases().insert(tag, Lease { holding, cancel: None });
    }

    /// Ends a lease; `None` where it has ended already.
    pub(super) fn claim(&self, tag: LeaseTag) -> Option<Holding> {
        let lease = self.leases().remove(&tag)?;
        lease.holding.shelf.is_alive().then_some(lease.holding)
    }

    pub(super) fn renew(&self, tag: LeaseTag) -> Renewal {
        let mut leases = self.leases();
        match leases.get(&tag) {
            Some(lease) if lease.holding.shelf.is_alive() => {
                Renewal::Held { cancel_requested: lease.cancel.clone() }
            }
            Some(_) => {
                leases.remove(&tag);
                Renewal::Lost
            }
            None => Renewal::Lost,
        }
    }

    /// Marks a job as to be cancelled; says whether it is held here. The first reason stays.
    pub(super) fn cancel(&self, id: &JobId, reason: &str) -> bool {
        let mut is_held = false;
        for lease in self.leases().values_mut().filter(|lease| lease.holding.id == *id) {
            if lease.holding.shelf.is_alive() {
                lease.cancel.get_or_insert_with(|| reason.to_owned());
                is_held = true;
            }
        }
        is_held
    }

    /// Forgets what is lost, and returns whose leases these were.
    pub(super) fn forget_lost(&self) -> Vec<JobId> {
        let lost = self.leases().extract_if(|_, lease| !lease.holding.shelf.is_alive()).collect::<Vec<_>>();
        lost.into_iter().map(|(_, lease)| lease.holding.id).collect()
    }
}

//! Puts prepared messages into the queue and into the record, and tells who listens.

use std::collections::{HashMap, HashSet};

use celeriac_broker::{Publication, SqlBroker};
use celeriac_db::DbTx;
use celeriac_protocol::{Envelope, JobEvent, JobId, RecordLevel, What};

use super::{Client, outbox, recorded};
use crate::EnqueueError;
use crate::recorder::SqlRecorder;
use crate::signature::Prepared;

/// The id that each message ended up under, and what happened to those that were stored.
type Published = (Vec<JobId>, Vec<JobEvent>);

impl Client {
    /// Publishes a chunk of messages, whole or not at all as far as the [transport](celeriac_broker::Broker::publish) can.
    pub(super) async fn publish(&self, mut prepared: Vec<Prepared>) -> Result<Vec<JobId>, EnqueueError> {
        let (broker, recorder) = (&self.inner.broker, &self.inner.recorder);
        // What leaves no record needs no transaction with it.
        let shared = self.shared_database().filter(|_| prepared.iter().any(leaves_a_record));
        let (ids, events) = if let Some(sql) = shared {
            let this = self.clone();
            let publish = async move |tx: &DbTx| {
                let sql = this.inner.broker.sql().expect("it has a transactional side, as it was just used");
                let recorder = this.inner.recorder.sql();
                if let Some(recorder) = recorder {
                    let known = recorder.generations_in(tx, &named(&prepared)).await?;
                    follow(&mut prepared, &known);
                }
                publish_in(sql, recorder, tx, prepared, Way::Straight).await
            };
            sql.database().write("enqueue", publish).await?
        } else {
            let known = recorder.generations(&named(&prepared)).await?;
            follow(&mut prepared, &known);
            recorder.forget(&had_others(&prepared)).await?;
            let (envelopes, events) = split(prepared);
            let published = keep_accepted(&broker.publish(envelopes).await?, events);
            self.record(&published.1).await?;
            published
        };
        self.inner.events.tell(&events);
        Ok(ids)
    }

    /// Publishes messages as part of the caller's transaction; who listens is told once it commits.
    pub(super) async fn publish_in(
        &self,
        tx: &DbTx,
        mut prepared: Vec<Prepared>,
    ) -> Result<Vec<JobId>, EnqueueError> {
        let (broker, way) = self.transactional()?;
        if way == Way::Outbox {
            self.check_keys(&prepared)?;
        }
        let is_here = |recorder: &&dyn SqlRecorder| recorder.database().is_same_as(broker.database());
        let recorder = self.inner.recorder.sql_of_requests().filter(is_here);
        let known = match recorder {
            Some(recorder) => recorder.generations_in(tx, &named(&prepared)).await?,
            None => self.inner.recorder.generations(&named(&prepared)).await?,
        };
        let open = match way {
            Way::Outbox => self.still_open(&known).await?,
            Way::Straight => HashSet::new(),
        };
        let answered: Vec<Option<JobId>> =
            prepared.iter().map(|one| open.get(&one.message.id).cloned()).collect();
        prepared.retain(|one| !open.contains(&one.message.id));
        follow(&mut prepared, &known);
        if way == Way::Straight {
            self.inner.recorder.forget(&had_others(&prepared)).await?;
        }
        let (ids, events) = publish_in(broker, recorder, tx, prepared, way).await?;
        let mut ids = ids.into_iter();
        let ids = answered.into_iter().filter_map(|open| open.or_else(|| ids.next())).collect();
        let this = self.clone();
        tx.after_commit(move || {
            this.inner.events.tell(&events);
            this.wake_relay();
        });
        Ok(ids)
    }

    /// Returns which of the known jobs have not ended. The transport is not asked before the relay hands a message
    /// on, so the record alone can say that a second one of an id is none.
    async fn still_open(&self, known: &HashMap<JobId, u32>) -> Result<HashSet<JobId>, EnqueueError> {
        let mut open = HashSet::new();
        for id in known.keys() {
            if self.snapshot(id).await?.is_some_and(|snapshot| !snapshot.status.is_final()) {
                open.insert(id.clone());
            }
        }
        Ok(open)
    }

    /// Refuses unique keys that the transport would refuse when the relay hands them on, too late for the caller.
    fn check_keys(&self, prepared: &[Prepared]) -> Result<(), EnqueueError> {
        let can = self.inner.broker.capabilities();
        match prepared.iter().find(|one| one.message.unique_key.is_some() && !can.unique_keys) {
            Some(one) => Err(EnqueueError::Option {
                task: one.message.task.clone(),
                reason: format!("the {} transport keeps no unique keys", can.name),
            }),
            None => Ok(()),
        }
    }

    /// Returns the queue that takes part in transactions, the transport's own or else the outbox.
    fn transactional(&self) -> Result<(&dyn SqlBroker, Way), EnqueueError> {
        let (broker, outbox) = (&self.inner.broker, &self.inner.outbox);
        let own = broker.sql().map(|sql| (sql, Way::Straight));
        let through = || outbox.as_ref().and_then(|outbox| outbox.sql()).map(|sql| (sql, Way::Outbox));
        own.or_else(through).ok_or(EnqueueError::NotTransactional(broker.capabilities().name))
    }
}

/// Which way a message takes to its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It is put there.
    Straight,
    /// It is put into the outbox, whence the relay hands it on.
    Outbox,
}

/// Publishes and records in one transaction.
async fn publish_in(
    broker: &dyn SqlBroker,
    recorder: Option<&dyn SqlRecorder>,
    tx: &DbTx,
    prepared: Vec<Prepared>,
    way: Way,
) -> Result<Published, EnqueueError> {
    let (mut envelopes, events) = split(prepared);
    if way == Way::Outbox {
        envelopes.iter_mut().for_each(outbox::address);
    }
    let published = keep_accepted(&broker.publish_in(tx, envelopes).await?, events);
    if let Some(recorder) = recorder {
        recorder.record_in(tx, &recorded(&published.1, JobEvent::is_recorded)).await?;
    }
    Ok(published)
}

/// Returns the ids under which a job may have been before.
fn named(prepared: &[Prepared]) -> Vec<JobId> {
    prepared.iter().filter(|one| may_be_known(one)).map(|one| one.message.id.clone()).collect()
}

fn may_be_known(one: &Prepared) -> bool {
    one.names_itself && one.facts.record != RecordLevel::None
}

/// Returns the ids under which a job has been before, or may have been without a record of it.
fn had_others(prepared: &[Prepared]) -> Vec<JobId> {
    let had = |one: &&Prepared| {
        one.names_itself && (one.facts.generation > 0 || one.facts.record != RecordLevel::All)
    };
    prepared.iter().filter(had).map(|one| one.message.id.clone()).collect()
}

/// Says whether the record is read or written when this is enqueued.
fn leaves_a_record(one: &Prepared) -> bool {
    may_be_known(one) || one.facts.record == RecordLevel::All
}

/// Makes messages whose id is recorded already the next run of it: should the transport take them,
/// the run that the record tells of is over.
fn follow(prepared: &mut [Prepared], known: &HashMap<JobId, u32>) {
    if known.is_empty() {
        return;
    }
    for one in prepared {
        if let Some(generation) = known.get(&one.message.id) {
            one.follow(*generation);
        }
    }
}

fn split(prepared: Vec<Prepared>) -> (Vec<Envelope>, Vec<JobEvent>) {
    prepared
        .into_iter()
        .map(|Prepared { message, facts, enqueued_at: at, .. }| {
            let job = std::sync::Arc::new(facts);
            (message.encode(), JobEvent { at, job, delivery: 0, attempt: 0, what: What::Enqueued })
        })
        .unzip()
}

fn keep_accepted(publications: &[Publication], events: Vec<JobEvent>) -> Published {
    let mut ids = Vec::with_capacity(events.len());
    let mut kept = Vec::with_capacity(events.len());
    for (publication, event) in publications.iter().zip(events) {
        match publication {
            Publication::Accepted => {
                ids.push(event.job.id.clone());
                kept.push(event);
            }
            Publication::Duplicate(existing) => ids.push(existing.clone()),
        }
    }
    (ids, kept)
}

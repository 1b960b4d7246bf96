//! The outbox: where jobs wait that were asked for within a transaction of the database, while their
//! queue is in a server beside it.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{
    BrokerError, Cancellation, DeadLetter, Found, Notice, Notifier, QueueDepth, SqlBroker,
};
use celeriac_db::DbTx;
use celeriac_protocol::{Envelope, JobEvent, JobId, error_text};

use self::refusal::Refusals;
use super::{Client, recorded};
use crate::{EnqueueError, SqlRecorder};

mod bury;
mod refusal;
mod relay;
mod state;

pub use self::relay::{RELAY, Relayed};
pub use self::state::{OutboxState, RefusedState};

/// What the queues of the outbox begin with; the rest is the queue that a message is for.
const PREFIX: &str = "outbox/";

/// How often, and how many times, whoever cancels looks whether a relay has let go of the message.
const CANCEL_LOOK: Duration = Duration::from_millis(20);
const CANCEL_LOOKS: u32 = 250;

impl Client {
    /// Counts what waits in the outbox, by the name of its queue there: that of the queue it is for behind `outbox/`.
    ///
    /// # Errors
    /// The outbox can't be read.
    pub async fn outbox_depths(&self) -> Result<Vec<QueueDepth>, BrokerError> {
        let Some(outbox) = &self.inner.outbox else { return Ok(Vec::new()) };
        let depths = outbox.admin().depths().await?;
        Ok(depths.into_iter().filter(|depth| depth.queue.starts_with(PREFIX)).collect())
    }

    /// Tells what waits in the outbox, and why; `None` where there is none.
    ///
    /// # Errors
    /// The outbox can't be read.
    pub async fn outbox_state(&self) -> Result<Option<OutboxState>, BrokerError> {
        match &self.inner.outbox {
            Some(outbox) => OutboxState::of(&**outbox).await.map(Some),
            None => Ok(None),
        }
    }

    /// Finds the message of a job, in its queue or in the outbox.
    ///
    /// # Errors
    /// The transport or the outbox can't be asked.
    pub async fn find(&self, id: &JobId) -> Result<Option<Found>, BrokerError> {
        // The outbox first: a message on its way may be in both, and is in neither at no time.
        let outboxed = match &self.inner.outbox {
            Some(outbox) => outbox.admin().find(id).await?,
            None => None,
        };
        let found = self.inner.broker.admin().find(id).await?;
        let outboxed = outboxed.filter(|found| found.envelope.queue.starts_with(PREFIX));
        Ok(found.or_else(|| outboxed.map(|found| Found { envelope: addressed(found.envelope), ..found })))
    }

    /// Returns the outbox's notifier, by which a relay is woken.
    pub fn outbox_notifier(&self) -> Option<Arc<dyn Notifier>> {
        self.inner.outbox.as_ref().map(|outbox| outbox.notifier())
    }

    /// Takes messages out that wait for a queue.
    pub(super) async fn purge_outbox(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        let Some(outbox) = &self.inner.outbox else { return Ok(Vec::new()) };
        let found = outbox.admin().purge(&format!("{PREFIX}{queue}"), max).await?;
        Ok(found.into_iter().map(|found| Found { envelope: addressed(found.envelope), ..found }).collect())
    }

    /// Returns the outbox and the record, where both are in one database, so that they can change as one.
    pub(super) fn outbox_and_record(&self) -> Option<(&dyn SqlBroker, &dyn SqlRecorder)> {
        let (sql, recorder) = (self.inner.outbox.as_ref()?.sql()?, self.inner.recorder.sql()?);
        sql.database().is_same_as(recorder.database()).then_some((sql, recorder))
    }

    /// Cancels a message in its queue, or else in the outbox, and records that.
    pub(super) async fn cancel_wherever(
        &self,
        id: &JobId,
        reason: &str,
    ) -> Result<(Cancellation, Option<JobEvent>), EnqueueError> {
        let mut looks = CANCEL_LOOKS;
        while self.inner.outbox.is_some() {
            let (cancellation, event) = self.cancel_outboxed(id, reason).await?;
            match &cancellation {
                Cancellation::Removed(found) => {
                    if found.delivery > 0 {
                        self.cancel_handed_on(id, reason).await;
                    }
                    return Ok((cancellation, event));
                }
                Cancellation::NotFound => break,
                // A relay has it in its hands, and lets go of it once it is in its queue.
                Cancellation::Requested if looks > 0 => self.inner.clock.sleep(CANCEL_LOOK).await,
                // The next one reads the mark.
                Cancellation::Requested => return Ok((cancellation, None)),
            }
            looks -= 1;
        }
        let cancellation = self.inner.broker.admin().cancel(id, reason).await?;
        let event = self.cancellation(&cancellation, reason);
        self.record(event.as_slice()).await?;
        Ok((cancellation, event))
    }

    /// Cancels a message in the outbox and records that: as one where both are in one database.
    async fn cancel_outboxed(
        &self,
        id: &JobId,
        reason: &str,
    ) -> Result<(Cancellation, Option<JobEvent>), EnqueueError> {
        if let Some((sql, _)) = self.outbox_and_record() {
            let (this, id, reason) = (self.clone(), id.clone(), reason.to_owned());
            let cancel = async move |tx: &DbTx| this.cancel_outboxed_in(tx, &id, &reason).await;
            return sql.database().write("cancel job of the outbox", cancel).await;
        }
        let Some(outbox) = &self.inner.outbox else { return Ok((Cancellation::NotFound, None)) };
        let cancellation = addressed_cancellation(outbox.admin().cancel(id, reason).await?);
        let event = self.cancellation(&cancellation, reason);
        self.record(event.as_slice()).await?;
        Ok((cancellation, event))
    }

    async fn cancel_outboxed_in(
        &self,
        tx: &DbTx,
        id: &JobId,
        reason: &str,
    ) -> Result<(Cancellation, Option<JobEvent>), EnqueueError> {
        let (sql, recorder) = self.outbox_and_record().expect("the caller has looked");
        let cancellation = addressed_cancellation(sql.cancel_in(tx, id, reason).await?);
        let event = self.cancellation(&cancellation, reason);
        recorder.record_in(tx, &recorded(event.as_slice(), JobEvent::is_recorded)).await?;
        Ok((cancellation, event))
    }

    /// Cancels what a relay that vanished may have handed on before it could say so.
    async fn cancel_handed_on(&self, id: &JobId, reason: &str) {
        if let Err(error) = self.inner.broker.admin().cancel(id, reason).await {
            tell_not_cancelled(id, &error);
        }
    }

    /// Wakes the relays.
    pub(super) fn wake_relay(&self) {
        if let Some(notifier) = self.outbox_notifier() {
            notifier.notify(Notice::Loop(RELAY.to_owned()));
        }
    }
}

/// Says that a cancelled job may run all the same.
fn tell_not_cancelled(id: &JobId, error: &(dyn std::error::Error + 'static)) {
    let error = error_text(error);
    tracing::warn!(job.id = %id, error, "job was cancelled in the outbox; in its queue, where it may be, it can't be");
}

/// Makes out a message for the outbox.
pub(super) fn address(envelope: &mut Envelope) {
    envelope.queue.insert_str(0, PREFIX);
}

/// Makes out a message of the outbox for its queue, as its sender wrote it.
fn addressed(mut envelope: Envelope) -> Envelope {
    if envelope.queue.starts_with(PREFIX) {
        envelope.queue.drain(..PREFIX.len());
        Refusals::take(&mut envelope.content);
    }
    envelope
}

fn addressed_cancellation(cancellation: Cancellation) -> Cancellation {
    match cancellation {
        Cancellation::Removed(mut found) => {
            found.envelope = addressed(found.envelope);
            Cancellation::Removed(found)
        }
        other => other,
    }
}

/// Makes a dead letter of the database one of the outbox, with a key that is no transport's; `None` for another one.
pub(super) fn letter(letter: DeadLetter) -> Option<DeadLetter> {
    let is_of_outbox = letter.envelope.queue.starts_with(PREFIX);
    is_of_outbox.then(|| DeadLetter {
        key: letter.key.wrapping_neg(),
        envelope: addressed(letter.envelope),
        ..letter
    })
}

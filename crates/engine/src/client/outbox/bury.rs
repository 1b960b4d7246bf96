//! The end of a message of the outbox that its server never takes: a dead letter, and a job that has failed.

use std::sync::Arc;

use celeriac_broker::{Broker, Delivery, Settle, Settled, Settlement};
use celeriac_db::DbTx;
use celeriac_protocol::{ErrorKind, Following, JobError, JobEvent, JobFacts, TaskMessage, What};

use super::super::{Client, facts_of_unreadable, recorded};
use crate::EnqueueError;

/// The reason of such a dead letter.
const UNDELIVERABLE: &str = "undeliverable";

impl Client {
    /// Buries messages, each with the words of its last refusal, and records that their jobs have failed: in one
    /// transaction where the record is in the outbox's database. Their queues are already those that they are for.
    pub(super) async fn bury(
        &self,
        outbox: &dyn Broker,
        refused: Vec<(Delivery, String)>,
    ) -> Result<(), EnqueueError> {
        let mut settlements = Vec::with_capacity(refused.len());
        let mut events = Vec::with_capacity(refused.len());
        for (delivery, error) in refused {
            let detail = format!("its message could not be sent to {}: {error}", delivery.envelope.queue);
            events.push(self.undeliverable(&delivery, &detail));
            let settle = Settle::Reject { reason: UNDELIVERABLE.to_owned(), detail };
            settlements.push(Settlement { delivery, settle });
        }
        let told = match self.outbox_and_record() {
            Some((sql, _)) => {
                let this = self.clone();
                let bury = async move |tx: &DbTx| this.bury_in(tx, &settlements, events).await;
                sql.database().write("bury messages of the outbox", bury).await?
            }
            None => {
                let told: Vec<JobEvent> = events.into_iter().flatten().collect();
                self.record(&told).await?;
                outbox.settle(&settlements).await?;
                told
            }
        };
        for event in &told {
            tracing::error!(job.id = %event.job.id, task.name = event.job.task, "job failed for good: its queue's server never takes its message");
        }
        self.inner.events.tell(&told);
        Ok(())
    }

    /// Returns what is told: nothing of a message that another relay has by now.
    async fn bury_in(
        &self,
        tx: &DbTx,
        settlements: &[Settlement],
        events: Vec<Vec<JobEvent>>,
    ) -> Result<Vec<JobEvent>, EnqueueError> {
        let (sql, recorder) = self.outbox_and_record().expect("the caller has looked");
        let settled = sql.settle_in(tx, settlements).await?;
        let ours = settled.iter().zip(events).filter(|(settled, _)| **settled == Settled::Done);
        let told: Vec<JobEvent> = ours.flat_map(|(_, events)| events).collect();
        recorder.record_in(tx, &recorded(&told, JobEvent::is_recorded)).await?;
        Ok(told)
    }

    /// Tells that a job has failed, and with it the rest of its chain, for whose last somebody may wait.
    fn undeliverable(&self, delivery: &Delivery, detail: &str) -> Vec<JobEvent> {
        let at = self.inner.clock.now();
        let error = JobError::new(ErrorKind::Error, detail).with_type("Undeliverable");
        let failed = |facts: JobFacts, dead_lettered| {
            let what = What::Failed { error: error.clone(), dead_lettered };
            JobEvent { at, job: Arc::new(facts), delivery: 0, attempt: 0, what }
        };
        let Ok(message) = TaskMessage::decode(&delivery.envelope) else {
            return vec![failed(facts_of_unreadable(&delivery.envelope), true)];
        };
        let rest = message.continuation.abandoned(&Following {
            parent: &message,
            now: at,
            origin: self.origin(),
            queue_of: &|task| self.queue_of(task),
            priority_of: &|number| self.broker().priority_from_wire(number),
        });
        let mut events = vec![failed(self.facts_of(&message), true)];
        events.extend(rest.iter().map(|message| failed(self.facts_of(message), false)));
        events
    }
}

//! The outbox: where jobs wait that were asked for within a transaction of the database, while their
//! queue is in a server beside it; and the relay, which hands them on.

use std::collections::VecDeque;
use std::time::Duration;

use celeriac_broker::{
    Broker, BrokerError, Cancellation, Delivery, FetchRequest, Found, Notice, Publication, QueueDepth,
    Renewal, Settle, Settlement,
};
use celeriac_protocol::{
    Envelope, JobEvent, JobId, JobStatus, RecordLevel, TaskMessage, Timestamp, error_text,
};

use super::Client;
use crate::EnqueueError;

/// The name of the loop that hands on what the outbox holds; a [`Notice::Loop`] of it wakes one.
pub const RELAY: &str = "relay";

/// What the queues of the outbox begin with; the rest is the queue that a message is for.
const PREFIX: &str = "outbox/";

/// How many messages are handed on in one step.
const BATCH: usize = 500;

/// How many steps are made in one go.
const BATCHES: usize = 4;

/// How many messages in a row are refused by themselves before all that is left of a batch is put off: then it
/// is the server that refuses, and not its queues.
const REFUSED_IN_A_ROW: usize = 3;

/// How long a relay has a batch for itself. One that vanishes leaves it to the next after that, so it
/// is longer than all the deadlines of a step together.
const LEASE: Duration = Duration::from_secs(60);

/// How often, and how many times, whoever cancels looks whether a relay has let go of the message.
const CANCEL_LOOK: Duration = Duration::from_millis(20);
const CANCEL_LOOKS: u32 = 250;

/// How long a message rests that the server refused, at first and at most.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// What a relay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Messages that are in their queues now.
    pub handed_on: u64,
    /// Messages that were there before: another relay had not come to say so, or another job has
    /// their unique key.
    pub duplicates: u64,
    /// Messages that the server refused; they stay, and are tried again later and later.
    pub refused: u64,
    /// Whether there may be more.
    pub more: bool,
    /// When the next is due that is known of.
    pub next_due_at: Option<Timestamp>,
}

impl Client {
    /// Hands on what the outbox holds, a bounded part of it: publishes it to its queues, then lets go of it.
    ///
    /// Any number of relays may run. Messages are handed on at least once: one that crashes between the two
    /// steps leaves them to be handed on again, which the transport refuses while they are in their
    /// queues, and the record once their jobs have begun. A job without a record may run twice then.
    ///
    /// # Errors
    /// Outbox or transport can't be reached; nothing is lost then.
    pub async fn relay(&self) -> Result<Relayed, EnqueueError> {
        let mut relayed = Relayed { more: true, ..Relayed::default() };
        let Some(outbox) = &self.inner.outbox else { return Ok(Relayed::default()) };
        let queues: Vec<String> = self.outbox_depths().await?.into_iter().map(|depth| depth.queue).collect();
        if queues.is_empty() {
            return Ok(Relayed::default());
        }
        for _ in 0..BATCHES {
            if relayed.more {
                self.relay_batch(outbox.as_ref(), &queues, &mut relayed).await?;
            }
        }
        Ok(relayed)
    }

    async fn relay_batch(
        &self,
        outbox: &dyn Broker,
        queues: &[String],
        relayed: &mut Relayed,
    ) -> Result<(), EnqueueError> {
        let request = FetchRequest { queues, max: BATCH, lease: LEASE, holder: &self.inner.origin };
        let fetched = outbox.fetch(&request).await?;
        (relayed.more, relayed.next_due_at) = (fetched.deliveries.len() == BATCH, fetched.next_due_at);
        let stands = match self.stands(&fetched.deliveries).await {
            Ok(stands) => stands,
            Err(error) => {
                settle_all(outbox, fetched.deliveries, |_| at_once()).await?;
                return Err(error);
            }
        };
        let Sorted { waiting, begun, cancelled } = Sorted::by(fetched.deliveries, stands);
        relayed.duplicates += begun.len() as u64;
        let_go(outbox, begun).await?;
        if let Err(error) = self.give_up(outbox, cancelled).await {
            settle_all(outbox, waiting, |_| at_once()).await?;
            return Err(error);
        }
        self.hand_on(outbox, waiting, relayed).await
    }

    /// Counts what waits in the outbox, by the name of its queue there.
    ///
    /// # Errors
    /// The outbox can't be read.
    pub async fn outbox_depths(&self) -> Result<Vec<QueueDepth>, BrokerError> {
        let Some(outbox) = &self.inner.outbox else { return Ok(Vec::new()) };
        let depths = outbox.admin().depths().await?;
        Ok(depths.into_iter().filter(|depth| depth.queue.starts_with(PREFIX)).collect())
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
    pub fn outbox_notifier(&self) -> Option<std::sync::Arc<dyn celeriac_broker::Notifier>> {
        self.inner.outbox.as_ref().map(|outbox| outbox.notifier())
    }

    /// Takes messages out that wait for a queue.
    pub(super) async fn purge_outbox(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        let Some(outbox) = &self.inner.outbox else { return Ok(Vec::new()) };
        let found = outbox.admin().purge(&format!("{PREFIX}{queue}"), max).await?;
        Ok(found.into_iter().map(|found| Found { envelope: addressed(found.envelope), ..found }).collect())
    }

    /// Cancels a message in its queue, or else in the outbox.
    pub(super) async fn cancel_wherever(
        &self,
        id: &JobId,
        reason: &str,
    ) -> Result<Cancellation, BrokerError> {
        let broker = self.inner.broker.admin();
        let Some(outbox) = &self.inner.outbox else { return broker.cancel(id, reason).await };
        let mut looks = CANCEL_LOOKS;
        loop {
            match outbox.admin().cancel(id, reason).await? {
                Cancellation::Removed(mut found) => {
                    found.envelope = addressed(found.envelope);
                    if found.delivery > 0 {
                        self.cancel_handed_on(id, reason).await;
                    }
                    return Ok(Cancellation::Removed(found));
                }
                Cancellation::NotFound => return broker.cancel(id, reason).await,
                // A relay has it in its hands, and lets go of it once it is in its queue.
                Cancellation::Requested if looks > 0 => self.inner.clock.sleep(CANCEL_LOOK).await,
                // The next one reads the mark.
                Cancellation::Requested => return Ok(Cancellation::Requested),
            }
            looks -= 1;
        }
    }

    /// Cancels what a relay that vanished may have handed on before it could say so.
    async fn cancel_handed_on(&self, id: &JobId, reason: &str) {
        if let Err(error) = self.inner.broker.admin().cancel(id, reason).await {
            let error = error_text(&error);
            tracing::warn!(job.id = %id, error, "job was cancelled in the outbox, and its queue can't be asked");
        }
    }

    /// Wakes the relays.
    pub(super) fn wake_relay(&self) {
        if let Some(notifier) = self.outbox_notifier() {
            notifier.notify(Notice::Loop(RELAY.to_owned()));
        }
    }

    /// Says of each message whether its job waits, was cancelled, or has begun: of a message that may have been
    /// handed on before, the record knows.
    async fn stands(&self, deliveries: &[Delivery]) -> Result<Vec<Stand>, EnqueueError> {
        let mut stands = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let id = &delivery.envelope.id;
            let status = match was_tried(delivery) && self.is_recorded_run(delivery).await? {
                true => self.snapshot(id).await?.map(|snapshot| snapshot.status),
                false => None,
            };
            let is_waiting = matches!(status, None | Some(JobStatus::Pending | JobStatus::Scheduled));
            stands.push(match &delivery.cancel_requested {
                _ if !is_waiting => Stand::Begun,
                Some(_) => Stand::Cancelled,
                None => Stand::Waiting,
            });
        }
        Ok(stands)
    }

    /// Says whether the record tells of the very run that a message asks for, and not of one before it.
    async fn is_recorded_run(&self, delivery: &Delivery) -> Result<bool, EnqueueError> {
        let id = &delivery.envelope.id;
        let known = self.inner.recorder.generations(std::slice::from_ref(id)).await?;
        Ok(known.get(id).copied() == Some(generation(delivery)))
    }

    /// Records jobs as cancelled and lets go of their messages.
    async fn give_up(&self, outbox: &dyn Broker, deliveries: Vec<Delivery>) -> Result<(), EnqueueError> {
        let mut events = Vec::with_capacity(deliveries.len());
        for Delivery { envelope, cancel_requested, .. } in &deliveries {
            let reason = cancel_requested.as_deref().unwrap_or_default();
            self.cancel_handed_on(&envelope.id, reason).await;
            events.push(self.cancelled(&addressed(envelope.clone()), 0, 0, reason));
        }
        self.record(&events).await?;
        self.inner.events.tell(&events);
        Ok(let_go(outbox, deliveries).await?)
    }

    /// Publishes messages and lets go of them.
    async fn hand_on(
        &self,
        outbox: &dyn Broker,
        waiting: Vec<Delivery>,
        relayed: &mut Relayed,
    ) -> Result<(), EnqueueError> {
        if let Err(error) = self.forget_earlier(&waiting).await {
            settle_all(outbox, waiting, |_| at_once()).await?;
            return Err(error);
        }
        match self.publish_all(&waiting).await {
            Ok(publications) => self.let_go_of_published(outbox, waiting, &publications, relayed).await,
            Err(error) if error.is_retryable() => {
                settle_all(outbox, waiting, tried).await?;
                Err(error.into())
            }
            Err(_) => self.hand_on_singly(outbox, waiting.into(), relayed).await,
        }
    }

    /// Publishes one message after the other, since some of them were refused: which ones, shows when they go alone.
    async fn hand_on_singly(
        &self,
        outbox: &dyn Broker,
        mut waiting: VecDeque<Delivery>,
        relayed: &mut Relayed,
    ) -> Result<(), EnqueueError> {
        let mut in_a_row = 0;
        while let Some(delivery) = waiting.pop_front() {
            let one = vec![delivery];
            if outbox.renew(&[one[0].tag], LEASE).await? == [Renewal::Lost] {
                continue;
            }
            match self.publish_all(&one).await {
                Ok(publications) => {
                    in_a_row = 0;
                    self.let_go_of_published(outbox, one, &publications, relayed).await?;
                }
                Err(error) if error.is_retryable() => {
                    settle_all(outbox, one, tried).await?;
                    settle_all(outbox, waiting.into(), |_| at_once()).await?;
                    return Err(error.into());
                }
                Err(error) => {
                    in_a_row += 1;
                    let mut refused = one;
                    if in_a_row >= REFUSED_IN_A_ROW {
                        refused.extend(waiting.drain(..));
                    }
                    relayed.refused += refused.len() as u64;
                    self.put_off(outbox, refused, &error).await?;
                }
            }
        }
        Ok(())
    }

    /// Lets go of messages as far as they are in their queues now, or never will be.
    async fn let_go_of_published(
        &self,
        outbox: &dyn Broker,
        published: Vec<Delivery>,
        publications: &[Publication],
        relayed: &mut Relayed,
    ) -> Result<(), EnqueueError> {
        let (mut over, mut early, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for (delivery, publication) in published.into_iter().zip(publications) {
            match publication {
                Publication::Accepted => relayed.handed_on += 1,
                Publication::Duplicate(id) if *id == delivery.envelope.id && is_follower(&delivery) => {
                    early.push(delivery);
                    continue;
                }
                Publication::Duplicate(id) => {
                    relayed.duplicates += 1;
                    events.extend(self.kept_out(&delivery, id));
                }
            }
            over.push(delivery);
        }
        self.record(&events).await?;
        self.inner.events.tell(&events);
        self.cancel_marked(outbox, &over).await?;
        let now = self.inner.clock.now();
        settle_all(outbox, early, |early| put_back(now + rest_after(early.delivery))).await?;
        Ok(let_go(outbox, over).await?)
    }

    /// Tells that a job never will run, because another has its unique key.
    fn kept_out(&self, delivery: &Delivery, other: &JobId) -> Option<JobEvent> {
        let reason = || format!("job {other} has its unique key and waits or runs already");
        let is_other = *other != delivery.envelope.id;
        is_other.then(|| self.cancelled(&addressed(delivery.envelope.clone()), 0, 0, &reason()))
    }

    /// Cancels, where they are now, the jobs that somebody cancelled while they were handed on.
    async fn cancel_marked(&self, outbox: &dyn Broker, handed_on: &[Delivery]) -> Result<(), EnqueueError> {
        let tags: Vec<_> = handed_on.iter().map(|delivery| delivery.tag).collect();
        for (delivery, renewal) in handed_on.iter().zip(outbox.renew(&tags, LEASE).await?) {
            let Renewal::Held { cancel_requested: Some(reason) } = renewal else { continue };
            let id = &delivery.envelope.id;
            if let Cancellation::Removed(found) = self.inner.broker.admin().cancel(id, &reason).await? {
                let event = self.cancelled(&found.envelope, found.delivery, found.attempt, &reason);
                self.record(std::slice::from_ref(&event)).await?;
                self.inner.events.tell(std::slice::from_ref(&event));
            }
        }
        Ok(())
    }

    /// Leaves a message that was refused where it is, to be tried again later.
    async fn put_off(
        &self,
        outbox: &dyn Broker,
        refused: Vec<Delivery>,
        refusal: &BrokerError,
    ) -> Result<(), EnqueueError> {
        if let Some(Delivery { envelope, attempt, .. }) = refused.first() {
            let (error, again_in) = (error_text(refusal), rest_after(*attempt));
            tracing::error!(
                job.id = %envelope.id, queue = &envelope.queue[PREFIX.len()..], messages = refused.len(), error, ?again_in,
                "messages of the outbox were refused and stay there"
            );
        }
        let now = self.inner.clock.now();
        Ok(settle_all(outbox, refused, |refused| later(now + rest_after(refused.attempt))).await?)
    }

    async fn publish_all(&self, deliveries: &[Delivery]) -> Result<Vec<Publication>, BrokerError> {
        let envelopes = deliveries.iter().map(|delivery| addressed(delivery.envelope.clone()));
        self.inner.broker.publish(envelopes.collect()).await
    }

    /// Forgets what is kept of earlier runs of these jobs, as they get another one.
    async fn forget_earlier(&self, waiting: &[Delivery]) -> Result<(), EnqueueError> {
        let had_others = |delivery: &&Delivery| match TaskMessage::decode(&delivery.envelope) {
            Ok(message) => {
                message.celeriac.generation > 0 || self.facts_of(&message).record != RecordLevel::All
            }
            Err(_) => false,
        };
        let ids: Vec<JobId> =
            waiting.iter().filter(had_others).map(|delivery| delivery.envelope.id.clone()).collect();
        Ok(self.inner.recorder.forget(&ids).await?)
    }
}

/// What is to become of a message.
enum Stand {
    Waiting,
    Begun,
    Cancelled,
}

/// The messages of a batch, by what is to become of them.
#[derive(Default)]
struct Sorted {
    waiting: Vec<Delivery>,
    begun: Vec<Delivery>,
    cancelled: Vec<Delivery>,
}

impl Sorted {
    fn by(deliveries: Vec<Delivery>, stands: Vec<Stand>) -> Self {
        let mut sorted = Self::default();
        for (delivery, stand) in deliveries.into_iter().zip(stands) {
            match stand {
                Stand::Waiting => sorted.waiting.push(delivery),
                Stand::Begun => sorted.begun.push(delivery),
                Stand::Cancelled => sorted.cancelled.push(delivery),
            }
        }
        sorted
    }
}

/// Says whether a message may have been handed on before: by a relay that vanished, or to a server whose answer
/// was lost.
fn was_tried(delivery: &Delivery) -> bool {
    delivery.lost > 0 || delivery.attempt > 1
}

/// Says whether a message that was not handed on before asks for another run of a job that has ended: where its
/// queue has a message of this id, that is an old one, of which the transport will hear that it is gone.
fn is_follower(delivery: &Delivery) -> bool {
    !was_tried(delivery) && generation(delivery) > 0
}

/// Returns which run of its job a message asks for.
fn generation(delivery: &Delivery) -> u32 {
    TaskMessage::decode(&delivery.envelope).map_or(0, |message| message.celeriac.generation)
}

/// Makes out a message for the outbox.
pub(super) fn address(envelope: &mut Envelope) {
    envelope.queue.insert_str(0, PREFIX);
}

/// Makes out a message of the outbox for its queue.
fn addressed(mut envelope: Envelope) -> Envelope {
    if envelope.queue.starts_with(PREFIX) {
        envelope.queue.drain(..PREFIX.len());
    }
    envelope
}

async fn let_go(outbox: &dyn Broker, deliveries: Vec<Delivery>) -> Result<(), BrokerError> {
    settle_all(outbox, deliveries, |_| Settle::Ack).await
}

async fn settle_all(
    outbox: &dyn Broker,
    deliveries: Vec<Delivery>,
    settle: impl Fn(&Delivery) -> Settle,
) -> Result<(), BrokerError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let settlement = |delivery| Settlement { settle: settle(&delivery), delivery };
    let settlements: Vec<Settlement> = deliveries.into_iter().map(settlement).collect();
    // A lease that was lost went to another relay, which does the same.
    outbox.settle(&settlements).await.map(drop)
}

/// Gives a message back that the server may have all the same, and remembers that.
fn tried(delivery: &Delivery) -> Settle {
    Settle::Requeue { content: None, due_at: None, charged: !was_tried(delivery) }
}

fn at_once() -> Settle {
    Settle::Requeue { content: None, due_at: None, charged: false }
}

fn later(due_at: Timestamp) -> Settle {
    Settle::Requeue { content: None, due_at: Some(due_at), charged: true }
}

fn put_back(due_at: Timestamp) -> Settle {
    Settle::Requeue { content: None, due_at: Some(due_at), charged: false }
}

fn rest_after(times: u32) -> Duration {
    let (first, longest) = REST;
    first.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1))).min(longest)
}

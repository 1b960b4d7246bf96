//! Hands on what waits in the outbox: publishes it to the server that keeps the queues, then lets go of it.

use std::collections::HashMap;
use std::time::Duration;

use celeriac_broker::{
    Broker, BrokerError, Cancellation, Delivery, FetchRequest, Found, LeaseTag, Publication, Renewal, Settle,
    Settlement,
};
use celeriac_protocol::{
    Address, Envelope, JobEvent, JobId, JobStatus, RecordLevel, TaskMessage, Timestamp, error_text,
};

use super::refusal::Refusals;
use super::{PREFIX, addressed, tell_not_cancelled};
use crate::{Client, EnqueueError};

/// The name of the loop that hands on what the outbox holds; a [`Notice::Loop`](celeriac_broker::Notice::Loop) of it
/// wakes one.
pub const RELAY: &str = "relay";

/// How many messages are handed on in one step.
const BATCH: usize = 500;

/// How many steps are made in one go.
const BATCHES: usize = 4;

/// How many messages in a row are refused by themselves before all that is left of a batch is put off: then it
/// is the server that refuses, and not its queues.
const REFUSED_IN_A_ROW: usize = 3;

/// How long a relay has a batch for itself, a small part of which it needs. One that vanishes leaves the batch to
/// the next after that, and so does one that stalls: both hand it on then, which [`Client::relay`] allows for.
const LEASE: Duration = Duration::from_secs(60);

/// How long a message rests that the server refused, at first and at most.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// How often the server may say that it never takes a message before that is a dead letter. By the rests in between it
/// is about twenty minutes, in which somebody may make the queue or the exchange that it is for.
const REFUSALS: u32 = 12;

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
    /// Messages that it has refused for good too often: they are dead letters, and their jobs have failed.
    pub buried: u64,
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
    /// queues, and the record once their jobs have begun. What is handed on again carries a mark, by which a worker knows
    /// what to look up before it runs it. A job without a record may run twice then.
    ///
    /// # Errors
    /// Outbox or transport can't be reached; nothing is lost then.
    pub async fn relay(&self) -> Result<Relayed, EnqueueError> {
        let mut relayed = Relayed::default();
        let Some(outbox) = self.inner.outbox.as_deref() else { return Ok(relayed) };
        let mut queues = outbox.admin().open_queues().await?;
        queues.retain(|queue| queue.starts_with(PREFIX));
        if queues.is_empty() {
            // Who asks for the messages of some queue learns when the next falls due of any.
            queues.push(PREFIX.to_owned());
        }
        for _ in 0..BATCHES {
            let request =
                FetchRequest { queues: &queues, max: BATCH, lease: LEASE, holder: &self.inner.origin };
            let fetched = outbox.fetch(&request).await?;
            (relayed.more, relayed.next_due_at) = (fetched.deliveries.len() == BATCH, fetched.next_due_at);
            let mut batch = Batch::new(self, outbox, fetched.deliveries);
            let handed_on = batch.hand_on(&mut relayed).await;
            batch.give_back().await?;
            handed_on?;
            if !relayed.more {
                break;
            }
        }
        Ok(relayed)
    }
}

/// Messages in the hands of a relay, by what is to become of them. What was published, or may have been, is no
/// longer among them.
struct Batch<'a> {
    client: &'a Client,
    outbox: &'a dyn Broker,
    /// To be handed on.
    waiting: Vec<Delivery>,
    /// Were handed on before: their jobs have begun.
    begun: Vec<Delivery>,
    /// Were cancelled where they are.
    cancelled: Vec<Delivery>,
    /// The refusals that some of them have met.
    refusals: HashMap<LeaseTag, Refusals>,
}

impl<'a> Batch<'a> {
    fn new(client: &'a Client, outbox: &'a dyn Broker, mut waiting: Vec<Delivery>) -> Self {
        let met =
            |delivery: &mut Delivery| Some((delivery.tag, Refusals::take(&mut delivery.envelope.content)?));
        let refusals = waiting.iter_mut().filter_map(met).collect();
        Self { client, outbox, waiting, begun: Vec::new(), cancelled: Vec::new(), refusals }
    }

    /// Hands on what waits. What it leaves in place when it fails was not touched.
    async fn hand_on(&mut self, relayed: &mut Relayed) -> Result<(), EnqueueError> {
        self.sort().await?;
        relayed.duplicates += self.begun.len() as u64;
        let begun = std::mem::take(&mut self.begun);
        self.settle(begun, |_| Settle::Ack).await?;
        self.give_up_cancelled().await?;
        self.forget_earlier().await?;
        self.hold().await?;
        if self.waiting.is_empty() {
            return Ok(());
        }
        if self.waiting.iter().any(is_for_exchange) {
            // One that reaches no queue is refused, and nothing tells which of a batch it was.
            return self.hand_on_singly(relayed, Earlier::None).await;
        }
        match self.publish(&self.waiting, Earlier::None).await {
            Ok(publications) => {
                let published = std::mem::take(&mut self.waiting);
                self.let_go_of_published(published, &publications, relayed).await
            }
            Err(error) if error.is_retryable() => {
                let unsure = std::mem::take(&mut self.waiting);
                self.settle(unsure, tried).await?;
                Err(error.into())
            }
            Err(error) => {
                self.let_go_of_taken(&error, relayed).await?;
                self.hand_on_singly(relayed, Earlier::Refused).await
            }
        }
    }

    /// Lets go of those that the server has taken all the same, though it refused others.
    async fn let_go_of_taken(
        &mut self,
        error: &BrokerError,
        relayed: &mut Relayed,
    ) -> Result<(), EnqueueError> {
        let all = std::mem::take(&mut self.waiting).into_iter().enumerate();
        let (taken, left): (Vec<_>, Vec<_>) = all.partition(|(index, _)| error.has_taken(*index));
        self.waiting = left.into_iter().map(|(_, delivery)| delivery).collect();
        let taken: Vec<Delivery> = taken.into_iter().map(|(_, delivery)| delivery).collect();
        let accepted = vec![Publication::Accepted; taken.len()];
        self.let_go_of_published(taken, &accepted, relayed).await
    }

    /// Gives back what was not touched, to be taken at once.
    async fn give_back(mut self) -> Result<(), BrokerError> {
        let mut rest = std::mem::take(&mut self.waiting);
        rest.append(&mut self.begun);
        rest.append(&mut self.cancelled);
        self.settle(rest, |_| back(None, false)).await
    }

    /// Finds out which messages wait to be handed on, were cancelled, or were handed on before: of those that may
    /// have been, the record knows.
    async fn sort(&mut self) -> Result<(), EnqueueError> {
        let mut stands = Vec::with_capacity(self.waiting.len());
        for delivery in &self.waiting {
            stands.push(self.stand(delivery).await?);
        }
        for (delivery, stand) in std::mem::take(&mut self.waiting).into_iter().zip(stands) {
            match stand {
                Stand::Waiting => self.waiting.push(delivery),
                Stand::Begun => self.begun.push(delivery),
                Stand::Cancelled => self.cancelled.push(delivery),
            }
        }
        Ok(())
    }

    async fn stand(&self, delivery: &Delivery) -> Result<Stand, EnqueueError> {
        let status = match was_tried(delivery) && self.is_recorded_run(delivery).await? {
            true => self.client.snapshot(&delivery.envelope.id).await?.map(|snapshot| snapshot.status),
            false => None,
        };
        let is_waiting = matches!(status, None | Some(JobStatus::Pending | JobStatus::Scheduled));
        Ok(match &delivery.cancel_requested {
            _ if !is_waiting => Stand::Begun,
            Some(_) => Stand::Cancelled,
            None => Stand::Waiting,
        })
    }

    /// Says whether the record tells of the very run that a message asks for, and not of one before it.
    async fn is_recorded_run(&self, delivery: &Delivery) -> Result<bool, EnqueueError> {
        let id = &delivery.envelope.id;
        let known = self.client.inner.recorder.generations(std::slice::from_ref(id)).await?;
        Ok(known.get(id).copied() == Some(generation(delivery)))
    }

    /// Records jobs as cancelled and lets go of their messages.
    async fn give_up_cancelled(&mut self) -> Result<(), EnqueueError> {
        let mut events = Vec::with_capacity(self.cancelled.len());
        for Delivery { envelope, cancel_requested, .. } in &self.cancelled {
            let reason = cancel_requested.as_deref().unwrap_or_default();
            self.client.cancel_handed_on(&envelope.id, reason).await;
            events.push(self.client.cancelled(&addressed(envelope.clone()), 0, 0, reason));
        }
        self.tell(&events).await?;
        let cancelled = std::mem::take(&mut self.cancelled);
        Ok(self.settle(cancelled, |_| Settle::Ack).await?)
    }

    /// Renews the leases of what is to be published, and leaves alone what another relay has by now.
    ///
    /// A database's crash may take back that messages were handed out, for which a queue does not wait until it is on the
    /// disk. Here it has to be: else the next relay would not know that what it hands on may be the second of its run. To
    /// renew is a write, and a database that has it has all that went before.
    async fn hold(&mut self) -> Result<(), BrokerError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let tags: Vec<LeaseTag> = self.waiting.iter().map(|delivery| delivery.tag).collect();
        let mut renewals = self.outbox.renew(&tags, LEASE).await?.into_iter();
        self.waiting.retain(|_| renewals.next().is_some_and(|renewal| renewal != Renewal::Lost));
        Ok(())
    }

    /// Publishes one message after the other, since some of them were refused: which ones, shows when they go alone.
    async fn hand_on_singly(&mut self, relayed: &mut Relayed, earlier: Earlier) -> Result<(), EnqueueError> {
        let mut in_a_row = 0;
        self.waiting.reverse();
        while let Some(delivery) = self.waiting.pop() {
            let one = vec![delivery];
            if self.outbox.renew(&[one[0].tag], LEASE).await? == [Renewal::Lost] {
                continue;
            }
            match self.publish(&one, earlier).await {
                Ok(publications) => {
                    in_a_row = 0;
                    self.let_go_of_published(one, &publications, relayed).await?;
                }
                Err(error) if error.is_retryable() => {
                    self.settle(one, tried).await?;
                    return Err(error.into());
                }
                Err(error) => {
                    let mut refused = one;
                    // That this very message is never taken says nothing of the others.
                    let is_for_good = matches!(error, BrokerError::NotTaken { .. });
                    in_a_row += usize::from(!is_for_good && !refused.iter().any(is_for_exchange));
                    if in_a_row >= REFUSED_IN_A_ROW {
                        refused.append(&mut self.waiting);
                    }
                    self.put_off(refused, &error, is_for_good, relayed).await?;
                }
            }
        }
        Ok(())
    }

    /// Lets go of messages as far as they are in their queues now, or never will be.
    async fn let_go_of_published(
        &self,
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
        self.tell(&events).await?;
        let over = self.cancel_marked(over).await?;
        let now = self.now();
        self.settle(early, |early| back(Some(now + rest_after(early.delivery)), false)).await?;
        Ok(self.settle(over, |_| Settle::Ack).await?)
    }

    /// Tells that a job never will run, because another has its unique key.
    fn kept_out(&self, delivery: &Delivery, other: &JobId) -> Option<JobEvent> {
        let reason = || format!("job {other} has its unique key and waits or runs already");
        let is_other = *other != delivery.envelope.id;
        is_other.then(|| self.client.cancelled(&addressed(delivery.envelope.clone()), 0, 0, &reason()))
    }

    /// Cancels, where they are now, the jobs that somebody cancelled while they were handed on. Returns those
    /// messages that are over; one whose server is away just now is left to its lease, so that the next relay reads
    /// the mark.
    async fn cancel_marked(&self, handed_on: Vec<Delivery>) -> Result<Vec<Delivery>, EnqueueError> {
        let tags: Vec<_> = handed_on.iter().map(|delivery| delivery.tag).collect();
        let renewals = if tags.is_empty() { Vec::new() } else { self.outbox.renew(&tags, LEASE).await? };
        let mut over = Vec::with_capacity(handed_on.len());
        for (delivery, renewal) in handed_on.into_iter().zip(renewals) {
            let id = &delivery.envelope.id;
            if let Renewal::Held { cancel_requested: Some(reason) } = renewal
                && let Err(error) = self.cancel_in_queue(id, &reason).await
            {
                tell_not_cancelled(id, &error);
                if error.is_retryable() {
                    continue;
                }
            }
            over.push(delivery);
        }
        Ok(over)
    }

    async fn cancel_in_queue(&self, id: &JobId, reason: &str) -> Result<(), EnqueueError> {
        match self.client.inner.broker.admin().cancel(id, reason).await? {
            Cancellation::Removed(found) => {
                let Found { envelope, delivery, attempt, .. } = &*found;
                let event = self.client.cancelled(envelope, *delivery, *attempt, reason);
                self.tell(std::slice::from_ref(&event)).await
            }
            Cancellation::Requested | Cancellation::NotFound => Ok(()),
        }
    }

    /// Leaves messages that were refused where they are, to be tried again later; one that was refused for good too
    /// often ends here.
    async fn put_off(
        &mut self,
        refused: Vec<Delivery>,
        refusal: &BrokerError,
        is_for_good: bool,
        relayed: &mut Relayed,
    ) -> Result<(), EnqueueError> {
        let (now, error) = (self.now(), error_text(refusal));
        tell_refused(&refused, &error);
        let (mut later, mut over) = (Vec::new(), Vec::new());
        for mut delivery in refused {
            let mut refusals = self.refusals.remove(&delivery.tag).unwrap_or_else(|| Refusals::since(now));
            refusals.add(&error, is_for_good);
            if refusals.for_good >= REFUSALS {
                delivery.envelope = addressed(delivery.envelope);
                over.push((delivery, refusals.error));
                continue;
            }
            let due_at = Some(now + rest_after(delivery.attempt));
            let content = Some(refusals.put(&delivery.envelope.content));
            let settle = Settle::Requeue { content, due_at, charged: true };
            later.push(Settlement { delivery, settle });
        }
        relayed.refused += later.len() as u64;
        relayed.buried += over.len() as u64;
        if !over.is_empty() {
            self.client.bury(self.outbox, over).await?;
        }
        if later.is_empty() {
            return Ok(());
        }
        // A lease that was lost went to another relay, which does the same.
        Ok(self.outbox.settle(&later).await.map(drop)?)
    }

    async fn publish(
        &self,
        deliveries: &[Delivery],
        earlier: Earlier,
    ) -> Result<Vec<Publication>, BrokerError> {
        let envelopes = deliveries.iter().map(|delivery| addressed(self.marked(delivery, earlier)));
        self.client.inner.broker.publish(envelopes.collect()).await
    }

    /// Returns a message with a mark where it may be the second of its run, which a worker then looks into
    /// (`worker/second.rs`): not every server knows what it has, and the job may have ended since it was looked for here.
    fn marked(&self, delivery: &Delivery, earlier: Earlier) -> Envelope {
        let envelope = &delivery.envelope;
        if earlier == Earlier::None && !was_tried(delivery) {
            return envelope.clone();
        }
        let Ok(mut message) = TaskMessage::decode(envelope) else { return envelope.clone() };
        message.celeriac.again_at = Some(self.now());
        message.encode_exactly().unwrap_or_else(|_| envelope.clone())
    }

    /// Forgets what is kept of earlier runs of these jobs, as they get another one.
    async fn forget_earlier(&self) -> Result<(), EnqueueError> {
        let had_others = |delivery: &&Delivery| match TaskMessage::decode(&delivery.envelope) {
            Ok(message) => {
                message.celeriac.generation > 0 || self.client.facts_of(&message).record != RecordLevel::All
            }
            Err(_) => false,
        };
        let id = |delivery: &Delivery| delivery.envelope.id.clone();
        let ids: Vec<JobId> = self.waiting.iter().filter(had_others).map(id).collect();
        Ok(self.client.inner.recorder.forget(&ids).await?)
    }

    async fn tell(&self, events: &[JobEvent]) -> Result<(), EnqueueError> {
        self.client.record(events).await?;
        self.client.inner.events.tell(events);
        Ok(())
    }

    async fn settle(
        &self,
        deliveries: Vec<Delivery>,
        settle: impl Fn(&Delivery) -> Settle,
    ) -> Result<(), BrokerError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let settlement = |delivery| Settlement { settle: settle(&delivery), delivery };
        let settlements: Vec<Settlement> = deliveries.into_iter().map(settlement).collect();
        // A lease that was lost went to another relay, which does the same.
        self.outbox.settle(&settlements).await.map(drop)
    }

    fn now(&self) -> Timestamp {
        self.client.inner.clock.now()
    }
}

fn tell_refused(refused: &[Delivery], error: &str) {
    let Some(Delivery { envelope, attempt, .. }) = refused.first() else { return };
    let (queue, messages) = (&envelope.queue[PREFIX.len()..], refused.len());
    let again_in = rest_after(*attempt);
    tracing::error!(job.id = %envelope.id, queue, messages, error, ?again_in, "messages of the outbox were refused");
}

/// What was tried with a message by this very relay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Earlier {
    None,
    /// It was among some that the server refused together, and may have been taken for all that.
    Refused,
}

/// What is to become of a message.
enum Stand {
    Waiting,
    Begun,
    Cancelled,
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

/// Says whether a message is for an exchange, which may have no queue for it.
fn is_for_exchange(delivery: &Delivery) -> bool {
    let queue = delivery.envelope.queue.strip_prefix(PREFIX).unwrap_or_default();
    !Address::is_queue(queue)
}

/// Returns which run of its job a message asks for.
fn generation(delivery: &Delivery) -> u32 {
    TaskMessage::decode(&delivery.envelope).map_or(0, |message| message.celeriac.generation)
}

/// Gives a message back that the server may have all the same, and remembers that.
fn tried(delivery: &Delivery) -> Settle {
    back(None, !was_tried(delivery))
}

/// Gives a message back, to be taken again at `due_at` or at once.
fn back(due_at: Option<Timestamp>, charged: bool) -> Settle {
    Settle::Requeue { content: None, due_at, charged }
}

fn rest_after(times: u32) -> Duration {
    let (first, longest) = REST;
    first.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1))).min(longest)
}

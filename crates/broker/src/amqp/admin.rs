//! What operators ask of the queues in RabbitMQ, as far as AMQP answers.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use celeriac_protocol::{Envelope, JobId, Timestamp};
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use serde::{Deserialize, Serialize};

use super::dead::{self, Reading, Verdict};
use super::link::{failed, refused};
use super::notices::Word;
use super::publish::Outgoing;
use super::topology::{self, DEAD, PAUSED};
use super::wire::{self, Counts};
use super::{AmqpBroker, Core};
use crate::{
    BrokerAdmin, BrokerError, Cancellation, Danger, DeadLetter, DeadLetterPage, Found, Gravity, MessageState,
    Notice, Publication, QueueDepth,
};

/// How long the holder of a job may take to say that it has it.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// How it is written that a queue is paused.
#[derive(Debug, Serialize, Deserialize)]
struct Pause {
    queue: String,
    at: i64,
}

impl Core {
    /// Learns which queues are paused.
    pub(super) async fn learn_paused(&self) -> Result<(), BrokerError> {
        let mut paused = Vec::new();
        let mut reading = Reading::begin(&self.incoming, PAUSED).await?;
        reading.each(|delivery| {
            paused.extend(pause_in(delivery));
            Verdict::Keep
        })?;
        reading.end().await?;
        *self.paused() =
            paused.into_iter().map(|pause| (pause.queue, Timestamp::from_micros(pause.at))).collect();
        Ok(())
    }

    fn letter_in(&self, delivery: &Delivery) -> Option<DeadLetter> {
        dead::read(&delivery.properties, delivery.data.clone(), self.priorities())
    }

    /// Looks at every dead letter, oldest first, and removes those of which `look` says so.
    async fn each_letter(&self, mut look: impl FnMut(DeadLetter) -> Verdict) -> Result<u64, BrokerError> {
        let mut reading = Reading::begin(&self.incoming, DEAD).await?;
        reading.each(|delivery| self.letter_in(delivery).map_or(Verdict::Keep, &mut look))?;
        reading.end().await
    }

    /// Counts a queue's messages that are ready; `None` where there is no such queue.
    async fn depth(&self, queue: &str) -> Result<Option<u64>, BrokerError> {
        let name = topology::name(queue)?;
        let counted = self.incoming.in_time(async {
            let line = self.incoming.line().await?;
            topology::count(&line, &name).await
        });
        Ok(counted.await?.map(u64::from))
    }

    /// Takes ready messages out of a queue, first those that were pushed to us.
    async fn take_out(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        self.rest(queue).await?;
        let line = self.incoming.line().await?;
        let (channel, name) = (line.channel().await?, topology::name(queue)?);
        let (mut found, mut last) = (Vec::new(), None);
        while found.len() < max {
            let got = channel.basic_get(name.clone(), BasicGetOptions { no_ack: false }).await;
            let Some(got) = got.map_err(failed)? else { break };
            let Delivery { delivery_tag, properties, data, .. } = got.delivery;
            last = Some(delivery_tag);
            match wire::read(&properties, data, queue, self.priorities()) {
                Ok(read) => found.push(found_of(read)),
                Err((error, body)) => {
                    let now = self.clock.now();
                    tracing::warn!(%error, queue, "a message that can't be read was purged");
                    let envelope = wire::unread(&properties, body, queue, JobId::fresh(now));
                    let state = MessageState::Ready;
                    found.push(Found { envelope, state, delivery: 0, attempt: 0 });
                }
            }
        }
        if let Some(last) = last {
            channel.basic_ack(last, BasicAckOptions { multiple: true }).await.map_err(failed)?;
        }
        // Its answer comes behind the acknowledgement.
        channel.close(200, "done".into()).await.map_err(failed)?;
        Ok(found)
    }
}

fn found_of(read: wire::Read) -> Found {
    let Counts { handed, attempts, .. } = read.counts;
    Found { envelope: read.envelope, state: MessageState::Ready, delivery: handed, attempt: attempts }
}

fn pause_in(delivery: &Delivery) -> Option<Pause> {
    serde_json::from_slice(&delivery.data).ok()
}

#[async_trait]
impl BrokerAdmin for AmqpBroker {
    /// AMQP can't look into a queue, so no message is ever found.
    async fn find(&self, _id: &JobId) -> Result<Option<Found>, BrokerError> {
        Ok(None)
    }

    /// Reaches what is held. What waits can't be taken out, and is refused.
    async fn cancel(&self, id: &JobId, reason: &str) -> Result<Cancellation, BrokerError> {
        let core = &self.core;
        if core.held.cancel(id, reason) {
            core.hub.tell_here(Notice::Cancel(id.clone()));
            return Ok(Cancellation::Requested);
        }
        let (ticket, answered) = core.hub.ask();
        let word = Word::Cancel { id: id.clone(), ticket: ticket.clone(), reason: reason.to_owned() };
        let told = Outgoing::notice(core.hub.sealed(&word.to_text()));
        core.publisher.publish(&[told]).await?;
        match tokio::time::timeout(ANSWER_WITHIN, answered).await {
            Ok(Ok(())) => Ok(Cancellation::Requested),
            _ => {
                core.hub.answered(&ticket);
                Err(refused(format!(
                    "no worker of ours holds job {id}, and a message that waits can't be taken out of RabbitMQ's queues"
                )))
            }
        }
    }

    /// Counts what is ready in the queues that are known: those that were used here, and those of the
    /// options. What waits for its time and what is held can't be counted by AMQP.
    async fn depths(&self) -> Result<Vec<QueueDepth>, BrokerError> {
        let core = &self.core;
        let paused = core.paused().clone();
        let line = core.incoming.in_time(core.incoming.line()).await?;
        let mut queues: BTreeSet<String> = core.options.queues.iter().cloned().collect();
        queues
            .extend(line.declared.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().cloned());
        queues.extend(paused.keys().cloned());
        let mut depths = Vec::new();
        for queue in queues {
            let ready = core.depth(&queue).await?.unwrap_or(0);
            let paused_at = paused.get(&queue).copied();
            if ready > 0 || paused_at.is_some() {
                depths.push(QueueDepth { ready, paused_at, ..QueueDepth::empty(queue) });
            }
        }
        Ok(depths)
    }

    /// Takes out what is ready. What waits for its time stays where it is.
    async fn purge(&self, queue: &str, max: usize) -> Result<Vec<Found>, BrokerError> {
        self.core.take_out(queue, max).await
    }

    async fn pause(&self, queue: &str) -> Result<(), BrokerError> {
        let (core, now) = (&self.core, self.core.clock.now());
        let mut known = None;
        let mut reading = Reading::begin(&core.incoming, PAUSED).await?;
        reading.each(|delivery| {
            known = known.take().or(pause_in(delivery).filter(|pause| pause.queue == queue));
            Verdict::Keep
        })?;
        let at = known.as_ref().map_or(now, |pause| Timestamp::from_micros(pause.at));
        if known.is_none() {
            let pause = Pause { queue: queue.to_owned(), at: now.as_micros() };
            let body = serde_json::to_vec(&pause).expect("texts and numbers always serialize");
            let properties = BasicProperties::default().with_delivery_mode(2);
            // Before the reader ends, so that no other one misses it.
            core.publisher.publish(&[Outgoing::to_own(PAUSED, properties, body)]).await?;
        }
        reading.end().await?;
        core.paused().insert(queue.to_owned(), at);
        let word = Word::Paused { queue: queue.to_owned(), at };
        core.publisher.publish(&[Outgoing::notice(core.hub.sealed(&word.to_text()))]).await?;
        core.rest(queue).await
    }

    async fn resume(&self, queue: &str) -> Result<(), BrokerError> {
        let core = &self.core;
        let mut reading = Reading::begin(&core.incoming, PAUSED).await?;
        reading.each(|delivery| match pause_in(delivery) {
            Some(pause) if pause.queue == queue => Verdict::Remove,
            _ => Verdict::Keep,
        })?;
        reading.end().await?;
        core.paused().remove(queue);
        let word = Word::Resumed(queue.to_owned());
        core.publisher.publish(&[Outgoing::notice(core.hub.sealed(&word.to_text()))]).await?;
        core.hub.tell_here(Notice::Queue(queue.to_owned()));
        Ok(())
    }

    async fn dead_letters(&self, before: Option<i64>, limit: usize) -> Result<DeadLetterPage, BrokerError> {
        let mut letters: Vec<DeadLetter> = Vec::new();
        self.core
            .each_letter(|letter| {
                if before.is_none_or(|before| letter.key < before) {
                    let place = letters.partition_point(|other| other.key > letter.key);
                    letters.insert(place, letter);
                    // One more than is asked for says whether there are more.
                    letters.truncate(limit.saturating_add(1));
                }
                Verdict::Keep
            })
            .await?;
        let has_more = letters.len() > limit;
        letters.truncate(limit);
        let next = letters.last().filter(|_| has_more).map(|letter| letter.key);
        Ok(DeadLetterPage { letters, next })
    }

    async fn dead_letter(&self, id: &JobId) -> Result<Option<DeadLetter>, BrokerError> {
        let mut newest: Option<DeadLetter> = None;
        self.core
            .each_letter(|letter| {
                if letter.envelope.id == *id && newest.as_ref().is_none_or(|other| other.key < letter.key) {
                    newest = Some(letter);
                }
                Verdict::Keep
            })
            .await?;
        Ok(newest)
    }

    async fn drop_dead(&self, keys: &[i64]) -> Result<u64, BrokerError> {
        if keys.is_empty() {
            return Ok(0);
        }
        let remove = |letter: DeadLetter| match keys.contains(&letter.key) {
            true => Verdict::Remove,
            false => Verdict::Keep,
        };
        self.core.each_letter(remove).await
    }

    async fn revive(&self, key: i64, envelope: Envelope) -> Result<Option<Publication>, BrokerError> {
        let (core, now) = (&self.core, self.core.clock.now());
        let mut is_there = false;
        let mut reading = Reading::begin(&core.incoming, DEAD).await?;
        reading.each(|delivery| match core.letter_in(delivery) {
            Some(letter) if letter.key == key => {
                is_there = true;
                Verdict::Remove
            }
            _ => Verdict::Keep,
        })?;
        if is_there {
            // Where it fails the reader is dropped, and the letter stays.
            core.publisher.publish(&[core.write(&envelope, Counts::default(), now)?]).await?;
            core.hub.tell_here(Notice::Queue(envelope.queue.clone()));
        }
        reading.end().await?;
        Ok(is_there.then_some(Publication::Accepted))
    }

    /// Looks whether the server takes messages in; one that does not says so to whoever publishes.
    async fn dangers(&self) -> Result<Vec<Danger>, BrokerError> {
        let core = &self.core;
        let nothing = Outgoing::notice(core.hub.sealed(""));
        match core.publisher.publish(&[nothing]).await {
            Err(_) if core.publisher.is_blocked() => Ok(vec![Danger {
                gravity: Gravity::Serious,
                what: "RabbitMQ is short of memory or disk, and takes nothing in until it has some again"
                    .to_owned(),
                advice: "free some, or look at vm_memory_high_watermark and disk_free_limit of its settings",
            }]),
            told => told.map(|()| Vec::new()),
        }
    }
}
